"""Checks of anybody's solution: ``python -m tools.check DIR``.

`test_solution` holds the checks, which are tests for pytest; `oracles` computes the right results,
and `mistakes` those of common mistakes. They run in a process that also holds the solution, whose
modules may have the names of ours. `runner`, `sandbox` and `__main__` start that process and are
not imported in it.
"""

# In the order of the tasks. What is checked of both models has two names.
CHECKS = (
    "preprocessing",
    "binary_dataset",
    "logistic_initial_w",
    "logistic_outputs",
    "logistic_loss",
    "logistic_gradient",
    "logistic_large_logits",
    "logistic_accuracy",
    "logistic_train_step",
    "logistic_validation",
    "one_hot",
    "softmax_initial_w",
    "softmax_outputs",
    "softmax_loss",
    "softmax_gradient",
    "l2_gradient",
    "softmax_large_logits",
    "softmax_accuracy",
    "softmax_train_step",
    "softmax_validation",
    "validation_steps",
    "batch_loader",
    "early_stopping",
    "best_weights",
)
# The checks that take as long as a training.
FULL = ("early_stopping", "best_weights")
TASKS = ("task2a", "task2", "task3a", "task3", "task4a", "task4")
COURSE_MODULES = (*TASKS, "trainer", "utils", "mnist")
# For each R(w): its formula, the formula of its gradient, and the gradient as a multiple of w.
PENALTIES = {"square": ("λ Σ w²", "2λw", 2), "half": ("½ λ Σ w²", "λw", 1)}
# The environment variable that names the file to which the checks write their results.
JOURNAL = "CHECK_JOURNAL"
# The width of the lines that explain a verdict.
WIDTH = 71


def name_of_test(check: str) -> str:
    """Name the test of a check, as pytest does: ``test_loss[softmax]`` for ``softmax_loss``."""
    kind, _, name = check.partition("_")
    return f"test_{name}[{kind}]" if kind in ("logistic", "softmax") else f"test_{check}"
