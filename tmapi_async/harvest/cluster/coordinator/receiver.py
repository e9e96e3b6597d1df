"""Hands the results of sessions to the recorder; records which session works on which listing."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from tmapi_async.api.listings import PageRequest
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.crawl.seam import Look
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.task_batch import TaskSpec
from tmapi_async.harvest.listing_queue import ListingQueue
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.records import PageRecord, Visit

from .channel import Channel

_MAX_ENDED_VISITS = 4096
"""Listings that have ended and are remembered: late pages of them may still come."""


class Receiver:
    """Assigns listings to sessions, and takes their pages, failures and endings.

    Args:
        recorder: Receives all results.
        journal: Counts the durable pages.
        queue: Source of the listings; listings of a lost session go back to it.

    Attributes:
        stopping: True if listings that a session stops are stopped for good, and are not to be
            walked by another session.
    """

    def __init__(self, recorder: Recorder, journal: Journal, queue: ListingQueue) -> None:
        self.stopping = False
        self._recorder = recorder
        self._journal = journal
        self._queue = queue
        self._visits: dict[int, Visit] = {}
        self._ended_visits: dict[int, Visit] = {}
        self._pages_stored = 0
        self._unacknowledged: deque[tuple[int, Channel, int]] = deque()

    def assign(self, channel: Channel, task: ListingTask) -> TaskSpec | None:
        """Assign a listing to a session. Returns None if the listing has ended meanwhile."""
        visit = self._recorder.find_visit(task.listing)
        if visit is None:
            self._queue.mark_done(task.listing)
            return None
        self._visits[visit.id] = visit
        channel.listings[visit.id] = task.listing
        return TaskSpec.of(visit.id, task)

    def reclaim(self, channel: Channel) -> None:
        """Give the listings of an ended session back to the queue, for other sessions."""
        for listing in channel.listings.values():
            self._queue.reclaim(listing)
        channel.listings.clear()

    def handle_report(self, channel: Channel, report: protocol.SessionReport) -> None:
        """Hand over the looks, pages, failures and endings of a report, in this order."""
        for looked in report.looked:
            self._store_look(channel, looked)
        if report.pages:
            self._store(report.pages)
            channel.pages_received += len(report.pages)
            self._unacknowledged.append((self._pages_stored, channel, channel.pages_received))
        for failed in report.failed_pages:
            listing = channel.listings.get(failed.visit)
            if listing is not None:
                request = PageRequest(listing, failed.number)
                self._recorder.failed(request, failed.error.restore())
        for ended in report.ended:
            self._end_listing(channel, ended)

    def newly_durable(self, channels: Collection[Channel]) -> dict[Channel, int]:
        """Return the number of durable pages of each channel on which this number has grown."""
        unacknowledged, durable = self._unacknowledged, self._journal.statistics().durable
        durable_pages: dict[Channel, int] = {}
        while unacknowledged and unacknowledged[0][0] <= durable:
            _, channel, received = unacknowledged.popleft()
            if channel in channels:
                durable_pages[channel] = received
        return durable_pages

    def _store(self, pages: Sequence[tuple[int, PageRecord]]) -> None:
        find, find_ended = self._visits.get, self._ended_visits.get
        found = [
            (visit, page)
            for number, page in pages
            if (visit := find(number) or find_ended(number)) is not None
        ]
        self._pages_stored += self._recorder.store(found)

    def _store_look(self, channel: Channel, looked: protocol.SeamLooked) -> None:
        listing = channel.listings.get(looked.visit)
        if listing is not None:
            look = Look(
                PageRequest(listing, looked.number),
                None,
                left=looked.left,
                came=looked.came,
                shifted=looked.shifted,
                last=looked.last,
            )
            self._pages_stored += self._recorder.store_look(look, looked.page)

    def _end_listing(self, channel: Channel, ended: protocol.ListingEnded) -> None:
        listing = channel.listings.pop(ended.visit, None)
        if listing is None:
            return
        channel.count_ended()
        if ended.ending == "stopped" and not self.stopping:
            self._queue.reclaim(listing)
            return
        self._recorder.ended(
            ListingOutcome(
                listing,
                ended.ending,
                ended.pages,
                ended.items,
                ended.unique,
                ended.duplicates,
                ended.rejects,
                None if ended.error is None else ended.error.restore(),
            )
        )
        self._queue.mark_done(listing)
        self._ended_visits[ended.visit] = self._visits.pop(ended.visit)
        if len(self._ended_visits) > _MAX_ENDED_VISITS:
            del self._ended_visits[next(iter(self._ended_visits))]
