"""The two matrix products of every linear model.

A layer of K outputs computes the logits ``X @ w`` on its way forward and ``X.T @ errors`` on its
way back. Both functions take one weight matrix of shape (D, K), or a stack of M of them of shape
(M, D, K), and then give M results from a single product.

Three ideas for speed live here and nowhere else.

*One product for a stack.* ``[30000, 785] @ [785, 10]`` waits for memory, not for arithmetic. With
100 columns instead of 10 it takes three times as long, not ten. So the weights of a stack are laid
side by side, as the columns of one matrix.

*Slices for a small product.* OpenBLAS copies the factors of a large product into another order and
spreads it over threads that then wait for each other. Below 2¹⁸ multiplications it does neither.
Cut into slices of that size, the two products of a step take one thread and no longer than the
whole takes on two, and much less if another program keeps one of the two busy.

*Classes first in memory.* Logits have the shape (N, K), but their memory is laid out as (K, N):
each class is one contiguous row. The maximum or sum over the classes, ``axis=-1``, then runs over
whole rows and is many times faster than over K = 10 neighbours. Nobody else needs to know: shapes
and axes are those of the formulas.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
# A number for one model; an array of M numbers for a stack of M models.
PerModel = Any

SMALL_PRODUCT = 2**18
# Thinner slices cost more than they save.
FEWEST_ROWS = 16


def stack_weights(weights: Sequence[Floats]) -> Floats:
    """Put weight matrices into one stack, side by side in memory.

    Parameters
    ----------
    weights : sequence of M arrays of shape (D, K), float

    Returns
    -------
    ndarray of shape (M, D, K), float
        A copy. Its memory is that of a matrix of shape (D, M·K), which `logits` can use as it is.
    """
    return np.stack(weights, axis=1).swapaxes(0, 1)


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
        If the shapes do not fit.
    """
    *stack, D, K = w.shape
    if X.ndim != 2 or X.shape[1] != D:
        raise ValueError(f"X has shape {X.shape}; expected [N, {D}] to fit w of shape {w.shape}")
    side_by_side = w.swapaxes(0, -2).reshape(D, -1)
    classes_first = product(X, side_by_side).T.copy()
    return classes_first.reshape(*stack, K, len(X)).swapaxes(-1, -2)


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
    *stack, N, K = errors.shape
    side_by_side = errors.swapaxes(-1, -2).reshape(-1, N).T
    return product(X.T, side_by_side).reshape(X.shape[1], *stack, K).swapaxes(0, -2)


def product(A: Floats, B: Floats) -> Floats:
    """Compute ``A @ B``, in slices of the rows of `A` if that makes them small products.

    Parameters
    ----------
    A : ndarray of shape (N, D), float
    B : ndarray of shape (D, K), float

    Returns
    -------
    ndarray of shape (N, K), float
    """
    N, D = A.shape
    rows = rows_of_slice(N, D * B.shape[1])
    if rows == N:
        return A @ B
    return (A.reshape(-1, rows, D) @ B).reshape(N, -1)


@functools.cache
def rows_of_slice(N: int, multiplications_in_row: int) -> int:
    """Choose how many of N rows make a slice: all of them, or a divisor of N.

    Parameters
    ----------
    N : int > 0
    multiplications_in_row : int > 0
        How many multiplications a row takes in the product.

    Returns
    -------
    int
    """
    most = SMALL_PRODUCT // multiplications_in_row
    slices = (rows for rows in range(most, FEWEST_ROWS - 1, -1) if N % rows == 0)
    return N if most >= N else next(slices, N)
