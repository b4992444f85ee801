"""From the notebook to PDF and to one HTML page: ``python -m tools.report``."""

from tools.report.exporters import StandaloneHTMLExporter, TypstPDFExporter

__all__ = ["StandaloneHTMLExporter", "TypstPDFExporter"]
