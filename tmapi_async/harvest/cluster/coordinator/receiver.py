"""What seats bring, on its way to the keeper; and what they have been given."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from tmapi_async.api.listings import PageRequest
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.harvest.cluster import protocol
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

    def __init__(self, recorder: Recorder, journal: Journal, queue: ListingQueue) -> None:
        self.stopping = False
        self._recorder = recorder
        self._journal = journal
        self._queue = queue
        self._visits: dict[int, Visit] = {}
        self._late: dict[int, Visit] = {}
        self._given = 0  # pages handed to the journal
        self._unacknowledged: deque[tuple[int, Channel, int]] = deque()

    def assign(self, channel: Channel, opening: ListingTask) -> protocol.TaskSpec | None:
        """Note that a listing goes to a seat; None if it has ended meanwhile."""
        visit = self._recorder.find_visit(opening.listing)
        if visit is None:
            self._queue.mark_done(opening.listing)
            return None
        self._visits[visit.id] = visit
        channel.out[visit.id] = opening.listing
        return protocol.TaskSpec.of(visit.id, opening)

    def reclaim(self, channel: Channel) -> None:
        """A seat is gone: what it had is to be walked by others."""
        for listing in channel.out.values():
            self._queue.reclaim(listing)
        channel.out.clear()

    def report(self, channel: Channel, report: protocol.SessionReport) -> None:
        """Take in the pages, failures and endings of a report, in this order."""
        for number, page in report.pages:
            self._store(number, page)
        if report.pages:
            channel.received += len(report.pages)
            self._unacknowledged.append((self._given, channel, channel.received))
        for missed in report.missed:
            listing = channel.out.get(missed.visit)
            if listing is not None:
                request = PageRequest(listing, missed.number)
                self._recorder.failed(request, missed.failure.error())
        for ended in report.ended:
            self._ended(channel, ended)

    def durable(self, channels: Collection[Channel]) -> dict[Channel, int]:
        """How many of the pages received on each line are durable, where that has changed."""
        waiting, durable = self._unacknowledged, self._journal.statistics().durable
        found: dict[Channel, int] = {}
        while waiting and waiting[0][0] <= durable:
            _, channel, received = waiting.popleft()
            if channel in channels:
                found[channel] = received
        return found

    def _store(self, number: int, page: PageRecord) -> None:
        visit = self._visits.get(number) or self._late.get(number)
        if visit is not None:
            self._given += self._recorder.store(visit, page)

    def _ended(self, channel: Channel, ended: protocol.ListingEnded) -> None:
        listing = channel.out.pop(ended.visit, None)
        if listing is None:
            return
        channel.count_ended()
        if ended.ending == "stopped" and not self.stopping:
            self._queue.reclaim(listing)
            return
        failure = ended.failure
        self._recorder.ended(
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
        self._queue.mark_done(listing)
        self._late[ended.visit] = self._visits.pop(ended.visit)
        if len(self._late) > _LATE:
            del self._late[next(iter(self._late))]
