"""From the notebook to PDF and to one HTML page: ``python -m report``."""

import cli  # noqa: F401  (before anything slow, so that Ctrl-C finds it even during imports)

import sys

# For a check of web addresses that no notebook needs, jsonschema would import a grammar, which
# takes as long as all other imports. It does without where there is none.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

from report.exporters import StandaloneHTMLExporter, TypstPDFExporter  # noqa: E402

__all__ = ["StandaloneHTMLExporter", "TypstPDFExporter"]
