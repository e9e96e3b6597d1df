"""Makers for unit tests: rows, bodies, replies and the pages read from them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.support.paths import SAMPLES
from tmapi_async.api.endpoints import CATEGORY_ITEMS, Endpoint
from tmapi_async.api.listings import Listing, PageRequest, category_items
from tmapi_async.api.replies import Page, Reply, read_reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tmapi_async import TMAPIError

REQUEST = PageRequest(category_items(1031910), 3)
NOW = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)

ROW: dict[str, Any] = {
    "item_id": 600000000001,
    "product_url": "https://detail.1688.com/offer/600000000001.html",
    "title": "连衣裙",
    "img": "https://cbu01.alicdn.com/img/a.jpg",
    "price": "",
    "price_info": {"sale_price": "4.50", "show_price": "4.60", "origin_price": ""},
    "quantity_begin": 2,
    "sales_count": "100",
    "sale_info": {"sale_quantity_int": 100, "buyer_count": 40},
    "shop_info": {
        "login_id": "shop",
        "shop_url": "https://shop.1688.com",
        "company_name": "公司",
        "is_super_factory": True,
        "shop_repurchase_rate": "38.46",
    },
}
"""A row with every documented field."""


def row(number: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a row with an ID of its own and some fields replaced."""
    return {**ROW, "item_id": 600000000000 + number, **fields}


def dumped(value: Any) -> bytes:
    """Return a value as the API would send it: UTF-8, not escaped."""
    return json.dumps(value, ensure_ascii=False).encode()


def success(rows: Sequence[bytes], head: bytes = b'"has_next_page": true') -> bytes:
    """Return the body of a success with these bytes as rows."""
    listed = b", ".join(rows)
    return b'{"code": 200, "msg": "success", "data": {%b, "items": [%b]}}' % (head, listed)


def envelope(**changes: Any) -> dict[str, Any]:
    """Return a success of one row as a dict, with changes at its top level."""
    data = {"page": 3, "page_size": 20, "has_next_page": True, "filters": {}, "items": [ROW]}
    return {"code": 200, "msg": "success", "data": data} | changes


def with_data(**changes: Any) -> dict[str, Any]:
    """Return a success of one row as a dict, with changes in its data."""
    return envelope(data=envelope()["data"] | changes)


def read(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Page | TMAPIError:
    """Read a body (bytes, or a value to be sent as JSON) as the client does."""
    sent = body if isinstance(body, bytes) else dumped(body)
    return read_reply(Reply(status, headers or {}, sent), REQUEST, now=NOW)


def page_of(body: Any) -> Page:
    """Read a body that must be a page."""
    page = read(body)
    assert isinstance(page, Page), page
    return page


def sample_page(endpoint: Endpoint, body: bytes | None = None, *, number: int = 1) -> Page[Any]:
    """Read the sample reply of an endpoint, or another body, as a page of its listing."""
    request = PageRequest(Listing(endpoint.name, (("cat_id", "7"),)), number)
    sent = sample(sample_name(endpoint)) if body is None else body
    page = read_reply(Reply(200, {}, sent), request, now=NOW)
    assert isinstance(page, Page), page
    return page


def sample_name(endpoint: Endpoint) -> str:
    """Return the name of the sample reply of an endpoint."""
    name = endpoint.name.replace("/", "-").replace("_", "-")
    return f"doc-{name}-v1" if endpoint is CATEGORY_ITEMS else f"doc-{name}"


def sample(name: str) -> bytes:
    """Return the bytes of one sample reply."""
    return (SAMPLES / f"{name}.json").read_bytes()
