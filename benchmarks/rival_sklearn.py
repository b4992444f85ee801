"""The softmax run in scikit-learn: its `MLPClassifier` without hidden layers is softmax regression.

`partial_fit` takes one step for each batch of the samples that it is given, in their order.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from benchmarks.work import Run, Settings, numpy_kernel, train
from utils import Data


class SklearnModel:
    """See `benchmarks.work.Rival`."""

    def __init__(self, data: Data, settings: Settings) -> None:
        X_train, Y_train, X_val, Y_val = data
        # The model has biases of its own: it does not need the column of ones.
        self.X_train = np.ascontiguousarray(X_train[:, :-1])
        self.X_val = np.ascontiguousarray(X_val[:, :-1])
        self.labels_train = Y_train.argmax(axis=1)
        self.labels_val = Y_val.argmax(axis=1)
        self.model = MLPClassifier(
            hidden_layer_sizes=(),
            solver="sgd",
            learning_rate_init=settings.learning_rate,
            batch_size=settings.batch_size,
            alpha=0,
            momentum=0,
            shuffle=False,
        )
        # Its weights exist after the first step only, and are random.
        self.model.partial_fit(
            self.X_train[: settings.batch_size],
            self.labels_train[: settings.batch_size],
            classes=np.arange(Y_train.shape[1]),
        )
        self.model.coefs_[0][:] = 0
        self.model.intercepts_[0][:] = 0
        self.kernel = numpy_kernel()

    def make_steps(self, batches: NDArray[np.int64]) -> float:
        samples = batches.ravel()
        self.model.partial_fit(self.X_train[samples], self.labels_train[samples])
        return self.model.loss_  # the mean of these steps: single losses are not kept

    def validate(self) -> tuple[float, float, float]:
        outputs = self.model.predict_proba(self.X_val)
        return (
            log_loss(self.labels_val, outputs),
            float(np.mean(outputs.argmax(axis=1) == self.labels_val)),
            self.model.score(self.X_train, self.labels_train),
        )

    def copy_weights(self) -> NDArray:
        return np.vstack([self.model.coefs_[0], self.model.intercepts_[0]])


def run(data: Data, settings: Settings) -> tuple[NDArray, Run]:
    """Make the run; see `benchmarks.work.train`."""
    return train(SklearnModel(data, settings), len(data[0]), settings)
