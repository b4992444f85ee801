"""Checks of anybody's solution: ``python -m tools.check DIR``.

`test_solution` holds the checks, which are tests for pytest; `oracles` computes the right results,
and `mistakes` those of common mistakes. They run in a process that also holds the solution, whose
modules may have the names of ours. `runner`, `sandbox` and `__main__` start that process and are
not imported in it.
"""

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
