"""One listing of a walk whose pages may come from the cache."""

from __future__ import annotations

import asyncio
from typing import Any

from tmapi_async.api.replies import Page

_LONGEST_WAIT = 1.0
"""Seconds after which a page that nobody announces is requested all the same."""


class CachedListing:
    """Knows from when on pages may be taken, and how far the cache reaches.

    Look-ahead takes pages that may not exist. To request one would cost a request, and the cache
    may show a moment later that the listing ends before it. So a page that is not in the cache
    waits until a page before it announces it; if one of these says that it is the last one, the
    crawler takes the request back. Once an announced page is missing, nothing waits any more.

    Args:
        first: Number of the first page that the walk needs.

    Attributes:
        oldest: Earliest time at which a page may have been fetched, seconds since 1970; None until
            the first page has been looked up.
        is_open: True once a page of the listing had to be requested.
    """

    __slots__ = ("_announced", "_change", "is_open", "oldest")

    def __init__(self, first: int) -> None:
        self.oldest: float | None = None
        self.is_open = False
        self._announced = first
        self._change: asyncio.Future[None] | None = None

    def decide(self, oldest: float, *, from_cache: bool) -> None:
        """Set the earliest time of the pages.

        Args:
            oldest: The time, seconds since 1970.
            from_cache: True if the first page came from the cache.
        """
        self.oldest = oldest
        self.is_open = not from_cache
        self._wake()

    def add_hit(self, page: Page[Any]) -> None:
        """Note a page that came from the cache."""
        if page.has_next_page and page.number >= self._announced:
            self._announced = page.number + 1
            if self._change is not None:
                self._wake()

    async def decided(self) -> float:
        """Wait until the first page has been looked up; return the earliest time of the pages."""
        while self.oldest is None:
            await self._changed(None)
        return self.oldest

    async def missing(self, number: int) -> None:
        """Wait until a page that is not in the cache may be requested."""
        while not self.is_open and number > self._announced:
            if not await self._changed(_LONGEST_WAIT):
                break
        if not self.is_open:
            self.is_open = True
            self._wake()

    async def _changed(self, timeout: float | None) -> bool:  # noqa: ASYNC109 - passed on
        if self._change is None:
            self._change = asyncio.get_running_loop().create_future()
        # `await self._change` would pass a cancellation of one task on to all others.
        done, _ = await asyncio.wait([self._change], timeout=timeout)
        return bool(done)

    def _wake(self) -> None:
        change, self._change = self._change, None
        if change is not None:
            change.set_result(None)
