from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from tests.support.siblings import (
    GLOBAL,
    ITEMS,
    SEARCH,
    SEARCHED,
    SHOP,
    SHOP_V2,
    SIBLINGS,
    V2,
    seven,
    siblings,
)
from tmapi_async.sandbox import Catalogue, Choice, Prices


async def test_sandbox_prices_are_one_amount_in_several_writings(tmapi_sandboxes, ask):
    """Each endpoint writes the same price in its own scale."""
    sandbox = await seven(tmapi_sandboxes, prices={7: Prices(at={"56.00": 30, "8.90": 30})})
    values = {}
    for path, query in SIBLINGS.items():
        pages = await ask.pages(sandbox, path, **query)
        values[path] = [row["price"] for page in pages for row in page["items"]]
    exact = [sandbox.catalogue.price(7, index) for index in range(95)]
    assert all([Decimal(text) for text in texts] == exact for texts in values.values())
    assert {"56", "8.9"} <= set(values[SEARCH])
    assert {"56.0", "8.9"} <= set(values[GLOBAL])
    assert {"56.00", "8.90"} <= set(values[V2]) & set(values[SHOP]) & set(values[SHOP_V2])


@pytest.mark.parametrize("path", [*SEARCHED, ITEMS])
async def test_sandbox_search_ends_at_its_ceiling(tmapi_sandboxes, ask, path):
    """Nothing past the ceiling is shown or counted, and no page says that there is more."""
    sandbox = await seven(tmapi_sandboxes, ceiling=50, v1_ceiling=50)
    query = SIBLINGS.get(path, {"cat_id": 7})
    pages = await ask.pages(sandbox, path, **query)
    ids = [int(row["item_id"]) for page in pages for row in page["items"]]
    assert ids == sandbox.catalogue.item_ids(7)[:50]
    assert [page["has_next_page"] for page in pages] == [True, True, False]
    assert all(page.get("total_count", 50) == 50 for page in pages)
    beyond = await ask.data(sandbox, path, page=4, **query)
    assert (beyond["items"], beyond["has_next_page"]) == ([], False)


async def test_sandbox_ceiling_is_the_sites_by_default(tmapi_sandboxes, ask):
    """By default v2 stops at 2,000 of more, while v1 and the shops go on; None lifts it."""
    sandbox = await seven(tmapi_sandboxes, 2041)
    assert (await ask.data(sandbox, V2, cat_id=7, page=100))["total_count"] == 2000
    assert (await ask.data(sandbox, V2, cat_id=7, page=101))["items"] == []
    assert len((await ask.data(sandbox, ITEMS, cat_id=7, page=103))["items"]) == 1
    assert (await ask.data(sandbox, SHOP, member_id="b2b-7"))["total_count"] == "2041"
    sandbox.change(ceiling=None)
    assert (await ask.data(sandbox, V2, cat_id=7))["total_count"] == 2041


@pytest.mark.parametrize(
    ("bounds", "lower", "upper"),
    [("inclusive", True, True), ("exclusive", False, False), ("half-open", True, False)],
)
async def test_sandbox_price_bounds_are_as_configured(tmapi_sandboxes, ask, bounds, lower, upper):
    """Rows at the bounds themselves are shown or not, each bound as configured."""
    at = {"9.90": 20, "19.90": 20}
    sandbox = await seven(tmapi_sandboxes, prices={7: Prices(at=at)}, price_bounds=bounds)
    exact = [sandbox.catalogue.price(7, index) for index in range(95)]
    low, high = Decimal("9.90"), Decimal("19.90")
    expected = {
        sandbox.catalogue.item_id(7, index)
        for index, price in enumerate(exact)
        if (low <= price if lower else low < price) and (price <= high if upper else price < high)
    }
    for path in (*SEARCHED, SHOP):
        sent = SIBLINGS[path] | {"price_start": "9.9", "price_end": "19.90"}
        assert set(await ask.ids(sandbox, path, **sent)) == expected
    assert (lower, upper) == sandbox.catalogue.bounds


def test_sandbox_price_bounds_may_follow_from_the_seed():
    """`seed` decides each bound alone: all four ways are seen, the same for the same seed."""
    values = [Catalogue(seed, 1, price_bounds="seed").bounds for seed in range(40)]
    assert set(values) == set(itertools.product((True, False), repeat=2))
    assert values == [Catalogue(seed, 1, price_bounds="seed").bounds for seed in range(40)]


async def test_sandbox_narrow_and_impossible_bands_are_exact(tmapi_sandboxes, ask):
    """A band of one price shows that price alone; one upside down, or between fen, nothing."""
    sandbox = await seven(tmapi_sandboxes, prices={7: Prices(at={"9.90": 33})})
    assert len(await ask.ids(sandbox, V2, cat_id=7, price_start="9.90", price_end="9.9")) == 33
    for start, end in (("9.91", "9.90"), ("9.901", "9.909")):
        data = await ask.data(sandbox, V2, cat_id=7, price_start=start, price_end=end)
        assert (data["items"], data["total_count"], data["has_next_page"]) == ([], 0, False)


@siblings
async def test_sandbox_sorts_by_what_its_rows_show(tmapi_sandboxes, ask, path):
    """Prices rise or fall, sales fall, and no order loses or repeats an item."""
    sandbox = await seven(tmapi_sandboxes)
    catalogue = sandbox.catalogue
    facts = {
        catalogue.item_id(7, n): (catalogue.price(7, n), catalogue.product(7, n).sales)
        for n in range(95)
    }
    orders = {}
    for sort in ("default", "sales", "price_up", "price_down"):
        orders[sort] = await ask.ids(sandbox, path, sort=sort, **SIBLINGS[path])
        assert sorted(orders[sort]) == sorted(facts)
        assert orders[sort] == catalogue.chosen_ids(7, Choice(sort=sort))
    prices = [facts[item_id][0] for item_id in orders["price_up"]]
    assert prices == sorted(prices)
    assert orders["price_down"] == orders["price_up"][::-1]
    sales = [facts[item_id][1] for item_id in orders["sales"]]
    assert sales == sorted(sales, reverse=True)


async def test_sandbox_sorts_a_shop_by_time(tmapi_sandboxes, ask):
    """A shop's items come oldest or newest first, by the time that its rows show."""
    sandbox = await seven(tmapi_sandboxes)
    for sort, newest_first in (("time_down", True), ("time_up", False)):
        pages = await ask.pages(sandbox, SHOP, member_id="b2b-7", sort=sort)
        times = [row["created_time"] for page in pages for row in page["items"]]
        assert times == sorted(times, reverse=newest_first)
        assert len(set(times)) > 90


async def test_sandbox_both_price_orders_show_both_ends_of_one_price(tmapi_sandboxes, ask):
    """Of a band of one price that is wider than the ceiling, each direction shows its own end."""
    options = {"prices": {7: Prices(at={"9.90": 80})}, "ceiling": 40}
    sandbox = await seven(tmapi_sandboxes, **options)
    band = {"cat_id": 7, "price_start": "9.90", "price_end": "9.90"}
    up = await ask.ids(sandbox, V2, sort="price_up", **band)
    down = await ask.ids(sandbox, V2, sort="price_down", **band)
    assert len(up) == len(down) == 40
    assert len({*up, *down}) == 80


async def test_sandbox_page_size_is_cut_where_it_is_not_refused(tmapi_sandboxes, ask):
    """A `page_size` above the maximum is reduced, and the reply shows the size in force."""
    sandbox = await seven(tmapi_sandboxes)
    data = await ask.data(sandbox, V2, cat_id=7, page_size=500)
    assert (data["page_size"], len(data["items"])) == (20, 20)
    assert await ask.ids(sandbox, V2, cat_id=7, page_size=500) == sandbox.catalogue.item_ids(7)
