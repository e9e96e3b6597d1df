"""The statistics of walks and clients are true, and misuse raises an error."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.watching import all_slots_back, client, ids_by_category, truth, until
from tmapi_async import (
    BalanceError,
    ClosedError,
    InvalidRequestError,
    ListingsFailedError,
    WalkStatistics,
)
from tmapi_async.sandbox import Drift, Faults, Filters

pytestmark = pytest.mark.usefixtures("tidy")


async def test_every_ending_is_counted_once(tmapi_sandboxes):
    """Complete, capped and failed listings add up, and each page and code is the server's."""
    sandbox = await tmapi_sandboxes(
        categories={1: 0, 2: 20, 3: 21, 4: 45, 5: 400, 6: 60},
        faults=Faults(script={6: "422", (4, 2): ["417", "html"]}),
    )
    ended = []
    async with client(sandbox, lookahead="off") as api:
        walk = api.category_items([1, 2, 3, 4, 5, 6], max_pages=3, on_end=ended.append)
        with pytest.raises(ListingsFailedError):
            await ids_by_category(walk.pages())
        seen = walk.statistics()
        assert seen == WalkStatistics(
            listings=6,
            complete=4,
            capped=1,
            failed=1,
            stopped=0,
            pages=1 + 1 + 2 + 3 + 3,
            items=0 + 20 + 21 + 45 + 60,
            unique_items=146,
            duplicates=0,
            rejects=0,
            requests=13,
            retries=2,
            wasted=0,
            codes={"200": 10, "417": 1, "malformed": 1, "422": 1},
            in_flight=0,
            waiting=0,
        )
        assert sandbox.stats.requests == 13
        assert sandbox.stats.codes == {"200": 10, "417": 1, "html": 1, "422": 1}
        assert {outcome.listing.cat_id: outcome.ending for outcome in ended} == {
            1: "complete",
            2: "complete",
            3: "complete",
            4: "complete",
            5: "capped",
            6: "failed",
        }
        assert sum(outcome.pages for outcome in ended) == seen.pages
        assert sum(outcome.items for outcome in ended) == seen.items


@pytest.mark.parametrize("lookahead", ["auto", 2, 10])
async def test_pages_past_the_end_are_counted_as_wasted(tmapi_sandboxes, lookahead):
    """Every request is a page delivered, a retry or a wasted one; nothing else is paid for."""
    sandbox = await tmapi_sandboxes(categories={1: 200, 2: 20, 3: 90}, latency=0.001)
    async with client(sandbox, lookahead=lookahead) as api:
        walk = api.category_items([1, 2, 3])
        assert await ids_by_category(walk.pages()) == truth(sandbox)
        seen = walk.statistics()
        assert seen.requests == sandbox.stats.requests == seen.pages + seen.wasted
        assert seen.pages == 10 + 1 + 5


async def test_rows_that_cannot_be_read_are_rejects_and_lose_nothing(tmapi_sandboxes):
    """Bad rows come as rejects with their bytes and place; items and rejects add up to the rows."""
    sandbox = await tmapi_sandboxes(
        categories=20, mean=100, drift=Drift(rows=0.2, bad_rows=0.1, envelopes=0.3)
    )
    async with client(sandbox) as api:
        walk = api.category_items(sandbox.catalogue.category_ids)
        rows = 0
        async for page in walk.pages():
            assert sorted(page.positions() + [reject.position for reject in page.rejects]) == list(
                range(len(page.items) + len(page.rejects))
            )
            assert all(reject.raw in page.body and reject.reason for reject in page.rejects)
            rows += len(page.items) + len(page.rejects)
        seen = walk.statistics()
        assert (seen.complete, seen.failed) == (20, 0)
        assert seen.items + seen.rejects == rows == sandbox.catalogue.total_items
        assert seen.rejects > 0


@pytest.mark.parametrize(
    ("size", "ending"), [(1980, "complete"), (2000, "capped"), (2001, "complete")]
)
async def test_a_listing_of_exactly_the_usual_ceiling_is_capped(tmapi_sandboxes, size, ending):
    """2,000 rows are a ceiling, not a count: such a listing is capped, one more or less is not."""
    sandbox = await tmapi_sandboxes(categories={1: size})
    ended = []
    async with client(sandbox) as api:
        found = await ids_by_category(api.category_items(1, on_end=ended.append).pages())
        assert found == truth(sandbox)
    assert [outcome.ending for outcome in ended] == [ending]


async def test_the_ceiling_counts_from_the_start_of_the_listing(tmapi_sandboxes):
    """A walk that starts in the middle of 2,000 rows ends capped too."""
    sandbox = await tmapi_sandboxes(categories={1: 2000})
    async with client(sandbox) as api:
        walk = api.category_items(1, start_page=91)
        assert await ids_by_category(walk.pages()) == {1: truth(sandbox)[1][1800:]}
        assert (walk.statistics().capped, walk.statistics().pages) == (1, 10)


async def test_max_pages_at_the_very_end_is_complete(tmapi_sandboxes):
    """A listing that ends at `max_pages` by the server's own word is complete."""
    sandbox = await tmapi_sandboxes(categories={1: 60, 2: 61})
    async with client(sandbox) as api:
        walk = api.category_items([1, 2], max_pages=3)
        found = await ids_by_category(walk.pages())
        assert found == {1: truth(sandbox)[1], 2: truth(sandbox)[2][:60]}
        assert (walk.statistics().complete, walk.statistics().capped) == (1, 1)
        # Never a page beyond the cap, look-ahead or not.
        assert max(page for pages in sandbox.stats.asked.values() for page in pages) == 3


async def test_awaiting_a_walk_gives_its_first_page(tmapi_sandboxes):
    """`await` asks for one page, typed and located, and for nothing else."""
    sandbox = await tmapi_sandboxes(categories={1031910: 45})
    async with client(sandbox) as api:
        page = await api.category_items(1031910)
        assert (page.number, page.echoed_page, page.page_size) == (1, 1, 20)
        assert page.has_next_page
        assert [item.item_id for item in page.items] == truth(sandbox)[1031910][:20]
        assert page.request.listing.identity == "category/items?cat_id=1031910"
        last = await api.category_items(1031910, start_page=3)
        assert [item.item_id for item in last.items] == truth(sandbox)[1031910][40:]
        assert not last.has_next_page
        beyond = await api.category_items(1031910, start_page=4)
        assert (beyond.items, beyond.has_next_page) == ([], False)
        assert sandbox.stats.requests == 3


async def test_a_walk_can_start_at_a_later_page(tmapi_sandboxes):
    """`start_page` leaves the pages before it out, and does not ask for them."""
    sandbox = await tmapi_sandboxes(categories={1: 100})
    async with client(sandbox) as api:
        assert await ids_by_category(api.category_items(1, start_page=4).pages()) == {
            1: truth(sandbox)[1][60:]
        }
        beyond = api.category_items(1, start_page=9)
        assert await ids_by_category(beyond.pages()) == {1: []}
        assert beyond.statistics().complete == 1
        assert min(page for pages in sandbox.stats.asked.values() for page in pages) == 4


async def test_filters_reach_the_server_and_belong_to_the_listing(tmapi_sandboxes):
    """A filter changes what comes, is sent in lower case, and shows in the listing's identity."""
    sandbox = await tmapi_sandboxes(categories={1: 300})
    async with client(sandbox) as api:
        walk = api.category_items(1, free_shipping=True, super_factory=False)
        pages = [page async for page in walk.pages()]
        assert pages[0].request.listing.identity == (
            "category/items?cat_id=1&free_shipping=true&super_factory=false"
        )
        wanted = sandbox.catalogue.item_ids(1, Filters(free_shipping=True, super_factory=False))
        assert [item.item_id for page in pages for item in page.items] == wanted
        assert 0 < len(wanted) < 300


async def test_the_gate_tells_what_it_does(tmapi_sandboxes):
    """Width, slots in use and those that wait are those of the moment."""
    sandbox = await tmapi_sandboxes(categories=20)
    async with client(sandbox, concurrency=3, max_requests=100) as api:
        assert (api.statistics().requests, api.statistics().budget_left) == (0, 100)
        sandbox.hold()
        firsts = [asyncio.create_task(_first(api, n)) for n in range(1, 8)]
        await sandbox.until(lambda seen: seen.in_flight == 3)
        now = api.statistics()
        assert (now.width, now.in_flight, now.waiting, now.ghosts) == (3, 3, 4, 0)
        assert (now.requests, now.budget_left, now.rate) == (3, 97, None)
        sandbox.release()
        await asyncio.gather(*firsts)
        await all_slots_back(api)
        assert api.statistics().requests == sandbox.stats.requests == 7


async def _first(api, cat_id):
    return await api.category_items(cat_id)


async def test_a_walk_can_be_walked_once(tmapi_sandboxes):
    """A second loop over the same walk is refused, and says what to do; nothing is sent for it."""
    sandbox = await tmapi_sandboxes(categories={1: 45})
    async with client(sandbox) as api:
        walk = api.category_items(1)
        await ids_by_category(walk.pages())
        sent = sandbox.stats.requests
        with pytest.raises(ClosedError, match="walked once"):
            await ids_by_category(walk.pages())
        with pytest.raises(ClosedError, match="walked once"):
            await anext(walk.items())
        closed = api.category_items(1)
        await closed.aclose()
        with pytest.raises(ClosedError):
            await anext(closed.items())
        assert sandbox.stats.requests == sent


async def test_a_client_that_is_not_open_says_so(tmapi_sandboxes):
    """Before `async with` and after it, walking is refused; nothing is sent."""
    sandbox = await tmapi_sandboxes(categories={1: 45})
    api = client(sandbox)
    with pytest.raises(ClosedError, match="async with"):
        await api.category_items(1)
    async with api:
        early = api.category_items(1)
    with pytest.raises(ClosedError):
        await anext(early.items())
    with pytest.raises(ClosedError):
        await api.category_items(1)
    assert sandbox.stats.requests == 0


async def test_a_client_can_be_opened_again(tmapi_sandboxes):
    """A client that was closed can be used in a second `async with`."""
    sandbox = await tmapi_sandboxes(categories={1: 45})
    api = client(sandbox)
    for _ in range(2):
        async with api:
            assert await ids_by_category(api.category_items(1).pages()) == truth(sandbox)


async def test_awaiting_many_is_refused(tmapi_sandboxes):
    """A first page belongs to one category: awaiting several says to use a loop."""
    sandbox = await tmapi_sandboxes(categories={1: 45})
    async with client(sandbox) as api:
        with pytest.raises(InvalidRequestError, match="async for"):
            await api.category_items([1, 2])
    assert sandbox.stats.requests == 0


async def test_no_ids_is_an_empty_walk(tmapi_sandboxes):
    """A walk over nothing ends at once, and sends nothing."""
    sandbox = await tmapi_sandboxes()
    async with client(sandbox) as api:
        walk = api.category_items([])
        assert await ids_by_category(walk.pages()) == {}
        assert walk.statistics() == WalkStatistics()
    assert sandbox.stats.requests == 0


async def test_only_what_was_taken_counts_as_delivered(tmapi_sandboxes):
    """A listing whose pages the caller never took is stopped, not complete, when a walk is left."""
    sandbox = await tmapi_sandboxes(categories={1: 5, 2: 6, 3: 7, 4: 8})
    ended = []
    async with client(sandbox) as api:
        async with api.category_items([1, 2, 3, 4], on_end=ended.append) as walk:
            pages = walk.pages()
            first = await anext(pages)
            await until(lambda: walk.statistics().waiting == 3)
            assert walk.statistics().complete == 0
            second = await anext(pages)
            assert walk.statistics().complete == len(ended) == 1
        taken = {page.request.listing for page in (first, second)}
        seen = walk.statistics()
        assert (seen.listings, seen.complete, seen.stopped) == (4, 2, 2)
        assert (seen.pages, seen.items) == (2, len(first.items) + len(second.items))
        assert seen.unique_items == seen.items
        assert {outcome.listing for outcome in ended if outcome.ending == "complete"} == taken
        assert len({outcome.listing for outcome in ended}) == len(ended) == 4


async def test_an_outcome_is_told_after_the_pages_were_taken(tmapi_sandboxes):
    """When `on_end` tells of a listing, the caller has taken all its pages before."""
    sandbox = await tmapi_sandboxes(
        categories=dict.fromkeys(range(1, 30), 45), faults=Faults(script={9: "422", (11, 2): "422"})
    )
    taken: dict[str, int] = {}
    told = []

    def on_end(outcome):
        told.append((outcome.pages, taken.get(outcome.listing.identity, 0)))

    async with client(sandbox) as api:
        walk = api.category_items(range(1, 30), on_end=on_end)
        with pytest.raises(ListingsFailedError):
            await _take_slowly(walk, taken)
    assert len(told) == 29
    assert all(pages == seen for pages, seen in told)


async def _take_slowly(walk, taken):
    async for page in walk.pages():
        for _ in range(20):
            await asyncio.sleep(0)
        identity = page.request.listing.identity
        taken[identity] = taken.get(identity, 0) + 1


@pytest.mark.parametrize("lookahead", ["auto", "off", 3, 7])
async def test_pages_that_came_ahead_are_not_thrown_away_when_work_is_halted(
    tmapi_sandboxes, lookahead
):
    """Paid pages are delivered even if an earlier page is missing. The error names that page."""
    sandbox = await tmapi_sandboxes(
        categories={1: 600, 2: 200}, slow=0.05, faults=Faults(script={(1, 4): "439"})
    )
    async with client(sandbox, lookahead=lookahead) as api:
        walk = api.category_items([1, 2])
        numbers: dict[int, list[int]] = {}
        with pytest.raises(BalanceError) as raised:
            await _note_numbers(walk, numbers)
        seen = walk.statistics()
        served = {listing.cat_id: sorted(pages) for listing, pages in sandbox.stats.served.items()}
        assert numbers == served
        assert numbers[1][:3] == [1, 2, 3]
        assert 4 not in numbers[1]
        assert all(found == sorted(found) for found in numbers.values())
        assert seen.pages == raised.value.progress.pages == sum(map(len, numbers.values()))
        assert "category/items?cat_id=1 from page 4" in raised.value.progress.open


async def _note_numbers(walk, numbers):
    async for page in walk.pages():
        numbers.setdefault(page.request.listing.cat_id, []).append(page.number)
