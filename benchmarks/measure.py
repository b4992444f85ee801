"""Make one run in this process and print its measurements: ``python -m benchmarks.measure NAME N``.

NAME is a module of this directory, N the maximum number of epochs.
"""

import importlib
import json
import sys

import task3
from benchmarks.work import Settings


def main() -> None:
    """Make the run that the command line names."""
    name, num_epochs = sys.argv[1:]
    module = importlib.import_module(f"benchmarks.{name}")
    _, measured = module.run(task3.load_data(), Settings(num_epochs=int(num_epochs)))
    print(json.dumps(measured._asdict()))


if __name__ == "__main__":
    main()
