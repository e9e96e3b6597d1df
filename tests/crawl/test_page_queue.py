"""The queue between a crawl and a caller who takes page by page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.support.crawls import FakeSession, tasks
from tmapi_async import (
    ClosedError,
    EndlessListingError,
    GuardPolicy,
    ListingOutcome,
    Page,
    PageRequest,
    ServerError,
    category_items,
)
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.crawl.page_queue import OrderedPageQueue, PageQueue

A, B = category_items(1), category_items(2)


def started(queue: PageQueue, session: Any, *listings: Any, **options: Any) -> PageQueue:
    """Start a crawl of listings, without look-ahead, into a queue."""
    source: Any = tasks(*listings)
    queue.start(Crawler(session, Frontier(lookahead=0), source, queue, **options))
    return queue


async def taken(queue: PageQueue) -> list[Page]:
    """Take all pages."""
    pages = []
    while (page := await queue.next()) is not None:
        pages.append(page)
    return pages


async def test_pages_come_in_order_and_are_counted_when_they_are_taken():
    """The counts follow the caller, not the wire: an item counts once its page was taken."""
    queue = started(PageQueue(), FakeSession(5), A)
    page = await queue.next()
    assert page is not None
    assert (page.number, queue.counts.pages, queue.counts.items) == (1, 1, 3)
    assert [page.number for page in await taken(queue)] == [2, 3, 4, 5]
    counts = queue.statistics()
    assert (counts.pages, counts.items, counts.unique_items, counts.duplicates) == (5, 15, 11, 4)
    assert (counts.listings, counts.complete, counts.waiting) == (1, 1, 0)


async def test_unique_drops_items_that_the_listing_has_shown():
    """Items shown before are dropped, and still counted as duplicates."""
    queue = started(PageQueue(unique=True), FakeSession(4), A)
    ids = [item.item_id for page in await taken(queue) for item in page.items]
    assert ids == list(range(1, 10))
    assert queue.counts.duplicates == 3


@pytest.mark.parametrize("unique", [False, True])
async def test_a_page_with_repeats_that_waits_is_not_counted(unique):
    """Counts are those of the pages taken, also while others wait and after they were dropped."""
    queue = started(PageQueue(unique=unique), FakeSession(4, width=3), A)
    expected = []
    for page in (1, 2, 3):
        await queue.next()
        await asyncio.sleep(0.01)  # the next page waits in the queue
        counts = queue.counts
        expected.append((page, 3 * page, 2 * page + 1, page - 1, 0))
        assert msgspec.structs.astuple(counts)[6:] == expected[-1]
    assert queue.pages == 1
    await queue.close()
    assert msgspec.structs.astuple(queue.counts)[6:] == expected[-1]


async def test_a_page_that_waits_for_an_earlier_listing_is_not_counted():
    """In an ordered walk, a page counts as well once it was taken, and not while it is early."""

    class Slow(FakeSession):
        async def fetch(self, request: PageRequest, state: object) -> Page:
            if request.listing == A:
                await released.wait()
            return await super().fetch(request, state)

    released, queue = asyncio.Event(), OrderedPageQueue()
    source: Any = queue.tasks(tasks(A, B))  # type: ignore[arg-type]
    session: Any = Slow(1)
    queue.start(Crawler(session, Frontier(lookahead=0), source, queue))
    await asyncio.sleep(0.01)
    assert (session.sent, queue.statistics().pages, queue.statistics().items) == (1, 0, 0)
    released.set()
    assert [page.request.listing for page in await taken(queue)] == [A, B]
    assert (queue.statistics().pages, queue.statistics().items) == (2, 6)


async def test_an_ordered_walk_counts_an_item_that_is_twice_on_a_page():
    """Such an item is a duplicate, in an ordered walk as in any other."""

    class Twice(FakeSession):
        async def fetch(self, request: PageRequest, state: object) -> Page:
            page = await super().fetch(request, state)
            return msgspec.structs.replace(page, items=[*page.items, page.items[0]])

    for queue in (OrderedPageQueue(), PageQueue()):
        is_ordered = isinstance(queue, OrderedPageQueue)
        source: Any = queue.tasks(tasks(A, B)) if is_ordered else tasks(A, B)  # type: ignore[arg-type]
        session: Any = Twice(1)
        queue.start(Crawler(session, Frontier(lookahead=0), source, queue))
        counts = []
        while await queue.next() is not None:
            counts.append((queue.counts.items, queue.counts.unique_items, queue.counts.duplicates))
        assert counts == [(4, 3, 1), (8, 6, 2)]


async def test_an_outcome_is_reported_after_the_last_page_was_taken():
    """The caller has taken all pages of a listing before its outcome is reported."""
    ended: list[ListingOutcome] = []
    queue = started(PageQueue(on_end=ended.append), FakeSession(2), A)
    await queue.next()
    await asyncio.sleep(0.01)  # the crawl has ended by now
    await queue.next()
    assert ended == []
    assert await queue.next() is None
    assert [outcome.ending for outcome in ended] == ["complete"]


async def test_a_listing_with_pages_left_in_the_queue_was_stopped():
    """A page that nobody took must not look walked."""
    ended: list[ListingOutcome] = []
    queue = started(PageQueue(on_end=ended.append), FakeSession(2, width=4), A)
    await queue.next()
    await asyncio.sleep(0.01)
    assert queue.pages == 1
    await queue.close()
    assert [outcome.ending for outcome in ended] == ["stopped"]
    assert (queue.counts.complete, queue.counts.stopped, queue.counts.pages) == (0, 1, 1)
    with pytest.raises(ClosedError):
        await queue.next()


@pytest.mark.parametrize("width", [1, 3, 8])
async def test_a_caller_who_takes_nothing_stops_the_crawl(width):
    """At most about two widths are requested for a caller who does not take pages."""
    session = FakeSession(1000, width=width)
    queue = started(PageQueue(), session, A)
    await queue.next()
    await asyncio.sleep(0.05)
    assert session.sent <= 2 * width + 2
    await queue.close()


async def test_a_backlog_of_the_caller_stops_the_crawl():
    """Pages that the caller has taken and not finished with count like waiting ones."""
    session = FakeSession(1000)
    queue = started(PageQueue(backlog=lambda: 4), session, A)
    await asyncio.sleep(0.01)
    assert session.sent == 0
    await queue.close()


async def test_an_error_is_raised_after_the_last_page():
    """Pages before the failed one are delivered first; one listing raises its own error."""
    queue = started(PageQueue(), FakeSession(9, failing=3), A)
    assert [page.number for page in (await queue.next(), await queue.next()) if page] == [1, 2]
    with pytest.raises(ServerError):
        await queue.next()
    assert queue.statistics().failed == 1


async def test_a_loop_is_reported_as_an_endless_listing():
    """A listing that shows nothing new for long is ended by the guard."""
    session = FakeSession(10**6)
    queue = started(PageQueue(), session, A, guard=GuardPolicy(same=1))
    with pytest.raises(EndlessListingError):
        await taken(queue)


async def test_parts_are_not_counted_but_the_listing_that_was_split():
    """Distinct items of a split listing are counted across its parts, once they have ended."""
    queue = PageQueue(split=True)
    source: Any = (ListingTask(listing=listing, part=True) for listing in (A, B))

    async def parts() -> AsyncIterator[ListingTask]:
        for task in source:
            yield task

    parts_source: Any = parts()
    session: Any = FakeSession(2)
    crawler = Crawler(session, Frontier(lookahead=0), parts_source, queue)
    queue.start(crawler)
    assert len(await taken(queue)) == 4
    assert queue.statistics().listings == queue.counts.unique_items == 0
    outcome = ListingOutcome(A, "complete", 4, 12, 5, 7, 0)
    crawler.count_split(outcome)
    queue.count_split(outcome)
    counts = queue.statistics()
    assert (counts.listings, counts.complete, counts.unique_items, counts.duplicates) == (
        1,
        1,
        5,
        7,
    )
