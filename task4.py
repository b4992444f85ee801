"""Tasks 4b to 4e: what an L2 penalty does to the weights and the accuracy of the softmax model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import cli
from figures import figure_val_accuracies, mark_cut_short, new_figure
from linear import Floats
from task3 import SoftmaxTrainer, load_data, make_trainer
from task3a import NUM_CLASSES
from utils import Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAMBDAS = (1.0, 0.1, 0.01, 0.001)
IMAGE_SHAPE = (28, 28)
ACCURACY_LIMITS = (0.74, 0.93)
# A pixel is rare if less than this part of the images has ink in it.
RARE = 0.01


def make_trainers(
    data: Split, lambdas: Sequence[float] = LAMBDAS, **settings: Any
) -> dict[str, SoftmaxTrainer]:
    """Make one trainer without a penalty and one for each λ, all from scratch.

    Parameters
    ----------
    data : tuple of X_train, Y_train, X_val, Y_val
        As `task3.load_data` gives it.
    lambdas : sequence of float >= 0
    **settings
        As in `task3.make_trainer`. All runs see the same batches in the same order.

    Returns
    -------
    dict of str to SoftmaxTrainer
        From the largest λ to 0.
    """
    return {
        f"task4_l2_{l2_reg_lambda:.12g}": make_trainer(
            data, l2_reg_lambda=l2_reg_lambda, **settings
        )
        for l2_reg_lambda in sorted({*lambdas, 0.0}, reverse=True)
    }


def squared_norm(w: Floats) -> float:
    """Compute R(w) = ‖w‖² = Σ w²ᵢⱼ over all weights, in float64.

    Parameters
    ----------
    w : ndarray, float

    Returns
    -------
    float
    """
    return float(np.sum(np.square(w, dtype=np.float64)))


def class_mean_correlation(w: Floats, X: Floats, Y: Floats) -> float:
    """Compare the templates with *mean of the class minus mean of all images* (task 4b).

    Parameters
    ----------
    w : ndarray of shape (785, K), float
    X : ndarray of shape (N, 785), float
    Y : ndarray of shape (N, K), one-hot

    Returns
    -------
    float, -1 to 1
        The correlation over the pixels, the bias left out, as a mean over the classes.
    """
    pixels = X[:, :-1]
    class_means = Y.T @ pixels / np.sum(Y, axis=0)[:, np.newaxis]
    differences = class_means - np.mean(pixels, axis=0)
    pairs = zip(w[:-1].T, differences, strict=True)
    return float(np.mean([np.corrcoef(template, mean)[0, 1] for template, mean in pairs]))


def roughness(w: Floats) -> float:
    """Measure how noisy the templates are (task 4b).

    Parameters
    ----------
    w : ndarray of shape (785, K), float

    Returns
    -------
    float
        The mean squared difference of neighbouring pixels over twice the variance: 0 for constant
        images, 1 for white noise. The bias is left out.
    """
    templates = w[:-1].T.reshape(-1, *IMAGE_SHAPE)
    neighbours = [np.diff(templates, axis=1).ravel(), np.diff(templates, axis=2).ravel()]
    variance = np.mean(np.var(templates, axis=(1, 2)))
    return float(np.mean(np.square(np.concatenate(neighbours))) / (2 * variance))


def share_of_rare_pixels(w: Floats, X: Floats) -> float:
    """Compute which part of ‖w‖² belongs to pixels that hardly ever carry ink (task 4b).

    Parameters
    ----------
    w : ndarray of shape (785, K), float
    X : ndarray of shape (N, 785), float, values -1 to 1

    Returns
    -------
    float, 0 to 1
        The part of those pixels in which fewer than `RARE` of the images have ink. The bias is left
        out.
    """
    is_rare = np.mean(X[:, :-1] > -1, axis=0) < RARE
    return squared_norm(w[:-1][is_rare]) / squared_norm(w[:-1])


def figure_templates(trainers: Sequence[SoftmaxTrainer]) -> Figure:
    """Draw the weights of each class as an image, one row for each run (task 4b).

    Parameters
    ----------
    trainers : sequence of SoftmaxTrainer
        After their runs.

    Returns
    -------
    matplotlib.figure.Figure
        Each row has a grey scale of its own, symmetric around zero.
    """
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(
        len(trainers), NUM_CLASSES, figsize=(7, 0.72 * len(trainers) + 0.35), squeeze=False
    )
    for k, axes in enumerate(grid[0]):
        axes.set_title(f"{k}")
    for row, trainer in zip(grid, trainers, strict=True):
        pixels = trainer.model.w[:-1]
        limit = np.abs(pixels).max()
        for k, axes in enumerate(row):
            image = axes.imshow(pixels[:, k].reshape(IMAGE_SHAPE), vmin=-limit, vmax=limit)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(trainer.name)
        figure.colorbar(image, ax=row, label="weight", aspect=7, pad=0.01)
    mark_cut_short(figure, trainers)
    return figure


def figure_norms(trainers: Sequence[SoftmaxTrainer]) -> Figure:
    """Draw ‖w‖² of the finished models against λ (task 4e).

    Parameters
    ----------
    trainers : sequence of SoftmaxTrainer
        After their runs. λ = 0 has no place on a logarithmic axis and becomes a horizontal line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("‖w‖²", xlabel="λ")
    axes.set(xscale="log", yscale="log")
    penalised = [trainer for trainer in trainers if trainer.model.l2_reg_lambda > 0]
    lambdas = [trainer.model.l2_reg_lambda for trainer in penalised]
    norms = [squared_norm(trainer.model.w) for trainer in penalised]
    axes.plot(lambdas, norms, "o-")
    for l2_reg_lambda, norm in zip(lambdas, norms, strict=True):
        axes.annotate(
            f"{norm:.3g}",
            (l2_reg_lambda, norm),
            xytext=(-4, -6),
            textcoords="offset points",
            horizontalalignment="right",
            verticalalignment="top",
        )
    for trainer in trainers:
        if trainer.model.l2_reg_lambda == 0:
            norm = squared_norm(trainer.model.w)
            axes.axhline(norm, color="0.3", linestyle="--")
            axes.annotate(
                f"λ = 0: {norm:.3g}",
                (1, norm),
                xycoords=("axes fraction", "data"),
                xytext=(-4, -4),
                textcoords="offset points",
                horizontalalignment="right",
                verticalalignment="top",
            )
    axes.margins(x=0.12, y=0.12)
    mark_cut_short(figure, trainers)
    return figure


def draw(trainers: Mapping[str, SoftmaxTrainer]) -> dict[str, Figure]:
    """Draw the figures of task 4 as far as there are runs for them.

    Parameters
    ----------
    trainers : mapping of str to SoftmaxTrainer
        Runs with at least one validation, from the largest λ to 0, or none.

    Returns
    -------
    dict of file name to matplotlib.figure.Figure
    """
    if not trainers:
        return {}
    *penalised, plain = runs = list(trainers.values())
    figures = {"task4b_softmax_weight.png": figure_templates([plain, *penalised[:1]])}
    if penalised:
        figures["task4c_l2_reg_accuracy.png"] = figure_val_accuracies(penalised, ACCURACY_LIMITS)
        figures["task4e_l2_reg_norms.png"] = figure_norms(runs)
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Run the experiments of task 4 as the command line says; see ``--help``."""
    parser = cli.make_parser(
        __doc__, cli.DATA_OPTIONS, cli.TRAINING_OPTIONS, cli.OUTPUT_OPTIONS, learning_rate=0.01
    )
    parser.add_argument(
        "--l2",
        type=cli.NON_NEGATIVE,
        nargs="+",
        default=LAMBDAS,
        metavar="LAMBDA",
        help="weights of the L2 penalty; 0 is always among them (default: 1 0.1 0.01 0.001)",
    )
    args = parser.parse_args(argv)
    return cli.run_experiment(
        args,
        lambda should_stop: make_trainers(
            load_data(args.data_dir),
            args.l2,
            **cli.training_settings(args),
            should_stop=should_stop,
        ),
        draw,
        range(NUM_CLASSES),
        together=True,
    )


if __name__ == "__main__":
    cli.run(main)
