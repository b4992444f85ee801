"""What command lines share: options, tables, errors, Ctrl-C, weights and whole files."""

from cli.errors import EXIT_ERROR, EXIT_INTERRUPTED, fail, finish_step_on_ctrl_c, run  # isort: split

from cli.checks import Checks
from cli.files import atomic_path, check_file, check_folder
from cli.options import (
    DATA_OPTIONS,
    DIGITS_OPTION,
    NATURAL,
    NON_NEGATIVE,
    OUTPUT_OPTIONS,
    POSITIVE_INT,
    TRAINING_OPTIONS,
    Parser,
    option,
)
from cli.training import (
    check_outputs,
    keep_weights,
    report_runs,
    save_figures,
    train,
    training_settings,
)
from cli.weights import SavedWeights, load_weights, save_weights
