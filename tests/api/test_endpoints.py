"""Every endpoint: accepted and refused parameters, paging, and the fields of its sample reply."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.making import dumped, sample, sample_name
from tmapi_async import InvalidRequestError, MalformedReplyError, Page, TMAPIError
from tmapi_async.api.endpoints import (
    BY_SHORT_NAME,
    CATEGORY_INFO,
    CATEGORY_ITEMS,
    CATEGORY_ITEMS_V2,
    ENDPOINTS,
    GLOBAL_SEARCH_ITEMS,
    ITEM_DESCRIPTION,
    ITEM_DETAIL,
    ITEM_RATINGS,
    ITEM_SALES,
    ITEM_SHIPPING,
    SEARCH_ITEMS,
    SHOP_ITEMS,
    SHOP_ITEMS_V2,
    Endpoint,
)
from tmapi_async.api.items import Product
from tmapi_async.api.listings import Listing, PageRequest, describe, endpoint_of
from tmapi_async.api.replies import Reply, read_reply

if TYPE_CHECKING:
    from tmapi_async.api.values import Wire

NOW = datetime(2026, 7, 1, tzinfo=UTC)

PARAMS: dict[Endpoint, dict[str, Any]] = {
    CATEGORY_ITEMS: {"cat_id": 1031910},
    CATEGORY_ITEMS_V2: {"cat_id": 1031922},
    SEARCH_ITEMS: {"keyword": "帆布鞋"},
    SHOP_ITEMS: {"member_id": "b2b-1"},
    SHOP_ITEMS_V2: {"shop_url": "https://shop1.1688.com"},
    GLOBAL_SEARCH_ITEMS: {"keyword": "bag", "sort": "price_up"},
    CATEGORY_INFO: {"cat_id": 900100},
    ITEM_DETAIL: {"item_id": 870000000101},
    ITEM_DESCRIPTION: {"item_id": 870000000101},
    ITEM_SHIPPING: {"item_id": 870000000101, "province": "广东"},
    ITEM_SALES: {"item_id": 870000000101},
    ITEM_RATINGS: {"item_id": 870000000101},
}
"""Endpoint -> parameters of the query that its sample reply answers."""
every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))


def answer(endpoint: Endpoint, body: Any, *, number: int = 1, **params: Any) -> Page[Any]:
    """Read a body that must be a page."""
    page = reading(endpoint, body, number=number, **params)
    assert isinstance(page, Page), page
    return page


def reading(
    endpoint: Endpoint, body: Any, *, number: int = 1, **params: Any
) -> Page[Any] | TMAPIError:
    """Read a body as the reply of an endpoint."""
    sent = body if isinstance(body, bytes) else dumped(body)
    request = PageRequest(describe(endpoint, params), number)
    return read_reply(Reply(200, {}, sent), request, now=NOW)


def same(kept: Any, sent: Any) -> bool:
    """Return True if a decoded value equals the value as sent; IDs may have become numbers."""
    if isinstance(sent, dict):
        return all(name in kept and same(kept[name], value) for name, value in sent.items())
    if isinstance(sent, list):
        return len(kept) == len(sent) and all(map(same, kept, sent))
    return bool(kept == sent or (isinstance(kept, int) and str(kept) == sent))


def everything(item: Wire) -> dict[str, Any]:
    """Return a row encoded again, with its unknown fields put back."""
    row: dict[str, Any] = json.loads(msgspec.json.encode(item))

    def put_back(into: dict[str, Any], more: dict[str, Any]) -> None:
        for name, value in more.items():
            if isinstance(value, dict) and isinstance(into.get(name), dict):
                put_back(into[name], value)
            elif isinstance(value, list) and isinstance(into.get(name), list):
                for one, rest in zip(into[name], value, strict=True):
                    put_back(one, rest)
            else:
                into[name] = value

    put_back(row, item.extra)  # type: ignore[attr-defined]
    return row


@every_endpoint
def test_a_sample_body_loses_no_field(endpoint: Endpoint) -> None:
    """Encoded again, a sample has all its values, and no field of a sample is unknown."""
    body = sample(sample_name(endpoint))
    page = answer(endpoint, body, **PARAMS[endpoint])
    data = json.loads(body)["data"]
    sent = data[endpoint.rows] if endpoint.paged else [data]
    assert page.rejects == []
    assert len(page.items) == len(sent)
    for item, row in zip(page.items, sent, strict=True):
        assert item.extra == {}
        assert same(json.loads(msgspec.json.encode(item)), row), row


@every_endpoint
def test_unknown_fields_are_kept_at_any_depth(endpoint: Endpoint) -> None:
    """A field that no struct knows is in `extra`, nested as sent, and nothing else is lost."""
    body = json.loads(sample(sample_name(endpoint)))
    rows = body["data"][endpoint.rows] if endpoint.paged else [body["data"]]
    for row in rows:
        row["badge"] = {"level": 3}
        for value in row.values():
            if isinstance(value, dict) and value is not row["badge"]:
                value["brand_new"] = ["x", None]
            if isinstance(value, list) and value and isinstance(value[0], dict):
                value[0]["brand_new"] = 1
    page = answer(endpoint, body, **PARAMS[endpoint])
    assert page.rejects == []
    for item, row in zip(page.items, rows, strict=True):
        assert item.extra["badge"] == {"level": 3}
        assert same(everything(item), row)


@every_endpoint
def test_a_row_that_does_not_fit_is_a_reject(endpoint: Endpoint) -> None:
    """A row with an invalid ID becomes a reject with its bytes; the other rows stay."""
    body = json.loads(sample(sample_name(endpoint)))
    rows = body["data"][endpoint.rows] if endpoint.paged else [body["data"]]
    key = "id" if endpoint in (CATEGORY_INFO, ITEM_RATINGS) else "item_id"
    rows[0][key] = {"value": 1}
    page = answer(endpoint, body, **PARAMS[endpoint])
    assert [reject.position for reject in page.rejects] == [0]
    assert json.loads(page.rejects[0].raw) == rows[0]
    assert len(page.items) == len(rows) - 1


VALUES: dict[Endpoint, list[tuple[str | None, int | None]]] = {
    CATEGORY_ITEMS: [("12.80", 24_310), ("36.00", 8_064)],
    CATEGORY_ITEMS_V2: [("0.80", 100_000), ("0.80", 100_000), ("0.95", 100_000)],
    SEARCH_ITEMS: [("48", 500), ("9.5", 60), ("7", 26_000)],
    SHOP_ITEMS: [("2.60", 10_077), ("3.70", 5_941), ("2.60", 6_540)],
    SHOP_ITEMS_V2: [("126.00", 2), ("88.00", 11), ("64.00", 35)],
    GLOBAL_SEARCH_ITEMS: [("28.0", 1_640), ("41.0", 987)],
    ITEM_DETAIL: [("18.75", 264)],
    ITEM_DESCRIPTION: [(None, None)],
    ITEM_SHIPPING: [(None, None)],
    ITEM_SALES: [(None, None)],
    ITEM_RATINGS: [(None, None)] * 3,
}
"""Endpoint of products -> price and pieces sold of each item in its sample."""
PRODUCTS = [endpoint for endpoint in ENDPOINTS.values() if issubclass(endpoint.item, Product)]


@pytest.mark.parametrize("endpoint", PRODUCTS, ids=[endpoint.name for endpoint in PRODUCTS])
def test_the_same_accessors_read_every_kind_of_product(endpoint: Endpoint) -> None:
    """Price and pieces sold are read from the fields of any endpoint.

    For 已售500+件, 全网2.6万+件 and 100000+ the lower bound is the number of pieces.
    """
    items = answer(endpoint, sample(sample_name(endpoint)), **PARAMS[endpoint]).items
    expected = [(price and Decimal(price), sold) for price, sold in VALUES[endpoint]]
    assert [(item.sale_price, item.sold) for item in items] == expected


# -- paging


def envelope(rows: int, **data: Any) -> dict[str, Any]:
    """Return a success with a number of rows."""
    items = [{"item_id": 600000000001 + n} for n in range(rows)]
    return {"code": 200, "msg": "success", "data": {**data, "items": items}}


TOTALS = [
    # total, echoed size, rows, page number, more
    (41, 20, 20, 2, True),
    (40, 20, 20, 2, False),
    ("2465", 20, 20, 123, True),
    ("2465", 20, 5, 124, False),
    (0, 20, 0, 1, False),
    (7, None, 3, 2, True),
    (6, None, 3, 2, False),
    (5, None, 0, 1, True),  # an empty page that claims five rows is no end
]


@pytest.mark.parametrize("endpoint", [SHOP_ITEMS, SHOP_ITEMS_V2])
@pytest.mark.parametrize(("total", "size", "rows", "number", "more"), TOTALS)
def test_the_total_ends_a_listing_without_has_next_page(
    endpoint: Endpoint, total: object, size: int | None, rows: int, number: int, *, more: bool
) -> None:
    """Without `has_next_page`, a page follows while number times echoed size is below the total."""
    params = {endpoint.required[0]: "a.b", "page_size": 10}
    page = answer(
        endpoint, envelope(rows, total_count=total, page_size=size), number=number, **params
    )
    assert page.has_next_page is more


def test_has_next_page_wins_over_the_total() -> None:
    """`has_next_page` decides if it is sent, because a total may be a ceiling."""
    for word in (True, False):
        body = envelope(20, has_next_page=word, total_count=2000, page_size=20)
        page = answer(CATEGORY_ITEMS_V2, body, number=100, cat_id=5)
        assert page.has_next_page is word
        assert page.last_page == 100


@pytest.mark.parametrize("endpoint", [one for one in BY_SHORT_NAME.values() if one.lists_products])
def test_a_page_without_any_paging_field_is_a_failure(endpoint: Endpoint) -> None:
    """A page that does not say if another one follows is an error, never the last page."""
    error = reading(endpoint, envelope(3), **PARAMS[endpoint])
    assert isinstance(error, MalformedReplyError)
    assert "next page" in str(error)


def test_only_has_next_page_ends_a_v1_listing() -> None:
    """A total does not end a listing if the document of its endpoint has no total."""
    error = reading(CATEGORY_ITEMS, envelope(3, total_count=3, page_size=20), cat_id=5)
    assert isinstance(error, MalformedReplyError)


def ratings(rows: int, **data: Any) -> dict[str, Any]:
    """Return a page of ratings."""
    page = {"item_id": 5, "page": 2, "page_size": 10, "sort_type": "default"}
    rated = [{"id": 1 + n, "rate_star": 5} for n in range(rows)]
    return {"code": 200, "msg": "success", "data": {**page, **data, "list": rated}}


@pytest.mark.parametrize("rows", [0, 1, 9, 10])
def test_only_an_empty_page_ends_a_listing_without_any_paging_field(rows: int) -> None:
    """A page of ratings with fewer rows than its size is no proof that no other one follows."""
    page = answer(ITEM_RATINGS, ratings(rows), number=2, item_id=5)
    assert (page.has_next_page, page.last_page, page.total_count) == (rows > 0, None, None)


def test_a_has_next_page_that_ratings_send_one_day_counts() -> None:
    """The field decides wherever it is sent."""
    page = answer(ITEM_RATINGS, ratings(10, has_next_page=False), number=2, item_id=5)
    assert page.has_next_page is False


def test_ratings_have_the_product_that_was_asked_for_and_an_id_of_their_own() -> None:
    """Two ratings of one product are two rows, on every page and of every form."""
    for body in (ratings(2), ratings(2, brand_new=1)):
        page = answer(ITEM_RATINGS, body, number=2, item_id=5)
        assert [(row.item_id, row.id, row.row_id) for row in page.items] == [(5, 1, 1), (5, 2, 2)]
        assert page.row_ids() == [1, 2]


@pytest.mark.parametrize("endpoint", PRODUCTS, ids=[endpoint.name for endpoint in PRODUCTS])
def test_a_row_is_told_apart_by_the_field_that_its_struct_names(endpoint: Endpoint) -> None:
    """`row_id` is the field `row_key`, whatever else a row has for an ID."""
    for row in answer(endpoint, sample(sample_name(endpoint)), **PARAMS[endpoint]).items:
        assert row.row_id == getattr(row, endpoint.item.row_key)


# -- endpoints without pages


def test_a_root_comes_as_a_list_or_as_an_object() -> None:
    """The first level is read in either shape, since its shape is not documented."""
    child = {"id": "54", "name": "服饰", "name_en": "Apparel", "level": 1, "has_children": True}
    for data, count in ((({"children": [child]}), 1), ([child, child | {"id": "80"}], 2)):
        page = answer(CATEGORY_INFO, {"code": 200, "data": data})
        assert not page.has_next_page
        assert len(page.items) == count
    assert [item.id for item in page.items] == [54, 80]


@pytest.mark.parametrize("data", [None, "x", 5, True, [5], [None], "absent"])
def test_a_success_without_its_object_is_a_failure(data: object) -> None:
    """A success without an object in `data` is an error to retry, never a result."""
    body = {"code": 200} if data == "absent" else {"code": 200, "data": data}
    assert isinstance(reading(ITEM_DETAIL, body, item_id=5), MalformedReplyError)


# -- refused parameters

REFUSED = [
    (CATEGORY_ITEMS, {"cat_id": 5, "is_super_factory": True}, "called super_factory there"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "super_factory": True}, "called is_super_factory there"),
    (CATEGORY_ITEMS, {"cat_id": 5, "sort": "sales"}, "category/items/v2, search/items"),
    (CATEGORY_ITEMS, {"cat_id": 5, "price_start": 1}, "have it. Its parameters: cat_id"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "sort": "price"}, "one of default, sales, price_up"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "sort": "price_upp"}, "did you mean 'price_up'"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "sort": "time_up"}, "not 'time_up'"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "language": "de"}, "one of en, zh, ru"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "price_start": "cheap"}, "price in yuan such as 9.90"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "price_start": -1}, "price in yuan"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "price_end": True}, "price in yuan"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "price_end": float("nan")}, "price in yuan"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "price_end": Decimal("Infinity")}, "price in yuan"),
    (CATEGORY_ITEMS_V2, {"cat_id": 5, "price_start": 5, "price_end": 4}, "5 is above"),
    (CATEGORY_ITEMS_V2, {"sort": "sales"}, "needs cat_id"),
    (SEARCH_ITEMS, {"keyword": ""}, "keyword must be text"),
    (SEARCH_ITEMS, {"keyword": "a\nb"}, "printable"),
    (SEARCH_ITEMS, {"keyword": "x" * 501}, "1 to 500"),
    (SEARCH_ITEMS, {"keyword": "x", "page_size": 21}, "from 1 to 20"),
    (SEARCH_ITEMS, {"keyword": "x", "page_size": 0}, "from 1 to 20"),
    (SEARCH_ITEMS, {"keyword": "x", "moq": True}, "moq must be a whole number"),
    (SHOP_ITEMS, {"shop_url": "https://x.1688.com"}, "called member_id there"),
    (SHOP_ITEMS_V2, {"member_id": "b2b-1"}, "called shop_url there"),
    (SHOP_ITEMS_V2, {"shop_url": "https://x", "cat_type": "2"}, "one of 0, 1"),
    (GLOBAL_SEARCH_ITEMS, {"sort": "sales"}, "needs keyword or cat_id"),
    (ITEM_DETAIL, {"item_id": "abc"}, "not an item ID"),
    (ITEM_DETAIL, {"itemid": 5}, "called item_id there"),
    (ITEM_RATINGS, {"item_id": 5, "sort": "latest"}, "called sort_type there"),
    (ITEM_RATINGS, {"item_id": 5, "sort_type": "star_asc"}, "one of default, latest"),
]


@pytest.mark.parametrize(("endpoint", "params", "message"), REFUSED)
def test_an_unknown_parameter_or_a_bad_value_is_refused(
    endpoint: Endpoint, params: dict[str, Any], message: str
) -> None:
    """The message names the right parameter, the right endpoint or the allowed values."""
    with pytest.raises(InvalidRequestError, match=message) as caught:
        describe(endpoint, params)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 320


def test_an_endpoint_of_a_newer_version_is_named() -> None:
    """For an endpoint that this version does not know, the message says to upgrade."""
    with pytest.raises(InvalidRequestError, match="upgrade"):
        endpoint_of(Listing("orders", ()))


# -- one query, one listing


def test_default_values_are_not_sent() -> None:
    """The same query in another spelling, or with default values, is the same listing."""
    plain = describe(CATEGORY_ITEMS_V2, {"cat_id": 5})
    assert plain == describe(
        CATEGORY_ITEMS_V2, {"cat_id": "5", "sort": "default", "page_size": 20, "language": None}
    )
    assert describe(CATEGORY_ITEMS_V2, {"cat_id": 5, "price_start": "9.90"}) == describe(
        CATEGORY_ITEMS_V2, {"cat_id": 5, "price_start": Decimal("9.9")}
    )
    ten = describe(CATEGORY_ITEMS_V2, {"cat_id": 5, "price_start": 10, "price_end": 100})
    assert ten.query == "cat_id=5&price_end=100&price_start=10"


TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1)


@given(TEXT, TEXT)
def test_any_keyword_has_one_query_and_one_identity(one: str, two: str) -> None:
    """A keyword is quoted in the query and readable in the identity; both are unique."""
    listings = []
    for text in (one, two):
        if not text.strip() or not text.strip().isprintable():
            return
        listings.append(describe(SEARCH_ITEMS, {"keyword": text}))
    left, right = listings
    assert left.query.isascii()
    assert not set(" &#?+") & set(left.query.partition("=")[2])
    assert left.identity.isprintable()
    assert (left.identity == right.identity) == (left == right) == (left.query == right.query)


def test_identities_are_readable() -> None:
    """Chinese stays readable; characters that could end a parameter are quoted."""
    assert describe(SEARCH_ITEMS, {"keyword": "男士 T&恤"}).identity == (
        "search/items?keyword=男士%20T%26恤"
    )
    shop = describe(SHOP_ITEMS_V2, {"shop_url": "https://shop1.1688.com"})
    assert shop.identity == "shop/items/v2?shop_url=https://shop1.1688.com"
    assert shop.query == "shop_url=https%3A%2F%2Fshop1.1688.com"
    assert describe(CATEGORY_INFO, {}).identity == "category/info"


def test_names_and_paths_are_those_of_the_document() -> None:
    """Each endpoint is found by its name, and each one that shows products by a short name."""
    for name, endpoint in ENDPOINTS.items():
        assert endpoint.name == name
        assert endpoint.path == f"/1688/{name}"
    assert set(BY_SHORT_NAME) == {
        "category-v1", "category-v2", "search", "shop", "shop-v2", "global-search", "item-detail",
        "item-description", "item-shipping", "item-sales", "item-ratings",
    }  # fmt: skip
