"""Decoding of some fields of the rows: the same values as when all of them are decoded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.api.columns import Column, columns, layout
from tmapi_async.api.decoding import USUAL_BODY, decoder, field_decoder
from tmapi_async.api.endpoints import CATEGORY_ITEMS, ENDPOINTS

NAMES = frozenset(
    ("item_id", "title", "price", "price_info_sale_price", "sales_count", "sale_info_buyer_count")
)

NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "1.50", "100000+", "null", "é"]),
    st.just([]),
)
ROWS = st.fixed_dictionaries(
    {"item_id": st.one_of(st.integers(0, 3), st.sampled_from(["7", "x", None]))},
    optional={
        "title": st.one_of(st.text(max_size=3), NUMBERS),
        "price": NUMBERS,
        "price_info": st.one_of(
            st.none(),
            st.just("odd"),
            st.fixed_dictionaries({}, optional={"sale_price": NUMBERS, "show_price": NUMBERS}),
        ),
        "sales_count": NUMBERS,
        "sale_info": st.fixed_dictionaries({}, optional={"buyer_count": NUMBERS, "more": NUMBERS}),
        "shop_info": st.one_of(st.just(5), st.just({"login_id": []})),
        "not_known": NUMBERS,
    },
)


def page(rows: list[Any]) -> bytes:
    """Return the body of a page."""
    data = {"page": 1, "has_next_page": False, "items": rows}
    return json.dumps({"code": 200, "data": data}).encode()


def value_of(item: Any, column: Column) -> Any:
    """Return the value of a column as it was sent."""
    for name in column.path:
        item = None if item is None else getattr(item, name)
    return item


@given(st.lists(ROWS, max_size=3))
def test_fields_alone_have_the_values_that_the_whole_row_gives_them(rows: list[Any]) -> None:
    """Where a page can be read by its fields alone, rows and values are those of the whole page."""
    body = page(rows)
    fields = field_decoder(CATEGORY_ITEMS.name, NAMES)
    assert fields is not None
    narrow = fields.decode(body)
    whole, rejects = decoder(CATEGORY_ITEMS.name).decode(body)
    if narrow is None:
        return
    assert not rejects
    assert len(narrow) == len(whole.data.items)
    for some, item in zip(narrow, whole.data.items, strict=True):
        for column in columns(CATEGORY_ITEMS.item):
            if column.name in NAMES:
                left, right = value_of(some, column), value_of(item, column)
                assert (type(left), left) == (type(right), right), column.name


@pytest.mark.parametrize("damage", [b'"title":"\\x"', b'"title":"\xff"', b'"title":"a" "b"'])
def test_damaged_page_is_left_to_the_whole_decoder(damage: bytes) -> None:
    """A page that is not JSON, or has text that is not UTF-8 in one of the fields, is not read."""
    body = page([{"item_id": 1, "title": "t"}]).replace(b'"title": "t"', damage)
    assert damage in body
    fields = field_decoder(CATEGORY_ITEMS.name, NAMES)
    assert fields is not None
    assert fields.decode(body) is None


def test_large_page_is_left_to_the_whole_decoder() -> None:
    """Only the whole decoder counts the rows and values of a large body before it decodes them."""
    fields = field_decoder(CATEGORY_ITEMS.name, NAMES)
    assert fields is not None
    assert fields.decode(page([{"item_id": 1, "more": "x" * USUAL_BODY}])) is None


@pytest.mark.parametrize("name", sorted(ENDPOINTS))
def test_every_column_can_be_decoded_alone(name: str) -> None:
    """Each column of each endpoint that lists products has its value when decoded alone."""
    endpoint = ENDPOINTS[name]
    for column in layout(endpoint.item).columns:
        fields = field_decoder(name, frozenset((column.name,)))
        assert (fields is not None) == endpoint.lists_products
        if fields is None:
            return
        row: dict[str, Any] = {"item_id": 5}
        place = row
        for part in column.path[:-1]:
            place = place.setdefault(part, {})
        place.setdefault(column.path[-1], None if column.kind == "flag" else "7")
        items = fields.decode(page([row]))
        assert items is not None, column.name
        assert value_of(items[0], column) in ("7", 5, None)
