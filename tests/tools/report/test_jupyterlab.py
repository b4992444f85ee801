"""The notebook in JupyterLab, as after a clone: not executed, not trusted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

import utils

NOTEBOOK = Path(utils.__file__).parent / "report.ipynb"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    " --disable-background-networking --disable-component-update --window-size=1200,900"
)
WAIT_SECONDS = 60

WIDTHS = """
return [...document.querySelectorAll(".jp-OutputArea-output img")].map(e => e.naturalWidth);
"""
IS_CHANGED = "return document.querySelector('.lm-TabBar-tab.jp-mod-dirty, .jp-mod-dirty') !== null"
CODE_HEIGHTS = """
return [...document.querySelectorAll(".jp-CodeCell .jp-InputArea-editor")]
  .filter(e => e.getBoundingClientRect().height > 0).length;
"""

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)",
)


def wait_for(condition):
    end = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {WAIT_SECONDS} s in vain"
        time.sleep(0.1)
    return found


@pytest.fixture
def jupyterlab(tmp_path):
    """JupyterLab on a copy of the notebook, as somebody has it who starts it for the first time."""
    shutil.copy(NOTEBOOK, tmp_path)
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    names += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    folders = {name: str(tmp_path / "home" / name) for name in names}
    # All cells are in the page, not only those in sight.
    settings = Path(folders["JUPYTERLAB_SETTINGS_DIR"], "@jupyterlab", "notebook-extension")
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    options = ["--no-browser", "--allow-root", "--ServerApp.port=0", "--IdentityProvider.token="]
    options += [f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url=None"]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        env={**os.environ, **folders},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        about = Path(folders["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{process.pid}.json"
        wait_for(lambda: about.is_file() and about.read_text())
        yield json.loads(about.read_text())["url"]
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def browser(tmp_path):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path / 'chromium'}"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


def test_all_figures_show_after_a_clone_and_opening_changes_nothing(jupyterlab, browser, tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code_cells for output in cell.outputs]
    figures = sum("image/png" in output.data for output in outputs)
    assert figures > 8
    browser.get(f"{jupyterlab}lab/tree/report.ipynb")
    # Images of two pixels per point: none is an empty one.
    wait_for(lambda: sum(width > 600 for width in browser.execute_script(WIDTHS)) == figures)
    wait_for(lambda: browser.execute_script(CODE_HEIGHTS) == len(code_cells))
    # JupyterLab would fill in what it misses about the language, and ask to save it.
    made_by = notebook.metadata.language_info.version
    if made_by == ".".join(map(str, sys.version_info[:3])):
        assert not browser.execute_script(IS_CHANGED)
    assert (tmp_path / "report.ipynb").read_bytes() == NOTEBOOK.read_bytes()
