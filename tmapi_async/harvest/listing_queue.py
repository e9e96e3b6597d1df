"""The listings still to be walked, for several who walk them side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from tmapi_async.api.listings import Listing
from tmapi_async.crawl.outcomes import ListingTask

from .recorder import Recorder


class ListingQueue:
    """Hands each listing to one taker at a time, until all have ended.

    What a taker gives back, because it can walk no more, goes to another one with everything that
    the journal holds of it by then: no page that is durable is asked for again.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._source = recorder.tasks()
        self._returned: deque[Listing] = deque()
        self._walked: set[Listing] = set()
        self._exhausted = False
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def finished(self) -> bool:
        """Whether every listing has ended."""
        return self._exhausted and not self._walked and not self._returned

    @property
    def has_ready(self) -> bool:
        """Whether something may be left to be taken at once."""
        return bool(self._returned) or not self._exhausted

    async def fetch_next(self) -> ListingTask | None:
        """The next listing to walk, or None when every one has ended; waits for the others.

        Raises:
            JournalError: The journal can take no more.
        """
        while True:
            opening = await self.fetch_ready()
            if opening is not None or self.finished:
                return opening
            self._changed.clear()
            await self._changed.wait()

    async def fetch_ready(self) -> ListingTask | None:
        """The next listing to walk, or None while there is none to be given.

        Raises:
            JournalError: The journal can take no more.
        """
        async with self._one_at_a_time:
            while self._returned:
                opening = await self._recorder.reopen(self._returned.popleft())
                if opening is not None:
                    return self._given(opening)
            if not self._exhausted:
                async for opening in self._source:
                    return self._given(opening)
                self._exhausted = True
        self._changed.set()
        return None

    def _given(self, opening: ListingTask) -> ListingTask:
        self._walked.add(opening.listing)
        return opening

    def mark_done(self, listing: Listing) -> None:
        """A listing has ended; how, the keeper is told."""
        self._walked.discard(listing)
        self._changed.set()

    def reclaim(self, listing: Listing) -> None:
        """A listing that was taken is to be walked by another; does nothing if it has ended."""
        if listing in self._walked:
            self._walked.remove(listing)
            self._returned.append(listing)
            self._changed.set()

    async def tasks(self) -> AsyncGenerator[ListingTask, None]:
        """The listings for one crawl, as it takes them."""
        while (opening := await self.fetch_next()) is not None:
            try:
                yield opening
            except GeneratorExit:
                self.reclaim(opening.listing)  # in hand, and not begun
                raise

    async def close(self) -> None:
        """Nobody will take any more: note what those hold that were begun and given back.

        Raises:
            JournalError: The journal can take no more.
        """
        await self._source.aclose()
        left = [*self._returned, *self._walked]
        self._returned.clear()
        self._walked.clear()
        for listing in left:
            await self._recorder.suspend(listing)
