"""From items to rows: flat, typed, one schema for each endpoint. No I/O.

A row is the same in every form the project writes: provenance first, then the item's own fields
flattened with `_`, then a column `..._text` for each number: null, unless what was sent says more
than the number that was read from it (`"100000+"`) or is no number at all; then `extra`, with the
fields that no column knows. So nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from .columns import Kind, Layout, layout
from .listings import Listing, endpoint_of
from .replies import Page
from .values import count, money, percent

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


def _json(value: Any) -> Any:
    # Blocks that have structs inside are lists of them: as they were sent, but for null.
    return None if value == "null" else msgspec.to_builtins(value)


READERS: dict[Kind, Callable[[Any], Any]] = {
    "id": lambda value: value,
    "text": _text,
    "money": money,
    "count": count,
    "percent": percent,
    "number": money,
    "flag": _flag,
    "json": _json,
}
"""How a value is read, by the kind of its column; never raises."""

_NOTHING = (None, "", "null")


def read(item: Any, found: Layout) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read an item into its columns.

    Args:
        item: The item.
        found: The layout of its struct.

    Returns:
        The columns by name, with Python's own types (money, percent and other numbers as
        `Decimal`), and the fields that no column holds, nested as they were sent.
    """
    values: dict[str, Any] = {}
    texts: dict[str, str | None] = {}
    holders: list[Any] = [item]
    for block in found.blocks[1:]:
        above = holders[block.above]
        holders.append(None if above is None else getattr(above, block.name))
    for column in found.columns:
        holder = holders[column.block]
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


def rows(page: Page[Any]) -> Iterator[dict[str, Any]]:
    """The rows of a page, as Python's own types (money and percent as `Decimal`).

    Yields:
        A dict with the columns of `PROVENANCE`, those of the listing's endpoint, and `extra` (null
        if empty).
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
    origin: Origin, items: Iterable[Any], positions: Iterable[int]
) -> Iterator[dict[str, Any]]:
    """The rows of items of one page; `run` stands before `fetched_at` where there is one.

    Args:
        origin: What they have in common.
        items: The items.
        positions: The 0-based position of each among the rows as sent.
    """
    listing, cat_id = origin.listing.identity, origin.listing.cat_id
    run = {} if origin.run is None else {"run": origin.run}
    found = layout(endpoint_of(origin.listing).item)
    for position, item in zip(positions, items, strict=True):
        values, extra = read(item, found)
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


def json_lines(page: Page[Any]) -> bytes:
    r"""The rows of a page as JSON lines: one object a line, UTF-8, each ended by `\n` alone."""
    return encode(rows(page))


def encode(found: Iterable[dict[str, Any]]) -> bytes:
    r"""Rows as JSON lines: one object a line, UTF-8, each ended by `\n` alone."""
    return b"".join([_ENCODER.encode(row) + b"\n" for row in found])
