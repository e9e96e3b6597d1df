"""Selection of products that the listings of a journal show, to fetch more about each of them."""

from __future__ import annotations

from typing import Any

import msgspec

from tmapi_async.api.endpoints import BY_SHORT_NAME
from tmapi_async.errors import InvalidRequestError
from tmapi_async.export.chunks import read_chunks
from tmapi_async.export.selection import Selection, resolve
from tmapi_async.journal.reader import JournalReader

_UNKNOWN_SALES = -1


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
    ids: list[int]
    unfinished: int = 0


def select_items(reader: JournalReader, selection: ItemSelection) -> SelectedItems:
    """Select products of the listings in a journal, each listing in its latest finished visit.

    Reads and decodes all pages of the listings. Memory: some hundred bytes for each product.

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
    sales: dict[int, int] = {}
    unfinished = 0
    for endpoint, cats in _listed_endpoints(reader, selection.cats).items():
        scope = resolve(reader, Selection(endpoint=endpoint, cats=cats))
        unfinished += scope.tally.left + scope.tally.failed
        for chunk in read_chunks(reader, scope):
            for items in chunk.items:
                _add_sales(sales, items)
    least = _UNKNOWN_SALES if selection.min_sales is None else selection.min_sales
    # Sorting is stable: products that sell alike stay in the order of the listings.
    ids = sorted((item_id for item_id, sold in sales.items() if sold >= least),
        key=lambda item_id: -sales[item_id])  # fmt: skip
    return SelectedItems(len(sales), ids[: selection.top], unfinished)


def _add_sales(sales: dict[int, int], items: list[Any]) -> None:
    for item in items:
        sold = item.sold
        known = sales.get(item.item_id, _UNKNOWN_SALES)
        sales[item.item_id] = known if sold is None else max(known, sold)


def _listed_endpoints(reader: JournalReader, cats: frozenset[int]) -> dict[str, frozenset[int]]:
    """Return the endpoints with listings of products, each with the categories to read of it."""
    paged = {endpoint.name for endpoint in BY_SHORT_NAME.values() if endpoint.paged}
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
