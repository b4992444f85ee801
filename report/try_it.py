"""Makes the page's appendix *Try it* out of what `plots.try_it.show_try_it` has stored."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def try_it_html(data: Mapping[str, Any]) -> str:
    """Make the complete fragment: style, markup, data and script. It loads nothing.

    Parameters
    ----------
    data : mapping
        The output of the type ``application/vnd.try-it+json``.

    Returns
    -------
    str
        HTML for the body of a page, once. Without scripts it stays hidden.
    """
    style, markup, script = (
        (HERE / f"try_it.{kind}").read_text(encoding="utf-8") for kind in ("css", "html", "js")
    )
    # A script element ends at the first "</", wherever that stands.
    data_json = json.dumps(data).replace("<", "\\u003c")
    return (
        f"<style>\n{style}</style>\n{markup}"
        f'<script type="application/json" id="try-it-data">{data_json}</script>\n'
        f"<script>\n{script}</script>\n"
    )
