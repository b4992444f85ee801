"""Where the runs of the study take place: in processes of this machine, or on a Dask cluster.

Every run has one BLAS thread, and a process to itself or together with the runs that see the same
batches. That is quicker than one run at a time on all cores, and it gives the same results, bit for
bit, for any number of processes.
"""

from __future__ import annotations

import cli

import contextlib
import importlib
import logging
import os
import queue
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from multiprocessing import resource_tracker
from typing import Any

import joblib
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm import tqdm

from study_runs import Result, Run, groups, train

Outcome = tuple[Run, Result | Exception]
Attempt = Callable[[Sequence[Run]], list[Outcome]]

# How long to wait for a Dask scheduler, then for its first worker.
WAIT_SECONDS = 10


def attempt(runs: Sequence[Run]) -> list[Outcome]:
    """Make the runs of a group and return errors instead of raising them, so that others go on."""
    try:
        return list(zip(runs, train(runs), strict=True))
    except Exception as error:
        if len(runs) == 1:
            return [(runs[0], error)]
        return [outcome for run in runs for outcome in attempt([run])]


def prepare_process() -> None:
    """Make a new process ready to be ended by the one that started it."""
    # Ctrl-C reaches every process of a terminal; only the first one has to deal with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # tqdm's usual lock is a semaphore of the system, which a process that is ended leaves behind.
    tqdm.set_lock(threading.RLock())


@contextlib.contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Let Ctrl-C wait. Processes that are started meanwhile never hear it.

    Otherwise it would hit those that have not come to `prepare_process` yet.
    """
    if sys.platform == "win32":
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def own_processes(count: int) -> Iterator[Attempt]:
    """Let joblib make runs in processes of this machine.

    Joblib's threads wait, each for a process of its own. In a pool that they share, one process
    that dies would end the others as well, and nobody could tell which run it was that died.

    Parameters
    ----------
    count : int > 0

    Yields
    ------
    callable
        As `attempt`, in whichever process is free.
    """

    def new_process() -> ProcessPoolExecutor:
        # Without a time-out, the processes would stay for ever if this one is killed.
        return ProcessPoolExecutor(1, timeout=10, initializer=prepare_process)

    if sys.platform != "win32":
        # Python would start this process together with the first one, and unblock Ctrl-C there.
        resource_tracker.ensure_running()
    processes = [new_process() for _ in range(count)]
    idle: queue.SimpleQueue[int] = queue.SimpleQueue()
    for position in range(count):
        idle.put(position)

    def attempt_in_process(runs: Sequence[Run]) -> list[Outcome]:
        position = idle.get()
        try:
            with ctrl_c_blocked():
                # Here the process starts, if it has not done so.
                future = processes[position].submit(attempt, runs)
            return future.result()
        except BrokenProcessPool as error:
            processes[position] = new_process()
            return [(run, error) for run in runs]
        finally:
            idle.put(position)

    try:
        with joblib.parallel_config(backend="threading", n_jobs=count):
            yield attempt_in_process
    finally:
        for process in processes:
            process.shutdown(kill_workers=True)


@contextlib.contextmanager
def dask_cluster(scheduler: str) -> Iterator[Attempt]:
    """Let joblib make runs on the workers of a Dask cluster.

    The run of a worker that dies is made again by another one, several times, before it counts as
    the one that kills workers.

    Parameters
    ----------
    scheduler : str
        Address of the scheduler, such as ``tcp://HOST:8786``. It and its workers import this
        module, so they have to be started in a clone of the repository.

    Yields
    ------
    callable
        `attempt`.

    Raises
    ------
    OSError
        If the scheduler does not answer, has no worker, or is gone before the study has ended.
    ValueError
        If Dask is not installed here, or this repository is not known there.
    """
    try:
        from distributed import Client
        from joblib._dask import DaskDistributedBackend
    except ImportError as error:
        raise ValueError(f"{error}; a scheduler needs requirements-cluster.txt") from error

    class Backend(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs: int) -> int:
            # While the cluster has a single worker, joblib would make the runs in this process.
            return max(2, super().effective_n_jobs(n_jobs))

        def submit(self, func: Any, callback: Callable[[list[list[Outcome]]], None]) -> Any:
            # When Dask gives up a task, joblib's backend does not call back, and joblib would wait
            # for ever. Dask does so after the task has taken several workers with it.
            [(_, (runs,), _)] = func.items
            future = super().submit(func, callback)

            def call_back_after_error(future: Any) -> None:
                if error := future.exception():
                    callback([[(run, error) for run in runs]])

            future.add_done_callback(call_back_after_error)
            return future

    # What goes wrong is raised as well, and said in one line instead of a traceback.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    with Client(scheduler, timeout=WAIT_SECONDS) as client:
        try:
            client.wait_for_workers(1, timeout=WAIT_SECONDS)
            client.run_on_scheduler(importlib.import_module, __name__)
            client.run(importlib.import_module, __name__)
            with joblib.parallel_config(backend=Backend(client=client), n_jobs=-1):
                yield attempt
        except TimeoutError as error:
            raise TimeoutError(f"{scheduler} has no worker after {WAIT_SECONDS} s") from error
        except ImportError as error:
            raise ValueError(
                f"{scheduler}: {error}; expected a scheduler and workers that were started in a"
                " clone of this repository"
            ) from error
        except CancelledError as error:
            raise ConnectionError(f"{scheduler}: the scheduler is gone") from error


def outcomes(runs: Sequence[Run], jobs: int, scheduler: str | None) -> Iterator[Outcome]:
    """Make runs, several at the same time.

    Parameters
    ----------
    runs : sequence of Run
    jobs : int > 0
        How many at once on this machine.
    scheduler : str or None
        Address of a Dask scheduler whose workers are to make them instead.

    Yields
    ------
    run : Run
    outcome : Result or Exception
        As soon as the run has ended.
    """
    grouped = groups(runs)
    workers = dask_cluster(scheduler) if scheduler else own_processes(min(jobs, len(grouped)))
    with workers as attempt_there:
        suspects = []
        for run, outcome in in_parallel(attempt_there, grouped):
            if type(outcome).__name__ == "KilledWorker":
                suspects.append(run)
            else:
                yield run, outcome
        # Dask blames the death of a worker on all runs that it had, even those it had not begun.
        # A run that kills a worker while it is alone is to blame.
        for run in suspects:
            yield from in_parallel(attempt_there, [[run]])


def in_parallel(attempt_there: Attempt, grouped: Sequence[Sequence[Run]]) -> Iterator[Outcome]:
    """Let joblib make groups of runs, each as one task, and give outcomes as they come."""
    # In a task of several groups, all would be lost together.
    parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all")
    ended = parallel(joblib.delayed(attempt_there)(runs) for runs in grouped)
    try:
        for outcomes_of_group in ended:
            yield from outcomes_of_group
    finally:
        # joblib warns of work that nobody waits for, but whoever leaves early knows.
        with warnings.catch_warnings(action="ignore"):
            ended.close()


def keep(
    configuration: str,
    seed: int,
    epochs: int,
    blas_threads: int,
    fingerprint: str,
    result: Result | None,
) -> Result:
    """Return `result`, so that joblib.Memory remembers it for the other arguments.

    Not the training itself is what joblib remembers: that may take place on another machine, which
    has no access to this one's cache. To recall a result, call this without one.

    Raises
    ------
    LookupError
        If there is none: nothing is remembered yet.
    """
    if result is None:
        raise LookupError(f"{configuration}, seed {seed}")
    return result


def make_runs(
    runs: Sequence[Run],
    jobs: int,
    scheduler: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> list[Result]:
    """Recall the runs that are in the cache; make, and keep, the others.

    A run that fails is reported on standard error, and the others go on.

    Parameters
    ----------
    runs : sequence of Run
    jobs : int > 0
        How many at once on this machine.
    scheduler : str, optional
        Address of a Dask scheduler whose workers are to make them instead.
    cache : path, optional
        Folder of results. Each is kept as soon as it is there. Without a folder, none is.
    progress : bool, default=False
        Whether to show a progress bar if standard error is a terminal.

    Returns
    -------
    list of Result
        Those of the runs that did not fail, in the order of `runs`.
    """
    # joblib warns with a traceback of a damaged result, but that is as good as none and made anew.
    logging.getLogger("joblib").setLevel(logging.ERROR)
    keep_in_cache = joblib.Memory(cache, verbose=0).cache(keep, ignore=["result"])
    results: dict[Run, Result] = {}
    for run in runs:
        with contextlib.suppress(LookupError):
            results[run] = keep_in_cache(*run[:5], None)
    missing = [run for run in runs if run not in results]
    if missing:
        with tqdm(
            desc="study",
            unit="run",
            total=len(runs),
            initial=len(results),
            smoothing=0,  # Runs differ so much that only all of them together tell the time left.
            disable=None if progress else True,  # None: unless it is a terminal
        ) as bar:
            for run, outcome in outcomes(missing, jobs, scheduler):
                if isinstance(outcome, Result):
                    results[run] = keep_in_cache(*run[:5], outcome)
                else:
                    with tqdm.external_write_mode(file=sys.stderr):
                        cli.fail(f"{run.configuration}, seed {run.seed}: {describe(outcome)}")
                bar.update()
    return [results[run] for run in runs if run in results]


def describe(error: Exception) -> str:
    """Say what ended a run."""
    if isinstance(error, BrokenProcessPool):
        return "its worker process died; it was killed, perhaps because memory ran out"
    return f"{type(error).__name__}: {error}"
