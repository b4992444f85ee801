"""Checks of anybody's solution: ``python -m check DIR``, or pytest in ``check --solution DIR``.

`test_solution` has the checks, as tests for pytest, and `oracles` what they compare with. They run
in a process that holds somebody else's modules, which have the names of ours. So everything that
is imported there imports nothing of ours but `check` and `numerics`; `runner`, `sandbox` and
`__main__` are not imported there.
"""

# In the order of the tasks: the checks, and the modules of the solution that they import.
CHECKS = {
    "preprocessing": ("task2a",),
    "logistic_outputs": ("task2a",),
    "logistic_loss": ("task2a",),
    "logistic_gradient": ("task2a",),
    "logistic_accuracy": ("task2a", "task2"),
    "one_hot": ("task3a",),
    "softmax_outputs": ("task3a",),
    "softmax_loss": ("task3a",),
    "softmax_gradient": ("task3a",),
    "l2_gradient": ("task3a",),
    "softmax_accuracy": ("task3a", "task3"),
    "large_logits": ("task2a", "task3a"),
    "train_step": ("task2a", "task2", "task3a", "task3"),
    "validation": ("task2a", "task2", "task3a", "task3"),
    "batch_loader": ("utils",),
    "early_stopping": ("task2a", "task2"),
    "best_weights": ("task2a", "task2"),
}
# They take as long as a training.
FULL = ("early_stopping", "best_weights")
TASKS = ("task2a", "task2", "task3a", "task3", "task4a", "task4")
COURSE_MODULES = (*TASKS, "trainer", "utils", "mnist")
# What R(w) is in the penalty λ R(w), and the gradient of the penalty.
PENALTIES = {"square": ("λ Σ w²", "2λw"), "half": ("½ λ Σ w²", "λw")}
# The environment variable that names the file in which the checks write down how far they are.
JOURNAL = "CHECK_JOURNAL"
# Of the lines that say why a check has not passed.
WIDTH = 71
