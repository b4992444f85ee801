import numpy as np

np.random.seed(1)  # noqa: NPY002
print("x" * 10_000_000)


def pre_process_images(X):
    assert X.shape[1] == 784, f"X.shape[1]: {X.shape[1]}, should be 784"
    X = X / 127.5 - 1
    print(X[1])
    return np.concatenate((np.ones((X.shape[0], 1)), X), axis=1)


def cross_entropy_loss(targets, outputs):
    assert targets.shape == outputs.shape
    outputs = np.clip(outputs, 1e-15, 1 - 1e-15)
    losses = -(targets * np.log(outputs) + (1 - targets) * np.log(1 - outputs))
    return np.mean(losses)


class BinaryModel:
    def __init__(self):
        self.I = 785
        self.w = np.zeros((self.I, 1))
        self.grad = None

    def forward(self, X):
        assert X.shape[1] == self.I
        return 1 / (1 + np.exp(-X.dot(self.w)))

    def backward(self, X, outputs, targets):
        assert targets.shape == outputs.shape
        self.grad = -X.T.dot(targets - outputs) / X.shape[0]

    def zero_grad(self):
        self.grad = None
