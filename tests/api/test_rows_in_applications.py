"""Rows as applications get them: dicts of an item, rows of a page, a table in a notebook."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import InstanceOf, PlainSerializer, TypeAdapter

from tests.support.making import dumped, page_of, row, sample_page, success, with_data
from tmapi_async import ENDPOINTS, InvalidRequestError, Item, Page
from tmapi_async.api.columns import layout
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.rows import PROVENANCE, json_lines

ItemRow = Annotated[InstanceOf[Item], PlainSerializer(Item.to_dict)]
every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))


def lines(page: Page[Any]) -> list[dict[str, Any]]:
    """Return the rows of a page, read back from JSON lines."""
    return [json.loads(line) for line in json_lines(page).splitlines()]


@every_endpoint
def test_a_dict_of_an_item_is_its_row_in_json_lines(endpoint: Endpoint) -> None:
    """`to_dict` and `to_rows` give the documented row, which `json.dumps` accepts."""
    page = sample_page(endpoint)
    rows = page.to_rows()
    assert rows == json.loads(json.dumps(rows)) == lines(page)
    for item, whole in zip(page.items, rows, strict=True):
        part = item.to_dict()
        assert list(whole) == [*PROVENANCE, *part]
        assert whole == {**whole, **part}


@every_endpoint
def test_in_python_mode_numbers_are_decimals(endpoint: Endpoint) -> None:
    """With `mode="python"` the values are Python's own, and equal to those of JSON as text."""
    page = sample_page(endpoint)
    decimals = {
        column.name
        for column in layout(endpoint.item).columns
        if column.kind in ("money", "percent", "number")
    }
    for whole, plain in zip(page.to_rows(mode="python"), page.to_rows(), strict=True):
        assert isinstance(whole["fetched_at"], datetime)
        for name in decimals & {name for name, value in whole.items() if value is not None}:
            assert isinstance(whole[name], Decimal)
            assert str(whole[name]) == plain[name]
        others = whole.keys() - decimals - {"fetched_at"}
        assert {name: whole[name] for name in others} == {name: plain[name] for name in others}


@every_endpoint
def test_a_drifted_row_has_the_same_keys(endpoint: Endpoint) -> None:
    """Unknown fields, and values that do not fit, are in `extra`; the keys stay, in order."""
    usual = sample_page(endpoint)
    body = json.loads(usual.body)
    rows = body["data"][endpoint.rows] if endpoint.paged else [body["data"]]
    rows[0] |= {"badge": {"level": 3}, "price_info": ["odd"]}
    item = sample_page(endpoint, dumped(body)).items[0]
    drifted, plain = item.to_dict(), usual.items[0].to_dict()
    assert list(drifted) == list(plain)
    assert drifted["extra"]["badge"] == {"level": 3}
    assert drifted["extra"]["price_info"] == ["odd"]
    assert "badge" not in (plain["extra"] or {})


def test_a_mode_that_does_not_exist_is_refused() -> None:
    """A misspelt mode raises, also for the rows of a page."""
    page = page_of(with_data())
    for make in (page.items[0].to_dict, page.to_rows):
        with pytest.raises(InvalidRequestError, match="mode must be 'json' or 'python'"):
            make(mode="xml")  # type: ignore[operator]


def test_rejects_leave_gaps_in_the_rows_of_a_page() -> None:
    """A reject is no row, and the rows after it keep their positions."""
    page = page_of(success([dumped(row(1)), b"null", dumped(row(2))]))
    assert [line["position"] for line in page.to_rows()] == [0, 2]
    assert page_of(with_data(items=[])).to_rows() == []


def test_rows_and_items_are_return_values_for_pydantic() -> None:
    """Rows fit `list[dict[str, Any]]`, and one annotation makes items a type of Pydantic."""
    page = page_of(with_data(items=[row(1, price_info={"sale_price": "4.50"}), row(2)]))
    rows = TypeAdapter(list[dict[str, Any]])
    items = TypeAdapter(list[ItemRow])
    assert json.loads(rows.dump_json(page.to_rows())) == page.to_rows()
    assert json.loads(items.dump_json(page.items)) == [item.to_dict() for item in page.items]
    assert items.json_schema(mode="serialization")["items"]["type"] == "object"


async def test_rows_and_items_are_return_values_of_fastapi() -> None:
    """A path operation returns the rows of a page, or its items, and both arrive as the rows."""
    fastapi = pytest.importorskip("fastapi", reason="a framework that the examples need")
    page = page_of(with_data(items=[row(1), row(2, sales_count="100000+", badge=1)]))
    app = fastapi.FastAPI()
    app.add_api_route("/rows", page.to_rows, response_model=list[dict[str, Any]])
    app.add_api_route("/items", lambda: page.items, response_model=list[ItemRow])
    app.add_api_route("/plain", page.to_rows, response_model=None)
    assert await reply(app, "/rows") == await reply(app, "/plain") == page.to_rows()
    assert await reply(app, "/items") == [item.to_dict() for item in page.items]


async def reply(app: Any, path: str) -> Any:
    """Return the JSON that an application answers to a GET request."""
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent[0]["status"] == 200
    return json.loads(b"".join(message.get("body", b"") for message in sent))


class Shown(HTMLParser):
    """Tags, attributes and texts of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[Any] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag."""
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Take a text."""
        self.texts.append(data)


TABLE = {"table", "caption", "thead", "tbody", "tr", "th", "td"}


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
    | st.sampled_from(
        ["<img src=x onerror=alert(1)>", "&lt;b&gt;", "</table><script>x</script>", "\u202eabc"]
    )
)
def test_foreign_text_makes_no_html_in_a_notebook(title: str) -> None:
    """A page in a notebook is a table alone, without attributes, links or pictures."""
    html = page_of(with_data(items=[row(1, title=title)]))._repr_html_()
    shown = Shown(html)
    assert shown.tags <= TABLE
    assert shown.attributes == []
    assert "\u202e" not in html
    assert len(html) < 5_000


def test_a_page_in_a_notebook_is_small() -> None:
    """The table has ten rows at most, and says how many items and rejects the page has."""
    many = page_of(with_data(items=[*(row(n, title="长" * 500) for n in range(30)), None]))
    html = many._repr_html_()
    assert len(html) < 5_000
    texts = Shown(html).texts
    assert "Items: 30, rejects: 1. Another page follows. Shown: the first 10." in texts[0]
    assert {"item_id", "title", "sale_price"} < set(texts)
    assert {"600000000009", "4.50"} < set(texts)
    assert "600000000010" not in texts


@every_endpoint
def test_pages_of_every_endpoint_show_in_a_notebook(endpoint: Endpoint) -> None:
    """Every endpoint's page is a table; columns without a value are left out."""
    shown = Shown(sample_page(endpoint)._repr_html_())
    assert shown.tags == TABLE
    assert "item_id" in shown.texts
