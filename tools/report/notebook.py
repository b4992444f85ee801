"""Read and execute a notebook."""

import os
import signal
from pathlib import Path
from subprocess import DEVNULL
from textwrap import shorten
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.utils import ensure_event_loop, run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm import tqdm

from common.errors import file_errors
from tools.report.exporters import ExportError


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
    FileError
        If it cannot be read.
    """
    with file_errors(path):
        text = path.read_bytes().decode(errors="replace")
    try:
        notebook: NotebookNode = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    # nbformat raises many kinds of errors for a file that is something else.
    except Exception as error:
        raise ExportError(f"{path} is not a notebook: {shorten(str(error), 120)}") from error
    return notebook


def execute(notebook: NotebookNode, folder: Path, quiet: bool = True) -> None:
    """Execute all code cells in place, in a fresh kernel of the running Python.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook. Its outputs and its language metadata are replaced. What cells write to
        stderr (progress bars and warnings) differs from run to run and is left out.
    folder : Path
        Working directory of the kernel, and the first place where it looks for modules.
    quiet : bool, default=True
        If false, and standard error is a terminal, show which cell is being executed.

    Raises
    ------
    ExportError
        If a cell raises, or the kernel does not start or dies.
    """
    # Windows' usual event loop lacks what pyzmq needs.
    ensure_event_loop(prefer_selector_loop=True)
    client: Any = NotebookClient(notebook, kernel_name="python3", shutdown_kernel="immediate")
    client.coalesce_streams, client.record_timing = True, False
    client.resources = {"metadata": {"path": str(folder)}}
    manager = client.create_kernel_manager()
    # With no directories to search, "python3" is the interpreter that runs this script.
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    # By default a kernel looks there only after PYTHONPATH, which may name another clone.
    places = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    where = "before the first cell"
    bar = tqdm(
        total=len(notebook.cells),
        bar_format="cell {n_fmt} of {total_fmt}, {elapsed}",
        mininterval=0,
        leave=False,
        # Some terminals do not report their size.
        ncols=60,
        nrows=20,
        disable=quiet or None,  # None: only a terminal gets the bar.
    )
    try:
        with bar, client.setup_kernel(env=environment, stdout=DEVNULL, stderr=DEVNULL):
            for index, cell in enumerate(notebook.cells):
                bar.update()
                where = f"cell {index + 1} ({shorten(cell.source.partition(chr(10))[0], 60)})"
                client.execute_cell(cell, index)
                if "outputs" in cell:
                    cell.outputs = [part for part in cell.outputs if part.get("name") != "stderr"]
            reply = client.wait_for_reply(client.kc.kernel_info())
            notebook.metadata["language_info"] = reply["content"]["language_info"]
    except CellExecutionError as error:
        raise ExportError(f"{where}: {shorten(f'{error.ename}: {error.evalue}', 400)}") from error
    except RuntimeError as error:
        raise ExportError(f"{where}: {shorten(str(error), 400)}") from error
    except KeyboardInterrupt:
        # Users may press Ctrl-C again, but the kernel must still be shut down.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    finally:
        # An interrupt while the kernel is starting leaves it running.
        if manager.has_kernel:
            run_sync(manager.shutdown_kernel)(now=True)
