"""The softmax run in JAX on the CPU: all steps between two validations are one compiled scan."""

from __future__ import annotations

import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Validations, index_batches
from utils import Data


def loss(w: jax.Array, X: jax.Array, Y: jax.Array) -> jax.Array:
    """Compute the mean softmax loss of the weights `w`, of shape (K, D)."""
    return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(X @ w.T), axis=1))


def accuracy(w: jax.Array, X: jax.Array, Y: jax.Array) -> jax.Array:
    """Compute the fraction of samples whose largest logit is where `Y` has its one."""
    return jnp.mean((X @ w.T).argmax(axis=1) == Y.argmax(axis=1))


def train(
    data: Data,
    num_epochs: int,
    *,
    learning_rate: float = 0.01,
    batch_size: int = 128,
    patience: int = 10,
    seed: int = 0,
) -> tuple[NDArray, dict[str, float]]:
    """Make the run of `task3.make_trainer` with λ = 0; see `benchmarks.rival_numpy.train`."""
    device_data = [jnp.asarray(part) for part in data]
    X_train, Y_train = device_data[:2]
    steps_per_validation = len(X_train) // batch_size // 5
    # In this orientation XLA's products are quicker than with the weights as (D, K).
    w = best_w = jnp.zeros((Y_train.shape[1], X_train.shape[1]))
    train_losses, validations = [], Validations(patience)

    def make_steps(
        w: jax.Array, batches: jax.Array, X: jax.Array, Y: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        def make_step(w: jax.Array, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
            # All indices are valid: there is nothing to wrap or to clip.
            X_batch = X.at[batch].get(mode="promise_in_bounds")
            Y_batch = Y.at[batch].get(mode="promise_in_bounds")
            batch_loss, gradient = jax.value_and_grad(loss)(w, X_batch, Y_batch)
            return w - learning_rate * gradient, batch_loss

        return jax.lax.scan(make_step, w, batches)

    def validate(
        w: jax.Array, X_train: jax.Array, Y_train: jax.Array, X_val: jax.Array, Y_val: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        return loss(w, X_val, Y_val), accuracy(w, X_val, Y_val), accuracy(w, X_train, Y_train)

    start = time.perf_counter()
    compiled_steps = {}
    for num_steps in (1, steps_per_validation):
        batches = jax.ShapeDtypeStruct((num_steps, batch_size), jnp.int32)
        lowered = jax.jit(make_steps).lower(w, batches, X_train, Y_train)
        compiled_steps[num_steps] = lowered.compile()
    compiled_validate = jax.jit(validate).lower(w, *device_data).compile()
    compile_seconds = time.perf_counter() - start

    start = time.perf_counter()
    step = -1
    order = index_batches(len(X_train), batch_size, num_epochs, seed)
    # The first validation follows step 0, each other one the next `steps_per_validation` steps.
    for num_steps in itertools.chain([1], itertools.repeat(steps_per_validation)):
        indices = list(itertools.islice(order, num_steps))
        if len(indices) < num_steps:
            break
        w, losses = compiled_steps[num_steps](w, np.array(indices, np.int32), X_train, Y_train)
        train_losses.append(losses)
        step += num_steps
        validations.add(step, *map(float, compiled_validate(w, *device_data)))
        if validations.improved:
            best_w = w
        if validations.should_stop:
            break
    jax.device_get(train_losses)
    seconds = time.perf_counter() - start
    return np.asarray(best_w).T, {
        "seconds": seconds,
        "compile_seconds": compile_seconds,
        "kernel": "XLA's own",
        "stop_step": step,
        **validations.summary(),
    }
