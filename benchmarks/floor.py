"""The floor: the gathers and the matrix products that the project's run cannot do without."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.common import index_batches
from common.linear import columns_of_slice, cut_columns
from utils import Data


def multiply(
    data: Data,
    num_steps: int,
    passes: Sequence[tuple[str, int]],
    *,
    in_slices: bool = False,
    batch_size: int = 128,
    seed: int = 0,
) -> dict[str, float]:
    """Gather and multiply as often as a run does, and do nothing else.

    Parameters
    ----------
    data : tuple of X_train, Y_train, X_val, Y_val
        As `task3.load_data` gives it.
    num_steps : int > 0
        For each step: the gathers of a batch, its logits, its gradient.
    passes : sequence of ("val" or "train", int > 0)
        For each product over all images of a part, in their order, how many weights share it. The
        steps between the validations come before those of "val".
    in_slices : bool, default=False
        Whether to cut the products of a step as `linear` does, instead of leaving them whole.
    batch_size, seed : int
        As in the run.

    Returns
    -------
    dict
        The seconds it took.
    """
    X_train, Y_train, X_val, _ = data
    images = {"train": X_train, "val": X_val}
    D, K = X_train.shape[1], Y_train.shape[1]
    steps_per_validation = len(X_train) // batch_size // 5
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 0.01, (D, K)).astype(X_train.dtype)
    errors = rng.normal(0, 0.01, (batch_size, K)).astype(X_train.dtype)
    stacks = {M: np.tile(w, M) for _, M in passes}
    # One epoch has at least one step.
    batches = index_batches(len(X_train), batch_size, num_epochs=num_steps, seed=seed)
    steps = list(itertools.islice(batches, num_steps))
    X_batch, Y_batch = X_train[:batch_size].copy(), Y_train[:batch_size].copy()
    products = [
        (X_batch, w, np.empty_like(errors)),
        (X_batch.T, errors, np.empty_like(w)),
    ]
    if in_slices:
        classes_first = [(w.T.copy(), X_batch.T), (errors.T.copy(), X_batch)]
        products = []
        for A, B in classes_first:
            columns = columns_of_slice(B.shape[1], A.size)
            out = np.empty((K, B.shape[1]), A.dtype)
            products.append((A, cut_columns(B, columns), cut_columns(out, columns)))

    start = time.perf_counter()
    remaining = iter(steps)
    for part, M in passes:
        # Steps and validations take turns, as in the run: each finds the caches as the other
        # leaves them.
        num_before = M * steps_per_validation if part == "val" else 0
        for batch in itertools.islice(remaining, num_before):
            X_train.take(batch, axis=0, out=X_batch, mode="clip")
            Y_train.take(batch, axis=0, out=Y_batch, mode="clip")
            for A, B, out in products:
                np.matmul(A, B, out=out)
        images[part] @ stacks[M]
    seconds = time.perf_counter() - start
    if next(remaining, None) is not None:
        num_validations = sum(M for part, M in passes if part == "val")
        raise ValueError(f"{num_steps} steps are too many for {num_validations} validations")
    return {"seconds": seconds, "compile_seconds": 0.0}
