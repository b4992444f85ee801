"""What command lines share: options, errors, Ctrl-C, and the parts of a task script."""

from cli.errors import EXIT_ERROR, EXIT_INTERRUPTED, fail, finish_step_on_ctrl_c, run
from cli.options import (
    DATA_OPTIONS,
    DIGITS_OPTION,
    NATURAL,
    NON_NEGATIVE,
    OUTPUT_OPTIONS,
    POSITIVE_INT,
    TRAINING_OPTIONS,
    Options,
    Parser,
)
from cli.self_test import SelfTest
from cli.training import (
    check_output_folders,
    keep_weights,
    report_runs,
    save_figures,
    train,
    training_settings,
)
