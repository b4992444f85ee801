import numpy as np

import mnist


def load_binary_dataset(class1, class2):
    X_train, Y_train, X_val, Y_val = mnist.load()
    pairs = (X_train[:20000], Y_train[:20000]), (X_val, Y_val)
    chosen = [(X[np.isin(Y, (class1, class2))], Y[np.isin(Y, (class1, class2))]) for X, Y in pairs]
    return [part for X, Y in chosen for part in (X, (Y[:, None] == class1).astype(np.uint8))]


def batch_loader(X, Y, batch_size, shuffle=False, drop_last=True):
    indices = np.arange(len(X))
    if shuffle:
        np.random.shuffle(indices)  # noqa: NPY002
    for i in range(len(X) // batch_size if drop_last else -(-len(X) // batch_size)):
        batch = indices[i * batch_size : (i + 1) * batch_size]
        yield X[batch], Y[batch]


def plot_loss(loss_dict, label=None):
    import matplotlib.pyplot as plt

    plt.plot(list(loss_dict.keys()), list(loss_dict.values()), label=label)
