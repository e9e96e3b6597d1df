"""Best sellers and cheapest items of each category, chosen while the listings are read."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.export.arrays.number_arrays import MONEY, PERCENT

MAX_RANKED = 50
"""Best sellers, and cheapest items, of one category."""

_SHOWN_ROWS = 300
"""Best sellers, and cheapest items, of all categories together."""

_MIN_RANKED = 10
_KEPT = MAX_RANKED + 10  # some candidates may turn out to be one item seen twice
_MAX_CANDIDATES = 10_000
_KEPT_GROUPS = 60  # twice as many as are shown: the largest categories may be read last

CANDIDATE = pa.schema(
    [
        pa.field("group", pa.string()),
        pa.field("listing", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("cat_id", pa.int64()),
        pa.field("item_id", pa.int64()),
        pa.field("title", pa.string()),
        pa.field("img", pa.string()),
        pa.field("product_url", pa.string()),
        pa.field("company", pa.string()),
        pa.field("shop_url", pa.string()),
        pa.field("amount", MONEY),
        pa.field("sold", pa.int64()),
        pa.field("min_order", pa.int64()),
        pa.field("rate", PERCENT),
    ]
)
"""Columns of a candidate: `row` is its place among the rows of a group of listings."""


class RankedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One of the best-selling or cheapest items of a category. Do not trust its texts.

    Attributes:
        group: ID of the category, or identity of the listing.
        listing: Identity of the listing.
        item_id: Product ID.
        cat_id: Category ID, or None.
        title: Title, from the seller.
        img: Address of a picture, or a JSON list of addresses; from the seller.
        product_url: Page of the product.
        company: Company or shop.
        shop_url: Page of the shop.
        price: Selling price in yuan, exact.
        sold: Pieces sold.
        min_order: Smallest order, in pieces.
        rate: Repurchase rate in percent.
        best: Place among the best sellers of the category, from 1, or None.
        cheapest: Place among the cheapest, from 1, or None.
    """

    group: str
    listing: str
    item_id: int
    cat_id: int | None
    title: str | None
    img: str | None
    product_url: str | None
    company: str | None
    shop_url: str | None
    price: Decimal | None
    sold: int | None
    min_order: int | None
    rate: Decimal | None
    best: int | None = None
    cheapest: int | None = None


class ItemRanking:
    """Chooses the best sellers and the cheapest items of each category.

    Memory does not grow with the items: if there are too many categories, the smallest so far are
    given up, and never shown.
    """

    def __init__(self) -> None:
        self._current: list[pa.Table] = []
        self._candidates = CANDIDATE.empty_table()
        self._given_up: set[str] = set()

    def add_rows(self, rows: pa.Table) -> None:
        """Add rows of some listings (`CANDIDATE`)."""
        self._current.append(_first_of_each(rows))

    def end_listings(self, latest: pa.ChunkedArray, sizes: dict[str, int]) -> None:
        """Keep the best of the rows added since the last call.

        Args:
            latest: Places (`row`) of the latest sighting of each item.
            sizes: Number of items of each category so far.
        """
        rows = pa.concat_tables([CANDIDATE.empty_table(), *self._current])
        self._current = []
        rows = rows.filter(pc.is_in(rows["row"], value_set=latest.combine_chunks()))
        if self._given_up:
            names = pa.array(sorted(self._given_up), pa.string())
            rows = rows.filter(pc.invert(pc.is_in(rows["group"], value_set=names)))
        self._candidates = pa.concat_tables([self._candidates, _first_of_each(rows)])
        if self._candidates.num_rows > _MAX_CANDIDATES:
            self._candidates = _first_of_each(self._candidates)
            self._give_up_small(sizes)

    def _give_up_small(self, sizes: dict[str, int]) -> None:
        if self._candidates.num_rows <= _MAX_CANDIDATES:
            return
        groups = self._candidates["group"].unique().to_pylist()
        groups.sort(key=lambda group: -sizes[group])
        kept = pa.array(groups[:_KEPT_GROUPS], pa.string())
        self._given_up.update(groups[_KEPT_GROUPS:])
        self._candidates = self._candidates.filter(
            pc.is_in(self._candidates["group"], value_set=kept)
        ).combine_chunks()

    def items(self, groups: Collection[str]) -> list[RankedItem]:
        """Return the items of these categories, in their order, best sellers first.

        An item that is among both is returned once.
        """
        count = min(MAX_RANKED, max(_MIN_RANKED, _SHOWN_ROWS // max(1, len(groups))))
        by_group: dict[str, dict[int, dict[str, Any]]] = {group: {} for group in groups}
        for row in self._candidates.to_pylist():
            if row["group"] in by_group:  # a later row is a later sighting
                by_group[row["group"]][row["item_id"]] = row
        items: list[RankedItem] = []
        for rows in by_group.values():
            items += _ranked(list(rows.values()), count)
        return items


def _ranked(rows: list[dict[str, Any]], count: int) -> list[RankedItem]:
    sold = sorted((row for row in rows if row["sold"]), key=_by_sales)
    priced = sorted((row for row in rows if row["amount"]), key=_by_price)
    best = {row["item_id"]: place for place, row in enumerate(sold[:count], 1)}
    cheapest = {row["item_id"]: place for place, row in enumerate(priced[:count], 1)}
    chosen = {row["item_id"]: row for row in (*sold[:count], *priced[:count])}
    return [
        RankedItem(
            **{name: row[name] for name in CANDIDATE.names if name not in ("row", "amount")},
            price=row["amount"],
            best=best.get(item_id),
            cheapest=cheapest.get(item_id),
        )
        for item_id, row in chosen.items()
    ]


def _by_sales(row: dict[str, Any]) -> tuple[int, int]:
    return -row["sold"], row["item_id"]


def _by_price(row: dict[str, Any]) -> tuple[Decimal, int]:
    return row["amount"], row["item_id"]


def _first_of_each(rows: pa.Table) -> pa.Table:
    """Return the best-selling and the cheapest rows of each category, in the order of the rows."""
    if not rows.num_rows:
        return rows
    chosen = pa.concat_arrays(
        [_leaders(rows, "sold", "descending"), _leaders(rows, "amount", "ascending")]
    )
    unique = chosen.unique()
    return rows.take(unique.take(pc.sort_indices(unique))).combine_chunks()


def _leaders(
    rows: pa.Table, column: str, order: Literal["ascending", "descending"]
) -> pa.Int64Array:
    """Return the places of the first rows of each category, if they are sorted by a column.

    A price of 0 is no offer, and 0 pieces sold are no sale.
    """
    keys = pa.table(
        {
            "group": rows["group"].combine_chunks().dictionary_encode().indices,
            "value": pc.cast(rows[column], pa.float64()),
            "place": pa.array(range(rows.num_rows), pa.int64()),
        }
    )
    keys = keys.filter(pc.greater(keys["value"], 0.0))
    keys = keys.sort_by([("group", "ascending"), ("value", order)]).combine_chunks()
    if not keys.num_rows:
        return pa.array([], pa.int64())
    places = keys["place"].combine_chunks()
    ends = pc.run_end_encode(keys["group"].combine_chunks()).run_ends.to_pylist()
    starts = [0, *ends[:-1]]
    return pa.concat_arrays(
        [
            places.slice(start, min(end - start, _KEPT))
            for start, end in zip(starts, ends, strict=True)
        ]
    )
