"""The two matrix products of a linear model, and its evaluation with several weights at once.

A layer with K outputs computes the logits ``X @ w`` in its forward pass and the gradient
``X.T @ errors`` in its backward pass. Both functions take one weight matrix of shape (D, K), or a
stack of M of them of shape (M, D, K), and then return M results.

Three ideas make them fast.

*Classes first in memory.* Logits and gradients have the shapes (N, K) and (D, K), but are stored as
(K, N) and (K, D): each class is one contiguous row. A maximum or sum over the classes,
``axis=-1``, then works on whole rows, which is many times faster than on K = 10 neighbours. The
trainer stores targets in the same way. Arrays of another layout give the same numbers.

*Small products in slices.* OpenBLAS spreads a large product over threads, which wait for each
other; below 2¹⁸ multiplications it does not. On an idle machine slices of that size gain a tenth.
Beside another busy program, a whole run with plain ``X @ w`` and ``X.T @ errors`` on two threads
took 2.6 to 4.5 times as long; in slices it took no longer than before.

*One product for a stack.* ``[30000, 785] @ [785, 10]`` waits for memory, not for arithmetic: with
100 columns instead of 10 it takes three times as long, not ten. So in a large product the weights
of a stack are placed side by side, as one matrix.
"""

import copy
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.arguments import Array, Floats, Measure, check_matrix

# Sizes in multiplications: up to the first, OpenBLAS uses one thread; above the second, slices no
# longer pay.
SMALL_PRODUCT = 2**18
LARGE_PRODUCT = 2**21
# Thinner slices cost more than they save.
FEWEST_COLUMNS = 16
# Images evaluated at once: few enough for their logits to stay in the processor's cache.
BLOCK_SIZE = 2500


def logits(X: Floats, w: Floats) -> Floats:
    """Compute ``X @ w``.

    Parameters
    ----------
    X : ndarray of shape (N, D), float
    w : ndarray of shape (D, K) or (M, D, K), float
        One weight matrix or a stack of them.

    Returns
    -------
    ndarray of shape (N, K) or (M, N, K), float

    Raises
    ------
    ValueError
        If `X` has another shape or dtype, or no rows.
    """
    check_matrix("X", X, w.shape[-2])
    return product(w.swapaxes(-1, -2), X.T).swapaxes(-1, -2)


def weight_gradient(X: Floats, errors: Floats) -> Floats:
    """Compute ``X.T @ errors``, the gradient for w when `errors` is the one for the logits.

    Parameters
    ----------
    X : ndarray of shape (N, D), float
    errors : ndarray of shape (N, K) or (M, N, K), float

    Returns
    -------
    ndarray of shape (D, K) or (M, D, K), float
    """
    return product(errors.swapaxes(-1, -2), X).swapaxes(-1, -2)


@np.errstate(all="ignore")  # Some BLAS builds raise flags for right results (numpy issue 28687).
def product(A: Floats, B: Floats) -> Floats:
    """Compute ``A @ B`` for one matrix or a stack of them.

    Parameters
    ----------
    A : ndarray of shape (K, D) or (M, K, D), float
    B : ndarray of shape (D, N), float

    Returns
    -------
    ndarray of shape (K, N) or (M, K, N), float
        For a matrix in a stack, the same bits as for the matrix alone, unless the product is large.
    """
    *stack, K, D = A.shape
    N = B.shape[1]
    if K * D * N > LARGE_PRODUCT:
        # As the transpose of ``A @ B``, its threads wait less for each other.
        return (B.T @ A.reshape(-1, D).T).T.copy().reshape(*stack, K, N)
    columns = columns_of_slice(N, K * D)
    if columns == N:
        return A @ B
    sliced = N // columns * columns
    result = np.empty((*stack, K, N), dtype=np.result_type(A, B))
    np.matmul(
        A[..., np.newaxis, :, :],
        cut_columns(B[:, :sliced], columns),
        out=cut_columns(result[..., :sliced], columns),
    )
    if sliced < N:  # the columns that do not fill a slice
        np.matmul(A, B[:, sliced:], out=result[..., sliced:])
    return result


def cut_columns(matrix: Floats, columns: int) -> Floats:
    """Cut a matrix into slices of its columns: a view of shape (..., slices, rows, columns)."""
    return matrix.reshape(*matrix.shape[:-1], -1, columns).swapaxes(-3, -2)


@functools.cache
def columns_of_slice(N: int, multiplications_in_column: int) -> int:
    """Choose how many of the N columns of a product make a slice.

    Parameters
    ----------
    N : int > 0
    multiplications_in_column : int > 0
        How many multiplications a column of the product takes.

    Returns
    -------
    int
        The largest divisor of N that makes a small product, or as many as possible if N has no such
        divisor; N if slices would be too thin.
    """
    most = min(N, SMALL_PRODUCT // multiplications_in_column)
    if most < min(N, FEWEST_COLUMNS):
        return N
    divisors = [width for width in range(FEWEST_COLUMNS, most + 1) if N % width == 0]
    return max(divisors, default=most)


def evaluate(
    model: Any, weights: Mapping[int, Floats], X: Floats, Y: Array, *measures: Measure
) -> list[dict[int, float]]:
    """Compute the mean of each measure over all samples, for each of several weights.

    One product with M weights side by side is far faster than M products: the images are read from
    memory once.

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
        It is not changed. Its `forward` gets a stack of weights (M, D, K), and returns outputs of
        shape (M, N, K).
    weights : mapping of step to ndarray of shape (D, K), float
    X : ndarray of shape (N, D), float
    Y : ndarray of shape (N, K)
    *measures : callable
        ``measure(targets, outputs)`` returns a mean over samples, such as a loss or an accuracy.

    Returns
    -------
    list of dict
        For each measure, ``{step: mean}``.
    """
    if not weights:
        return [{} for _ in measures]
    stack = copy.copy(model)
    stack.w = np.array([w.T for w in weights.values()]).swapaxes(-1, -2)  # classes first in memory
    sums = np.zeros((len(measures), len(weights)))
    for start in range(0, len(X), BLOCK_SIZE):
        X_block = X[start : start + BLOCK_SIZE]
        Y_block = np.asfortranarray(Y[start : start + BLOCK_SIZE])
        for m, outputs in enumerate(stack.forward(X_block)):
            sums[:, m] += [len(X_block) * measure(Y_block, outputs) for measure in measures]
    means = (sums / len(X)).tolist()
    return [dict(zip(weights, values, strict=True)) for values in means]
