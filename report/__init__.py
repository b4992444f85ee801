"""From the notebook to PDF and to one HTML page: ``python -m report``."""

from report.exporters import StandaloneHTMLExporter, TypstPDFExporter

__all__ = ["StandaloneHTMLExporter", "TypstPDFExporter"]
