"""Prices, sellers and rates of a run's items, aggregated with Arrow."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.export.arrow import record_batch
from tmapi_async.export.changes.diff import group_names, latest_sightings, undivided_listings
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.selection import Scope, read_chunks
from tmapi_async.export.semantics import SOURCE_COLUMNS, semantic_column
from tmapi_async.journal.reader import JournalReader

MOST_CATEGORIES = 30
MOST_SELLERS = 50
_MARGIN = 8  # sellers kept beyond those shown, since an item may have been seen several times
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_RATE_STEP = 5
_RATES = 100 // _RATE_STEP

_WANTED = ("listing", "cat_id", "item_id", "price", "sold", "rate")
_SELLER = ("item_id", "cat_id", "title", "img", "product_url", "company", "price", "sold")


class PriceHistogram(msgspec.Struct, frozen=True):
    """Prices of one category, or of one listing that has none, in yuan.

    Attributes:
        group: The category's ID, or the listing's identity.
        items: Items with a price.
        quantiles: The 5th, 25th, 50th, 75th and 95th percentile.
    """

    group: str
    items: int
    quantiles: list[float]


class SellerShare(msgspec.Struct, frozen=True):
    """An item that sells much. Its texts come from strangers."""

    item_id: int
    cat_id: int | None
    title: str | None
    img: str | None
    product_url: str | None
    company: str | None
    price: str | None
    sold: int


class Goods(msgspec.Struct, frozen=True):
    """What the items of a run are like.

    Attributes:
        items: Distinct items within a listing, summed.
        sightings: Rows seen.
        priced: Items with a price.
        unread: Column to how many of its values could not be read.
        prices: Prices of the largest categories (or listings, without one), largest first.
        categories: How many of these there are.
        sellers: What sells most.
        rates: Items by the share of buyers who came back (for the item, or else to its shop), in
            steps of 5 %.
        rated: Items with such a rate.
    """

    items: int
    sightings: int
    priced: int
    unread: dict[str, int]
    prices: list[PriceHistogram]
    categories: int
    sellers: list[SellerShare]
    rates: list[int]
    rated: int


def goods(reader: JournalReader, found: Scope) -> Goods:
    """Aggregate the items of a run and an endpoint; holds six narrow columns of all of them.

    Raises:
        JournalError: A page cannot be read.
    """
    conversions = Conversions()
    parts: list[pa.RecordBatch] = []
    sellers = _table([], _SELLER)
    roots = reader.roots()
    for chunk in read_chunks(reader, found):
        batch = _named(record_batch(chunk, conversions), roots)
        parts.append(batch.select(_WANTED))
        sellers = _best(sellers, batch.select(_SELLER))
    table = _table(parts, _WANTED)
    # Each batch has a dictionary of its own; Arrow groups by one only.
    once = latest_sightings(table.unify_dictionaries().combine_chunks())
    once = once.append_column("group", group_names(once))
    priced = once.filter(pc.is_valid(once["price"]))
    rated = once["rate"].drop_null()
    return Goods(
        items=once.num_rows,
        sightings=table.num_rows,
        priced=priced.num_rows,
        unread=conversions.unread,
        prices=_prices(priced),
        categories=len(once["group"].unique()),
        sellers=_sellers(sellers),
        rates=_histogram(rated),
        rated=len(rated),
    )


def _table(parts: list[pa.RecordBatch], names: tuple[str, ...]) -> pa.Table:
    schema = pa.schema([(name, _TYPES[name]) for name in names])
    return pa.Table.from_batches([part.cast(schema) for part in parts], schema=schema)


_TYPES: dict[str, pa.DataType] = {
    "listing": pa.dictionary(pa.int32(), pa.string()),
    "cat_id": pa.int64(),
    "item_id": pa.int64(),
    "price": pa.float64(),
    "sold": pa.int64(),
    "rate": pa.float32(),
    **dict.fromkeys(("title", "img", "product_url", "company"), pa.string()),
}


def _named(batch: pa.RecordBatch, roots: dict[str, str]) -> pa.RecordBatch:
    columns = {name: batch[name] for name in ("cat_id", "item_id")}
    columns["listing"] = undivided_listings(batch["listing"], roots).dictionary_encode()
    columns |= {name: semantic_column(batch, name) for name in SOURCE_COLUMNS}
    columns["price"] = pc.cast(columns["price"], pa.float64())  # for drawing; never summed
    columns["rate"] = pc.cast(columns["rate"], pa.float32())
    return pa.RecordBatch.from_pydict(columns)


def _best(sellers: pa.Table, batch: pa.RecordBatch) -> pa.Table:
    """The best so far; later sightings stand behind earlier ones."""
    both = pa.concat_tables([sellers, _table([batch], _SELLER)])
    both = both.filter(pc.is_valid(both["sold"]))
    keep = pc.select_k_unstable(
        both, k=min(both.num_rows, MOST_SELLERS * _MARGIN), sort_keys=[("sold", "descending")]
    )
    return both.take(keep)


def _sellers(found: pa.Table) -> list[SellerShare]:
    once: dict[int, dict[str, Any]] = {}
    for row in found.sort_by([("sold", "descending")]).to_pylist():
        once.setdefault(row["item_id"], row)
    return [
        SellerShare(**{**row, "price": None if row["price"] is None else f"{row['price']:,.2f}"})
        for row in list(once.values())[:MOST_SELLERS]
    ]


def _prices(priced: pa.Table) -> list[PriceHistogram]:
    counted = priced.group_by("group").aggregate([("price", "count")])
    largest = counted.sort_by([("price_count", "descending")]).slice(0, MOST_CATEGORIES)
    found = []
    for row in largest.to_pylist():
        prices = priced["price"].filter(pc.equal(priced["group"], row["group"]))
        marks = pc.quantile(prices, q=list(_QUANTILES)).to_pylist()
        found.append(
            PriceHistogram(row["group"], row["price_count"], [round(mark, 4) for mark in marks])
        )
    return found


def _histogram(rates: pa.ChunkedArray) -> list[int]:
    bins = [0] * _RATES
    steps = pc.floor(pc.divide(rates, float(_RATE_STEP)))
    for entry in pc.value_counts(steps).to_pylist():
        bins[min(max(int(entry["values"]), 0), _RATES - 1)] += entry["counts"]
    return bins
