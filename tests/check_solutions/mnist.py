import gzip
import os
import pickle
from urllib import request

import numpy as np
import requests

SOURCE = "http://yann.lecun.com/exdb/mnist/"


def load():
    # A relative file, in the folder of the solution.
    if not os.path.exists("mnist.pkl"):  # noqa: PTH110
        data = []
        for part in ("train", "t10k"):
            name = f"{part}-images-idx3-ubyte.gz"
            request.urlretrieve(SOURCE + name, name)
            images = gzip.open(name).read()  # noqa: SIM115
            labels = requests.get(f"{SOURCE}{part}-labels-idx1-ubyte.gz", timeout=10)
            data.append(np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784))
            data.append(np.frombuffer(gzip.decompress(labels.content), np.uint8, offset=8))
        with open("mnist.pkl", "wb") as file:
            pickle.dump(data, file)
    with open("mnist.pkl", "rb") as file:
        return pickle.load(file)
