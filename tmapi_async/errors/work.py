"""Errors that end a walk, an export or a cluster harvest, not just one page."""

from __future__ import annotations

from .base_error import InvalidRequestError, Recovery, TMAPIError
from .quantities import quantity


class BudgetSpentError(TMAPIError):
    """The request budget (`max_requests`) is spent; nothing more was sent."""

    recovery = Recovery.HALT
    kind = "budget"
    meaning = "the request budget is spent"
    advice = (
        "start again with a larger budget (--max-requests, max_requests): work with a journal "
        "continues where it stopped, other work begins anew"
    )


class EndlessListingError(TMAPIError):
    """The listing goes on without new items; its walk was ended."""

    kind = "endless"
    meaning = "the listing does not end"
    advice = "narrow the listing with filters, or limit it with --max-pages"


class IncompleteListingError(TMAPIError):
    """The listing ended before the rows that its own total states had come."""

    kind = "incomplete"
    meaning = "the listing ended too early"
    advice = "run the same command again later: pages that deny their total are requested again"


class ListingsFailedError(TMAPIError):
    """Some listings of a walk failed; all others were walked and delivered.

    Attributes:
        errors: Failures in the order in which they came, at most 100 of them.
        count: Number of listings that failed.
    """

    kind = "listings"

    def __init__(self, errors: tuple[TMAPIError, ...] = (), count: int = 0) -> None:
        first = "; ".join(str(error) for error in errors[:3])
        more = f"; and {count - 3} more" if count > 3 else ""  # noqa: PLR2004 - three fit a message
        super().__init__(f"{quantity(count, 'listing')} failed{': ' if first else ''}{first}{more}")
        self.errors = errors
        self.count = count
        # BaseException.__reduce__ calls the class with args: keep it picklable.
        self.args = (errors, count)


class ClosedError(TMAPIError, RuntimeError):
    """The client or the walk was used after it was closed, or before it was opened."""

    recovery = Recovery.HALT
    kind = "closed"


class ExportError(TMAPIError):
    """An export could not be finished; each destination is unchanged, or is named as finished."""

    recovery = Recovery.HALT
    kind = "export"


class ExportRefusedError(ExportError, InvalidRequestError):
    """The export is not possible. It was refused before the first row was written."""

    kind = "export-refused"


class ClusterError(TMAPIError):
    """The cluster cannot be used, or has stopped working; pages that arrived are in the journal."""

    recovery = Recovery.HALT
    kind = "cluster"
    meaning = "the cluster cannot be used"


class WorkerRefusedError(ClusterError):
    """A worker cannot be used."""

    kind = "worker"
    meaning = "a worker cannot be used"
