"""Shows, as the output of a notebook's cell, what the page needs for its appendix *Try it*."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from IPython.display import display
from numpy.typing import NDArray

MIME_TYPE = "application/vnd.try-it+json"


class PenalisedModel(Protocol):
    """What `show_try_it` needs of a softmax model: λ, and weights of shape (785, 10)."""

    l2_reg_lambda: float
    w: NDArray


class TryIt:
    """What the page needs; other viewers, and the terminal, get one line.

    Parameters
    ----------
    data : dict
        Plain JSON values; `report.try_it` makes HTML of them.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def __repr__(self) -> str:
        return "The page of the report has Try it here."

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {MIME_TYPE: self.data, "text/plain": repr(self)}


def show_try_it(models: Sequence[PenalisedModel], images: NDArray, labels: NDArray) -> None:
    """Show, as the output of a cell, the data of *Try it*.

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
    display(TryIt({"models": weights, "images": pixels, "labels": labels[:, 0].tolist()}))


def encode(values: NDArray) -> str:
    """Write the bytes of an array, row by row, in base64."""
    return b64encode(values.tobytes()).decode("ascii")
