"""Every endpoint over real sockets: what is walked is what the sandbox holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tmapi_async import (
    TMAPI,
    CategoryItemV2,
    GlobalSearchItem,
    InvalidRequestError,
    Item,
    ItemDetail,
    MalformedReplyError,
    ParameterError,
    SearchItem,
    ShopItem,
    ShopItemV2,
)
from tmapi_async.api.endpoints import SEARCH_ITEMS
from tmapi_async.api.listings import category_items, describe
from tmapi_async.sandbox import Faults

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.slow]

SHOP_URL = "https://seven.1688.com"
SEVEN = {
    "categories": {7: 95, 8: 41},
    "words": {"seven": 7, "eight": 8},
    "shops": {"b2b-7": 7, SHOP_URL: 7},
}

ASK: dict[str, tuple[Callable[[TMAPI], Any], type[Any]]] = {
    "category-v1": (lambda api: api.category_items(7), Item),
    "category-v2": (lambda api: api.category_items_v2(7), CategoryItemV2),
    "search": (lambda api: api.search_items("seven"), SearchItem),
    "shop": (lambda api: api.shop_items("b2b-7"), ShopItem),
    "shop-v2": (lambda api: api.shop_items_v2(SHOP_URL), ShopItemV2),
    "global-search": (lambda api: api.global_search_items(cat_id=7), GlobalSearchItem),
    "global-search by word": (lambda api: api.global_search_items("seven"), GlobalSearchItem),
}


@pytest.mark.parametrize("name", ASK)
@pytest.mark.parametrize("size", [0, 1, 20, 95])
async def test_each_endpoint_is_walked_to_its_end(tmapi_sandboxes, name, size):
    """Every item comes once, typed, whatever tells the end; no page is asked for twice."""
    ask, kind = ASK[name]
    sandbox = await tmapi_sandboxes(**SEVEN | {"categories": {7: size}})
    client = TMAPI("sandbox", base_url=sandbox.url, lookahead="off")
    async with client as api, ask(api) as walk:
        items = [item async for item in walk]
        assert walk.statistics().wasted == 0
    assert [item.item_id for item in items] == sandbox.catalogue.item_ids(7)
    assert all(isinstance(item, kind) for item in items)
    assert all(item.extra == {} for item in items)
    assert sandbox.stats.pages_served == sandbox.catalogue.pages(7)


@pytest.mark.parametrize("name", ["category-v2", "search", "shop", "shop-v2"])
async def test_a_told_total_is_walked_side_by_side(tmapi_sandboxes, name):
    """If the first page tells the length, the other pages are requested at once, and no more."""
    ask, _ = ASK[name]
    sandbox = await tmapi_sandboxes(**SEVEN, limit=4, latency=0.02)
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=4) as api, ask(api) as walk:
        assert len([item async for item in walk]) == 95
        assert walk.statistics().wasted == 0
    assert sandbox.stats.peak_in_flight == 4
    assert sandbox.stats.pages_served == 5


async def test_a_size_that_the_server_does_not_keep_loses_nothing(tmapi_sandboxes):
    """The size asked for may be ignored: the echoed one is what the total is held against."""
    sandbox = await tmapi_sandboxes(**SEVEN, short_pages=0.5)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        found = [item.item_id async for item in api.shop_items("b2b-7", page_size=10)]
    assert found == sandbox.catalogue.item_ids(7)


async def test_several_keywords_are_several_listings(tmapi_sandboxes):
    """Each keyword, shop or category is a listing, from whatever iterable it comes."""

    async def words():
        yield "seven"
        yield "eight"

    sandbox = await tmapi_sandboxes(**SEVEN)
    truth = {*sandbox.catalogue.item_ids(7), *sandbox.catalogue.item_ids(8)}
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        for given in (["seven", "eight"], words()):
            ended = []
            found = api.search_items(given, sort="price_up", on_end=ended.append)
            assert {item.item_id async for item in found} == truth
            assert sorted(one.listing.query for one in ended) == [
                "keyword=eight&sort=price_up",
                "keyword=seven&sort=price_up",
            ]


async def test_listings_of_several_endpoints_are_walked_together(tmapi_sandboxes):
    """Described listings are walked whatever they ask, each with its own struct."""
    sandbox = await tmapi_sandboxes(**SEVEN)
    wanted = [category_items(8), describe(SEARCH_ITEMS, {"keyword": "seven"})]
    async with TMAPI("sandbox", base_url=sandbox.url) as api, api.walk(wanted) as walk:
        kinds = {}
        async for page in walk.pages():
            kinds.setdefault(page.request.listing, set()).update(map(type, page.items))
    assert kinds == {wanted[0]: {Item}, wanted[1]: {SearchItem}}


async def test_prices_are_exact_bounds_on_the_wire(tmapi_sandboxes):
    """A price band shows what lies in it; a price sent as a number is not blurred."""
    sandbox = await tmapi_sandboxes(**SEVEN, price_bounds="inclusive")
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        every = {item.item_id: item.sale_price async for item in api.category_items_v2(7)}
        low, high = sorted(every.values())[20], sorted(every.values())[60]
        band = api.category_items_v2(7, price_start=low, price_end=str(high))
        found = {item.item_id async for item in band}
    assert found == {item_id for item_id, price in every.items() if low <= price <= high}


async def test_one_product_in_detail(tmapi_sandboxes):
    """A product comes as one typed struct, and costs one request."""
    sandbox = await tmapi_sandboxes(**SEVEN)
    item_id = sandbox.catalogue.item_id(7, 3)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        detail = await api.item_detail(item_id)
        assert isinstance(detail, ItemDetail)
        assert (detail.item_id, detail.extra) == (item_id, {})
        assert detail.sale_price is not None
        assert detail.skus
        assert api.statistics().requests == 1
        with pytest.raises(InvalidRequestError, match="not an item ID"):
            await api.item_detail("x")
        with pytest.raises(ParameterError, match=r"item_detail\?item_id=5"):
            await api.item_detail(5)
        assert api.statistics().requests == 2


async def test_a_detail_that_is_none_is_retried_and_told(tmapi_sandboxes):
    """A success without a product is a failure: it is asked again, then raised."""
    faults = Faults(script=lambda attempt: "data-null" if "detail" in attempt.path else None)
    sandbox = await tmapi_sandboxes(**SEVEN, faults=faults)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        with pytest.raises(MalformedReplyError):
            await api.item_detail(sandbox.catalogue.item_id(7, 3))
        assert api.statistics().requests == 3


MISUSED: list[tuple[Callable[[TMAPI], Any], str]] = [
    (lambda api: api.category_items(7, is_super_factory=True), "called super_factory there"),
    (lambda api: api.category_items_v2(7, super_factory=True), "called is_super_factory there"),
    (lambda api: api.category_items_v2(iter([7]), sort="cheap"), "sort must be one of"),
    (lambda api: api.search_items(iter(["x"]), moq=0), "moq must be a whole number"),
    (lambda api: api.search_items(["x", ""]), "keyword must be text"),
    (lambda api: api.search_items(5), "keyword must be text"),
    (lambda api: api.search_items(b"x"), "give a keyword or an iterable of them"),
    (lambda api: api.shop_items("x", free_shipping=True), "shop/items has no parameter"),
    (lambda api: api.global_search_items(), "needs a keyword or a cat_id"),
    (lambda api: api.category_items_v2(7, start_page=0), "start_page must be a whole number"),
]


@pytest.mark.parametrize(("ask", "told"), MISUSED)
async def test_misuse_is_refused_when_the_walk_is_made(tmapi_sandbox, ask, told):
    """Wrong arguments are refused by name before anything is sent."""
    async with TMAPI("sandbox", base_url=tmapi_sandbox.url) as api:
        with pytest.raises(InvalidRequestError, match=told):
            ask(api)
    assert tmapi_sandbox.stats.requests == 0
