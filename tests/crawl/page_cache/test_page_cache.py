"""The page cache of one client, over stores that a test controls."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.sessions import page as page_body
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.page_cache.page_cache import PageCache
from tmapi_async.crawl.page_cache.stores import StoredReply

TOKEN = "t0ken"  # noqa: S105 - opens nothing
FIRST = PageRequest(category_items(5), 1)


class NearDict:
    """Replies in memory."""

    def __init__(self) -> None:
        self.replies: dict[PageRequest, StoredReply] = {}
        self.looked = 0
        self.closed = False
        self.on_emptied: Any = None

    async def open(self, origin: str) -> None:
        """Open nothing."""

    def keep(self, request: PageRequest, reply: StoredReply) -> None:
        """Keep a reply."""
        self.replies[request] = reply

    def find(self, request: PageRequest) -> StoredReply | None:
        """Find a reply."""
        self.looked += 1
        return self.replies.get(request)

    async def close(self) -> None:
        """Close nothing."""
        self.closed = True

    def abandon(self) -> None:
        """Close nothing."""
        self.closed = True


class FarNever(NearDict):
    """A server that never answers."""

    find = None  # type: ignore[assignment]

    async def fetch(self, _: PageRequest) -> StoredReply | None:
        """Wait for ever."""
        self.looked += 1
        await asyncio.Event().wait()
        return None


def cache_of(store: Any) -> PageCache:
    """Return a cache at the time 1000."""
    return PageCache(
        store, origin="host", secret=TOKEN, max_age=60, stale_if_error=0, clock=lambda: 1000.0
    )


def test_reply_from_the_future_is_not_believed() -> None:
    """The clock of another machine may be ahead by seconds, and not by hours."""
    store = NearDict()
    for fetched_at, is_taken in ((1000.0, True), (1030.0, True), (5000.0, False)):
        cache = cache_of(store)
        store.replies[FIRST] = StoredReply(fetched_at, page_body(1))
        page = cache.find(FIRST, 0.0)
        assert (page is not None) is is_taken
        if page is not None:
            assert page.age == 0


def test_reply_that_cannot_be_read_any_more_is_not_taken() -> None:
    """Another version may have kept it: the page is requested."""
    store = NearDict()
    store.replies[FIRST] = StoredReply(990.0, b"not JSON")
    assert cache_of(store).find(FIRST, 0.0) is None


def test_page_that_is_read_again_is_kept_decoded() -> None:
    """A walk over many pages reads each once, and keeps none of them in memory."""
    store = NearDict()
    store.replies[FIRST] = StoredReply(990.0, page_body(1))
    cache = cache_of(store)
    for looked in (1, 2, 2, 2):
        assert cache.find(FIRST, 0.0) is not None
        assert store.looked == looked
    store.on_emptied()
    del store.replies[FIRST]
    assert cache.find(FIRST, 0.0) is None


def test_pages_seen_once_are_forgotten_in_their_order() -> None:
    """What is remembered of a long walk is bounded."""
    store = NearDict()
    cache = cache_of(store)
    requests = [PageRequest(category_items(number), 1) for number in range(1, 4099)]
    for request in requests:
        store.replies[request] = StoredReply(990.0, page_body(1))
        cache.find(request, 0.0)
    for request in (requests[0], requests[-1]):
        cache.find(request, 0.0)
    store.looked = 0
    cache.find(requests[0], 0.0)
    cache.find(requests[-1], 0.0)
    assert store.looked == 1


async def test_closed_cache_ends_look_ups_that_hang() -> None:
    """Nobody waits for ever; the tasks that looked request their page."""
    store = FarNever()
    cache = cache_of(store)
    assert cache.is_far
    assert cache.find(FIRST, 0.0) is None
    looks = [asyncio.ensure_future(cache.fetch(FIRST, 0.0)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cache.close()
    assert await asyncio.gather(*looks) == [None, None]
    assert (store.looked, store.closed) == (1, True)


async def test_near_store_is_never_waited_for() -> None:
    """It has no network behind it."""
    assert await cache_of(NearDict()).fetch(FIRST, 0.0) is None
