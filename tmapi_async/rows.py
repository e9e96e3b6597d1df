"""From items to rows: flat, typed, one schema for each endpoint. No I/O.

A row is the same in every form the project writes: provenance first, then the item's own fields
flattened with `_`, then a column `..._text` for each number: null, unless what was sent says more
than the number that was read from it (`"100000+"`) or is no number at all; then `extra`, with the
fields that no column knows. So nothing is lost.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from .items import Item
from .listings import Listing
from .models import count, money, percent
from .replies import Page

Kind: TypeAlias = Literal["id", "text", "money", "count", "percent", "flag"]

_KINDS: dict[str, Kind] = {
    "item_id": "id",
    "price": "money",
    "sale_price": "money",
    "show_price": "money",
    "origin_price": "money",
    "quantity_begin": "count",
    "sales_count": "count",
    "sale_quantity_int": "count",
    "buyer_count": "count",
    "is_super_factory": "flag",
    "shop_repurchase_rate": "percent",
}


class Column(msgspec.Struct, frozen=True):
    """One column of an item.

    Attributes:
        name: Name in a row (`"price_info_sale_price"`).
        path: Where it is in the item (`("price_info", "sale_price")`).
        kind: How it is read: an ID, text, money in yuan (exact), a count, a rate in percent, a
            flag.
        text: Name of the column for what the number does not say; None where the column itself
            holds all there is.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind
    text: str | None = None


def _columns(struct: type[msgspec.Struct], above: tuple[str, ...] = ()) -> Iterator[Column]:
    for field in msgspec.structs.fields(struct):
        path = (*above, field.encode_name)
        inner = nested(field.type)
        if inner is not None:
            yield from _columns(inner, path)
        else:
            name, kind = "_".join(path), _KINDS.get(field.name, "text")
            yield Column(name, path, kind, None if kind in ("id", "text") else f"{name}_text")


def nested(kind: Any) -> type[msgspec.Struct] | None:
    """The struct that a field of this type holds, or None."""
    members = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    for member in members:
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            return member
    return None


ITEM_COLUMNS = tuple(_columns(Item))
"""The columns of an item of `category/items`, in the order of a row."""

PROVENANCE = ("listing", "cat_id", "page", "position", "fetched_at")
"""Where a row comes from: the columns before the item's own."""


def _text(value: Any) -> str | None:
    if value is None or value == "null":  # the literal is sent where null is meant
        return None
    return value if isinstance(value, str) else str(value)


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())


READERS: dict[Kind, Callable[[Any], Any]] = {
    "id": lambda value: value,
    "text": _text,
    "money": money,
    "count": count,
    "percent": percent,
    "flag": _flag,
}
"""How a value is read, by the kind of its column; never raises."""

_NOTHING = (None, "", "null")


def read(item: Item) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read an item into its columns.

    Returns:
        The columns by name, with Python's own types (money and percent as `Decimal`), and the
        fields that no column holds, nested as they were sent.
    """
    values: dict[str, Any] = {}
    texts: dict[str, str | None] = {}
    blocks: dict[str, Any] = {}
    for column in ITEM_COLUMNS:
        holder: Any = item
        if len(column.path) > 1:
            block = column.path[0]
            if block not in blocks:
                blocks[block] = getattr(item, block)
            holder = blocks[block]
        sent = None if holder is None else getattr(holder, column.path[-1])
        value = None if sent is None else READERS[column.kind](sent)
        values[column.name] = value
        if column.text is not None:
            texts[column.text] = str(sent) if says_more(column.kind, sent, value) else None
    return values | texts, item.extra


def says_more(kind: Kind, sent: Any, value: Any) -> bool:
    """Whether what was sent for a number or a flag holds more than what was read from it."""
    if sent in _NOTHING:
        return False
    if kind == "count":
        # "100000+" is no plain number, and of "1.5" the count is 1.
        return value is None or (not isinstance(sent, int) and money(sent) != value)
    if kind == "percent" and money(sent) is not None:
        return bool(money(sent) != value)  # a fraction was taken for one: keep what was sent
    return value is None


def rows(page: Page) -> Iterator[dict[str, Any]]:
    """The rows of a page, as Python's own types (money and percent as `Decimal`).

    Yields:
        A dict with the columns of `PROVENANCE`, of `ITEM_COLUMNS`, and `extra` (null if empty).
    """
    origin = Origin(page.request.listing, page.number, page.fetched_at)
    return item_rows(origin, page.items, page.positions())


class Origin(msgspec.Struct, frozen=True, gc=False):
    """What the rows of a page have in common.

    Attributes:
        listing: The listing.
        page: 1-based page number.
        fetched_at: When the page's body had been read, aware, UTC.
        run: Number of the run in its journal, or None where there is no journal.
    """

    listing: Listing
    page: int
    fetched_at: datetime
    run: int | None = None


def item_rows(
    origin: Origin, items: Iterable[Item], positions: Iterable[int]
) -> Iterator[dict[str, Any]]:
    """The rows of items of one page; `run` stands before `fetched_at` where there is one.

    Args:
        origin: What they have in common.
        items: The items.
        positions: The 0-based position of each among the rows as sent.
    """
    listing, cat_id = origin.listing.identity, origin.listing.cat_id
    run = {} if origin.run is None else {"run": origin.run}
    for position, item in zip(positions, items, strict=True):
        values, extra = read(item)
        yield {
            "listing": listing,
            "cat_id": cat_id,
            "page": origin.page,
            "position": position,
            **run,
            "fetched_at": origin.fetched_at,
            **values,
            "extra": extra or None,
        }


_ENCODER = msgspec.json.Encoder(decimal_format="string")


def json_lines(page: Page) -> bytes:
    r"""The rows of a page as JSON lines: one object a line, UTF-8, each ended by `\n` alone."""
    return encode(rows(page))


def encode(found: Iterable[dict[str, Any]]) -> bytes:
    r"""Rows as JSON lines: one object a line, UTF-8, each ended by `\n` alone."""
    return b"".join([_ENCODER.encode(row) + b"\n" for row in found])
