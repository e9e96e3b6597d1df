from __future__ import annotations

import itertools
import json
from decimal import Decimal

import pytest

from tests.support.paths import SAMPLES
from tests.support.siblings import (
    DESCRIPTION,
    DETAIL,
    GLOBAL,
    INFO,
    ITEMS,
    OF_ITEM,
    RATINGS,
    SALES,
    SEARCH,
    SEARCHED,
    SHIPPING,
    SHOP,
    SHOP_V2,
    SIBLINGS,
    V2,
    seven,
    siblings,
)
from tmapi_async.sandbox import Choice, Drift, Faults, Filters


def assert_shape(value, sample, where="data"):
    """Check that a generated value has the fields of the sample, in order and type."""
    if isinstance(sample, dict):
        assert list(value) == list(sample), where
        for name, inner in sample.items():
            assert_shape(value[name], inner, f"{where}.{name}")
    elif isinstance(sample, list) and sample and isinstance(sample[0], dict):
        assert isinstance(value, list), where
        for row in value:
            kinds = [kind for kind in sample if isinstance(kind, dict)]
            assert any(_fits(row, kind, where) for kind in kinds), where
    else:
        assert type(value) is type(sample) or value is None or sample is None, where


def _fits(row, kind, where):
    try:
        assert_shape(row, kind, where)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "file"),
    [
        (ITEMS, "category-items-v1"),
        (V2, "category-items-v2"),
        (SEARCH, "search-items"),
        (SHOP, "shop-items"),
        (SHOP_V2, "shop-items-v2"),
        (GLOBAL, "global-search-items"),
        (INFO, "category-info"),
        (DETAIL, "item-detail"),
        (DESCRIPTION, "item-desc"),
        (SHIPPING, "item-shipping"),
        (SALES, "item-statistics-sales"),
        (RATINGS, "item-rating"),
    ],
)
async def test_sandbox_replies_have_the_shape_of_the_samples(tmapi_sandboxes, ask, path, file):
    """Every reply has the sample's fields in its order and with its types, nested, and no other."""
    sandbox = await seven(tmapi_sandboxes)
    tree, catalogue = sandbox.catalogue.tree, sandbox.catalogue
    parent = next((cat_id for cat_id in tree if tree.children(cat_id)), 7)
    item_id = catalogue.item_id(7, 3)
    singles = {one: {"item_id": item_id, **params} for one, params in OF_ITEM.items()}
    singles[INFO] = {"cat_id": parent}
    singles[RATINGS] = {"item_id": item_id}
    query = {ITEMS: {"cat_id": 7}, **SIBLINGS, **singles}[path]
    value = await ask.data(sandbox, path, **query)
    sample = json.loads((SAMPLES / f"doc-{file}.json").read_bytes())["data"]
    if path == DETAIL:
        # Properties are one object each with a name of its own: their names are no shape.
        assert all(len(prop) == 1 for prop in value.pop("product_props"))
        del sample["product_props"]
    assert_shape(value, sample)


@siblings
async def test_sandbox_rows_use_every_type_of_the_samples(tmapi_sandboxes, ask, path):
    """Fields that are null in some sample rows are null in some generated rows."""
    files = {V2: "category-items-v2", SEARCH: "search-items", SHOP: "shop-items"}
    files |= {SHOP_V2: "shop-items-v2", GLOBAL: "global-search-items"}
    sandbox = await seven(tmapi_sandboxes)
    sample = json.loads((SAMPLES / f"doc-{files[path]}.json").read_bytes())["data"]["items"]
    rows = [
        row for page in await ask.pages(sandbox, path, **SIBLINGS[path]) for row in page["items"]
    ]
    for name in sample[0]:
        types = {type(row[name]).__name__ for row in rows}
        assert types >= {type(row[name]).__name__ for row in sample}, name


@siblings
@pytest.mark.parametrize("size", [0, 1, 20, 95])
async def test_sandbox_siblings_show_the_same_items(tmapi_sandboxes, ask, path, size):
    """A walk to the signalled end shows every item once and in order, for each endpoint."""
    sandbox = await seven(tmapi_sandboxes, size)
    assert await ask.ids(sandbox, path, **SIBLINGS[path]) == sandbox.catalogue.item_ids(7)
    stats = sandbox.stats
    assert stats.billed == stats.pages_served == sandbox.catalogue.pages(7)


@siblings
async def test_sandbox_siblings_echo_what_was_asked(tmapi_sandboxes, ask, path):
    """A page has its number, size, order and total, in the types of the endpoint."""
    sandbox = await seven(tmapi_sandboxes)
    query = SIBLINGS[path] | {"sort": "price_up", "page": 2, "page_size": 7}
    data = await ask.data(sandbox, path, **query)
    assert (data["page"], data["page_size"], data["sort"]) == (2, 7, "price_up")
    assert len(data["items"]) == 7
    totals = {V2: 95, SEARCH: 95, SHOP: "95", SHOP_V2: 95}
    assert data.get("total_count") == totals.get(path)
    assert ("has_next_page" in data) == (path in SEARCHED)


async def test_sandbox_pages_echo_parameters_as_the_samples_do(tmapi_sandboxes, ask):
    """`cat_id`, filters and prices come back as the endpoint's sample has them."""
    sandbox = await seven(tmapi_sandboxes)
    v2 = await ask.data(sandbox, V2, cat_id=7, free_shipping="true", price_start="1")
    assert (v2["cat_id"], v2["keyword"], v2["filters"]) == (7, "", {"free_shipping": True})
    data = await ask.data(sandbox, SEARCH, keyword="T恤")
    assert (data["cat_id"], data["keyword"]) == (None, "T恤")
    shop = await ask.data(sandbox, SHOP, member_id="b2b-7", price_start="1.50", price_end="")
    assert (shop["price_start"], shop["price_end"], shop["shop_cat_id"]) == ("1.50", "", "")


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        (V2, {}, "cat_id is required"),
        (V2, {"cat_id": "7", "sort": "time_up"}, "sort must be one of default, sales"),
        (V2, {"cat_id": "7", "sort": ""}, "sort must be one of"),
        (V2, {"cat_id": "7", "language": "fr"}, "language must be one of en, zh"),
        (V2, {"cat_id": "7", "is_super_factory": "yes"}, "is_super_factory must be true or false"),
        (V2, {"cat_id": "7", "price_start": "1e3"}, "price_start must be a decimal number"),
        (V2, {"cat_id": "7", "price_end": "-1"}, "price_end must be a decimal number"),
        (V2, {"cat_id": "7", "price_end": "NaN"}, "price_end must be a decimal number"),
        (V2, {"cat_id": "7", "page_size": "0"}, "page_size must be a positive integer"),
        (SEARCH, {}, "keyword is required"),
        (SEARCH, {"keyword": ""}, "keyword is required"),
        (SEARCH, {"keyword": "x", "page_size": "21"}, "page_size must be at most 20"),
        (SEARCH, {"keyword": "x", "moq": "few"}, "moq must be a positive integer"),
        (SHOP, {}, "member_id is required"),
        (SHOP, {"member_id": "x", "sort": "newest"}, "sort must be one of"),
        (SHOP_V2, {}, "shop_url is required"),
        (SHOP_V2, {"shop_url": "x", "cat_type": "2"}, "cat_type must be one of 0, 1"),
        (GLOBAL, {}, "keyword or cat_id is required"),
        (GLOBAL, {"keyword": "", "cat_id": ""}, "keyword or cat_id is required"),
        (GLOBAL, {"cat_id": "dresses"}, "cat_id must be a positive integer"),
        (INFO, {"cat_id": "dresses"}, "cat_id must be a positive integer"),
        (INFO, {"cat_id": "404"}, "no such category"),
        (DETAIL, {}, "item_id is required"),
        (DETAIL, {"item_id": "404"}, "no such item"),
        (SALES, {"item_id": "404"}, "no such item"),
        (DESCRIPTION, {}, "item_id is required"),
        (SHIPPING, {"item_id": "404"}, "province is required"),
        (SHIPPING, {"item_id": "404", "province": "x", "total_quantity": "0"}, "positive integer"),
        (SHIPPING, {"item_id": "404", "province": "x", "total_weight": "x"}, "decimal number"),
    ],
)
async def test_sandbox_bad_sibling_parameters_are_422(tmapi_sandbox, ask, path, query, named):
    """A bad or missing parameter gets code 422, is named, and costs nothing."""
    status, _, body = await ask.get(tmapi_sandbox, path, **query)
    assert (status, json.loads(body)["code"]) == (422, 422)
    assert named.encode() in body
    assert tmapi_sandbox.stats.billed == 0


async def test_sandbox_ignores_a_parameter_under_another_endpoints_name(tmapi_sandboxes, ask):
    """The v1 name of a filter has no effect on v2, and the v2 name none on v1."""
    sandbox = await seven(tmapi_sandboxes)
    everything = sandbox.catalogue.item_ids(7)
    assert await ask.ids(sandbox, V2, cat_id=7, super_factory="true") == everything
    assert await ask.ids(sandbox, ITEMS, cat_id=7, is_super_factory="true") == everything
    expected = sandbox.catalogue.item_ids(7, Filters(super_factory=True))
    assert 0 < len(expected) < len(everything)
    assert await ask.ids(sandbox, V2, cat_id=7, is_super_factory="true") == expected
    assert await ask.ids(sandbox, ITEMS, cat_id=7, super_factory="true") == expected


@pytest.mark.parametrize("false_excludes", [False, True])
async def test_sandbox_flags_filter_alike_everywhere(tmapi_sandboxes, ask, false_excludes):
    """Each flag shows the items that have the property; false excludes them only if configured."""
    sandbox = await seven(tmapi_sandboxes, false_excludes=false_excludes)
    for path, field in itertools.product(SEARCHED, ("new_arrival", "free_shipping")):
        for flag in (True, False):
            expected = sandbox.catalogue.item_ids(7, Filters(**{field: flag}))
            sent = SIBLINGS[path] | {field: str(flag).lower()}
            assert await ask.ids(sandbox, path, **sent) == expected
            assert (len(expected) == 95) == (not flag and not false_excludes)


async def test_sandbox_rows_tell_the_facts_they_are_filtered_by(tmapi_sandboxes, ask):
    """A row shows the price, the flags and the least order by which it was chosen."""
    sandbox = await seven(tmapi_sandboxes, adverts=0)
    flags = {"free_shipping": "true", "is_super_factory": "true"}
    rows = (await ask.data(sandbox, V2, cat_id=7, price_end="20", **flags))["items"]
    assert rows
    assert all(row["delivery_info"]["free_shipping"] for row in rows)
    assert all(row["shop_info"]["is_super_factory"] for row in rows)
    assert all(Decimal(row["price"]) <= 20 for row in rows)
    rows = (await ask.data(sandbox, GLOBAL, keyword="T恤", new_arrival="true"))["items"]
    assert rows
    assert all(row["is_new_item"] for row in rows)
    rows = (await ask.data(sandbox, SEARCH, keyword="T恤", moq=2))["items"]
    assert rows
    assert all(row["moq"] in (None, 1, 2) for row in rows)


async def test_sandbox_shops_filter_by_their_own_categories(tmapi_sandboxes, ask):
    """A shop's own category divides its items; both shop endpoints agree."""
    sandbox = await seven(tmapi_sandboxes)
    pages = await ask.pages(sandbox, SHOP, member_id="b2b-7")
    by_item = {row["item_id"]: row["category_path"][0] for page in pages for row in page["items"]}
    filtered = {}
    for cat in set(by_item.values()):
        ids = await ask.ids(sandbox, SHOP, member_id="b2b-7", shop_cat_id=cat)
        assert ids == await ask.ids(sandbox, SHOP_V2, shop_url="shop7.1688.com", cat=cat)
        assert ids == sandbox.catalogue.chosen_ids(7, Choice(shop_cat=cat))
        filtered |= {str(item_id): cat for item_id in ids}
    assert filtered == by_item
    assert len(set(by_item.values())) > 1


async def test_sandbox_any_keyword_and_shop_finds_something(tmapi_sandboxes, ask):
    """The seed chooses the category of other keywords and shops; the catalogue agrees."""
    sandbox = await tmapi_sandboxes(categories={7: 25, 8: 0, 9: 45}, seed=3)
    catalogue, categories = sandbox.catalogue, set()
    for word in ("连衣裙", "dress", "shoes", "bag", "T恤", "ring", "鞋", "袜子"):
        cat_id = catalogue.category_of_word(word)
        assert await ask.ids(sandbox, SEARCH, keyword=word) == catalogue.item_ids(cat_id)
        assert await ask.ids(sandbox, GLOBAL, keyword=word) == catalogue.item_ids(cat_id)
        categories.add(cat_id)
    assert categories == {7, 9}
    assert await ask.ids(sandbox, GLOBAL, cat_id=7) == catalogue.item_ids(7)


async def test_sandbox_a_shop_has_one_stock_under_all_its_names(tmapi_sandboxes, ask):
    """The member ID and the address that a row shows lead to the same items."""
    sandbox = await tmapi_sandboxes(categories={7: 25, 9: 45, 11: 5})
    rows = (await ask.data(sandbox, SEARCH, keyword="x"))["items"]
    for shop in (row["shop_info"] for row in rows):
        ids = await ask.ids(sandbox, SHOP, member_id=shop["member_id"])
        assert ids == await ask.ids(sandbox, SHOP_V2, shop_url=shop["shop_url"])
        assert ids == sandbox.catalogue.item_ids(
            sandbox.catalogue.category_of_shop(shop["member_id"])
        )


async def test_sandbox_language_chooses_the_title(tmapi_sandboxes, ask):
    """Titles are Chinese unless another language is asked for; the global search says both."""
    sandbox = await seven(tmapi_sandboxes)
    product = sandbox.catalogue.product(7, 0)
    titles = {
        (path, language): (await ask.data(sandbox, path, language=language, **SIBLINGS[path]))[
            "items"
        ][0]["title"]
        for path in (V2, GLOBAL)
        for language in ("zh", "en")
    }
    assert titles[V2, "zh"] == titles[GLOBAL, "zh"] == product.title
    assert titles[V2, "en"] == titles[GLOBAL, "en"]
    assert titles[V2, "en"].isascii()
    row = (await ask.data(sandbox, GLOBAL, keyword="T恤"))["items"][0]
    assert (row["title"], row["title_origin"]) == (titles[GLOBAL, "en"], product.title)


async def test_sandbox_detail_agrees_with_the_rows(tmapi_sandboxes, ask):
    """An item in full has the ID, title, price, category and stock of its rows and variants."""
    sandbox = await seven(tmapi_sandboxes)
    row = (await ask.data(sandbox, SEARCH, keyword="T恤"))["items"][4]
    item = await ask.data(sandbox, DETAIL, item_id=row["item_id"])
    assert (item["item_id"], item["title"]) == (row["item_id"], row["title"])
    assert Decimal(item["price_info"]["price_max"]) == Decimal(row["price"])
    assert item["shop_info"]["seller_member_id"] == row["shop_info"]["member_id"]
    assert item["category_id"] == 7
    assert item["stock"] == sum(sku["stock"] for sku in item["skus"])
    assert len({sku["specid"] for sku in item["skus"]}) == len(item["skus"])


async def test_sandbox_replies_about_one_product_agree(tmapi_sandboxes, ask):
    """The cost grows with the weight; the sales of the days are those of the month."""
    sandbox = await seven(tmapi_sandboxes)
    for index in range(8):
        item_id = sandbox.catalogue.item_id(7, index)
        free = sandbox.catalogue.product(7, index).free_shipping
        query = {"item_id": item_id, "province": "浙江", "total_quantity": 5, "total_weight": "2.5"}
        fee = await ask.data(sandbox, SHIPPING, **query)
        assert (fee["shipping_to"], fee["total_quantity"]) == ("浙江", 5)
        assert (fee["total_weight"], fee["total_fee"]) == (2.5, 0 if free else 9 + 2 * 7)
        sales = await ask.data(sandbox, SALES, item_id=item_id)
        days = [day["sales_quantity"] for day in sales["sales_trend"]]
        assert (len(days), sum(days)) == (30, sales["sales_quantity_30days"])


@siblings
async def test_sandbox_siblings_drift_and_keep_their_items(tmapi_sandboxes, ask, path):
    """Drifted rows of any endpoint keep their IDs and gain no documented field."""
    clean = await seven(tmapi_sandboxes)
    drifting = await seven(tmapi_sandboxes, drift=Drift(rows=1.0, envelopes=1.0))
    plain = (await ask.data(clean, path, **SIBLINGS[path]))["items"]
    status, _, body = await ask.get(drifting, path, **SIBLINGS[path])
    rows = json.loads(body)["data"]["items"]
    assert status == 200
    assert [int(row["item_id"]) for row in rows] == [int(row["item_id"]) for row in plain]
    assert rows != plain
    new = {"is_ad", "offer_tags", "badge", "moq"}
    assert all(set(row) <= set(before) | new for row, before in zip(rows, plain, strict=True))


@pytest.mark.parametrize("path", [INFO, *OF_ITEM])
async def test_sandbox_replies_without_rows_stand_drift_and_faults(tmapi_sandboxes, ask, path):
    """Requests without pages are answered under every drift and fault."""
    options = {"drift": Drift(rows=1.0, bad_rows=0.5, envelopes=1.0), "tree": 3}
    sandbox = await seven(tmapi_sandboxes, **options)
    for index in range(40):
        item = {"item_id": sandbox.catalogue.item_id(7, index), **OF_ITEM.get(path, {})}
        query = {} if path == INFO else item
        status, _, body = await ask.get(sandbox, path, **query)
        assert status == 200
        assert json.loads(body)["data"]
    sandbox.faults = Faults({"no-paging": 0.5, "gzip": 0.5})
    assert (await ask.get(sandbox, path, **query))[0] == 200


@siblings
async def test_sandbox_no_paging_takes_every_signal_away(tmapi_sandboxes, ask, path):
    """The fault `no-paging` leaves neither has_next_page nor total_count."""
    sandbox = await seven(tmapi_sandboxes, faults=Faults({"no-paging": 1.0}))
    data = await ask.data(sandbox, path, **SIBLINGS[path])
    assert not {"has_next_page", "total_count"} & set(data)
    assert len(data["items"]) == 20


@siblings
async def test_sandbox_siblings_meet_limit_balance_and_faults(tmapi_sandboxes, ask, path):
    """Token, limit, faults and balance count for every endpoint as for v1."""
    sandbox = await seven(tmapi_sandboxes, quota=1, faults=Faults(script=_first_fails))
    assert (await ask.get(sandbox, path, token="no", **SIBLINGS[path]))[0] == 401  # noqa: S106
    assert [(await ask.get(sandbox, path, **SIBLINGS[path]))[0] for _ in range(3)] == [
        500,
        200,
        439,
    ]
    sandbox.limit = 0
    assert (await ask.get(sandbox, path, **SIBLINGS[path]))[0] == 503
    assert sandbox.stats.billed == 1


def _first_fails(attempt):
    return "500" if attempt.nth == 0 else None


@siblings
async def test_sandbox_siblings_repeat_rows_and_end_pages_early(tmapi_sandboxes, ask, path):
    """Repeats and short pages apply to every endpoint and lose no item."""
    sandbox = await seven(tmapi_sandboxes, repeats=0.7, short_pages=0.7)
    ids = await ask.ids(sandbox, path, **SIBLINGS[path])
    assert list(dict.fromkeys(ids)) == sandbox.catalogue.item_ids(7)
    assert len(ids) > 95


@pytest.mark.parametrize("path", [*SIBLINGS, ITEMS])
async def test_sandbox_adverts_stand_on_every_page(tmapi_sandboxes, ask, path):
    """Adverts are the first rows of each page; only a search marks them."""
    sandbox = await seven(tmapi_sandboxes, adverts=2)
    pages = await ask.pages(sandbox, path, **SIBLINGS.get(path, {"cat_id": 7}))
    first = [[int(row["item_id"]) for row in page["items"][:2]] for page in pages]
    ids = [int(row["item_id"]) for page in pages for row in page["items"][2:]]
    assert first == [first[0]] * 5
    assert len(set(first[0])) == 2
    assert ids == sandbox.catalogue.item_ids(7)
    if path == SEARCH:
        told = [[row["is_ad"] for row in page["items"]] for page in pages]
        assert told == [[True] * 2 + [False] * (len(page) - 2) for page in told]


async def test_sandbox_endless_search_promises_for_ever(tmapi_sandboxes, ask):
    """An endless category is endless through a search as well."""
    sandbox = await seven(tmapi_sandboxes, endless={7: "no-new"})
    data = await ask.data(sandbox, SEARCH, keyword="T恤", page=50)
    assert data["has_next_page"]
    assert {row["item_id"] for row in data["items"]} <= set(sandbox.catalogue.item_ids(7))
