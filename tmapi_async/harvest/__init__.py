"""The durable harvest: a job that a kill cannot hurt."""

from .categories import JournalCategories
from .errors import JournalError
from .job import Harvest
from .progress import HarvestProgress, HarvestResult
from .reader import JournalReader

__all__ = [
    "Harvest",
    "HarvestProgress",
    "HarvestResult",
    "JournalCategories",
    "JournalError",
    "JournalReader",
]
