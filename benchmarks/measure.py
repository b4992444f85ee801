"""One measurement in a process of its own: ``python -m benchmarks.measure NAME [SETTINGS]``.

SETTINGS is a JSON object with the arguments of the measurement. The result is one line of JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Measurement = dict[str, Any]


def peak_memory() -> int:
    """Give the most memory in bytes that this process has had resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def numpy_kernel() -> str:
    """Name the library of NumPy's matrix products and the kernel that it uses on this processor."""
    from threadpoolctl import threadpool_info

    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    # SciPy brings one of its own.
    own = [info for info in libraries if "numpy" in info["filepath"]] or libraries
    return " and ".join(
        f"{info['internal_api']} {info['version']}, {info.get('architecture', 'unknown kernel')}"
        for info in own
    )


def train(trainer: Any, num_epochs: int) -> Measurement:
    """Train by a trainer of the project."""
    start = time.perf_counter()
    trainer.train(num_epochs)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "compile_seconds": 0.0,
        "stop_step": trainer.stop_step,
        "best_step": trainer.best_step,
        "best_loss": trainer.best_loss,
        "best_accuracy": trainer.val_history["accuracy"][trainer.best_step],
        "last_loss": list(trainer.val_history["loss"].values())[-1],
        "data_bytes": trainer.X_train.nbytes + trainer.X_val.nbytes,
    }


def watch_evaluations(trainer: Any) -> tuple[list[tuple[str, int]], list[float]]:
    """Let a trainer note each pass over the images, for how many weights it is, and its seconds."""
    passes: list[tuple[str, int]] = []
    seconds: list[float] = []
    module = importlib.import_module("trainer")
    evaluate = module.evaluate

    def watched(model: Any, weights: Any, X: Any, *arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        result = evaluate(model, weights, X, *arguments, **options)
        seconds.append(time.perf_counter() - start)
        passes.append(("val" if X is trainer.X_val else "train", len(weights)))
        return result

    vars(module)["evaluate"] = watched
    return passes, seconds


def blas_threads(threads: int | None) -> contextlib.AbstractContextManager[object]:
    """Limit the threads of NumPy's matrix products; None leaves them as they are."""
    if threads is None:
        return contextlib.nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(threads)


def project(num_epochs: int, threads: int | None = None) -> Measurement:
    """Make the project's softmax run: λ = 0, seed 0."""
    import task3

    trainer = task3.make_trainer(task3.load_data(), seed=0)
    with blas_threads(threads):
        return train(trainer, num_epochs)


def watched(num_epochs: int) -> Measurement:
    """Make the project's softmax run, and note how many weights share each product."""
    import task3

    trainer = task3.make_trainer(task3.load_data(), seed=0)
    passes, _ = watch_evaluations(trainer)
    return {**train(trainer, num_epochs), "passes": passes}


def logistic(num_epochs: int) -> Measurement:
    """Make the project's logistic run, not shuffled."""
    import task2

    return train(task2.make_trainer(task2.load_data(), shuffle=False), num_epochs)


def growth(num_images: int, num_epochs: int) -> Measurement:
    """Make the project's softmax run with another number of training images."""
    import mnist
    import task3
    from task2a import pre_process_images
    from task3a import NUM_CLASSES, one_hot_encode

    def load(split: Any, count: int | None) -> tuple[Any, Any]:
        X, Y = mnist.load_split(split, count)
        return pre_process_images(X), one_hot_encode(Y, NUM_CLASSES)

    trainer = task3.make_trainer((*load("train", num_images), *load("t10k", None)), seed=0)
    passes, seconds = watch_evaluations(trainer)
    measured = train(trainer, num_epochs)
    num_validations = sum(M for part, M in passes if part == "val")
    return {**measured, "validation_seconds": sum(seconds), "num_validations": num_validations}


def rival(name: str, num_epochs: int) -> Measurement:
    """Make the softmax run by one of the rivals."""
    import task3

    module = importlib.import_module(f"benchmarks.rival_{name}")
    return module.train(task3.load_data(), num_epochs)[1]


def sklearn(max_iter: int) -> Measurement:
    """Fit scikit-learn's model."""
    import task3
    from benchmarks import rival_sklearn

    return rival_sklearn.train(task3.load_data(), max_iter)


def sklearn_max_iter(accuracy: float) -> Measurement:
    """Find how many iterations scikit-learn's model needs."""
    import task3
    from benchmarks import rival_sklearn

    return {"max_iter": rival_sklearn.find_max_iter(task3.load_data(), accuracy)}


def floor(
    num_steps: int,
    passes: Sequence[tuple[str, int]],
    threads: int | None = None,
    in_slices: bool = False,
) -> Measurement:
    """Make only the products and gathers of the project's softmax run."""
    import task3
    from benchmarks.floor import multiply

    data = task3.load_data()
    with blas_threads(threads):
        return multiply(data, num_steps, passes, in_slices=in_slices)


MEASUREMENTS: dict[str, Callable[..., Measurement]] = {
    function.__name__: function
    for function in (
        project,
        watched,
        logistic,
        growth,
        rival,
        sklearn,
        sklearn_max_iter,
        floor,
    )
}


def main(argv: Sequence[str]) -> None:
    """Make the measurement that the command line asks for."""
    # So far only NumPy and some of Python's own modules have been imported.
    numpy_memory = peak_memory()
    measured = MEASUREMENTS[argv[0]](**json.loads(argv[1] if len(argv) > 1 else "{}"))
    memory = {"numpy_memory": numpy_memory, "peak_memory": peak_memory()}
    print(json.dumps({"kernel": numpy_kernel(), **measured, **memory, "numpy": np.__version__}))


if __name__ == "__main__":
    main(sys.argv[1:])
