"""Past the ceiling, over real sockets: what the API shows in parts is found whole, and proven."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tmapi_async import TMAPI, CategoryItemV2, InvalidRequestError
from tmapi_async.crawl.splitting.driver import Split
from tmapi_async.sandbox import Prices

pytestmark = pytest.mark.usefixtures("tidy")

LARGE = {"categories": {7: 15_000, 8: 45}, "prices": {7: Prices.parse("20,1.0,9.90:3000")}}
SMALL = {"categories": {7: 900, 8: 45}, "prices": {7: Prices.parse("20,1.0,9.90:180")}}
FEW = Split(ceiling=100)


def price(sandbox, item_id):
    """Return the price of an item in the sandbox."""
    return sandbox.catalogue.price(*sandbox.catalogue.locate(item_id))


def asked_twice(sandbox):
    """Page requests that were served more than once."""
    return [
        (listing.params, number)
        for listing, pages in sandbox.stats.served.items()
        for number, times in pages.items()
        if times > 1
    ]


@pytest.mark.slow
@pytest.mark.parametrize("bounds", ["inclusive", "exclusive", "half-open"])
async def test_fifteen_thousand_are_found_past_two_thousand(tmapi_sandboxes, bounds):
    """Each item comes once, for at most a quarter more pages, whatever bounds include."""
    sandbox = await tmapi_sandboxes(**LARGE, price_bounds=bounds, limit=16)
    expected = []
    split = Split(on_expect=lambda listing, told: expected.append((listing.cat_id, told)))
    async with (
        TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api,
        api.category_items_v2(7, split=split) as walk,
    ):
        items = [item async for item in walk]
        statistics, (account,) = walk.statistics(), walk.reconciliations
    assert sorted(item.item_id for item in items) == sorted(sandbox.catalogue.item_ids(7))
    assert sandbox.stats.billed <= 15_000 / 20 * 1.25
    assert asked_twice(sandbox) == []
    assert account.complete
    assert account.distinct == statistics.unique_items == 15_000
    assert (statistics.listings, statistics.complete, statistics.capped) == (1, 1, 0)
    # What it expects is told when it proves to be cut, and again when every part fits.
    assert [cat_id for cat_id, _ in expected] == [7, 7]
    assert expected[-1][1].settled
    assert 0 < expected[-1][1].least < 937


async def test_without_split_the_cut_is_told(tmapi_sandboxes):
    """A listing that stands at the ceiling ends capped: nobody takes it for the whole."""
    sandbox = await tmapi_sandboxes(**LARGE)
    async with TMAPI("sandbox", base_url=sandbox.url) as api, api.category_items_v2(7) as walk:
        assert len([item async for item in walk]) == 2000
        assert walk.statistics().capped == 1


async def test_a_category_of_v1_is_handed_to_v2(tmapi_sandboxes):
    """v1 has no prices to filter by: the same category is asked of v2, with its filters."""
    sandbox = await tmapi_sandboxes(**SMALL, ceiling=100)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.category_items([7, 8], super_factory=True, split=FEW)
        items = [item async for item in walk]
        assert {account.root.cat_id for account in walk.reconciliations} == {7, 8}
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
    """With rows that move, 99.5 % are found in one go; what is missing is named, not complete."""
    sandbox = await tmapi_sandboxes(**LARGE, seed=seed, shift=5.0, shift_ties=True, limit=16)
    told = []
    split = Split(on_expect=lambda _, expected: told.append((sandbox.stats.requests, expected)))
    async with (
        TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api,
        api.category_items_v2(7, split=split) as walk,
    ):
        found = {item.item_id async for item in walk}
        (account,) = walk.reconciliations
    truth = set(sandbox.catalogue.item_ids(7))
    assert found <= truth
    assert len(found) >= 0.995 * len(truth)
    assert account.distinct == len(found)
    assert account.promised < 15_100  # what was walked within a price adds nothing to it
    # Second looks cost requests: they are told of, too.
    looks = [expected.second for _, expected in told if expected.settled]
    assert looks == sorted(set(looks))
    assert looks[-1] > 0
    spent, last = told[-1]
    assert abs(spent + last.least - sandbox.stats.billed) <= 16 + len(account.pieces)
    if found != truth:
        # How many cost 9.90, past the ceiling both ways, no total tells; the rest is counted.
        told = [id_ for id_ in truth - found if price(sandbox, id_) != Decimal("9.90")]
        assert not account.complete
        assert account.missing >= len(told)
        assert "uncertain" in str(account)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_adverts_cost_neither_requests_nor_the_proof(tmapi_sandboxes, seed):
    """An advert on each page is told from the page's own rows where both orders have to meet."""
    sandbox = await tmapi_sandboxes(**LARGE, seed=seed, adverts=1, limit=16)
    async with (
        TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api,
        api.category_items_v2(7, split=True) as walk,
    ):
        found = {item.item_id async for item in walk}
        (account,) = walk.reconciliations
    assert found == set(sandbox.catalogue.item_ids(7))
    assert account.complete
    assert account.missing == 0
    assert sandbox.stats.billed <= 15_000 / 20 * 1.25


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_row_that_moves_now_and_then_costs_no_second_look(tmapi_sandboxes, seed):
    """Both orders of a price meet about: that tells how many rows it has, and no more is asked."""
    sandbox = await tmapi_sandboxes(**LARGE, seed=seed, shift=0.05, shift_ties=True, limit=16)
    async with (
        TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api,
        api.category_items_v2(7, split=True) as walk,
    ):
        found = {item.item_id async for item in walk}
        (account,) = walk.reconciliations
    assert len(found) >= 0.995 * 15_000
    assert sandbox.stats.billed <= 15_000 / 20 * 1.25
    assert not account.short
    assert account.complete <= (len(found) == 15_000)
    assert abs(account.promised - 15_000) < 100


async def test_searches_are_divided_too(tmapi_sandboxes):
    """Every listing with prices and a total can be divided, also that of a keyword."""
    sandbox = await tmapi_sandboxes(**SMALL, words={"seven": 7}, ceiling=100)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        found = [item.item_id async for item in api.search_items("seven", split=FEW)]
    assert sorted(found) == sorted(sandbox.catalogue.item_ids(7))


async def test_a_band_that_was_asked_for_is_kept_to(tmapi_sandboxes):
    """The caller's own bounds, filters and order hold for every part."""
    sandbox = await tmapi_sandboxes(**SMALL, ceiling=100, price_bounds="inclusive")
    band = {"price_start": "9.90", "price_end": 30, "free_shipping": True}
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        found = {item.item_id async for item in api.category_items_v2(7, split=FEW, **band)}
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        every = [item async for item in api.category_items(7, free_shipping=True)]
    held = {item.item_id for item in every if 9.9 <= float(item.sale_price) <= 30}
    assert found == held


async def test_leaving_early_ends_everything(tmapi_sandboxes):
    """Left in the middle of a division, no task goes on, and nothing more is sent."""
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


REFUSED = [
    ({"max_pages": 5}, "no start_page, max_pages"),
    ({"start_page": 2}, "no start_page, max_pages"),
    ({"split": "yes"}, "must be True, False or a Split"),
    ({"split": Split(ceiling=0)}, "ceiling must be a whole number"),
]


@pytest.mark.parametrize(("options", "told"), REFUSED)
async def test_what_cannot_be_divided_is_refused(tmapi_sandbox, options, told):
    """Options that contradict a division are refused before anything is sent."""
    async with TMAPI("sandbox", base_url=tmapi_sandbox.url) as api:
        with pytest.raises(InvalidRequestError, match=told):
            api.category_items_v2(7, **{"split": True} | options)
        with pytest.raises(InvalidRequestError, match="has no ceiling"):
            api.shop_items("b2b-7", split=True)
        with pytest.raises(InvalidRequestError, match="sends no total"):
            api.global_search_items("x", split=True)
    assert tmapi_sandbox.stats.requests == 0
