"""Selection of products that the listings of a journal show, to fetch more about each of them."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Sequence
from contextlib import closing

import msgspec

from tmapi_async.api.endpoints import BY_SHORT_NAME
from tmapi_async.errors import InvalidRequestError
from tmapi_async.export.chunks import read_chunks
from tmapi_async.export.selection import Selection, resolve
from tmapi_async.journal.reader import JournalReader

_UNKNOWN_SALES = -1
_OPEN = (
    "PRAGMA cache_size = -16384",
    "CREATE TABLE product (place INTEGER PRIMARY KEY, item_id INTEGER UNIQUE, sold INTEGER)",
    "BEGIN",
)
_ADD = """
INSERT INTO product (item_id, sold) VALUES (?, ?)
ON CONFLICT (item_id) DO UPDATE SET sold = max(sold, excluded.sold)
"""
# Products that sell alike stay in the order of the listings.
_SELECT = "SELECT item_id FROM product WHERE sold >= ? ORDER BY sold DESC, place LIMIT ?"


class ItemSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Rules that products must meet to be selected.

    Attributes:
        cats: Only products in listings of these categories; empty for all.
        min_sales: Only products with at least this number of pieces sold, or None.
        top: Only this number of products, those with the most pieces sold, or None for all.
    """

    cats: frozenset[int] = frozenset()
    min_sales: int | None = None
    top: int | None = None


class SelectedItems(msgspec.Struct, frozen=True):
    """Products that were selected in a journal.

    Attributes:
        found: Number of products in the listings, those that were not selected included.
        ids: IDs of the selected products, best sellers first.
        unfinished: Number of listings that no harvest has read to their end.
    """

    found: int
    ids: Sequence[int]
    unfinished: int = 0


def select_items(reader: JournalReader, selection: ItemSelection) -> SelectedItems:
    """Select products of the listings in a journal, each listing in its latest finished visit.

    Reads and decodes all pages of the listings. Memory: eight bytes for each selected product; the
    sales are in a temporary database, on disk beyond a small cache.

    Args:
        reader: The journal.
        selection: Rules that the products must meet.

    Returns:
        The products. A product without a known number of pieces sold is behind all others, and does
        not meet `min_sales`.

    Raises:
        InvalidRequestError: The journal has no listing of products, or none of a category.
        JournalError: The journal cannot be read.
    """
    unfinished = 0
    with closing(sqlite3.connect("", isolation_level=None)) as products:
        for statement in _OPEN:
            products.execute(statement)
        for endpoint, cats in _listed_endpoints(reader, selection.cats).items():
            scope = resolve(reader, Selection(endpoint=endpoint, cats=cats))
            unfinished += scope.tally.left + scope.tally.failed
            for chunk in read_chunks(reader, scope):
                rows = [
                    (item.item_id, _UNKNOWN_SALES if item.sold is None else item.sold)
                    for items in chunk.items
                    for item in items
                ]
                products.executemany(_ADD, rows)
        least = _UNKNOWN_SALES if selection.min_sales is None else selection.min_sales
        top = -1 if selection.top is None else selection.top
        ids = array("q", (item_id for (item_id,) in products.execute(_SELECT, (least, top))))
        ((found,),) = products.execute("SELECT count(*) FROM product")
    return SelectedItems(found, ids, unfinished)


def _listed_endpoints(reader: JournalReader, cats: frozenset[int]) -> dict[str, frozenset[int]]:
    """Return the endpoints with listings of products, each with the categories to read of it."""
    paged = {endpoint.name for endpoint in BY_SHORT_NAME.values() if endpoint.lists_products}
    listed: dict[str, set[int]] = {}
    for visit in reader.visits():
        if visit.listing.endpoint in paged:
            known = listed.setdefault(visit.listing.endpoint, set())
            if visit.listing.cat_id is not None:
                known.add(visit.listing.cat_id)
    if not listed:
        raise InvalidRequestError(
            f"{reader.path} has no listing of products: fetch some with tmapi harvest first"
        )
    missing = cats.difference(*listed.values())
    if missing:
        names = ", ".join(map(str, sorted(missing)[:10]))
        raise InvalidRequestError(f"{reader.path} has no listing of category {names}")
    return {
        name: frozenset(cats & known) for name, known in listed.items() if not cats or cats & known
    }
