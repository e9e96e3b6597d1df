"""Turn items into rows: flat, typed, one schema for each endpoint. No I/O.

A row is the same in every format the project writes. Its columns are: provenance; the fields of the
item, flattened with `_`; a column `..._text` for each number; and `extra`, with the fields that no
column knows. A `..._text` column is null unless the text as sent says more than the number read
from it (`"100000+"`), or is not a number at all. An address of a picture that is only misspelt is
mended, and `extra` has it as it was sent. So nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from .columns import Kind, Layout, layout
from .listings import Listing, endpoint_of
from .replies import Page
from .values import count, money, percent, picture

PROVENANCE = ("listing", "cat_id", "page", "position", "fetched_at")
"""Columns before those of the item: the origin of the row."""


def _text(value: Any) -> str | None:
    if value is None or value == "null":  # the API sends the literal in place of null
        return None
    return value if isinstance(value, str) else str(value)


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())


def _json(value: Any) -> Any:
    # Structs occur here only in lists. They become plain JSON as sent, but for null.
    return None if value == "null" else msgspec.to_builtins(value)


READERS: dict[Kind, Callable[[Any], Any]] = {
    "id": lambda value: value,
    "text": _text,
    "picture": picture,
    "money": money,
    "count": count,
    "percent": percent,
    "number": money,
    "flag": _flag,
    "json": _json,
}
"""Readers of values by the kind of their column. They never raise."""

_EMPTY = (None, "", "null")


def read_item(item: Any, item_layout: Layout) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read an item into its columns.

    Args:
        item: The item.
        item_layout: Layout of its struct.

    Returns:
        Columns by name, with Python's own types (money, percent and other numbers as `Decimal`);
        and the fields that no column holds as they were sent, nested: those that no column knows,
        and misspelt addresses of pictures.
    """
    values: dict[str, Any] = {}
    misspelt: dict[str, Any] = {}
    texts: dict[str, str | None] = {}
    holders: list[Any] = [item]
    for block in item_layout.blocks[1:]:
        above = holders[block.above]
        holders.append(None if above is None else getattr(above, block.name))
    for column in item_layout.columns:
        holder = holders[column.block]
        raw_value = None if holder is None else getattr(holder, column.path[-1])
        value = None if raw_value is None else READERS[column.kind](raw_value)
        values[column.name] = value
        if column.text is not None:
            says_more = text_says_more(column.kind, raw_value, value)
            texts[column.text] = str(raw_value) if says_more else None
        elif column.kind == "picture" and value is not None and value != raw_value:
            misspelt[column.name] = raw_value
    return values | texts, item.extra | misspelt if misspelt else item.extra


def text_says_more(kind: Kind, raw_value: Any, value: Any) -> bool:
    """Return True if a number or flag, as sent, says more than the value read from it."""
    if raw_value in _EMPTY:
        return False
    if kind == "count":
        # "100000+" is not a plain number, and "1.5" is read as the count 1.
        return value is None or (not isinstance(raw_value, int) and money(raw_value) != value)
    if kind == "percent" and money(raw_value) is not None:
        return value is None or 0 < value < 1  # percent or a fraction: the number does not show it
    return value is None


def page_rows(page: Page[Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a page, with Python's own types (money and percent as `Decimal`).

    Yields:
        A dict with the columns of `PROVENANCE`, those of the listing's endpoint, and `extra` (None
        if empty).
    """
    origin = Origin(page.request.listing, page.number, page.fetched_at)
    return item_rows(origin, page.items, page.positions())


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Origin of all rows of one page.

    Attributes:
        listing: The listing.
        page: 1-based page number.
        fetched_at: Time at which the page's body had been read, aware, UTC.
        run: Number of the run in the journal, or None without a journal.
    """

    listing: Listing
    page: int
    fetched_at: datetime
    run: int | None = None


def item_rows(
    origin: Origin, items: Iterable[Any], positions: Iterable[int]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of items of one page, with a column `run` before `fetched_at` if it is known.

    Args:
        origin: Origin of the rows.
        items: The items.
        positions: 0-based position of each item among the rows as sent.
    """
    listing, cat_id = origin.listing.identity, origin.listing.cat_id
    run = {} if origin.run is None else {"run": origin.run}
    item_layout = layout(endpoint_of(origin.listing).item)
    for position, item in zip(positions, items, strict=True):
        values, extra = read_item(item, item_layout)
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
    r"""Return the rows of a page as JSON lines: one object a line, UTF-8, ended by `\n` alone."""
    return encode_lines(page_rows(page))


def encode_lines(rows: Iterable[dict[str, Any]]) -> bytes:
    r"""Return rows as JSON lines: one object a line, UTF-8, ended by `\n` alone."""
    return b"".join([_ENCODER.encode(row) + b"\n" for row in rows])
