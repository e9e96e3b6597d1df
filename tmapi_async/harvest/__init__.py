"""The durable harvest: a job that a kill cannot hurt, and the journal that it writes."""

from tmapi_async.errors import (
    BodyError,
    ChangedShapeError,
    ClusterError,
    CorruptJournalError,
    DiskError,
    DiskFullError,
    JournalError,
    JournalInUseError,
    NewerJournalError,
    NoJournalError,
    NotAJournalError,
    OlderJournalError,
    ReadOnlyJournalError,
    WorkerRefusedError,
)
from tmapi_async.journal.category_cache import JournalCategories
from tmapi_async.journal.reader import JournalReader
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

from .cluster.token_source import TokenSource
from .job import Harvest
from .progress import HarvestProgress, HarvestResult

__all__ = [
    "BodyError",
    "ChangedShapeError",
    "ClusterError",
    "CorruptJournalError",
    "DiskError",
    "DiskFullError",
    "Division",
    "FailedPage",
    "Harvest",
    "HarvestProgress",
    "HarvestResult",
    "JournalCategories",
    "JournalError",
    "JournalInUseError",
    "JournalReader",
    "NewerJournalError",
    "NoJournalError",
    "NotAJournalError",
    "OlderJournalError",
    "ReadOnlyJournalError",
    "RunInfo",
    "StartInfo",
    "StoredPage",
    "StoredReject",
    "Tick",
    "TokenSource",
    "TreeInfo",
    "VisitInfo",
    "WorkerRefusedError",
]
