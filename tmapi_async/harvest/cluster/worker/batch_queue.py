"""Batches of listings on a session: the listings that wait, run, and have ended lately."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from tmapi_async.api.listings import Listing
from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.harvest.cluster.task_batch import TaskBatch

_MAX_ENDED_LISTINGS = 1024
"""Listings that have ended and are remembered: pages of them may still be on the wire."""


class _RunningBatch:
    """Progress of one batch.

    Attributes:
        number: Number of the batch on its session.
        unstarted: Listings that the crawler has not taken yet.
        open: Listings that have not ended.
        changed: Set when `unstarted` or `open` gets 0, and when the session ends.
    """

    __slots__ = ("changed", "number", "open", "unstarted")

    def __init__(self, number: int, listings: int) -> None:
        self.number = number
        self.unstarted = self.open = listings
        self.changed = asyncio.Event()


class BatchQueue:
    """Listings of a session, taken from batches and handed to its crawler."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[ListingTask, _RunningBatch] | None] = asyncio.Queue()
        self._listings: dict[Listing, tuple[int, _RunningBatch]] = {}
        self._ended_visits: dict[Listing, int] = {}
        self._running: set[_RunningBatch] = set()
        self._submitted = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._listings)

    async def walk(self, batch: TaskBatch) -> dict[str, int]:
        """Walk a batch; a Dask task calls this in the session's loop.

        Returns when all listings of the batch have ended, or when all have begun and another
        batch waits for the worker.

        Returns:
            Number of listings, of those that have ended, and of those that still go on.
        """
        running = _RunningBatch(batch.number, len(batch.tasks))
        self._running.add(running)
        self._submitted = max(self._submitted, batch.number)
        for spec in batch.tasks:
            task = spec.unpack()
            self._listings[task.listing] = (spec.visit, running)
            self._queue.put_nowait((task, running))
        while running.open and not self._closed:
            if not running.unstarted and self._submitted > running.number:
                break
            running.changed.clear()
            await running.changed.wait()
        self._running.discard(running)
        count = len(batch.tasks)
        return {"listings": count, "ended": count - running.open, "going_on": running.open}

    async def tasks(self) -> AsyncGenerator[ListingTask, None]:
        """Yield the listings for the crawler, until `finish`."""
        while (entry := await self._queue.get()) is not None:
            task, batch = entry
            batch.unstarted -= 1
            if not batch.unstarted:
                batch.changed.set()
            yield task

    def set_submitted(self, count: int) -> None:
        """Note the number of batches sent to this session."""
        self._submitted = count
        self._wake_all()

    def finish(self) -> None:
        """End `tasks` after the listings that wait now."""
        self._queue.put_nowait(None)

    def close(self) -> None:
        """Let all Dask tasks of this session return."""
        self._closed = True
        self._wake_all()
        self._running.clear()

    def visit(self, listing: Listing) -> int | None:
        """Return the visit of a listing that runs or has ended lately, or None."""
        entry = self._listings.get(listing)
        return entry[0] if entry is not None else self._ended_visits.get(listing)

    def running_visit(self, listing: Listing) -> int | None:
        """Return the visit of a listing that runs, or None."""
        entry = self._listings.get(listing)
        return entry[0] if entry is not None else None

    def listings_of(self, visit: int) -> list[Listing]:
        """Return the running listings of a visit."""
        return [listing for listing, (number, _) in self._listings.items() if number == visit]

    def end_listing(self, listing: Listing) -> int | None:
        """Remove a listing that has ended. Returns its visit, or None if it was not running."""
        entry = self._listings.pop(listing, None)
        if entry is None:
            return None
        visit, batch = entry
        self._ended_visits[listing] = visit
        if len(self._ended_visits) > _MAX_ENDED_LISTINGS:
            del self._ended_visits[next(iter(self._ended_visits))]
        batch.open -= 1
        if not batch.open:
            batch.changed.set()
        return visit

    def _wake_all(self) -> None:
        for batch in self._running:
            batch.changed.set()
