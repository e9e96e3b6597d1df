"""From a journal to tables, files and databases."""

from .errors import ExportError, ExportRefusedError
from .job import Export, ExportProgress, ExportSummary, export_journal
from .reading import Selection

__all__ = [
    "Export",
    "ExportError",
    "ExportProgress",
    "ExportRefusedError",
    "ExportSummary",
    "Selection",
    "export_journal",
]
