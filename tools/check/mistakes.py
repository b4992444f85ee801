"""Common mistakes: for each check a table of hints and of the results that the mistakes give.

A result is computed from a `Case`, the inputs of a check. A function that returns a tuple gives
several results, any of which fits the hint.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, xlogy

from tools.check.oracles import LOGISTIC, Array, Kind


@dataclass(frozen=True)
class Case:
    """What a check has given to a solution, what is right, and what came back.

    Attributes
    ----------
    kind : Kind
    X, targets, w : ndarray
        Of shape (N, 785), (N, K) and (785, K), as far as the check has them.
    right, returned : object
        The right result, and that of the solution. `answers.find_mistake` fills them in.
    """

    kind: Kind
    X: Any
    targets: Any = None
    w: Any = None
    right: Any = None
    returned: Any = None

    @property
    def N(self) -> int:  # noqa: N802
        """The number of samples."""
        return len(self.X)

    @property
    def logits(self) -> Array:
        """X w."""
        return self.X @ self.w

    @property
    def outputs(self) -> Array:
        """The right outputs of the model."""
        return self.kind.activation(self.logits)

    def loss_after(self, step: Array) -> float:
        """Compute the loss with the weights w + step."""
        return self.kind.loss(self.targets, self.kind.activation(self.X @ (self.w + step)))


Mistakes = Mapping[str, Callable[[Case], Any]]
NONE: Mistakes = {}


def times(factor: float) -> Callable[[Case], Any]:
    """Make the function that gives the right result times a factor."""
    return lambda case: factor * case.right


PREPROCESSING_OF_2020 = "pixels are scaled to 0…1; expected -1…1: X / 127.5 - 1"
# How images X, as floats, are scaled, and how a column of ones is added to them.
Scaling = Callable[[Array], Array]
SCALINGS: dict[str, Scaling] = {
    "": lambda X: X / 127.5 - 1,
    "pixels are divided by 128, not by 127.5": lambda X: X / 128 - 1,
    "pixels are divided by 127, not by 127.5": lambda X: X / 127 - 1,
    PREPROCESSING_OF_2020: lambda X: X / 255,
    "pixels are scaled to 0…2: subtract 1": lambda X: X / 127.5,
    "pixels are scaled to -1…0; expected -1…1: X / 127.5 - 1": lambda X: X / 255 - 1,
    "pixels are scaled to -0.5…0.5; expected -1…1: X / 127.5 - 1": lambda X: X / 255 - 0.5,
    "pixels are not scaled; expected X / 127.5 - 1": lambda X: X,
    "each image is scaled by its own largest value; expected X / 127.5 - 1 for all": (
        lambda X: 2 * X / X.max(axis=1, keepdims=True) - 1
    ),
    "each image is scaled by its own range; expected X / 127.5 - 1 for all": (
        lambda X: 2 * (X - X.min(axis=1, keepdims=True)) / np.ptp(X, axis=1, keepdims=True) - 1
    ),
    "pixels are standardised by their mean and deviation; expected X / 127.5 - 1": (
        lambda X: (X - X.mean()) / X.std()
    ),
}
BIASES: dict[str, Callable[[Scaling, Array, int], Array]] = {
    "": lambda scale, X, at: np.insert(scale(X), at, 1, axis=1),
    "the ones of the bias trick are scaled, too: scale first, and then append them": (
        lambda scale, X, at: scale(np.insert(X, at, 1, axis=1))
    ),
    "the column of ones of the bias trick is missing": lambda scale, X, at: scale(X),
    "the column of the bias trick holds zeros instead of ones": (
        lambda scale, X, at: np.insert(scale(X), at, 0, axis=1)
    ),
    "the ones of the bias trick overwrite a column of pixels; insert a column instead": (
        lambda scale, X, at: np.where(np.arange(X.shape[1]) == at, 1, scale(X))
    ),
    "the ones of the bias trick are a row instead of a column": (
        lambda scale, X, at: np.insert(scale(X), 0 if at == 0 else len(X), 1, axis=0)
    ),
}


def preprocessed(scale: Scaling, bias: Callable[[Scaling, Array, int], Array]) -> Any:
    """Make the function that preprocesses images with a scaling and a bias trick."""

    def results(case: Case) -> tuple[Array, ...]:
        # The ends, and the place of the only constant column, if there is one.
        places = {0, case.X.shape[1] - 1, case.X.shape[1]}
        if np.ndim(case.returned) == 2:
            constant = np.flatnonzero(np.ptp(case.returned, axis=0) == 0).tolist()
            places |= {*constant} if len(constant) == 1 else set()
        return tuple(bias(scale, case.X, at) for at in sorted(places))

    return results


PREPROCESSING: Mistakes = {
    "; ".join(filter(None, (of_scaling, of_bias))): preprocessed(scale, bias)
    for of_bias, bias in BIASES.items()
    for of_scaling, scale in SCALINGS.items()
    if of_scaling or of_bias
} | {
    "the column of ones of the bias trick is neither the first nor the last": preprocessed(
        SCALINGS[""], BIASES[""]
    )
}

TARGETS: Mistakes = {
    "the targets are exchanged: 1 is the first class, 2": lambda case: 1 - case.right,
    "these are the digits; expected 1 and 0": lambda case: 3 - case.right,
    "the targets have shape (N,); expected (N, 1)": lambda case: case.right[:, 0],
    "a 3 has the target -1; expected 0": lambda case: 2 * case.right - 1,
}

ONE_HOT: Mistakes = {
    "the ones are one place too far to the left: class 0 is the first column": lambda case: (
        np.roll(case.right, -1, axis=1),
        np.eye(10, k=-1)[case.targets[:, 0]],
    ),
    "the ones are one place too far to the right: class 0 is the first column": lambda case: (
        np.roll(case.right, 1, axis=1),
        np.eye(10, k=1)[case.targets[:, 0]],
    ),
    "rows and columns are exchanged": lambda case: case.right.T,
    "there are columns only up to the largest label; expected num_classes": (
        lambda case: case.right[:, : case.targets.max() + 1]
    ),
    "Y has shape (N, 1), so the result has one axis too many: use Y[:, 0]": (
        lambda case: case.right[:, np.newaxis]
    ),
    "the rows contain the label itself instead of 1": lambda case: case.right * case.targets,
}


def exponentials(case: Case) -> tuple[Array, Array]:
    """Compute exp(z), also with the largest logit of each row subtracted."""
    return np.exp(case.logits), np.exp(case.logits - case.logits.max(axis=1, keepdims=True))


OUTPUTS: Mistakes = {
    "the sign of the logits is wrong: exp(z) and exp(-z) are exchanged": (
        lambda case: case.kind.activation(-case.logits)
    ),
    "these are the logits X w; the activation function is missing": lambda case: case.logits,
    "exp(z) is not divided by a sum": lambda case: exponentials(case),
    "the outputs of a class add up to 1, not those of a sample: the sum is over axis=1, not 0": (
        lambda case: tuple(e / e.sum(axis=0) for e in exponentials(case))
    ),
    "the outputs of the whole batch add up to 1, not those of a sample: sum over axis=1": (
        lambda case: tuple(e / e.sum() for e in exponentials(case))
    ),
    "each output is a sigmoid; expected the softmax of each row": lambda case: expit(case.logits),
    "the activation function is tanh": lambda case: np.tanh(case.logits),
    "the outputs are rounded; expected probabilities": lambda case: np.round(case.outputs),
    "the bias is left out": lambda case: case.kind.activation(case.X[:, :-1] @ case.w[:-1]),
    "the outputs have shape (N,); expected (N, 1)": lambda case: case.outputs[:, 0],
}

SUMMED = "the losses are summed; expected their mean: divide by the batch size"
LOSS_OVER_CLASSES = "the mean is over classes, too; divide by the batch size only"
# Where a target is 0, its logarithm is -∞, or whatever a small number makes of it.
SMALL = (
    0,
    *(10.0**-digits for digits in range(5, 21)),
    *(np.finfo(dtype).eps for dtype in (np.float32, np.float64)),
)
EXCHANGED = "outputs and targets are exchanged: take the logarithm of the outputs"


def exchanged_losses(case: Case) -> tuple[float, ...]:
    """Compute the losses with outputs and targets exchanged, with several guards against ln 0."""
    targets, outputs = case.targets, case.outputs
    losses = []
    for small in SMALL:
        terms = outputs * np.log(targets + small)
        if case.kind.K == 1:
            terms = terms + (1 - outputs) * np.log(1 - targets + small)
        losses.append(-terms.sum(axis=1).mean())
    return tuple(losses)


def sample_losses(case: Case) -> tuple[Array, Array]:
    """Compute the loss of each sample, [N] and [N, 1]."""
    # Along a new axis, each sample is a batch of its own.
    losses = case.kind.loss(case.targets[:, np.newaxis], case.outputs[:, np.newaxis])
    return losses, losses[:, np.newaxis]


def mean_per_sample(terms: Array) -> Any:
    """Compute the mean over samples of the sums over classes, with the sign of a loss."""
    return -terms.sum(axis=1).mean()


LOSS: Mistakes = {
    SUMMED: lambda case: case.N * case.right,
    LOSS_OVER_CLASSES: lambda case: case.right / case.kind.K,
    "the mean is over classes, and samples are summed: sum over axis 1, mean over axis 0": (
        lambda case: case.N / case.kind.K * case.right
    ),
    "the logarithm is log10; the loss has the natural one, np.log": times(1 / np.log(10)),
    "the logarithm is log2; the loss has the natural one, np.log": times(1 / np.log(2)),
    "the sign is wrong: the loss is minus the mean": times(-1),
    "the loss is half as large as it should be": times(1 / 2),
    "the loss is twice as large as it should be": times(2),
    EXCHANGED: exchanged_losses,
    "half of the loss is missing: (1 - y) ln(1 - ŷ), that of the samples with target 0": (
        lambda case: mean_per_sample(xlogy(case.targets, case.outputs))
    ),
    "half of the loss is missing: y ln ŷ, that of the samples with target 1": (
        lambda case: mean_per_sample(xlogy(1 - case.targets, 1 - case.outputs))
    ),
    "this is the logistic loss of each output; expected -Σ y ln ŷ": lambda case: (
        LOGISTIC.loss(case.targets.reshape(-1, 1), case.outputs.reshape(-1, 1)),
        case.kind.K * LOGISTIC.loss(case.targets.reshape(-1, 1), case.outputs.reshape(-1, 1)),
    ),
    "1 - y lacks its parentheses: (1 - y) ln(1 - ŷ)": lambda case: mean_per_sample(
        xlogy(case.targets, case.outputs) + 1 - xlogy(case.targets, 1 - case.outputs)
    ),
    "the sign between the two halves of the loss is wrong": lambda case: mean_per_sample(
        xlogy(case.targets, case.outputs) - xlogy(1 - case.targets, 1 - case.outputs)
    ),
    "this is the squared error; expected the cross entropy": lambda case: tuple(
        factor * np.sum((case.targets - case.outputs) ** 2) / case.N
        for factor in (1, 1 / 2, 1 / case.kind.K)
    ),
    "these are the losses of the samples; expected their mean": sample_losses,
}

GRADIENT_OVER_CLASSES = "the gradient is divided by the number of classes; divide by N only"
GRADIENT: Mistakes = {
    "the gradient has the wrong sign": times(-1),
    "the gradient is {N} times too large: its 1/N is missing": lambda case: case.N * case.right,
    "the gradient is {N} times too small: it is divided by N once too often": (
        lambda case: case.right / case.N
    ),
    "the gradient has the wrong sign, and its 1/N is missing": lambda case: -case.N * case.right,
    "the gradient is twice as large as it should be": times(2),
    "the gradient is half as large as it should be": times(1 / 2),
    GRADIENT_OVER_CLASSES: lambda case: case.right / case.kind.K,
    "the gradient is divided by the number of features; divide by N": (
        lambda case: case.right * case.N / len(case.w)
    ),
    "the gradient is zero: something has overwritten it": times(0),
    "the gradient of the bias is missing": lambda case: np.vstack(
        (case.right[:-1], 0 * case.w[:1])
    ),
    "the targets are not subtracted": lambda case: case.X.T @ case.outputs / case.N,
    "this is the gradient of the squared error; expected that of the cross entropy": (
        lambda case: tuple(
            factor * case.X.T @ ((case.outputs - case.targets) * case.outputs * (1 - case.outputs))
            for factor in (1 / case.N, 2 / case.N)
        )
    ),
    "rows and columns are exchanged": lambda case: case.right.T,
    "the gradient has shape (785,); expected (785, 1)": lambda case: case.right[:, 0],
}

ROWS = "an output need not be above 0.5 to be the largest of its row: take the argmax of each row"
AXIS = "argmax is over samples; expected that over classes: axis=1"
COUNTED = "outputs above 0.5 are counted, whatever the targets are"
ACCURACY: Mistakes = {
    "expected a fraction, not a percentage": times(100),
    "this is a number of samples; expected a fraction": lambda case: case.N * case.right,
    "this is the fraction of wrong predictions": lambda case: 1 - case.right,
    "argmax over a single column is always 0; the prediction is ŷ >= 0.5": lambda case: (
        np.nan if case.kind.K > 1 else (1.0, np.mean(case.targets == 0))
    ),
    AXIS: lambda case: (
        np.nan
        if case.kind.K == 1
        else tuple(
            np.sum(case.outputs.argmax(axis=0) == case.targets.argmax(axis=0)) / count
            for count in (case.kind.K, case.N)
        )
    ),
    ROWS: lambda case: (
        np.mean(np.all((case.outputs > 0.5) == case.targets, axis=1)),
        np.mean((case.outputs > 0.5) == case.targets),
        np.mean(np.round(case.outputs).argmax(axis=1) == case.targets.argmax(axis=1)),
    ),
    "outputs, which are probabilities, are compared with targets; predict classes first": (
        lambda case: (
            np.mean(case.outputs == case.targets),
            np.mean(np.all(case.outputs == case.targets, axis=1)),
        )
    ),
    "only right predictions of a 1 are counted": lambda case: np.mean(
        (case.outputs >= 0.5) * case.targets
    ),
    COUNTED: lambda case: (np.mean(case.outputs >= 0.5), np.sum(case.outputs >= 0.5) / case.N),
    "predictions and targets have shapes (N,) and (N, 1): each is compared with all": (
        lambda case: np.mean((case.outputs[:, :1].T >= 0.5) == case.targets[:, :1])
    ),
}

# Ten percent of the samples are ties with target 1, and five percent ties with target 0.
RULE = "ŷ = 0.5 counts as 1: the rule is ŷ >= 0.5; "
TIES: Mistakes = {
    RULE + "> and np.round make it 0": lambda case: case.right - 0.05,
    RULE + "abs(y - ŷ) < 0.5 takes it as right for neither target": lambda case: case.right - 0.1,
    RULE + "<= 0.5 and np.isclose take it as right for both targets": (
        lambda case: case.right + 0.05
    ),
}


def without_row(matrix: Array) -> tuple[Array, Array]:
    """Set the row of the bias to zero, whether it is the first or the last."""
    rows = np.arange(len(matrix))[:, np.newaxis]
    return np.where(rows == 0, 0, matrix), np.where(rows == len(matrix) - 1, 0, matrix)


# The right result is λ times the gradient of R(w). With λ = 1, λ² would be right.
LAMBDA = 0.3
PENALTY: Mistakes = {
    "λ does not change .grad: there is no penalty, or a switch for it is off": times(0),
    "the penalty is divided by the batch size; only the loss is a mean": (
        lambda case: case.right / case.N
    ),
    "the penalty is divided by the batch size, and half as large as it should be": (
        lambda case: case.right / case.N / 2
    ),
    "the penalty has w² instead of w": (lambda case: (LAMBDA * case.w**2, 2 * LAMBDA * case.w**2)),
    "the penalty has the wrong sign: it must be added to the gradient of the loss": times(-1),
    "the penalty leaves out the bias; the course penalises all weights": (
        lambda case: without_row(case.right)
    ),
    "the penalty is twice as large as it should be": times(2),
    "the penalty is half as large as it should be, and leaves out the bias": (
        lambda case: without_row(case.right / 2)
    ),
    "the penalty R(w) itself is added to the gradient; expected its gradient": lambda case: tuple(
        np.full_like(case.w, factor * LAMBDA * np.sum(case.w**2)) for factor in (0.5, 1, 2)
    ),
    "the weights are summed; each has the gradient of its own square": lambda case: tuple(
        np.full_like(case.w, total) for total in (np.sum(case.right), np.sum(case.right) / 2)
    ),
    "λ is squared": times(LAMBDA),
    "the penalty is that of Σ |w|; expected that of Σ w²": (lambda case: LAMBDA * np.sign(case.w)),
}

# The right result is -η grad.
STEP: Mistakes = {
    "the step has the wrong sign; expected w - η grad": times(-1),
    "the learning rate is missing": lambda case: case.right / case.kind.learning_rate,
    "the sign is wrong, and the learning rate is missing": (
        lambda case: -case.right / case.kind.learning_rate
    ),
    "the step does not change w": times(0),
    "the step is twice as large as it should be": times(2),
    "the gradient, which is a mean, is divided by the batch size again": (
        lambda case: case.right / case.N
    ),
    "the weights are replaced by the step; expected w - η grad": (
        lambda case: (case.right - case.w, -case.right - case.w)
    ),
}
STEP_LOSS: Mistakes = {
    "this is the loss after the update; compute it from the outputs before": lambda case: (
        case.loss_after(
            -case.kind.learning_rate * case.X.T @ (case.outputs - case.targets) / case.N
        )
    ),
    "the loss is called with outputs and targets exchanged": exchanged_losses,
    SUMMED: lambda case: case.N * case.right,
    "the sign is wrong": times(-1),
}

# The right result is (loss, accuracy_train, accuracy_val).
VALIDATION: Mistakes = {
    "the two accuracies are exchanged": lambda case: case.right[[0, 2, 1]],
    "both accuracies are those of the training images": lambda case: case.right[[0, 1, 1]],
    "both accuracies are those of the validation images": lambda case: case.right[[0, 2, 2]],
    "the loss comes last; expected loss, accuracy_train, accuracy_val": (
        lambda case: (case.right[[1, 2, 0]], case.right[[2, 1, 0]])
    ),
    "accuracy_train is missing": lambda case: case.right[[0, 2]],
    "the loss is that of the training images": lambda case: np.array(
        [case.kind.loss(case.targets, case.outputs), *case.right[1:]]
    ),
}

# Steps between two validations, where four are expected of the 20 in an epoch.
INTERVAL = (
    "validate when step % (batches_per_epoch // 5) is 0, counting from 0, as in the starter code"
)
INTERVALS: dict[float, str] = {
    1: "validations come after every step; expected five in an epoch",
    2: "step goes up twice a batch, or the steps between validations are halved",
    5: "validations come every five steps; expected five in an epoch",
    8: "step goes up once in two batches, or the steps between validations are doubled",
    20: "validations come once an epoch; expected five",
}


@dataclass(frozen=True)
class Run:
    """A training of task 2 that was watched.

    Attributes
    ----------
    trainer : object
    weights : list of ndarray
        After each step.
    validated : list of int
        The steps that came last before the validations.
    returned : object
        What ``train`` returned.
    outputs : ndarray of shape (validations, N, 1)
        For the validation images.
    targets : ndarray of shape (N, 1)
    """

    trainer: Any
    weights: list[Array]
    validated: list[int]
    returned: Any
    outputs: Array
    targets: Array

    @property
    def losses(self) -> Array:
        """The validation losses."""
        return LOGISTIC.loss(self.targets, self.outputs)

    @property
    def accuracies(self) -> Array:
        """The validation accuracies."""
        return ((self.outputs >= 0.5) == self.targets).mean(axis=(1, 2))


def first(condition: Array) -> int:
    """Find the first index at which a condition is true; -1 if there is none."""
    return int(np.argmax(condition)) if condition.any() else -1


# Wrong rules for early stopping, and the index of the validation at which each stops a run.
STOPS: Mapping[str, Callable[[Array], int]] = {
    "an improvement does not reset the count of validations without one": lambda losses: (
        first(np.cumsum(losses[1:] >= np.minimum.accumulate(losses)[:-1]) == 10) + 1
    ),
    "each loss is compared with the one before, not with the best one": lambda losses: (
        first(np.cumsum(losses[1:] >= losses[:-1]) == 10) + 1
    ),
    "each loss is compared with the one ten validations before, not with the best one": (
        lambda losses: first(losses[10:] >= losses[:-10]) + 10
    ),
    "it stops at the first loss that is not an improvement": (
        lambda losses: first(losses[1:] >= losses[:-1]) + 1
    ),
}

KEEP = "at each best validation loss (not accuracy) keep w.copy(), not w; restore it at the end"
EDITIONS = "the texts of 2022 and 2023 ask for the best weights: --require-best-weights"
# Mistakes, and the steps whose weights a solution with this mistake keeps.
BEST: Mapping[str, Callable[[Run], list[int]]] = {
    "these have the best validation accuracy; expected the best loss": lambda run: [
        run.validated[i] for i in np.flatnonzero(run.accuracies == run.accuracies.max())
    ],
    "these have the largest validation loss; expected the smallest": lambda run: [
        run.validated[int(np.argmax(run.losses))],
    ],
    "these are from the step before the best validation": lambda run: [
        run.validated[int(np.argmin(run.losses))] - 1,
    ],
    "these are from the step after the best validation": lambda run: [
        run.validated[int(np.argmin(run.losses))] + 1,
    ],
}
