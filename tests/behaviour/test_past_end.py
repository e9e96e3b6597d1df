"""Servers that answer pages past the end with the rows of an earlier page."""

from __future__ import annotations

import contextlib

import pytest

from tests.behaviour.test_every_endpoint import ASK, SEVEN
from tests.support.harvesting import harvest, stored
from tests.support.watching import client, ids_by_category, truth
from tmapi_async import TMAPI
from tmapi_async.crawl.splitting.driver import Split
from tmapi_async.errors import BudgetSpentError
from tmapi_async.sandbox import Prices

pytestmark = pytest.mark.usefixtures("tidy")

KINDS = pytest.mark.parametrize("past_end", ["last", "first"])
SIZES = {number: 20 * (number % 9) + number % 3 * 7 + 100 for number in range(1, 41)}


def past_the_end(sandbox):
    """Return the number of replies for pages past the end of their listings."""
    return sum(
        times
        for listing, pages in sandbox.stats.served.items()
        for number, times in pages.items()
        if number > sandbox.catalogue.pages(listing.cat_id)
    )


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("sigma", [0.0, 1.0])
async def test_pages_past_the_end_are_wasted_and_never_delivered(tmapi_sandboxes, past_end, sigma):
    """Rows of the last or the first page, shown again, end no listing late and come once."""
    sandbox = await tmapi_sandboxes(
        categories=SIZES, past_end=past_end, latency=0.004, latency_sigma=sigma
    )
    found: dict[int, list[int]] = {}
    async with client(sandbox) as api, api.category_items(list(SIZES)) as walk:
        await ids_by_category(walk.pages(), found)
        seen = walk.statistics()
    assert {cat_id: sorted(ids) for cat_id, ids in found.items()} == {
        cat_id: sorted(ids) for cat_id, ids in truth(sandbox).items()
    }
    assert (seen.complete, seen.items) == (len(SIZES), seen.unique_items)
    assert past_the_end(sandbox) <= seen.wasted <= max(0.02 * seen.requests, 8 / 2)


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("name", ASK)
async def test_repeats_past_the_end_are_told_on_each_endpoint(tmapi_sandboxes, name, past_end):
    """Whatever tells the end, and however far is guessed: each row comes once, in its place."""
    ask, _ = ASK[name]
    sandbox = await tmapi_sandboxes(**SEVEN, past_end=past_end)
    pages = sandbox.catalogue.pages(7)
    async with TMAPI("sandbox", base_url=sandbox.url, lookahead=6) as api, ask(api) as walk:
        items = [item.item_id async for item in walk]
        seen = walk.statistics()
    assert items == sandbox.catalogue.item_ids(7)
    assert (seen.pages, seen.complete) == (pages, 1)
    assert seen.wasted >= sandbox.stats.pages_served - pages


@pytest.mark.slow
@KINDS
async def test_a_stopped_harvest_stores_no_page_that_does_not_exist(
    tmapi_sandboxes, past_end, path
):
    """A harvest that is stopped again and again holds exactly the pages of its listings."""
    sizes = dict.fromkeys(range(1, 7), 230)
    sandbox = await tmapi_sandboxes(categories=sizes, past_end=past_end, latency=0.002)
    for _ in range(20):
        with contextlib.suppress(BudgetSpentError):
            await harvest(sandbox, path, api={"max_requests": 13, "lookahead": 5})
    result = await harvest(sandbox, path, api={"lookahead": 5})
    assert result.complete
    assert result.tally.items == result.tally.unique_items == sum(sizes.values())
    pages = [(visit, number) for visit in sizes for number in range(1, 13)]
    assert sorted(stored(path)) == pages


@pytest.mark.slow
@KINDS
async def test_parts_of_a_divided_listing_are_read_to_their_ends(tmapi_sandboxes, past_end):
    """Repeats past the end of a part neither hide nor repeat a row of the whole listing."""
    sandbox = await tmapi_sandboxes(
        categories={7: 900},
        prices={7: Prices.parse("20,1.0,9.90:180")},
        ceiling=100,
        past_end=past_end,
    )
    async with client(sandbox) as api:
        walk = api.category_items_v2(7, split=Split(ceiling=100))
        items = [item.item_id async for item in walk]
        (result,) = walk.reconciliations
    assert sorted(items) == sorted(sandbox.catalogue.item_ids(7))
    assert result.complete
