"""Read, execute and tidy up a notebook."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode
from tqdm import tqdm

from report.exporters import ExportError, one_line


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook.

    Parameters
    ----------
    path : Path
        The notebook file, of any nbformat version.

    Returns
    -------
    NotebookNode
        The notebook in nbformat 4.

    Raises
    ------
    ExportError
        If the file is not a notebook.
    OSError
        If it cannot be read.
    """
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError:
        raise
    except Exception as error:
        # nbformat fails in many ways on a file that is something else.
        raise ExportError(f"{path} is not a notebook: {one_line(error, 120)}") from error
    return notebook


def execute(notebook: NotebookNode, folder: Path, timeout: int, quiet: bool = True) -> None:
    """Execute all code cells in place, in a fresh kernel of the running Python.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook; its outputs, and what it says about the language, are replaced.
    folder : Path
        Working directory of the kernel, and the first place where it looks for modules.
    timeout : int
        Longest time for one cell in seconds; 0 means no limit.
    quiet : bool, default=True
        Whether not to show, while standard error is a terminal, which cell is being executed.

    Raises
    ------
    ExportError
        If a cell raises or takes too long, or the kernel does not start or dies.
    """
    client: Any = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=timeout or None,
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,
        record_timing=False,
        shutdown_kernel="immediate",
    )
    manager = client.create_kernel_manager()
    # With no folder to search in, python3 is the interpreter that runs this script.
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    # By itself a kernel looks there after PYTHONPATH, which may name another clone.
    places = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    where, done = "before the first cell", threading.Event()
    bar = tqdm(
        total=len(notebook.cells),
        bar_format="cell {n_fmt} of {total_fmt}, {elapsed}",
        ncols=60,
        nrows=20,  # some terminals do not say how large they are
        leave=False,
        disable=True if quiet else None,  # None: unless standard error is a terminal
    )

    def tick() -> None:
        while not done.wait(1):
            bar.refresh()

    threading.Thread(target=tick, daemon=True).start()
    try:
        with client.setup_kernel(env=environment, stdout=DEVNULL, stderr=DEVNULL):
            for index, cell in enumerate(notebook.cells):
                bar.n = index + 1
                bar.refresh()
                where = f"cell {index + 1} ({one_line(cell.source.partition(chr(10))[0], 60)})"
                client.execute_cell(cell, index)
            reply = client.wait_for_reply(client.kc.kernel_info())
            notebook.metadata["language_info"] = reply["content"]["language_info"]
    except CellExecutionError as error:
        raise ExportError(f"{where}: {one_line(f'{error.ename}: {error.evalue}')}") from error
    except CellTimeoutError as error:
        raise ExportError(f"{where}: it took longer than {timeout} s (--timeout)") from error
    except RuntimeError as error:
        raise ExportError(f"{where}: {one_line(error)}") from error
    except KeyboardInterrupt:
        # Impatient users press it again; the kernel must still be ended.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    finally:
        done.set()
        bar.close()
        # An interrupt while the kernel starts leaves it running.
        if manager.has_kernel:
            run_sync(manager.shutdown_kernel)(now=True)


def drop_stderr(notebook: NotebookNode) -> None:
    """Take out of an executed notebook, in place, what differs from run to run.

    Parameters
    ----------
    notebook : NotebookNode
        Loses all that went to stderr: progress bars and warnings.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
