"""Shows, as the output of a notebook's cell, what the page needs for its appendix *Try it*."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
from IPython.display import display

from numerics.arguments import Array
from plots.display import Output

MIME_TYPE = "application/vnd.try-it+json"


def show_try_it(models: Sequence[Any], images: Array, labels: Array) -> None:
    """Show, as the output of a cell, the data of *Try it*; `report.try_it` makes HTML of them.

    Parameters
    ----------
    models : sequence of SoftmaxModel
        One for each step of the page's slider, that of the first step first.
    images : ndarray of shape (N, 784), uint8
        What its button lays into the canvas. Forty images and five models take 260 KB.
    labels : ndarray of shape (N, 1), integers, values 0 to 9
    """
    weights = [
        {"name": f"λ = {model.l2_reg_lambda:g}", "weights": encode(model.w.astype("<f4"))}
        for model in models
    ]
    pixels = encode(images.astype(np.uint8))
    data = {"models": weights, "images": pixels, "labels": labels[:, 0].tolist()}
    display(Output({MIME_TYPE: data, "text/plain": "The page of the report has Try it here."}))


def encode(values: Array) -> str:
    """Write the bytes of an array, row by row, in base64."""
    return b64encode(values.tobytes()).decode("ascii")
