"""Splitting over real sockets: items beyond the ceiling are found, and completeness is proven."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tmapi_async import TMAPI, CategoryItemV2, InvalidRequestError
from tmapi_async.api.listings import category_items
from tmapi_async.crawl.splitting.driver import Split
from tmapi_async.errors import ChangedShapeError
from tmapi_async.harvest import Harvest, JournalReader
from tmapi_async.sandbox import Drift, Prices

pytestmark = pytest.mark.usefixtures("tidy")

LARGE = {"categories": {7: 15_000, 8: 45}, "prices": {7: Prices.parse("20,1.0,9.90:3000")}}
SMALL = {"categories": {7: 900, 8: 45}, "prices": {7: Prices.parse("20,1.0,9.90:180")}}
FEW = Split(ceiling=100)


def price(sandbox, item_id):
    """Return the price of an item in the sandbox."""
    return sandbox.catalogue.price(*sandbox.catalogue.locate(item_id))


def pages_served_twice(sandbox):
    """Return the page requests that were served more than once."""
    return [
        (listing.params, number)
        for listing, pages in sandbox.stats.served.items()
        for number, times in pages.items()
        if times > 1
    ]


@pytest.mark.slow
@pytest.mark.parametrize("bounds", ["inclusive", "exclusive", "half-open"])
async def test_fifteen_thousand_are_found_past_two_thousand(tmapi_sandboxes, bounds):
    """Each item comes once, for at most a quarter more pages, for any meaning of price bounds."""
    sandbox = await tmapi_sandboxes(**LARGE, price_bounds=bounds, limit=16)
    reports = []
    split = Split(on_expect=lambda listing, expected: reports.append((listing.cat_id, expected)))
    async with (
        TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api,
        api.category_items_v2(7, split=split) as walk,
    ):
        items = [item async for item in walk]
        statistics, (result,) = walk.statistics(), walk.reconciliations
    assert sorted(item.item_id for item in items) == sorted(sandbox.catalogue.item_ids(7))
    assert sandbox.stats.billed <= 15_000 / 20 * 1.25
    assert pages_served_twice(sandbox) == []
    assert result.complete
    assert result.distinct == statistics.unique_items == 15_000
    assert (statistics.listings, statistics.complete, statistics.capped) == (1, 1, 0)
    # The first report comes when the listing is found at the ceiling, the second when all fits.
    assert [cat_id for cat_id, _ in reports] == [7, 7]
    assert reports[-1][1].settled
    assert 0 < reports[-1][1].least < 937


async def test_without_split_a_listing_at_the_ceiling_is_capped(tmapi_sandboxes):
    """A listing at the ceiling ends capped, not complete."""
    sandbox = await tmapi_sandboxes(**LARGE)
    async with TMAPI("sandbox", base_url=sandbox.url) as api, api.category_items_v2(7) as walk:
        assert len([item async for item in walk]) == 2000
        assert walk.statistics().capped == 1


async def test_a_category_of_v1_is_divided_as_v2(tmapi_sandboxes):
    """v1 has no price filters: the same category is requested from v2, with its filters."""
    sandbox = await tmapi_sandboxes(**SMALL, ceiling=100)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.category_items([7, 8], super_factory=True, split=FEW)
        items = [item async for item in walk]
        assert {result.root.cat_id for result in walk.reconciliations} == {7, 8}
    assert all(isinstance(item, CategoryItemV2) for item in items)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        plain = {item.item_id async for item in api.category_items([7, 8], super_factory=True)}
    assert {item.item_id for item in items} == plain
    assert len(items) == len(plain)
    paths = {listing.path for listing in sandbox.stats.asked if len(listing.params) > 2}
    assert paths == {"/1688/category/items/v2"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_shifting_ranking_costs_half_a_percent_at_most(tmapi_sandboxes, seed):
    """With moving rows, 99.5 % of the items are found; missing ones are counted, not ignored."""
    sandbox = await tmapi_sandboxes(**LARGE, seed=seed, shift=5.0, shift_ties=True, limit=16)
    reports = []
    split = Split(on_expect=lambda _, expected: reports.append((sandbox.stats.requests, expected)))
    async with (
        TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api,
        api.category_items_v2(7, split=split) as walk,
    ):
        ids = {item.item_id async for item in walk}
        (result,) = walk.reconciliations
    truth = set(sandbox.catalogue.item_ids(7))
    assert ids <= truth
    assert len(ids) >= 0.995 * len(truth)
    assert result.distinct == len(ids)
    assert result.promised < 15_100  # inner pieces are not added
    # Second walks cost requests, so they are reported, too.
    second_walks = [expected.second for _, expected in reports if expected.settled]
    assert second_walks == sorted(set(second_walks))
    assert second_walks[-1] > 0
    spent, last = reports[-1]
    assert abs(spent + last.least - sandbox.stats.billed) <= 16 + len(result.pieces)
    if ids != truth:
        # At 9.90, which fills the ceiling, no total is exact; missing items of other prices count.
        countable = [id_ for id_ in truth - ids if price(sandbox, id_) != Decimal("9.90")]
        assert not result.complete
        assert result.missing >= len(countable)
        assert "uncertain" in str(result)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_adverts_cost_neither_requests_nor_the_proof(tmapi_sandboxes, seed):
    """An advert on each page is told from the page's own rows, so both orders overlap exactly."""
    sandbox = await tmapi_sandboxes(**LARGE, seed=seed, adverts=1, limit=16)
    async with (
        TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api,
        api.category_items_v2(7, split=True) as walk,
    ):
        ids = {item.item_id async for item in walk}
        (result,) = walk.reconciliations
    assert ids == set(sandbox.catalogue.item_ids(7))
    assert result.complete
    assert result.missing == 0
    assert sandbox.stats.billed <= 15_000 / 20 * 1.25


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_row_that_moves_sometimes_costs_no_second_walk(tmapi_sandboxes, seed):
    """A rough overlap of both orders gives the number of rows, so nothing more is requested."""
    sandbox = await tmapi_sandboxes(**LARGE, seed=seed, shift=0.05, shift_ties=True, limit=16)
    async with (
        TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api,
        api.category_items_v2(7, split=True) as walk,
    ):
        ids = {item.item_id async for item in walk}
        (result,) = walk.reconciliations
    assert len(ids) >= 0.995 * 15_000
    assert sandbox.stats.billed <= 15_000 / 20 * 1.25
    assert not result.short
    assert result.complete <= (len(ids) == 15_000)
    assert abs(result.promised - 15_000) < 100


async def test_searches_are_divided_too(tmapi_sandboxes):
    """A keyword listing has price filters and a total, so it can be divided."""
    sandbox = await tmapi_sandboxes(**SMALL, words={"seven": 7}, ceiling=100)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        ids = [item.item_id async for item in api.search_items("seven", split=FEW)]
    assert sorted(ids) == sorted(sandbox.catalogue.item_ids(7))


async def test_a_price_band_of_the_caller_is_kept(tmapi_sandboxes):
    """The caller's own bounds, filters and order hold for every part."""
    sandbox = await tmapi_sandboxes(**SMALL, ceiling=100, price_bounds="inclusive")
    band = {"price_start": "9.90", "price_end": 30, "free_shipping": True}
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        ids = {item.item_id async for item in api.category_items_v2(7, split=FEW, **band)}
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        all_items = [item async for item in api.category_items(7, free_shipping=True)]
    in_band = {item.item_id for item in all_items if 9.9 <= float(item.sale_price) <= 30}
    assert ids == in_band


async def test_leaving_early_ends_everything(tmapi_sandboxes):
    """After leaving a walk in the middle of a division, no task continues and nothing is sent."""
    sandbox = await tmapi_sandboxes(**LARGE, latency=0.01, limit=8)
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=8) as api:
        async with api.category_items_v2([7, 8], split=True) as walk:
            async for _ in walk:
                break
        sent = sandbox.stats.requests
        statistics = walk.statistics()
        assert statistics.stopped == statistics.listings > 0
        assert walk.reconciliations == ()
        assert [item async for item in api.category_items(8, max_pages=1)]
    assert sandbox.stats.requests == sent + 1


async def test_a_divided_listing_without_a_readable_row_fails(tmapi_sandboxes, path):
    """If no row can be decoded, dividing a listing makes it as little complete as walking it."""
    sandbox = await tmapi_sandboxes(**SMALL, ceiling=100, drift=Drift(bad_rows=1.0))
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.category_items_v2([8], split=FEW)
        with pytest.raises(ChangedShapeError, match="none of the 45 rows of the listing"):
            [item async for item in walk]
        assert (walk.statistics().failed, walk.statistics().complete) == (1, 0)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        listings = [category_items(8)]
        result = await Harvest(api, listings, journal=path, split=FEW, most_rejects=1.0).run()
    assert (result.tally.failed, result.tally.complete) == (1, 0)
    with JournalReader(path) as journal:
        (visit,) = journal.listings()
        assert visit.state == "failed"
        assert "none of the 45 rows" in (visit.error or "")


REFUSED = [
    ({"max_pages": 5}, "leave out start_page and max_pages"),
    ({"start_page": 2}, "leave out start_page and max_pages"),
    ({"split": "yes"}, "must be True, False or a Split"),
    ({"split": Split(ceiling=0)}, "ceiling must be a whole number"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
async def test_a_division_that_is_not_possible_is_refused(tmapi_sandbox, options, message):
    """Options or endpoints that do not allow a division are refused before anything is sent."""
    async with TMAPI("sandbox", base_url=tmapi_sandbox.url) as api:
        with pytest.raises(InvalidRequestError, match=message):
            api.category_items_v2(7, **{"split": True} | options)
        with pytest.raises(InvalidRequestError, match="has no ceiling"):
            api.shop_items("b2b-7", split=True)
        with pytest.raises(InvalidRequestError, match="sends no total"):
            api.global_search_items("x", split=True)
    assert tmapi_sandbox.stats.requests == 0
