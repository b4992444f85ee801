"""The softmax run in JAX on the CPU: the steps between two validations are one compiled scan."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.work import Run, Settings, batches_between_validations, train
from utils import Data


def loss(w: jax.Array, X: jax.Array, Y: jax.Array) -> jax.Array:
    """Compute the mean softmax loss of the weights w [K, D]."""
    return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(X @ w.T), axis=1))


def accuracy(w: jax.Array, X: jax.Array, Y: jax.Array) -> jax.Array:
    """Compute the fraction of samples whose largest logit is where Y [N, K] has its one."""
    return jnp.mean((X @ w.T).argmax(axis=1) == Y.argmax(axis=1))


@jax.jit
def make_steps(
    w: jax.Array, batches: jax.Array, X: jax.Array, Y: jax.Array, learning_rate: float
) -> tuple[jax.Array, jax.Array]:
    """Make a step for each row of `batches`; return the new weights and the training losses."""

    def make_step(w: jax.Array, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
        # All indices are valid: there is nothing to wrap or to clip.
        X_batch = X.at[batch].get(mode="promise_in_bounds")
        Y_batch = Y.at[batch].get(mode="promise_in_bounds")
        batch_loss, gradient = jax.value_and_grad(loss)(w, X_batch, Y_batch)
        return w - learning_rate * gradient, batch_loss

    return jax.lax.scan(make_step, w, batches)


@jax.jit
def validate(
    w: jax.Array, X_train: jax.Array, Y_train: jax.Array, X_val: jax.Array, Y_val: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Compute validation loss, validation accuracy and training accuracy."""
    return loss(w, X_val, Y_val), accuracy(w, X_val, Y_val), accuracy(w, X_train, Y_train)


class JaxModel:
    """See `benchmarks.work.Rival`."""

    kernel = "XLA's own"

    def __init__(self, data: Data, settings: Settings) -> None:
        self.data = [jnp.asarray(part) for part in data]
        self.learning_rate = settings.learning_rate
        # In this orientation XLA's products are quicker than with weights [D, K].
        self.w = jnp.zeros((data[1].shape[1], data[0].shape[1]))
        self.compile(settings)

    def compile(self, settings: Settings) -> None:
        """Compile everything for the shapes of the run, by calling it once."""
        start = self.w
        chunks = batches_between_validations(len(self.data[0]), settings)
        for _, batches in zip(range(2), chunks, strict=False):
            self.make_steps(batches)
            self.validate()
        self.w = start

    def make_steps(self, batches: NDArray[np.int64]) -> jax.Array:
        X_train, Y_train = self.data[:2]
        indices = batches.astype(np.int32)
        self.w, losses = make_steps(self.w, indices, X_train, Y_train, self.learning_rate)
        return losses

    def validate(self) -> tuple[float, float, float]:
        val_loss, val_accuracy, train_accuracy = validate(self.w, *self.data)
        return float(val_loss), float(val_accuracy), float(train_accuracy)

    def copy_weights(self) -> NDArray:
        return np.asarray(self.w).T


def run(data: Data, settings: Settings) -> tuple[NDArray, Run]:
    """Make the run; see `benchmarks.work.train`."""
    return train(JaxModel(data, settings), len(data[0]), settings)
