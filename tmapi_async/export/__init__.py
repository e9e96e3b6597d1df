"""Export of a journal to tables, files and databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tmapi_async.errors import ExportError, ExportRefusedError

from .export_job import Export, export_journal
from .results.export_summary import ExportProgress, ExportSummary
from .selection import Selection

if TYPE_CHECKING:
    from .changes.comparison import Comparison, compare_runs

__all__ = [
    "Comparison",
    "Export",
    "ExportError",
    "ExportProgress",
    "ExportRefusedError",
    "ExportSummary",
    "Selection",
    "compare_runs",
    "export_journal",
]


def __getattr__(name: str) -> Any:
    """Import the comparison of runs on first use, because it needs pyarrow (the extra `export`)."""
    if name in ("Comparison", "compare_runs"):
        from .changes import comparison  # noqa: PLC0415 - an extra

        return getattr(comparison, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
