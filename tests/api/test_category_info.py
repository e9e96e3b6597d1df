"""Replies about categories: which ones can be used, and the reason why others cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.making import dumped
from tmapi_async.api.category_info import (
    ROOT,
    first_level,
    is_refusal,
    problem_with,
    refusal,
)
from tmapi_async.api.endpoints import CATEGORY_INFO
from tmapi_async.api.listings import PageRequest, describe
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.errors import ParameterError

NOW = datetime(2026, 7, 1, tzinfo=UTC)
CHILD = {"id": "71", "name": "灯具", "level": 2, "has_children": False}
LEAF = {"id": "7", "name": "地毯", "has_children": False}
PARENT = {"id": "7", "name": "家居", "has_children": True, "children": [CHILD]}


def page_of(data: Any) -> Page[Any]:
    """Read a reply with this `data`."""
    body = dumped({"code": 200, "data": data})
    request = PageRequest(describe(CATEGORY_INFO, {"cat_id": 7}), 1)
    page = read_reply(Reply(200, {}, body), request, now=NOW)
    assert isinstance(page, Page), page
    return page


@pytest.mark.parametrize(
    ("cat_id", "data"),
    [
        (7, LEAF),
        (7, PARENT),
        (7, {"children": [CHILD]}),
        (ROOT, {"children": [CHILD]}),
        (ROOT, [LEAF, PARENT]),
    ],
)
def test_a_reply_that_says_what_is_below_can_be_used(cat_id: int, data: Any) -> None:
    """A leaf says so, a parent lists its children, and the first level comes in two shapes."""
    assert problem_with(cat_id, page_of(data)) is None


@pytest.mark.parametrize(
    ("cat_id", "data", "reason"),
    [
        (7, {"id": "8", "has_children": False}, "the reply is about category 8"),
        (7, [LEAF, LEAF], "2 categories came in place of one"),
        (7, {"id": "7"}, "does not say if the category has children"),
        (7, {"id": "7", "has_children": True}, "it has children, but the reply lists none"),
        (7, {"id": {}}, "it cannot be decoded"),
        (ROOT, {"children": []}, "it has children, but the reply lists none"),
        (ROOT, [], "it is empty"),
        (ROOT, [LEAF, {"name": "x"}], "a category of the first level has no ID"),
    ],
)
def test_a_reply_that_cannot_be_used_has_a_reason(cat_id: int, data: Any, reason: str) -> None:
    """A missing statement about children is a problem, never an empty category."""
    problem = problem_with(cat_id, page_of(data))
    assert problem is not None
    assert reason in problem


def test_the_first_level_is_the_same_from_both_shapes() -> None:
    """A list of categories and an object with children give the same first level."""
    below_an_object = first_level(page_of({"children": [LEAF]}).items)
    as_a_list = first_level(page_of([LEAF, PARENT]).items)
    assert [category.id for category in below_an_object] == [7]
    assert [category.id for category in as_a_list] == [7, 7]
    assert as_a_list[0] == below_an_object[0]


def test_a_stored_refusal_is_no_answer_of_the_tree() -> None:
    """A walk of the tree requests an unknown category again; a report recognizes the refusal."""
    body = refusal("no such category")
    request = PageRequest(describe(CATEGORY_INFO, {"cat_id": 7}), 1)
    result = read_reply(Reply(200, {}, body), request, now=NOW)
    assert isinstance(result, ParameterError)
    assert is_refusal(body)
    assert not is_refusal(b'{"code": 200, "data": []}')
    assert not is_refusal(b"")
