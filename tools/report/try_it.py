"""*Try it*, the appendix of the HTML page: its data as the output of a cell, and its HTML."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import display

from common.arguments import Array
from tools.report.display import Output

HERE = Path(__file__).resolve().parent
MIME_TYPE = "application/vnd.try-it+json"


def show_try_it(models: Sequence[Any], images: Array, labels: Array) -> None:
    """Store the data of *Try it* as the output of a cell; `try_it_html` turns them into HTML.

    Parameters
    ----------
    models : sequence of SoftmaxModel
        One for each position of the page's slider.
    images : ndarray of shape (N, 784), uint8
        Examples that readers can put on the canvas. Forty images and five models take 260 KB.
    labels : ndarray of shape (N, 1), integers, values 0 to 9
    """
    weights = [
        {"name": f"λ = {model.l2_reg_lambda:g}", "weights": encode(model.w.astype("<f4"))}
        for model in models
    ]
    data = {
        "models": weights,
        "images": encode(images.astype(np.uint8)),
        "labels": labels[:, 0].tolist(),
    }
    text = "report.html has a canvas for your own digits (make report)."
    display(Output({MIME_TYPE: data, "text/plain": text}))


def encode(values: Array) -> str:
    """Encode the bytes of an array, row by row, in base64."""
    return b64encode(values.tobytes()).decode("ascii")


def try_it_html(data: Mapping[str, Any]) -> str:
    """Make the complete fragment: style, markup, data and script. It loads no other file.

    Parameters
    ----------
    data : mapping
        What `show_try_it` stored.

    Returns
    -------
    str
        HTML to insert once into the body of a page. It stays hidden if scripts are disabled.
    """
    style = (HERE / "try_it.css").read_text(encoding="utf-8")
    markup = (HERE / "try_it.html").read_text(encoding="utf-8")
    script = (HERE / "try_it.js").read_text(encoding="utf-8")
    # A script element ends at the first "</script", even inside a string.
    data_json = json.dumps(data).replace("<", "\\u003c")
    return (
        f"<style>\n{style}</style>\n{markup}"
        f'<script type="application/json" id="try-it-data">{data_json}</script>\n'
        f"<script>\n{script}</script>\n"
    )
