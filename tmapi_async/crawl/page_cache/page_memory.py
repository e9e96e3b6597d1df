"""Decoded pages of this process. No I/O.

Decoding a page costs more than reading it from a file. Pages that are asked for again and again
are therefore kept decoded, up to a number of bytes.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from msgspec.structs import force_setattr

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page

MEMORY_BYTES = 64 * 2**20
"""Estimated bytes of all decoded pages together."""

_DECODED = 3  # measured: a decoded page of 20 items with its body takes three times its body
_OVERHEAD = 1024


class _KeptPage(NamedTuple):
    page: Page[Any]
    fetched_at: float
    size: int


class PageMemory:
    """Keeps decoded pages, the latest used ones, within a number of bytes.

    Args:
        limit: Estimated bytes of all pages together.
    """

    def __init__(self, limit: int = MEMORY_BYTES) -> None:
        self._limit = limit
        self._size = 0
        self._pages: dict[PageRequest, _KeptPage] = {}  # the latest used one is the last

    def __len__(self) -> int:
        return len(self._pages)

    def get(self, request: PageRequest, oldest: float) -> Page[Any] | None:
        """Return a page; None if it is not here or older.

        Args:
            request: The page request.
            oldest: Earliest time at which the page may have been fetched, seconds since 1970.
        """
        kept = self._pages.get(request)
        if kept is None or kept.fetched_at < oldest:
            return None
        self._pages[request] = self._pages.pop(request)
        return kept.page

    def put(self, page: Page[Any], fetched_at: float) -> bool:
        """Keep a page. Return False if the same page or a later one is here.

        Args:
            page: The page. Its lists are copied: they belong to the caller.
            fetched_at: Its time, seconds since 1970.
        """
        kept = self._pages.get(page.request)
        if kept is not None:
            if kept.fetched_at >= fetched_at:
                return False
            self._drop(page.request)
        size = _DECODED * len(page.body) + _OVERHEAD
        if size <= self._limit:
            kept_page = own_copy(page, 0.0)
            force_setattr(kept_page, "from_cache", True)
            force_setattr(kept_page, "attempts", 0)
            force_setattr(kept_page, "latency", 0.0)
            self._pages[page.request] = _KeptPage(kept_page, fetched_at, size)
            self._size += size
        while self._size > self._limit:
            self._drop(next(iter(self._pages)))
        return True

    def clear(self) -> None:
        """Forget all pages."""
        self._pages.clear()
        self._size = 0

    def _drop(self, request: PageRequest) -> None:
        self._size -= self._pages.pop(request).size


def own_copy(page: Page[Any], age: float) -> Page[Any]:
    """Return a page from the cache with lists of its own, which its receiver may change."""
    copied = copy.copy(page)
    # The copy is new: nobody else has it yet. `msgspec.structs.replace` takes four times as long.
    force_setattr(copied, "items", page.items.copy())
    force_setattr(copied, "rejects", page.rejects.copy())
    force_setattr(copied, "age", age)
    return copied
