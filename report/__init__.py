"""From the notebook to PDF and to one HTML page: ``python -m report``."""

import cli  # noqa: F401  (before anything slow, so that Ctrl-C finds it even during imports)

from report.exporters import StandaloneHTMLExporter, TypstPDFExporter

__all__ = ["StandaloneHTMLExporter", "TypstPDFExporter"]
