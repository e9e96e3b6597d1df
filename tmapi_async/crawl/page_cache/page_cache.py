"""Page cache of one client: decoded pages in memory, and replies in a store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import force_setattr

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, Reply, read_reply

from .page_memory import MEMORY_BYTES, PageMemory, own_copy
from .stores import FarStore, NearStore, StoredReply

_CLOCK_ERROR = 60.0
"""Seconds by which the clock of another machine may be ahead. Later replies are not believed."""

_MAX_SEEN = 4096
_HITS_AT_ONCE = 64
"""Number of hits after which the other tasks of the event loop get a turn: a hit waits for
nothing, so a task that asks only for cached pages would never let them run."""


class PageCache:
    """Finds and keeps pages.

    Args:
        store: Keeps the replies.
        origin: Host of the API, with the prefix of its paths.
        secret: Token of the account. A reply that repeats it is not kept.
        max_age: Seconds up to which a page is taken from the cache, where a call says nothing else.
        stale_if_error: Seconds up to which a page is taken from the cache if the API fails, where a
            call says nothing else; 0 never does that.
        memory: Bytes of the pages that are kept decoded.
        clock: Returns seconds since 1970.

    Attributes:
        origin: Host of the API, with the prefix of its paths. Read by `open`.
        max_age: Default of calls.
        stale_if_error: Default of calls.
        clock: Returns seconds since 1970.
        hits: Number of pages taken from the cache.
    """

    def __init__(
        self,
        store: NearStore | FarStore,
        *,
        origin: str,
        secret: str,
        max_age: float,
        stale_if_error: float,
        memory: int = MEMORY_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.origin = origin
        self.max_age = max_age
        self.stale_if_error = stale_if_error
        self.clock = clock
        self.hits = 0
        self._secret = secret.encode()
        self._store = store
        self._find_near = getattr(store, "find", None)
        self._fetch_far = getattr(store, "fetch", None)
        # Pages that were read once from the store: those that are read again are kept decoded.
        self._seen: dict[PageRequest, None] = {}
        self._far_calls: dict[PageRequest, asyncio.Task[StoredReply | None]] = {}
        self._memory = PageMemory(memory)
        store.on_emptied = self._memory.clear

    @property
    def is_far(self) -> bool:
        """True if a look-up has to wait for a network."""
        return self._fetch_far is not None

    async def open(self) -> None:
        """Open the store.

        Raises:
            InvalidRequestError: The store belongs to another program.
        """
        await self._store.open(self.origin)

    async def close(self) -> None:
        """Write what is left to be written, and close the store."""
        calls = list(self._far_calls.values())
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls)
        await self._store.close()

    def abandon(self) -> None:
        """Close the store after its event loop was closed."""
        self._far_calls.clear()
        self._store.abandon()

    def find(self, request: PageRequest, oldest: float) -> Page[Any] | None:
        """Return a page from the memory or from this machine, or None.

        Args:
            request: The page request.
            oldest: Earliest time at which the page may have been fetched, seconds since 1970.
        """
        page = self._memory.get(request, oldest)
        if page is not None:
            return own_copy(page, self._age(page))
        if self._find_near is None:
            return None
        return self._read(request, self._find_near(request), oldest)

    async def fetch(self, request: PageRequest, oldest: float) -> Page[Any] | None:
        """Return a page from a store behind a network, or None.

        Tasks that look for one page at the same time make one look-up. One of them that is
        cancelled does not end the look-up of the others.
        """
        if self._fetch_far is None:
            return None
        call = self._far_calls.get(request)
        if call is None:
            call = asyncio.create_task(self._fetch_far(request), name="tmapi_async cache")
            self._far_calls[request] = call
            call.add_done_callback(lambda _: self._far_calls.pop(request, None))
        await asyncio.wait([call])
        return None if call.cancelled() else self._read(request, call.result(), oldest)

    def keep(self, page: Page[Any]) -> None:
        """Keep a page that the API has sent, unless it denies its own total."""
        fetched_at = page.fetched_at.timestamp()
        if _is_doubtful(page) or self._secret in page.body:
            return
        if self._memory.put(page, fetched_at):
            self._store.keep(page.request, StoredReply(fetched_at, page.body))

    def count_hit(self) -> bool:
        """Count a page taken from the cache. Return True if other tasks should get a turn."""
        self.hits += 1
        return not self.hits % _HITS_AT_ONCE

    def _keep_decoded(self, page: Page[Any], fetched_at: float) -> None:
        """Keep a page decoded if it was read before: a walk over many pages shows each once."""
        if page.request in self._seen:
            del self._seen[page.request]
            self._memory.put(page, fetched_at)
            return
        if len(self._seen) >= _MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        self._seen[page.request] = None

    def _read(
        self, request: PageRequest, reply: StoredReply | None, oldest: float
    ) -> Page[Any] | None:
        """Return the page of a reply; None if it is too old or cannot be read any more."""
        if reply is None or not oldest <= reply.fetched_at <= self.clock() + _CLOCK_ERROR:
            return None
        fetched_at = datetime.fromtimestamp(reply.fetched_at, UTC)
        page = read_reply(Reply(200, {}, reply.body), request, now=fetched_at, attempts=0)
        if not isinstance(page, Page) or _is_doubtful(page):
            return None
        self._keep_decoded(page, reply.fetched_at)
        # The page is new: nobody else has it yet.
        force_setattr(page, "age", self._age(page))
        force_setattr(page, "from_cache", True)
        return page

    def _age(self, page: Page[Any]) -> float:
        return max(0.0, self.clock() - page.fetched_at.timestamp())

    def __repr__(self) -> str:
        return f"<PageCache {self._store!r}: {self.hits:,} hits>"


def _is_doubtful(page: Page[Any]) -> bool:
    """Return True for a page that denies its own total: the next reply may be another one."""
    # Most pages have items and a next page: they deny nothing.
    return (not page.has_next_page or not page.items) and page.denies_total
