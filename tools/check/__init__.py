"""Checks anybody's solution: ``python -m tools.check DIR``.

`test_solution` has the checks, as tests for pytest, and `oracles` what they compare with. They run
in a process that holds somebody else's modules, which have the names of ours. So everything that
is imported there imports nothing of ours but `check` and `common`; `runner`, `sandbox` and
`__main__` are not imported there.
"""

# The checks that take as long as a training.
FULL = ("early_stopping", "best_weights")
TASKS = ("task2a", "task2", "task3a", "task3", "task4a", "task4")
COURSE_MODULES = (*TASKS, "trainer", "utils", "mnist")
# What the penalty is, what its gradient is, and how many times λw that is.
PENALTIES = {"square": ("λ Σ w²", "2λw", 2), "half": ("½ λ Σ w²", "λw", 1)}
# The environment variable that names the file in which the checks write down their results.
JOURNAL = "CHECK_JOURNAL"
# Of the lines that say why a check has not passed.
WIDTH = 71
