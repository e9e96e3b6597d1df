"""What seats bring, on its way to the keeper; and what they have been given."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from tmapi_async.api.listings import PageRequest
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.harvest.cluster import protocol as say
from tmapi_async.harvest.listing_queue import ListingQueue
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.records import PageRecord, Visit

from .channel import Channel

_LATE = 4096
"""Listings that have ended and are remembered: pages of them may still come."""


class Receiver:
    """Knows which listing is on which line, and hands to the keeper what comes of it.

    Args:
        keeper: Gets everything.
        journal: Tells what is durable.
        openings: Where listings come from, and go back to.

    Attributes:
        stopping: Whether what a seat stops is stopped for good, not to be walked by another.
    """

    def __init__(self, keeper: Recorder, journal: Journal, openings: ListingQueue) -> None:
        self.stopping = False
        self._keeper = keeper
        self._journal = journal
        self._openings = openings
        self._visits: dict[int, Visit] = {}
        self._late: dict[int, Visit] = {}
        self._given = 0  # pages handed to the journal
        self._unacknowledged: deque[tuple[int, Channel, int]] = deque()

    def entrust(self, line: Channel, opening: ListingTask) -> say.TaskSpec | None:
        """Note that a listing goes to a seat; None if it has ended meanwhile."""
        visit = self._keeper.visit(opening.listing)
        if visit is None:
            self._openings.mark_done(opening.listing)
            return None
        self._visits[visit.id] = visit
        line.out[visit.id] = opening.listing
        return say.TaskSpec.of(visit.id, opening)

    def take_back(self, line: Channel) -> None:
        """A seat is gone: what it had is to be walked by others."""
        for listing in line.out.values():
            self._openings.reclaim(listing)
        line.out.clear()

    def report(self, line: Channel, report: say.WorkerReport) -> None:
        """Take in the pages, failures and endings of a report, in this order."""
        for number, page in report.pages:
            self._store(number, page)
        if report.pages:
            line.received += len(report.pages)
            self._unacknowledged.append((self._given, line, line.received))
        for missed in report.missed:
            listing = line.out.get(missed.visit)
            if listing is not None:
                request = PageRequest(listing, missed.number)
                self._keeper.failed(request, missed.failure.error())
        for ended in report.ended:
            self._ended(line, ended)

    def durable(self, lines: Collection[Channel]) -> dict[Channel, int]:
        """How many of the pages received on each line are durable, where that has changed."""
        waiting, durable = self._unacknowledged, self._journal.statistics().durable
        found: dict[Channel, int] = {}
        while waiting and waiting[0][0] <= durable:
            _, line, received = waiting.popleft()
            if line in lines:
                found[line] = received
        return found

    def _store(self, number: int, page: PageRecord) -> None:
        visit = self._visits.get(number) or self._late.get(number)
        if visit is not None:
            self._given += self._keeper.store(visit, page)

    def _ended(self, line: Channel, ended: say.Ended) -> None:
        listing = line.out.pop(ended.visit, None)
        if listing is None:
            return
        line.note_ended()
        if ended.ending == "stopped" and not self.stopping:
            self._openings.reclaim(listing)
            return
        failure = ended.failure
        self._keeper.ended(
            ListingOutcome(
                listing,
                ended.ending,
                ended.pages,
                ended.items,
                ended.unique,
                ended.duplicates,
                ended.rejects,
                None if failure is None else failure.error(),
            )
        )
        self._openings.mark_done(listing)
        self._late[ended.visit] = self._visits.pop(ended.visit)
        if len(self._late) > _LATE:
            del self._late[next(iter(self._late))]
