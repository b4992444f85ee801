"""Checks of anybody's solution: ``python -m check DIR``, or pytest in ``check --solution DIR``.

`test_solution` has the checks, as tests for pytest, and `oracles` what they compare with. They run
in a process that holds somebody else's modules, which have the names of ours. So everything that
is imported there, all but `runner` and `__main__`, imports nothing of ours but `check` and
`numerics`.
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
    "early_stopping": ("task2a", "task2"),
}
# Takes as long as a training.
FULL = "early_stopping"
COURSE_MODULES = ("task2a", "task2", "task3a", "task3", "task4", "trainer", "utils", "mnist")
# The environment variable that names the file in which the checks write down how far they are.
JOURNAL = "CHECK_JOURNAL"
# Of the lines that say why a check has not passed.
WIDTH = 71
