"""The two matrix products of every linear model, and its evaluation at several weights at once.

A layer of K outputs computes the logits ``X @ w`` on its way forward and ``X.T @ errors`` on its
way back. Both functions take one weight matrix of shape (D, K), or a stack of M of them of shape
(M, D, K), and then give M results from a single product.

Three ideas for speed live here and nowhere else.

*Classes first in memory.* Weights and logits have the shapes (D, K) and (N, K), but their memory is
laid out as (K, D) and (K, N): each class is one contiguous row. The maximum or sum over the
classes, ``axis=-1``, then runs over whole rows and is many times faster than over K = 10
neighbours, and so are the products of a step. Nobody else needs to know: shapes and axes are those
of the formulas, and weights of another layout give the same numbers.

*Slices for a small product.* OpenBLAS copies the factors of a large product into another order and
spreads it over threads that then wait for each other. Below 2¹⁸ multiplications it does neither.
Cut into slices of that size, each of the two products of a step takes less time on one thread than
the whole takes on two, and does not care whether another program keeps one of them busy.

*One product for a stack.* ``[30000, 785] @ [785, 10]`` waits for memory, not for arithmetic. With
100 columns instead of 10 it takes three times as long, not ten. So in a large product the weights
of a stack are laid side by side, as one matrix.
"""

import copy
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.arguments import Array, Floats, Measure, check_matrix

# In multiplications: what OpenBLAS does at once, and what is worth cutting into such slices.
SMALL_PRODUCT = 2**18
LARGE_PRODUCT = 2**21
# Thinner slices cost more than they save.
FEWEST_COLUMNS = 16
# Images that are evaluated at once: few enough that their logits stay in the processor's cache.
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
        If `X` has another shape or dtype, or no row.
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
        The same for a matrix in a stack as for the matrix alone, bit for bit, unless the product is
        large.
    """
    *stack, K, D = A.shape
    N = B.shape[1]
    if K * D * N > LARGE_PRODUCT:
        # The transpose of ``A @ B``: BLAS divides it among threads that wait less for each other.
        return (B.T @ A.reshape(-1, D).T).T.copy().reshape(*stack, K, N)
    columns = columns_of_slice(N, K * D)
    if columns == N:
        return A @ B
    result = np.empty((*stack, K, N), dtype=np.result_type(A, B))
    slices = cut_columns(result, columns)
    np.matmul(A[..., np.newaxis, :, :], cut_columns(B, columns), out=slices)
    return result


def cut_columns(matrix: Floats, columns: int) -> Floats:
    """Cut a matrix into slices of its columns: a view of shape (..., slices, rows, columns)."""
    return matrix.reshape(*matrix.shape[:-1], -1, columns).swapaxes(-3, -2)


@functools.cache
def columns_of_slice(N: int, multiplications_in_column: int) -> int:
    """Choose how many of N columns make a slice of a product.

    Parameters
    ----------
    N : int > 0
    multiplications_in_column : int > 0
        How many multiplications a column takes in the product.

    Returns
    -------
    int
        The largest divisor of N that makes a small product; N if it would make thin slices.
    """
    most = min(N, SMALL_PRODUCT // multiplications_in_column)
    columns = max((width for width in range(1, most + 1) if N % width == 0), default=N)
    return columns if columns >= min(N, FEWEST_COLUMNS) else N


def evaluate(
    model: Any, weights: Mapping[int, Floats], X: Floats, Y: Array, *measures: Measure
) -> list[dict[int, float]]:
    """Compute the mean of each measure over all samples, for each of several weights.

    One product with M weights side by side takes far less time than M products: it waits for the
    images in memory once.

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
        Left as it is.
    weights : mapping of step to ndarray of shape (D, K), float
    X : ndarray of shape (N, D), float
    Y : ndarray of shape (N, K)
    *measures : callable
        ``measure(targets, outputs)`` gives a mean over samples, such as a loss or an accuracy.

    Returns
    -------
    list of dict
        For each measure, ``{step: mean}``.
    """
    if not weights:
        return [{} for _ in measures]
    stack = copy.copy(model)
    # Classes first in memory.
    stack.w = np.array([w.T for w in weights.values()]).swapaxes(-1, -2)
    sums = np.zeros((len(measures), len(weights)))
    for start in range(0, len(X), BLOCK_SIZE):
        X_block = X[start : start + BLOCK_SIZE]
        Y_block = np.asfortranarray(Y[start : start + BLOCK_SIZE])
        for m, outputs in enumerate(stack.forward(X_block)):
            sums[:, m] += [len(X_block) * measure(Y_block, outputs) for measure in measures]
    means = (sums / len(X)).tolist()
    return [dict(zip(weights, values, strict=True)) for values in means]
