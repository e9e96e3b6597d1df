"""Errors that end a walk, an export or a cluster harvest, and not just one page."""

from __future__ import annotations

from .base import InvalidRequestError, Recovery, TMAPIError


class BudgetSpentError(TMAPIError):
    """The request budget (`max_requests`) is used up; nothing more was sent."""

    recovery = Recovery.HALT
    kind = "budget"
    meaning = "the request budget is spent"
    advice = "run the same again, or with a larger --max-requests, to go on"


class EndlessListingError(TMAPIError):
    """The listing goes on without bringing anything new; the walk of it was ended."""

    kind = "endless"
    meaning = "the listing does not end"


class ListingsFailedError(TMAPIError):
    """Some listings of a walk failed; all others were walked and delivered.

    Attributes:
        errors: The failures in the order they came, at most 100 of them.
        count: How many listings failed.
    """

    kind = "listings"

    def __init__(self, errors: tuple[TMAPIError, ...] = (), count: int = 0) -> None:
        first = "; ".join(str(error) for error in errors[:3])
        more = f"; and {count - 3} more" if count > 3 else ""  # noqa: PLR2004 - three fit a message
        super().__init__(f"{count} listings failed{': ' if first else ''}{first}{more}")
        self.errors = errors
        self.count = count
        # BaseException.__reduce__ calls the class with args: keep it picklable.
        self.args = (errors, count)


class ClosedError(TMAPIError, RuntimeError):
    """The client or the walk was used after it was closed, or before it was opened."""

    recovery = Recovery.HALT
    kind = "closed"


class ExportError(TMAPIError):
    """An export could not be ended; every destination is as it was before, or is named as done."""

    recovery = Recovery.HALT
    kind = "export"


class ExportRefusedError(ExportError, InvalidRequestError):
    """What is asked for cannot be done; it was refused before the first row was written."""

    kind = "export-refused"


class ClusterError(TMAPIError):
    """The cluster cannot be used, or can be used no more; what was brought is in the journal."""

    recovery = Recovery.HALT
    kind = "cluster"
    meaning = "the cluster cannot do it"


class WorkerRefusedError(ClusterError):
    """A worker cannot take part."""

    kind = "worker"
    meaning = "a worker cannot take part"
