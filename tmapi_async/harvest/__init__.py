"""The durable harvest: a job that a kill cannot hurt, and the journal that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tmapi_async.errors import (
    BodyError,
    ChangedShapeError,
    ClusterError,
    CorruptJournalError,
    DiskError,
    DiskFullError,
    JournalError,
    JournalInUseError,
    LockedJournalError,
    MovedJournalError,
    NewerJournalError,
    NoJournalError,
    NotAJournalError,
    OlderJournalError,
    ReadOnlyJournalError,
    WorkerRefusedError,
)
from tmapi_async.journal.summaries.costs import KeyCost, RunCost
from tmapi_async.journal.views import (
    Division,
    FailedPage,
    RunInfo,
    StartInfo,
    StoredPage,
    StoredReject,
    Tick,
    TreeInfo,
    VisitInfo,
)

from .category_cache import JournalCategories
from .cluster.token_source import TokenSource
from .estimates.estimate import Amount, Estimate, ListingEstimate
from .estimates.harvest_estimate import JournalEstimate, estimate_harvest
from .job import Harvest
from .progress import HarvestProgress, HarvestResult

if TYPE_CHECKING:
    from tmapi_async.export.frames.journal_table_reader import JournalTableReader as JournalReader
    from tmapi_async.report.html import write_report

__all__ = [
    "Amount",
    "BodyError",
    "ChangedShapeError",
    "ClusterError",
    "CorruptJournalError",
    "DiskError",
    "DiskFullError",
    "Division",
    "Estimate",
    "FailedPage",
    "Harvest",
    "HarvestProgress",
    "HarvestResult",
    "JournalCategories",
    "JournalError",
    "JournalEstimate",
    "JournalInUseError",
    "JournalReader",
    "KeyCost",
    "ListingEstimate",
    "LockedJournalError",
    "MovedJournalError",
    "NewerJournalError",
    "NoJournalError",
    "NotAJournalError",
    "OlderJournalError",
    "ReadOnlyJournalError",
    "RunCost",
    "RunInfo",
    "StartInfo",
    "StoredPage",
    "StoredReject",
    "Tick",
    "TokenSource",
    "TreeInfo",
    "VisitInfo",
    "WorkerRefusedError",
    "estimate_harvest",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import on first use: the report needs an extra, and a harvest without tables no export."""
    if name == "JournalReader":
        from tmapi_async.export.frames.journal_table_reader import (  # noqa: PLC0415 - see above
            JournalTableReader,
        )

        return JournalTableReader
    if name == "write_report":
        from tmapi_async.report.html import write_report  # noqa: PLC0415 - an extra

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
