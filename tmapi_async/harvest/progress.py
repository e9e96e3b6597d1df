"""Progress and result of a harvest, as data. Displays and log lines read the same object."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tmapi_async.crawl.splitting import Reconciliation
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.limits.outage_queue import OutageReport

StoppedBy: TypeAlias = Literal["balance", "auth", "budget", "signal", "disk", "outage"]


class HarvestProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of a harvest.

    Attributes:
        tally: Totals of the requested listings over all their starts.
        open: Listings that were begun and have not ended.
        pages: Pages stored by this start.
        failed_pages: Pages of this start that failed.
        requests: Attempts of this start handed to the transport.
        budget: Maximum number of requests of this start, or None.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        codes: Code, or kind of failure -> number of times it came.
        unreached: Attempts that reached no server. The budget is not charged for them.
        width: Slots of all gates; `in_flight` of them are in use.
        in_flight: Slots in use.
        waiting: Pages that await their commit.
        seconds: Seconds since the start began.
        rate: Pages per second over the last half minute.
        eta: Estimated seconds until the end, or None if there is no estimate.
        eta_range: Fewest and most seconds until the end, nine times of ten, or None.
        stopping: True if no new page is requested any more.
        waiting_for: Reason that nothing is requested for now, such as a full disk, or None.
        outage: Report of the present outage of the API, or None while it answers.
    """

    tally: RunTally
    open: int = 0
    pages: int = 0
    failed_pages: int = 0
    requests: int = 0
    budget: int | None = None
    retries: int = 0
    wasted: int = 0
    codes: dict[str, int] = {}
    unreached: int = 0
    width: int = 0
    in_flight: int = 0
    waiting: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    eta: float | None = None
    eta_range: tuple[float, float] | None = None
    stopping: bool = False
    waiting_for: str | None = None
    outage: OutageReport | None = None


class HarvestResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a harvest.

    Attributes:
        run: Number of the run that new listings joined.
        start: Number of this start in the journal, or None if there was nothing to do.
        tally: Totals of the requested listings over all their starts.
        visits: Numbers of their visits in the journal.
        pages: Pages stored by this start.
        requests: Attempts of this start handed to the transport.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        second_looks: Requests of stored pages, to see if rows moved since an earlier start.
        codes: Code, or kind of failure -> number of times it came.
        unreached: Attempts that reached no server. The budget is not charged for them.
        waited: Seconds for which the API did not answer, so that nothing else was sent.
        seconds: Seconds that this start took.
        stopped_by: Reason that ended the start early, or None.
        error: Error that ended the start early, or None.
        reconciliations: Results of the listings that this start divided (`split`).
    """

    run: int
    start: int | None = None
    tally: RunTally
    visits: frozenset[int]
    pages: int = 0
    requests: int = 0
    retries: int = 0
    wasted: int = 0
    second_looks: int = 0
    codes: dict[str, int] = {}
    unreached: int = 0
    waited: float = 0.0
    seconds: float = 0.0
    stopped_by: StoppedBy | None = None
    error: Exception | None = None
    reconciliations: tuple[Reconciliation, ...] = ()

    @property
    def complete(self) -> bool:
        """True if every listing was walked to its end or to a ceiling, shifted ones included."""
        return not self.tally.left and not self.tally.failed
