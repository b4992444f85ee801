"""Figures of the stored evidence, for the report."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from runs.figures import (
    TRAINING,
    VALIDATION,
    WIDTH,
    house_style,
)


@house_style()
def figure_over_lambda(early: pd.DataFrame, optima: pd.DataFrame) -> Figure:
    """Draw accuracies and losses against λ, of early-stopped models and at the minimum of J.

    Parameters
    ----------
    early, optima : pandas.DataFrame
        As `evidence.means_by_lambda` and `evidence.optima` give them.

    Returns
    -------
    matplotlib.figure.Figure
        On the left the accuracy, in the middle the same around the best λ, on the right the loss.
    """
    figure = Figure(figsize=(WIDTH, 2.1))
    whole, closer, loss = figure.subplots(1, 3)
    plain, penalised = early.loc[0], early.drop(0)
    for axes, quantity in ((whole, "accuracy"), (closer, "accuracy"), (loss, "loss")):
        for part, color, width in (("train", TRAINING, 0.6), ("val", VALIDATION, 1.4)):
            column = f"{part}_{quantity}"
            axes.plot(optima[column], "s-", color=color, markersize=3, linewidth=width)
            axes.plot(penalised[column], "o:", color=color, markersize=5, linewidth=width)
            axes.axhline(plain[column], color=color, linestyle=(0, (1, 3)), linewidth=width)
        axes.set(xscale="log", xlabel="λ", ylabel=quantity, xticks=[1e-5, 1e-3, 1e-1])
        axes.set_xticks(10.0 ** np.arange(-5, 1), minor=True, labels=[""] * 6)
    # Half a point of accuracy is as high as a letter.
    best = round(optima.val_accuracy.max(), 2)
    closer.set(xticks=[1e-5, 1e-3], xlim=(8e-6, 0.04), ylim=(best - 0.02, best + 0.02))
    loss.set(yscale="log", yticks=[0.1, 0.2, 0.3, 0.5, 1])
    loss.set_yticks([], minor=True)
    loss.yaxis.set_major_formatter("{x:g}")
    lines: dict[str, dict[str, Any]] = {
        "validation": {"color": VALIDATION, "linewidth": 1.4, "linestyle": "-"},
        "training": {"color": TRAINING, "linewidth": 0.6, "linestyle": "-"},
        "minimum of J": {"color": "black", "marker": "s", "markersize": 3, "linestyle": "-"},
        "stopped early": {"color": "black", "marker": "o", "markersize": 5, "linestyle": ":"},
        "stopped early, λ = 0": {"color": "black", "linestyle": (0, (1, 3))},
    }
    handles = [loss.plot([], [], label=label, **style)[0] for label, style in lines.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
    return figure
