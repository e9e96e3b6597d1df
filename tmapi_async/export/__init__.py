"""Export of a journal to tables, files and databases."""

from __future__ import annotations

from tmapi_async.errors import ExportError, ExportRefusedError

from .export_job import Export, ExportProgress, ExportSummary, export_journal
from .selection import Selection

__all__ = [
    "Export",
    "ExportError",
    "ExportProgress",
    "ExportRefusedError",
    "ExportSummary",
    "Selection",
    "export_journal",
]
