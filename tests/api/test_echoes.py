"""Replies that echo another request than the one that was sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.making import NOW, dumped
from tmapi_async import MixedUpReplyError, Page
from tmapi_async.api.echoes import EchoChecks
from tmapi_async.api.endpoints import ENDPOINTS
from tmapi_async.api.listings import PageRequest, describe
from tmapi_async.api.replies import Reply, read_reply


def read(
    checks: EchoChecks, endpoint: str, params: dict[str, Any], data: dict[str, Any], page: int = 1
) -> Any:
    """Read a reply with some data to a request with some parameters."""
    listed: dict[str, Any] = {"page": page, "has_next_page": True, "total_count": 9999, "items": []}
    paged = ENDPOINTS[endpoint].paged
    body = dumped({"code": 200, "msg": "success", "data": listed | data if paged else data})
    request = PageRequest(describe(ENDPOINTS[endpoint], params), page)
    return read_reply(Reply(200, {}, body), request, now=NOW, checks=checks)


CATEGORY = [
    ("category/items", {"cat_id": 7}),
    ("category/items/v2", {"cat_id": 7}),
    ("global/search/items", {"cat_id": 7, "keyword": "x"}),
]


@pytest.mark.parametrize(("endpoint", "params"), CATEGORY)
@pytest.mark.parametrize("echo", [8, "8", 8.0])
def test_another_category_is_refused_from_the_first_page_on(
    endpoint: str, params: dict[str, Any], echo: object
) -> None:
    """A category ID has one spelling, so that the first reply can be compared already."""
    error = read(EchoChecks(), endpoint, params, {"cat_id": echo if echo != 8.0 else 8})
    assert type(error) is MixedUpReplyError
    assert "cat_id is '8' there, not '7'" in error.message


@pytest.mark.parametrize(("endpoint", "params"), CATEGORY)
@pytest.mark.parametrize("echo", [7, "7", " 7", None, "", 0, "0", "null", [], {}, True, "9" * 5000])
def test_an_empty_or_unreadable_echo_says_nothing(
    endpoint: str, params: dict[str, Any], echo: object
) -> None:
    """An endpoint need not echo a parameter, and may echo it empty."""
    assert isinstance(read(EchoChecks(), endpoint, params, {"cat_id": echo}), Page)


@pytest.mark.parametrize("echo", [{"item_id": 8}, {"item_id": "8"}, {"page": 1}])
def test_ratings_of_another_product_or_page_are_refused(echo: dict[str, Any]) -> None:
    """A page of ratings in place of another one would end a product too early, or mix two up."""
    data = {"list": [{"id": 1}], "items": None, "item_id": 7, "page": 2, **echo}
    body = dumped({"code": 200, "data": {k: v for k, v in data.items() if v is not None}})
    request = PageRequest(describe(ENDPOINTS["item/rating"], {"item_id": 7}), 2)
    error = read_reply(Reply(200, {}, body), request, now=NOW, checks=EchoChecks())
    assert type(error) is MixedUpReplyError


def test_a_category_that_was_not_requested_is_not_compared() -> None:
    """A search by keyword may state the category that it found."""
    assert isinstance(read(EchoChecks(), "search/items", {"keyword": "a"}, {"cat_id": 8}), Page)


TEXTS = [
    ("search/items", {"keyword": "hat"}, {"keyword": "hat"}, {"keyword": "shoe"}),
    ("category/items/v2", {"cat_id": 7, "sort": "sales"}, {"sort": "sales"}, {"sort": "default"}),
    ("shop/items", {"member_id": "m", "shop_cat_id": "5"}, {"shop_cat_id": "5"},
     {"shop_cat_id": "6"}),
    ("shop/items/v2", {"shop_url": "https://u", "cat": "5"}, {"cat_id": "5"}, {"cat_id": "6"}),
    ("shop/items", {"member_id": "m", "price_start": 5}, {"price_start": "5.00"},
     {"price_start": "6"}),
    ("shop/items", {"member_id": "m", "price_end": 5}, {"price_end": 5}, {"price_end": 6}),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "params", "faithful", "other"), TEXTS)
def test_texts_are_compared_once_they_were_echoed_faithfully(
    endpoint: str, params: dict[str, Any], faithful: dict[str, Any], other: dict[str, Any]
) -> None:
    """The API may write a text otherwise, so that a difference counts only after an agreement."""
    checks = EchoChecks()
    assert isinstance(read(checks, endpoint, params, other), Page)
    assert isinstance(read(checks, endpoint, params, faithful), Page)
    assert type(read(checks, endpoint, params, other)) is MixedUpReplyError
    empty = dict.fromkeys(other, "")
    assert isinstance(read(checks, endpoint, params, empty), Page)


def test_another_spelling_is_not_another_text() -> None:
    """Width, case and white space of a keyword do not matter."""
    checks = EchoChecks()
    for echo in ("T恤 女", "t恤  女", "\uff34恤\u3000女"):
        result = read(checks, "search/items", {"keyword": "T恤 女"}, {"keyword": echo})
        assert isinstance(result, Page)


def test_a_default_that_is_always_echoed_is_not_faithful() -> None:
    """An endpoint that says "default" to every sort order must not fail sorted listings."""
    checks = EchoChecks()
    assert isinstance(read(checks, "category/items/v2", {"cat_id": 7}, {"sort": "default"}), Page)
    sales = {"cat_id": 7, "sort": "sales"}
    assert isinstance(read(checks, "category/items/v2", sales, {"sort": "default"}), Page)
    assert isinstance(read(checks, "category/items/v2", sales, {"sort": "sales"}), Page)
    error = read(checks, "category/items/v2", {"cat_id": 7}, {"sort": "sales"})
    assert type(error) is MixedUpReplyError


def test_faithfulness_is_learned_for_each_endpoint() -> None:
    """One endpoint's echo says nothing about another's."""
    checks = EchoChecks()
    sales = {"cat_id": 7, "sort": "sales"}
    assert isinstance(read(checks, "category/items/v2", sales, {"sort": "sales"}), Page)
    other = {"keyword": "a", "sort": "sales"}
    assert isinstance(read(checks, "search/items", other, {"sort": "x"}), Page)


@pytest.mark.parametrize(
    ("endpoint", "params", "data", "word"),
    [
        ("item_detail", {"item_id": 7}, {"item_id": 8}, "product 8"),
        ("item_detail", {"item_id": 7}, {"item_id": "8"}, "product 8"),
        ("category/info", {"cat_id": 7}, {"id": "8", "has_children": False}, "category 8"),
    ],
)
def test_another_product_or_category_is_refused(
    endpoint: str, params: dict[str, Any], data: dict[str, Any], word: str
) -> None:
    """A reply without pages states the ID that it is about."""
    error = read(EchoChecks(), endpoint, params, data)
    assert type(error) is MixedUpReplyError
    assert word in error.message
    own = {name: "7" if value in (8, "8") else value for name, value in data.items()}
    assert isinstance(read(EchoChecks(), endpoint, params, own), Page)


def test_the_first_level_of_categories_is_not_compared() -> None:
    """It is requested without an ID."""
    data = {"id": "8", "has_children": False}
    assert isinstance(read(EchoChecks(), "category/info", {}, data), Page)


@pytest.mark.parametrize(
    ("endpoint", "params"),
    [("category/items", {"cat_id": 7}), ("shop/items", {"member_id": "m"})],
)
@pytest.mark.parametrize(("echo", "is_mixed_up"), [(1, True), (3, True), (2, False), (None, False)])
def test_another_page_is_refused(
    endpoint: str, params: dict[str, Any], echo: int | None, is_mixed_up: bool
) -> None:
    """A page number has one spelling, so that the first reply can be compared already."""
    result = read(EchoChecks(), endpoint, params, {"page": echo}, 2)
    assert (type(result) is MixedUpReplyError) == is_mixed_up


def test_the_last_page_in_place_of_one_past_the_end_is_accepted() -> None:
    """Some servers repeat the last page; a page behind the requested one is never that."""
    params, end = {"cat_id": 7}, {"has_next_page": False}
    assert isinstance(read(EchoChecks(), "category/items", params, {"page": 2} | end, 3), Page)
    error = read(EchoChecks(), "category/items", params, {"page": 4} | end, 3)
    assert type(error) is MixedUpReplyError


def test_a_reply_that_was_accepted_before_is_not_compared_again() -> None:
    """Pages of a journal are decoded again without the checks."""
    request = PageRequest(describe(ENDPOINTS["category/items"], {"cat_id": 7}), 1)
    data = {"page": 2, "has_next_page": True, "cat_id": 8, "items": []}
    reply = Reply(200, {}, dumped({"code": 200, "data": data}))
    assert isinstance(read_reply(reply, request, now=NOW), Page)
