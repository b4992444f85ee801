"""Task 2a: preprocessing, the logistic model, its loss and its gradient check.

Functions and methods raise a ValueError for arguments of another shape or dtype than stated.
"""

import numpy as np

import cli
from numerics.arguments import NUMBERS, Array, Floats, check_matrix, check_outputs, check_range
from numerics.gradient_check import check_gradient
from numerics.linear import logits, weight_gradient
from utils import load_binary_dataset

# The digit whose target is 1, and the digit whose target is 0, in all of task 2.
DIGITS = (2, 3)
DIGITS_OPTION: cli.Options = {
    "--digits": {"type": int, "nargs": 2, "default": DIGITS, "help": "those of targets 1 and 0"}
}
IMAGE_SIZE = 784
NUM_CHECKED = 20  # images in the checks of this script


def pre_process_images(X: Array) -> Floats:
    """Scale pixels to -1…1 and append the column of ones of the bias trick.

    Parameters
    ----------
    X : ndarray of shape (N, 784), integers or floats, values 0 to 255

    Returns
    -------
    ndarray of shape (N, 785), float32, values -1 to 1
        The last column is one, so that the last row of ``w`` is the bias.

    Raises
    ------
    ValueError
        If shape or dtype is another one, or a pixel is outside 0…255 or NaN.
    """
    check_matrix("X", X, IMAGE_SIZE, NUMBERS)
    check_range("X", X, 0, 255)
    processed = np.empty((len(X), IMAGE_SIZE + 1), dtype=np.float32)
    pixels = processed[:, :IMAGE_SIZE]
    np.divide(X, np.float32(127.5), out=pixels, casting="same_kind")
    pixels -= 1
    processed[:, IMAGE_SIZE] = 1
    return processed


def sigmoid(z: Floats) -> Floats:
    """Compute 1 / (1 + exp(-z)) without overflow."""
    # exp of a negative number cannot overflow: use exp(-z) for z >= 0 and exp(z) for z < 0.
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def cross_entropy_loss(targets: Array, outputs: Floats) -> float:
    """Compute the mean logistic loss C(w) = -1/N Σₙ yⁿ ln ŷⁿ + (1 - yⁿ) ln(1 - ŷⁿ).

    Parameters
    ----------
    targets : ndarray of shape (N, 1), values 0 or 1
        The targets y.
    outputs : ndarray of shape (N, 1), float, values 0 to 1
        The probabilities ŷ.

    Returns
    -------
    float
        Never infinite: an output that was rounded to 0 or 1 counts as the smallest distance from
        0 or 1 that its dtype can express. Summed in float64.
    """
    check_outputs(targets, outputs, 1)
    float_info = np.finfo(outputs.dtype)
    ln_y = np.log(np.maximum(outputs, float_info.tiny))
    ln_not_y = np.log(np.maximum(1 - outputs, float_info.epsneg))
    return float(-np.mean(targets * ln_y + (1 - targets) * ln_not_y, dtype=np.float64))


class BinaryModel:
    """Logistic regression: ŷ = sigmoid(X w).

    Attributes
    ----------
    w : ndarray of shape (785, 1), float32, zero at first
        May be replaced by any float array of this shape; results follow its dtype.
    grad : ndarray of the shape of `w`, or None before `backward`
    """

    def __init__(self) -> None:
        self.w: Floats = np.zeros((IMAGE_SIZE + 1, 1), dtype=np.float32)
        self.grad: Floats | None = None

    def forward(self, X: Floats) -> Floats:
        """Compute the outputs ŷ = sigmoid(X w) of X [N, 785]: [N, 1], values 0 to 1."""
        return sigmoid(logits(X, self.w))

    def backward(self, X: Floats, outputs: Floats, targets: Array) -> None:
        """Set `grad` to ∂C/∂w = -1/N Σₙ (yⁿ - ŷⁿ) xⁿ (task 1a).

        Parameters
        ----------
        X : ndarray of shape (N, 785), float
        outputs : ndarray of shape (N, 1), float
            What `forward` gave for `X`.
        targets : ndarray of shape (N, 1), values 0 or 1
        """
        check_outputs(targets, outputs, 1)
        check_matrix("X", X, len(self.w), rows=len(outputs))
        self.grad = weight_gradient(X, (outputs - targets) / len(X))  # X.T @ (ŷ − y) / N

    def zero_grad(self) -> None:
        """Forget the gradient. The course's checks call this; `backward` needs it not."""
        self.grad = None


def gradient_approximation_test(model: BinaryModel, X: Floats, Y: Array) -> float:
    """Check `backward` against central differences of the loss for every weight, in float64.

    Parameters
    ----------
    model : BinaryModel
    X : ndarray of shape (N, 785), float
    Y : ndarray of shape (N, 1), values 0 or 1

    Returns
    -------
    float
        The largest relative error over all weights, see `numerics.gradient_check`.

    Raises
    ------
    AssertionError
        If it is above 1e-6; names the worst weight, and the mistake it looks like.
    """
    __tracebackhide__ = True
    return check_gradient(model, X, Y, cross_entropy_loss)


def main(argv: list[str] | None = None) -> int:
    """Check this module on real images as the command line says; see ``--help``."""
    text = "Check preprocessing, model, loss and gradient of task 2a on real images."
    args = cli.Parser(text, DIGITS_OPTION, cli.DATA_OPTIONS).parse_args(argv)
    class1, class2 = args.digits
    data = load_binary_dataset(class1, class2, args.data_dir)
    images, Y = (part[:NUM_CHECKED] for part in data[:2])
    X = pre_process_images(images)
    model = BinaryModel()
    outputs = model.forward(X)
    loss = cross_entropy_loss(Y, outputs)
    at_zero = "while all weights are zero"
    checks = [
        (
            f"pre_process_images: {images.shape} {images.dtype} becomes {X.shape}, values"
            f" {X.min():g} to {X.max():g}, last column ones",
            -1 <= X.min() < X.max() <= 1 and np.all(X[:, -1] == 1),
        ),
        (f"forward: outputs are 0.5 {at_zero}", np.all(outputs == 0.5)),
        (f"cross_entropy_loss: {loss:.6f} = ln 2 {at_zero}", np.isclose(loss, np.log(2))),
    ]
    random_w = np.random.default_rng(args.seed).normal(scale=0.05, size=model.w.shape)
    for what, w in (("zero weights", model.w), ("random weights", random_w)):
        model.w = w
        checks.append(cli.gradient_check(what, gradient_approximation_test, model, X, Y))
    return cli.print_checks(checks, args.quiet)


if __name__ == "__main__":
    cli.run(main)
