"""Computes tasks side by side with Dask: in processes of this machine, or on a cluster.

Every task has one BLAS thread. Results are stored one by one, so that nothing is lost.
"""

import contextlib
import hashlib
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from pathlib import Path

import dask
import numpy as np
from distributed import Client, Future, LocalCluster, wait
from tqdm import tqdm

from common.command_line import fail
from common.errors import InputError
from common.files import atomic_path
from tools.study.tasks import Result, Task, compute, fingerprint

# How long to wait for a scheduler, then for its first worker.
WAIT_SECONDS = 10
# How often to show the time that has passed.
REFRESH_SECONDS = 1
WORKER_ENVIRONMENT = {
    # A worker gives memory back to Linux at once, by Dask's default. A step would then ask for it
    # anew each time: runs took nearly twice as long.
    "MALLOC_TRIM_THRESHOLD_": 2**26,
    "MALLOC_MMAP_THRESHOLD_": 2**25,
    "OPENBLAS_NUM_THREADS": 1,
    # A worker complains when Ctrl-C ends the study in the middle of its task.
    "DASK_LOGGING__DISTRIBUTED": "critical",
}


@contextlib.contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Let Ctrl-C wait; processes that are started meanwhile never get it.

    A terminal sends it to all of them, and only the first one has to deal with it.
    """
    # It unblocks the signal when it starts, which is otherwise with the first process.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def dask_client(where: int | str | None) -> Iterator[Client]:
    """Connect to the cluster at an address, or start one of some processes on this machine.

    Raises
    ------
    InputError
        If the scheduler does not answer or has no worker, or processes of this machine cannot
        share a lock.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        try:
            address = where if isinstance(where, str) else start_cluster(where, stack)
            try:
                client = stack.enter_context(Client(address, timeout=WAIT_SECONDS))
                client.wait_for_workers(1, timeout=WAIT_SECONDS)
            except (OSError, ValueError) as error:
                raise InputError(f"scheduler {address}: {error}", "scheduler") from error
            yield client
        except KeyboardInterrupt:
            # Impatient users press it again. Dask would wait for the tasks before it ends a worker.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for worker in multiprocessing.active_children():
                worker.kill()
            raise


def start_cluster(num_processes: int | None, stack: contextlib.ExitStack) -> str:
    """Start a cluster on this machine, which ends with `stack`, and return its address."""
    try:
        multiprocessing.Lock()
    except OSError as error:  # In some containers. Dask would take 89 lines to say so.
        raise InputError(f"no shared memory in /dev/shm: {error.strerror}") from error
    environment = {"distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}
    # Windows cannot block signals.
    blocked = ctrl_c_blocked() if os.name == "posix" else contextlib.nullcontext()
    with dask.config.set(environment), blocked:
        cluster = LocalCluster(num_processes, threads_per_worker=1, dashboard_address=":0")
        stack.enter_context(cluster)
    return cluster.scheduler_address


def path_of(task: Task, cache: Path) -> Path:
    """Name the file that keeps the result of a task, for this code, these data and this NumPy."""
    known = f"{task} {fingerprint()}"
    return cache / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.npz"


def compute_all(
    tasks: Sequence[Task], cache: Path, where: int | str | None = None, quiet: bool = True
) -> dict[Task, Result]:
    """Recall the results that are in the cache; compute, and keep, the others.

    A task that fails, or whose worker dies, is reported on standard error, and the others go on.

    Parameters
    ----------
    tasks : sequence of Task
    cache : pathlib.Path
        Folder of results.
    where : int or str, default=the number of cores
        How many tasks at once on this machine; or the address of a Dask scheduler, such as
        ``tcp://HOST:8786``, whose workers were started in a clone of this repository.
    quiet : bool, default=True
        Whether to show no progress; it is shown only if standard error is a terminal.

    Returns
    -------
    dict of Task to dict
        The results of the tasks that did not fail, in the order of `tasks`.
    """
    paths = {task: path_of(task, cache) for task in tasks}
    missing = [task for task, path in paths.items() if not path.exists()]
    if missing:
        # No bar and no time left: tasks differ so much that their number would predict nonsense.
        progress = tqdm(
            total=len(tasks),
            initial=len(tasks) - len(missing),
            bar_format="{n_fmt} of {total_fmt} tasks done, the longest come first; {elapsed}",
            disable=quiet or None,  # None: unless standard error is a terminal.
        )
        with progress, dask_client(where) as client:
            futures = {client.submit(compute, task, fingerprint()): task for task in missing}
            while futures:
                with contextlib.suppress(TimeoutError):
                    wait(list(futures), timeout=REFRESH_SECONDS, return_when="FIRST_COMPLETED")
                for future in [future for future in futures if future.done()]:
                    task = futures.pop(future)
                    store(future, task, paths[task])
                    progress.update()
                progress.refresh()
    results = {}
    for task, path in paths.items():
        if path.exists():
            with np.load(path) as archive:
                results[task] = {name: value[()] for name, value in archive.items()}
    return results


def store(future: Future, task: Task, path: Path) -> None:
    """Write the result of a task to its file, or say on standard error why there is none."""
    try:
        result = future.result()
        with atomic_path(path) as temporary:
            np.savez(temporary, allow_pickle=False, **result)
    except Exception as error:
        with tqdm.external_write_mode(file=sys.stderr):
            fail(f"{task}: {type(error).__name__}: {error}")
    future.release()
