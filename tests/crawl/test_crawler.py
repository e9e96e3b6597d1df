"""A crawler that hands every page to a sink."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.support.crawls import FakeSession, Rows, TotalSession, tasks
from tmapi_async import (
    BalanceError,
    ClosedError,
    IncompleteListingError,
    ListingOutcome,
    ListingsFailedError,
    Page,
    PageRequest,
    ServerError,
    TMAPIError,
    category_items,
)
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.errors import ChangedShapeError

A, B = category_items(1), category_items(2)


class Recording(CrawlSink):
    """Keeps what a crawl hands over, in order."""

    def __init__(self, pending: int = 0, *, resumable: bool = False) -> None:
        self.events: list[tuple[str, object]] = []
        self.unfinished = pending
        self._resumable = resumable

    @property
    def resumable(self) -> bool:
        """True if another crawl continues this one."""
        return self._resumable

    @property
    def pending(self) -> int:
        """Number of pages that the test has not finished with."""
        return self.unfinished

    def page(self, page: Page) -> None:
        """Keep the number of a page."""
        self.events.append(("page", page.number))

    def failed(self, request: PageRequest, error: TMAPIError) -> None:  # noqa: ARG002
        """Keep the number of a failed page."""
        self.events.append(("failed", request.number))

    def ended(self, outcome: ListingOutcome) -> None:
        """Keep an ending."""
        self.events.append(("ended", outcome.ending))


def crawler(session: Any, sink: CrawlSink, *listings: Any) -> Crawler:
    """Make a crawler without look-ahead."""
    source: Any = tasks(*listings)
    return Crawler(session, Frontier(lookahead=0), source, sink)


async def test_the_pages_of_a_listing_come_before_its_outcome():
    """A journal may close a listing with its outcome: no page follows."""
    sink = Recording()
    crawl = crawler(FakeSession(3), sink, A)
    await crawl.run()
    assert sink.events == [("page", 1), ("page", 2), ("page", 3), ("ended", "complete")]
    assert (crawl.counts.pages, crawl.counts.complete, crawl.request_counts().wasted) == (3, 1, 0)


async def test_a_page_that_fails_is_reported_before_its_listing():
    """The sink can store which page is missing, and why."""
    sink = Recording()
    with pytest.raises(ServerError):
        await crawler(FakeSession(5, failing=2), sink, A).run()
    assert sink.events == [("page", 1), ("failed", 2), ("ended", "failed")]


async def test_several_failed_listings_are_raised_together():
    """All listings are walked before the error is raised."""
    sink = Recording()
    with pytest.raises(ListingsFailedError):
        await crawler(FakeSession(2, failing=1), sink, A, B).run()
    assert sink.events.count(("ended", "failed")) == 2


async def test_pending_pages_hold_the_crawl_until_it_is_pumped():
    """Two widths of pages that are not durable are the most that a kill may cost."""
    sink, session = Recording(pending=4), FakeSession(3)
    crawl = crawler(session, sink, A)
    run = asyncio.ensure_future(crawl.run())
    await asyncio.sleep(0.01)
    assert (session.sent, run.done()) == (0, False)
    sink.unfinished = 0
    crawl.pump()
    await run
    assert session.sent == 3


async def test_no_request_is_begun_for_the_slot_of_a_page_that_the_sink_holds():
    """It would only wait: the crawl goes on when the sink has given the slots back."""
    sink, session = Recording(pending=2), FakeSession(3)
    sink.held_pages = 2
    crawl = crawler(session, sink, A)
    run = asyncio.ensure_future(crawl.run())
    await asyncio.sleep(0.01)
    assert (session.sent, run.done()) == (0, False)
    sink.held_pages = sink.unfinished = 0
    crawl.pump()
    await run
    assert session.sent == 3


async def test_an_error_that_halts_says_how_far_the_work_came():
    """The account is refused: every listing stops, and the error names the rest."""
    session: Any = FakeSession(9)
    fetch = session.fetch

    async def fetch_until_spent(request, state):
        if request.number > 2:
            raise BalanceError("spent", code=439)
        return await fetch(request, state)

    session.fetch = fetch_until_spent
    sink = Recording()
    with pytest.raises(BalanceError) as caught:
        await crawler(session, sink, A).run()
    assert caught.value.progress is not None
    assert (caught.value.progress.pages, caught.value.progress.open_count) == (2, 1)
    assert sink.events[-1] == ("ended", "stopped")


async def test_a_listing_can_be_ended_as_failed_from_outside():
    """A recorder that finds a changed row shape gives the listing up."""
    sink = Recording()
    crawl = crawler(FakeSession(10**6), sink, A)
    run = asyncio.ensure_future(crawl.run())
    await asyncio.sleep(0.01)
    crawl.fail(A, ServerError("changed", code=500))
    with pytest.raises(ServerError, match="changed"):
        await run
    assert ("ended", "failed") in sink.events


async def test_a_closed_crawl_does_not_look_complete():
    """Closed by another task, `run` raises, and open listings were stopped."""
    sink = Recording()
    crawl = crawler(FakeSession(10**6), sink, A)
    run = asyncio.ensure_future(crawl.run())
    await asyncio.sleep(0.01)
    await crawl.close()
    with pytest.raises(ClosedError):
        await run
    assert sink.events[-1] == ("ended", "stopped")


def listing_of(pages: int, total: int, *, rows: int = 20) -> dict[int, list[Rows]]:
    """Return the replies of a listing: full pages, and a last page that says so."""
    return {number: [(rows, number < pages, total)] for number in range(1, pages + 1)}


SHORT = {
    "empty first page": {1: [(0, False, 500)]},
    "three rows stated, none sent": {1: [(0, False, 3)]},
    "3 of 25 pages": listing_of(3, 500),
    "empty page in the middle": {**listing_of(25, 500), 3: [(0, False, 500)]},
    "every page short": listing_of(25, 500, rows=15),
}


@pytest.mark.parametrize("replies", SHORT.values(), ids=SHORT)
async def test_a_listing_that_its_own_total_denies_is_not_complete(replies):
    """The error names both numbers.

    Sources of the kind: iiasa/ixmp4#170, woocommerce/woocommerce-rest-api#103.
    """
    sink, session = Recording(), TotalSession(replies)
    total = replies[1][0][2]
    with pytest.raises(
        IncompleteListingError, match=f"total_count says {total} rows, and \\d+ came"
    ):
        await crawler(session, sink, A).run()
    assert sink.events[-1] == ("ended", "failed")


NEAR = {
    "a row left while the listing was read": {**listing_of(25, 500), 25: [(19, False, 500)]},
    "pages a row short": listing_of(25, 500, rows=19),
    "the total fell at the end": {**listing_of(25, 500), 25: [(1, False, 481)]},
    "more than the ceiling shows": listing_of(100, 7000),
    "no total": listing_of(3, 0),
}


@pytest.mark.parametrize("replies", NEAR.values(), ids=NEAR)
async def test_a_live_ranking_may_miss_some_rows_of_its_total(replies):
    """Rows leave while the pages are read: a tenth of the total may be missing."""
    sink, session = Recording(), TotalSession(replies)
    await crawler(session, sink, A).run()
    assert sink.events[-1] in (("ended", "complete"), ("ended", "capped"))
    assert session.sent == len(replies)


async def test_a_page_that_denies_its_own_total_is_requested_once_more():
    """A reply of a moment must not end a listing; its second reply goes on."""
    replies = listing_of(4, 80)
    replies[2] = [(0, False, 80), (20, True, 80)]
    sink, session = Recording(), TotalSession(replies)
    await crawler(session, sink, A).run()
    assert sink.events[-1] == ("ended", "complete")
    assert (session.sent, [name for name, _ in sink.events].count("page")) == (5, 4)


async def test_no_more_than_three_pages_of_a_listing_are_requested_once_more():
    """Every request may be paid for: a server whose totals are wrong costs little."""
    replies: dict[int, list[Rows]] = {n: [(0, n < 9, 500)] for n in range(1, 10)}
    session = TotalSession(replies)
    with pytest.raises(IncompleteListingError):
        await crawler(session, Recording(), A).run()
    assert session.sent <= len(replies) + 3


async def test_a_page_is_kept_if_it_cannot_be_requested_once_more():
    """The first reply was paid for, whatever becomes of the second request."""
    session: Any = TotalSession(listing_of(3, 500))
    fetch = session.fetch

    async def fetch_until_spent(request, state):
        if session.sent >= 3:
            raise BalanceError("spent", code=439)
        return await fetch(request, state)

    session.fetch = fetch_until_spent
    sink = Recording()
    with pytest.raises(IncompleteListingError):
        await crawler(session, sink, A).run()
    assert sink.events.count(("page", 3)) == 1


async def test_a_listing_of_rejects_alone_is_not_complete():
    """No row could be read: a consumer would take the empty result for an empty category."""
    sink, session = Recording(), TotalSession(listing_of(3, 0, rows=5), readable=False)
    with pytest.raises(ChangedShapeError, match="none of the 15 rows"):
        await crawler(session, sink, A).run()
    assert sink.events[-1] == ("ended", "failed")


class RepeatingSession(FakeSession):
    """Answers pages past the end with the rows of the last page."""

    async def fetch(self, request, state):
        """Return the page; all but the last page wait a little."""
        shown = PageRequest(request.listing, min(request.number, self.pages))
        for _ in range(3 * (request.number <= self.pages)):
            await asyncio.sleep(0)
        page = await super().fetch(shown, state)
        return msgspec.structs.replace(page, request=request)


def guessing(session, sink, lookahead):
    """Make a crawler of listing A that guesses so many pages ahead."""
    source: Any = tasks(A)
    return Crawler(session, Frontier(lookahead=lookahead), source, sink)


async def test_a_page_past_the_end_that_repeats_rows_is_wasted():
    """Rows that were shown already, under a page number that does not exist, reach no sink."""
    sink = Recording()
    session = RepeatingSession(3, width=8)
    crawl = guessing(session, sink, 6)
    await crawl.run()
    assert sorted(sink.events[:-1]) == [("page", 1), ("page", 2), ("page", 3)]
    assert sink.events[-1] == ("ended", "complete")
    assert session.sent == crawl.counts.pages + crawl.request_counts().wasted


async def test_an_unproven_page_with_new_rows_is_delivered():
    """The last page is kept though the page before it failed, and could not announce it."""
    sink = Recording()
    crawl = guessing(FakeSession(5, width=8, failing=4), sink, 3)
    with pytest.raises(ServerError):
        await crawl.run()
    assert [event for event in sink.events if event[0] == "page"] == [
        ("page", number) for number in (1, 2, 3, 5)
    ]


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_crawl_that_continues_later_takes_no_unproven_page(resumable):
    """Whether an early last page exists is known only with the pages before it."""
    sink = Recording(resumable=resumable)
    session = FakeSession(4, width=8)
    crawl = guessing(session, sink, 6)
    real = session.fetch

    async def fetch(request, state):
        if request.number == 3:
            for _ in range(20):  # pages 1, 2 and 4 come meanwhile
                await asyncio.sleep(0)
            crawl.stop()
            raise BalanceError("spent", code=439)
        return await real(request, state)

    session.fetch = fetch  # type: ignore[method-assign]
    with pytest.raises(BalanceError):
        await crawl.run()
    assert (("page", 4) not in sink.events) is resumable
    assert sink.events[-1] == ("ended", "stopped")
    assert crawl.request_counts().wasted == (1 if resumable else 0)
