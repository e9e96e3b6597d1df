"""Turn the items of a page into rows: flat, typed, one schema for each endpoint. No I/O.

A row is the same in every format the project writes. Its columns are: provenance; the fields of the
item, flattened with `_`; a column `..._text` for each number; and `extra`, with the fields that no
column knows. A `..._text` column is null unless the text as sent says more than the number read
from it (`"100000+"`), or is not a number at all. An address of a picture that is only misspelt is
mended, and `extra` has it as it was sent. So nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from itertools import compress
from typing import Any, Protocol

import msgspec

from tmapi_async.errors.escaping import escape_controls

from .columns import layout, read_item
from .details import UnnamedProduct
from .endpoints import ENDPOINTS
from .listings import Listing, PageRequest, endpoint_of
from .values import Reject

PROVENANCE = ("listing", "cat_id", "page", "position", "fetched_at")
"""Columns before those of the item: the origin of the row."""


class PageOfRows(Protocol):
    """Parts of a page that its rows are made from; see `Page`."""

    @property
    def request(self) -> PageRequest:
        """Requested listing and page number."""

    @property
    def fetched_at(self) -> datetime:
        """Time at which the body had been read, aware, UTC."""

    @property
    def items(self) -> Sequence[Any]:
        """Rows that could be decoded."""

    @property
    def rejects(self) -> Sequence[Reject]:
        """Rows that could not be decoded."""

    @property
    def has_next_page(self) -> bool:
        """True if another page follows."""

    def positions(self) -> list[int]:
        """Return the position of each item among the rows as sent."""


def page_rows(page: PageOfRows) -> Iterator[dict[str, Any]]:
    """Yield the rows of a page, with Python's own types (money and percent as `Decimal`).

    Yields:
        A dict with the columns of `PROVENANCE`, those of the listing's endpoint, and `extra` (None
        if empty).
    """
    origin = Origin(page.request.listing, page.request.number, page.fetched_at)
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
    origin: Origin,
    items: Iterable[Any],
    positions: Iterable[int],
    struct: type[msgspec.Struct] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of items of one page, with a column `run` before `fetched_at` if it is known.

    Args:
        origin: Origin of the rows.
        items: The items.
        positions: 0-based position of each item among the rows as sent.
        struct: Struct of the items; None for that of the listing's endpoint.
    """
    listing, cat_id = origin.listing.identity, origin.listing.cat_id
    run = {} if origin.run is None else {"run": origin.run}
    item_layout = layout(struct or endpoint_of(origin.listing).item)
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


def json_lines(page: PageOfRows) -> bytes:
    r"""Return the rows of a page as JSON lines: one object a line, UTF-8, ended by `\n` alone."""
    return encode_lines(page_rows(page))


def encode_lines(rows: Iterable[dict[str, Any]]) -> bytes:
    r"""Return rows as JSON lines: one object a line, UTF-8, ended by `\n` alone."""
    return b"".join([_ENCODER.encode(row) + b"\n" for row in rows])


_SHOWN_FIELDS = ("item_id", "title", "name", "sale_price", "min_order", "sold")
_SHOWN_ROWS = 10
_SHOWN_CHARACTERS = 60


def page_html(page: PageOfRows) -> str:
    """Return a page as a small table of HTML, for notebooks.

    Foreign text is escaped and cut. The table has no links and no pictures: showing a page asks no
    other host for anything.
    """
    items = page.items[:_SHOWN_ROWS]
    rows = [[getattr(item, name, None) for name in _SHOWN_FIELDS] for item in items]
    used = [any(row[n] is not None for row in rows) for n in range(len(_SHOWN_FIELDS))]
    caption = (
        f"{page.request}. Items: {len(page.items):,}, rejects: {len(page.rejects):,}. "
        f"{'Another page follows' if page.has_next_page else 'This is the last page'}."
    )
    if len(items) < len(page.items):
        caption += f" Shown: the first {len(items)}."
    return html_table(
        caption, list(compress(_SHOWN_FIELDS, used)), [list(compress(row, used)) for row in rows]
    )


def html_table(caption: str, names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of HTML in which every text is escaped and cut.

    Args:
        caption: Line above the table.
        names: Names of the columns.
        rows: Cells of each row; None is empty.
    """
    head = "".join(f"<th>{_shown(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{_shown(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f"<table><caption>{_shown(caption, 300)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _shown(cell: object, longest: int = _SHOWN_CHARACTERS) -> str:
    text = "" if cell is None else str(cell)
    return escape(escape_controls(text if len(text) <= longest else f"{text[: longest - 1]}…"))


_UNNAMED = frozenset(
    endpoint.name for endpoint in ENDPOINTS.values() if issubclass(endpoint.item, UnnamedProduct)
)


def name_products(listing: Listing, items: Iterable[Any]) -> None:
    """Set the product ID of rows that came without one to the ID that was asked for."""
    if listing.endpoint not in _UNNAMED:
        return
    item_id = next((int(value) for name, value in listing.params if name == "item_id"), 0)
    for item in items:
        msgspec.structs.force_setattr(item, "item_id", item_id)
