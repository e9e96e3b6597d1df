"""A page that is not in the cache waits until it is announced, or taken back."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from tests.support.virtual_time import run, settle
from tmapi_async.crawl.page_cache.cached_listing import CachedListing


def hit(number: int, *, more: bool) -> Any:
    """Return a page from the cache."""
    return SimpleNamespace(number=number, has_next_page=more)


async def test_look_ahead_waits_for_the_pages_before_it() -> None:
    """The first missing page that is announced opens the rest of the listing."""
    listing = CachedListing(1)
    listing.decide(0.0, from_cache=True)
    tasks = [asyncio.ensure_future(listing.missing(number)) for number in (3, 4)]
    await settle()
    assert not any(task.done() for task in tasks)
    listing.add_hit(hit(1, more=True))
    await settle()
    assert not any(task.done() for task in tasks)
    listing.add_hit(hit(2, more=True))
    await settle()
    assert all(task.done() for task in tasks)
    assert listing.is_open
    await listing.missing(9)


async def test_page_past_the_end_waits_until_it_is_taken_back() -> None:
    """The crawler cancels the task; the tasks of other pages are not hurt."""
    listing = CachedListing(1)
    listing.decide(0.0, from_cache=True)
    tasks = [asyncio.ensure_future(listing.missing(number)) for number in (2, 3)]
    await settle()
    listing.add_hit(hit(1, more=False))
    await settle()
    tasks[0].cancel()
    await settle()
    assert tasks[0].cancelled()
    assert not tasks[1].done()
    tasks[1].cancel()
    await asyncio.wait(tasks)


def test_page_that_nobody_announces_is_requested_after_a_while() -> None:
    """Whatever happens, no walk hangs."""
    listing = CachedListing(1)
    listing.decide(0.0, from_cache=True)

    async def wait() -> None:
        await asyncio.wait_for(listing.missing(5), 2)

    run(wait())
    assert listing.is_open


async def test_other_pages_wait_for_the_look_up_of_the_first() -> None:
    """All learn how old they may be; a cancelled one does not end the wait of the others."""
    listing = CachedListing(1)
    tasks = [asyncio.ensure_future(listing.decided()) for _ in range(3)]
    await settle()
    tasks[0].cancel()
    await settle()
    listing.decide(7.0, from_cache=False)
    assert await asyncio.gather(*tasks[1:]) == [7.0, 7.0]
    assert listing.is_open
