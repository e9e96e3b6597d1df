from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.making import ROW, dumped, page_of, row, success, with_data
from tmapi_async.api.columns import columns, layout, read_item
from tmapi_async.api.items import Item
from tmapi_async.api.rows import PROVENANCE, json_lines, page_rows


def lines(page: Any) -> list[dict[str, Any]]:
    """Return the rows of a page, read back from JSON lines."""
    text = json_lines(page)
    assert text == b"" or text.endswith(b"\n")
    return [json.loads(line) for line in text.split(b"\n") if line]


def only_line(**fields: Any) -> dict[str, Any]:
    """Return the only row of a page, with some fields of the item replaced."""
    (line,) = lines(page_of(with_data(items=[row(1, **fields)])))
    return line


COLUMNS = [
    "item_id",
    "product_url",
    "title",
    "img",
    "price",
    "price_info_sale_price",
    "price_info_show_price",
    "price_info_origin_price",
    "quantity_begin",
    "sales_count",
    "sale_info_sale_quantity_int",
    "sale_info_buyer_count",
    "shop_info_login_id",
    "shop_info_shop_url",
    "shop_info_company_name",
    "shop_info_is_super_factory",
    "shop_info_shop_repurchase_rate",
]
TEXTS = [
    "price_text",
    "price_info_sale_price_text",
    "price_info_show_price_text",
    "price_info_origin_price_text",
    "quantity_begin_text",
    "sales_count_text",
    "sale_info_sale_quantity_int_text",
    "sale_info_buyer_count_text",
    "shop_info_is_super_factory_text",
    "shop_info_shop_repurchase_rate_text",
]


def test_columns_are_one_schema() -> None:
    """Every row has provenance, the documented fields, the texts of its numbers, and extra."""
    assert [column.name for column in columns(Item)] == COLUMNS
    assert [column.text for column in columns(Item) if column.text] == TEXTS
    assert PROVENANCE == ("listing", "cat_id", "page", "position", "fetched_at")
    for fields in ({}, {"badge": 1}, {"price_info": None, "shop_info": None}):
        assert list(only_line(**fields)) == [*PROVENANCE, *COLUMNS, *TEXTS, "extra"]


def test_a_row_of_every_field() -> None:
    """A row has its origin, exact money as text, counts as integers, and no extra."""
    assert only_line() == {
        "listing": "category/items?cat_id=1031910",
        "cat_id": 1031910,
        "page": 3,
        "position": 0,
        "fetched_at": "2026-07-01T12:00:00.123456Z",
        "item_id": 600000000001,
        "product_url": ROW["product_url"],
        "title": "连衣裙",
        "img": ROW["img"],
        "price": None,
        "price_info_sale_price": "4.50",
        "price_info_show_price": "4.60",
        "price_info_origin_price": None,
        "quantity_begin": 2,
        "sales_count": 100,
        "sale_info_sale_quantity_int": 100,
        "sale_info_buyer_count": 40,
        "shop_info_login_id": "shop",
        "shop_info_shop_url": "https://shop.1688.com",
        "shop_info_company_name": "公司",
        "shop_info_is_super_factory": True,
        "shop_info_shop_repurchase_rate": "38.46",
        "extra": None,
        **dict.fromkeys(TEXTS),
    }


def shop(**fields: object) -> dict[str, object]:
    """Return fields of the shop as changes of a row."""
    return {"shop_info": fields}


@pytest.mark.parametrize(
    ("fields", "column", "value", "text"),
    [
        ({"price": "298.00"}, "price", "298.00", None),
        ({"price": 298}, "price", "298", None),
        ({"price": "1e5"}, "price", "100000", None),
        ({"price": "0.00"}, "price", "0.00", None),
        ({"price": "面议"}, "price", None, "面议"),
        ({"price": "1,299.00"}, "price", None, "1,299.00"),
        ({"price_info": {"sale_price": "¥5"}}, "price_info_sale_price", None, "¥5"),
        ({"price_info": {"sale_price": "null"}}, "price_info_sale_price", None, None),
        ({"sales_count": "100000+"}, "sales_count", 100_000, "100000+"),
        ({"sales_count": "全网4.1万+件"}, "sales_count", 41_000, "全网4.1万+件"),
        ({"sales_count": "many"}, "sales_count", None, "many"),
        ({"sales_count": 88}, "sales_count", 88, None),
        ({"sales_count": "88"}, "sales_count", 88, None),
        ({"sales_count": "88.0"}, "sales_count", 88, None),
        ({"sales_count": "88.5"}, "sales_count", 88, "88.5"),
        ({"sales_count": 88.5}, "sales_count", 88, "88.5"),
        ({"sales_count": 10**50}, "sales_count", 10**50, None),
        ({"quantity_begin": None}, "quantity_begin", None, None),
        ({"quantity_begin": ""}, "quantity_begin", None, None),
        (shop(shop_repurchase_rate="29.2%"), "shop_info_shop_repurchase_rate", "29.2", None),
        (shop(shop_repurchase_rate="0.3"), "shop_info_shop_repurchase_rate", "0.3", "0.3"),
        (shop(shop_repurchase_rate="0.79%"), "shop_info_shop_repurchase_rate", "0.79", None),
        ({"sales_count": "1.2萬+"}, "sales_count", 12_000, "1.2萬+"),
        ({"sales_count": "2 lakh"}, "sales_count", None, "2 lakh"),
        (shop(shop_repurchase_rate="high"), "shop_info_shop_repurchase_rate", None, "high"),
        (shop(is_super_factory="true"), "shop_info_is_super_factory", True, None),
        (shop(is_super_factory=0), "shop_info_is_super_factory", False, None),
        (shop(is_super_factory="unknown"), "shop_info_is_super_factory", None, "unknown"),
    ],
)
def test_what_a_number_cannot_hold_is_in_its_text(
    fields: dict[str, Any], column: str, value: object, text: str | None
) -> None:
    """A value that says more than its column can hold is in the text column, as sent."""
    line = only_line(**fields)
    assert (line[column], line[f"{column}_text"]) == (value, text)
    assert [name for name in TEXTS if line[name]] == ([f"{column}_text"] if text else [])
    assert line["extra"] is None


@pytest.mark.parametrize(
    ("fields", "column", "value", "extra"),
    [
        ({"title": "null"}, "title", None, None),
        ({"title": ""}, "title", "", None),
        (shop(login_id=88), "shop_info_login_id", "88", None),
        ({"shop_info": "null"}, "shop_info_login_id", None, None),
        ({"badge": {"level": 3}}, "title", "连衣裙", {"badge": {"level": 3}}),
        (shop(years=3), "shop_info_login_id", None, {"shop_info": {"years": 3}}),
    ],
)
def test_unknown_fields_are_in_extra(
    fields: dict[str, Any], column: str, value: object, extra: object
) -> None:
    """Text is as sent, the text "null" is null, and unknown fields are in extra."""
    line = only_line(**fields)
    assert (line[column], line["extra"]) == (value, extra)


@given(st.lists(st.sampled_from(["good", "bad", "drifted"]), max_size=6))
def test_positions_are_those_of_the_page(kinds: list[str]) -> None:
    """The position of a row is its place among all rows of the page, rejects included."""
    made = {"good": row(1), "bad": None, "drifted": row(1, badge=1)}
    page = page_of(with_data(items=[made[kind] for kind in kinds]))
    expected = [n for n, kind in enumerate(kinds) if kind != "bad"]
    assert [line["position"] for line in lines(page)] == expected


def test_positions_stay_when_duplicates_are_dropped() -> None:
    """A row keeps its position when rows before it are left out."""
    page = page_of(with_data(items=[row(1), row(1), None, row(2)]))
    first, _, last = page.items
    assert [line["position"] for line in lines(page.only([first, last]))] == [0, 3]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["a\nb", "a\r\nb", "a\u2028b\u2029c\x85d\x0be", "\x00\x1f\x7f", '"\\'])
)
def test_a_row_is_one_line(title: str) -> None:
    """A row is one line, split at line feeds only, with any title."""
    page = page_of(with_data(items=[row(1, title=title), row(2)]))
    text = json_lines(page)
    assert text.count(b"\n") == 2
    assert json.loads(text.split(b"\n")[0])["title"] == (None if title == "null" else title)


@given(
    st.decimals(min_value=0, max_value=10**9, places=2)
    | st.decimals(min_value=0, max_value=10**9, places=0)
)
def test_money_is_exact_in_a_line(amount: Decimal) -> None:
    """Money in a line is text with every digit that was sent."""
    sent = f"{amount:f}"
    line = only_line(price_info={"sale_price": sent})
    assert line["price_info_sale_price"] == sent


def test_reading_gives_python_types() -> None:
    """Read for tables, money and percent are decimals, counts integers, the ID an integer."""
    (item,) = page_of(with_data(items=[row(1)])).items
    values, extra = read_item(item, layout(Item))
    assert values["price_info_sale_price"] == Decimal("4.50")
    assert values["shop_info_shop_repurchase_rate"] == Decimal("38.46")
    assert (values["item_id"], values["sales_count"]) == (600000000001, 100)
    assert extra == {}


def test_reading_changes_nothing() -> None:
    """Reading the rows of a page twice gives the same rows: the items are not changed."""
    page = page_of(with_data(items=[row(1, price="面议", shop_info={"years": 3})]))
    assert list(page_rows(page)) == list(page_rows(page))
    assert page.items[0].extra == {"shop_info": {"years": 3}}


def test_a_page_without_items_has_no_lines() -> None:
    """An empty page, and one of rejects alone, has no lines, not even an empty one."""
    assert json_lines(page_of(with_data(items=[]))) == b""
    assert json_lines(page_of(success([b"null", dumped("x")]))) == b""


def test_a_misspelt_picture_is_mended_and_kept_as_sent() -> None:
    """The address can be used, and `extra` has what was sent, beside unknown fields."""
    sent = "https:////cbu01.alicdn.com/img/a.jpg"
    line = only_line(img=sent, badge=1)
    assert line["img"] == "https://cbu01.alicdn.com/img/a.jpg"
    assert line["extra"] == {"badge": 1, "img": sent}
    assert only_line(img=line["img"])["extra"] is None
