"""A queue of listings for several crawls that work side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from tmapi_async.api.listings import Listing
from tmapi_async.crawl.outcomes import ListingTask

from .recorder import Recorder


class ListingQueue:
    """Hands out each listing to one crawl at a time, until all listings have ended.

    A listing that its crawl cannot continue is reclaimed, and goes to another crawl with all pages
    that the journal has by then: no durable page is requested again.

    Args:
        recorder: Source of the listings.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._source = recorder.tasks()
        self._reclaimed: deque[Listing] = deque()
        self._in_progress: set[Listing] = set()
        self._exhausted = False
        self._fetching = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def finished(self) -> bool:
        """True if every listing has ended."""
        return self._exhausted and not self._in_progress and not self._reclaimed

    @property
    def has_ready(self) -> bool:
        """True if `fetch_ready` may return a task."""
        return bool(self._reclaimed) or not self._exhausted

    async def fetch_next(self) -> ListingTask | None:
        """Return the next task, or None when every listing has ended.

        Waits while other crawls work, because one of their listings may be reclaimed.

        Raises:
            JournalError: The journal has failed.
        """
        while True:
            task = await self.fetch_ready()
            if task is not None or self.finished:
                return task
            self._changed.clear()
            await self._changed.wait()

    async def fetch_ready(self) -> ListingTask | None:
        """Return the next task, or None if no task is ready now.

        Raises:
            JournalError: The journal has failed.
        """
        async with self._fetching:
            while self._reclaimed:
                task = await self._recorder.reopen(self._reclaimed.popleft())
                if task is not None:
                    return self._start(task)
            if not self._exhausted:
                async for task in self._source:
                    return self._start(task)
                self._exhausted = True
        self._changed.set()
        return None

    def _start(self, task: ListingTask) -> ListingTask:
        self._in_progress.add(task.listing)
        return task

    def mark_done(self, listing: Listing) -> None:
        """Remove a listing that has ended. The recorder records its outcome."""
        self._in_progress.discard(listing)
        self._changed.set()

    def reclaim(self, listing: Listing) -> None:
        """Queue a fetched listing again, for another crawl. Do nothing if it has ended."""
        if listing in self._in_progress:
            self._in_progress.remove(listing)
            self._reclaimed.append(listing)
            self._changed.set()

    async def tasks(self) -> AsyncGenerator[ListingTask, None]:
        """Yield tasks for one crawl, fetched one at a time."""
        while (task := await self.fetch_next()) is not None:
            try:
                yield task
            except GeneratorExit:
                self.reclaim(task.listing)  # fetched, but not begun
                raise

    async def close(self) -> None:
        """End the queue, and record the totals of the listings that were begun and not ended.

        Raises:
            JournalError: The journal has failed.
        """
        await self._source.aclose()
        unfinished = [*self._reclaimed, *self._in_progress]
        self._reclaimed.clear()
        self._in_progress.clear()
        for listing in unfinished:
            await self._recorder.suspend(listing)
