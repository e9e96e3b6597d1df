"""Prices, best-selling items and repurchase rates of a run, aggregated with Arrow."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.export.arrow import record_batch
from tmapi_async.export.changes.diff import group_names, latest_sightings, undivided_listings
from tmapi_async.export.chunks import read_by_listing
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.selection import Scope
from tmapi_async.export.semantics import SOURCE_COLUMNS, category_column, semantic_column
from tmapi_async.journal.reader import JournalReader

MAX_CATEGORIES = 30
MAX_BESTSELLERS = 50
_CANDIDATES = 8  # rows kept per item shown, since an item may have been seen several times
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_RATE_STEP = 5
_RATE_BINS = 100 // _RATE_STEP

_COLUMNS = ("listing", "cat_id", "item_id", "price", "sold", "rate")
_BESTSELLER_COLUMNS = (
    "item_id",
    "cat_id",
    "title",
    "img",
    "product_url",
    "company",
    "price",
    "sold",
)


class PriceQuantiles(msgspec.Struct, frozen=True):
    """Prices in one category, or in one listing without a category, in yuan.

    Attributes:
        group: ID of the category, or identity of the listing.
        items: Items with a price.
        quantiles: The 5th, 25th, 50th, 75th and 95th percentile.
    """

    group: str
    items: int
    quantiles: list[float]


class Bestseller(msgspec.Struct, frozen=True):
    """One of the best-selling items. Its texts come from sellers and are not trusted."""

    item_id: int
    cat_id: int | None
    title: str | None
    img: str | None
    product_url: str | None
    company: str | None
    price: str | None
    sold: int


class ItemStatistics(msgspec.Struct, frozen=True):
    """Statistics of the items of a run.

    Attributes:
        distinct: Number of distinct items, counted in each listing and summed.
        sightings: Rows received.
        priced: Items with a price.
        unread: Column -> number of values that could not be read.
        prices: Prices in the largest categories (or listings without a category), largest first.
        categories: Number of all these categories and listings.
        bestsellers: Items with the most pieces sold.
        rates: Number of items by repurchase rate (of the item, else of its shop), in steps of 5 %.
        rated: Items with a repurchase rate.
    """

    distinct: int
    sightings: int
    priced: int
    unread: dict[str, int]
    prices: list[PriceQuantiles]
    categories: int
    bestsellers: list[Bestseller]
    rates: list[int]
    rated: int


def item_statistics(reader: JournalReader, scope: Scope) -> ItemStatistics:
    """Aggregate the items of a run and an endpoint.

    Memory: twelve bytes for each item, the narrow columns of a group of listings, and the
    candidates for the best-selling items.

    Raises:
        JournalError: A page cannot be read.
    """
    conversions, roots = Conversions(), reader.roots()
    sums = _Sums()
    for (chunks,) in read_by_listing(reader, [scope], roots):
        batches: list[pa.RecordBatch] = []
        for chunk in chunks:
            batch = _semantic_batch(record_batch(chunk, conversions), roots)
            batches.append(batch.select(_COLUMNS))
            sums.add_candidates(batch.select(_BESTSELLER_COLUMNS))
        sums.add_listings(_table(batches, _COLUMNS))
    return ItemStatistics(
        distinct=sums.distinct,
        sightings=sums.sightings,
        priced=sums.priced,
        unread=conversions.unread,
        prices=sums.quantiles(),
        categories=len(sums.groups),
        bestsellers=_bestsellers(sums.candidates),
        rates=sums.rates,
        rated=sum(sums.rates),
    )


class _Sums:
    """Statistics of the listings read so far."""

    def __init__(self) -> None:
        self.distinct = self.sightings = self.priced = 0
        self.rates = [0] * _RATE_BINS
        self.candidates = _table([], _BESTSELLER_COLUMNS)
        self.groups: dict[str, int] = {}  # category or listing -> its code in `_prices`
        self._prices: list[pa.RecordBatch] = []

    def add_candidates(self, batch: pa.RecordBatch) -> None:
        """Add rows from which the best-selling items are chosen."""
        self.candidates = _best_selling(self.candidates, batch)

    def add_listings(self, table: pa.Table) -> None:
        """Add all rows of some listings."""
        # Each batch has its own dictionary, but Arrow groups by a single one.
        items = latest_sightings(table.unify_dictionaries().combine_chunks())
        self.distinct += items.num_rows
        self.sightings += table.num_rows
        names = group_names(items)
        for name in names.unique().to_pylist():
            self.groups.setdefault(name, len(self.groups))
        priced = items.append_column("group", names).filter(pc.is_valid(items["price"]))
        self.priced += priced.num_rows
        rates = _histogram(items["rate"].drop_null())
        self.rates = [total + count for total, count in zip(self.rates, rates, strict=True)]
        if priced.num_rows:
            self._prices.append(self._coded(priced))

    def _coded(self, priced: pa.Table) -> pa.RecordBatch:
        groups = priced["group"].combine_chunks().dictionary_encode()
        codes = pa.array([self.groups[name] for name in groups.dictionary.to_pylist()], pa.int32())
        prices = priced["price"].combine_chunks()
        return pa.RecordBatch.from_arrays([codes.take(groups.indices), prices], schema=_PRICES)

    def quantiles(self) -> list[PriceQuantiles]:
        """Return the price quantiles of the groups with the most items."""
        priced = pa.Table.from_batches(self._prices, schema=_PRICES)
        names = list(self.groups)
        counts = priced.group_by("group").aggregate([("price", "count")])
        largest = counts.sort_by([("price_count", "descending")]).slice(0, MAX_CATEGORIES)
        quantiles = []
        for row in largest.to_pylist():
            prices = priced["price"].filter(pc.equal(priced["group"], row["group"]))
            values = pc.quantile(prices, q=list(_QUANTILES)).to_pylist()
            rounded = [round(value, 4) for value in values]
            quantiles.append(PriceQuantiles(names[row["group"]], row["price_count"], rounded))
        return quantiles


def _table(batches: list[pa.RecordBatch], names: tuple[str, ...]) -> pa.Table:
    schema = pa.schema([(name, _TYPES[name]) for name in names])
    return pa.Table.from_batches([batch.cast(schema) for batch in batches], schema=schema)


_PRICES = pa.schema([("group", pa.int32()), ("price", pa.float64())])

_TYPES: dict[str, pa.DataType] = {
    "listing": pa.dictionary(pa.int32(), pa.string()),
    "cat_id": pa.int64(),
    "item_id": pa.int64(),
    "price": pa.float64(),
    "sold": pa.int64(),
    "rate": pa.float32(),
    **dict.fromkeys(("title", "img", "product_url", "company"), pa.string()),
}


def _semantic_batch(batch: pa.RecordBatch, roots: dict[str, str]) -> pa.RecordBatch:
    columns = {"cat_id": category_column(batch), "item_id": batch["item_id"]}
    columns["listing"] = undivided_listings(batch["listing"], roots).dictionary_encode()
    columns |= {name: semantic_column(batch, name) for name in SOURCE_COLUMNS}
    columns["price"] = pc.cast(columns["price"], pa.float64())  # for charts only, never summed
    columns["rate"] = pc.cast(columns["rate"], pa.float32())
    return pa.RecordBatch.from_pydict(columns)


def _best_selling(candidates: pa.Table, batch: pa.RecordBatch) -> pa.Table:
    """Keep the best-selling rows of the candidates and a batch."""
    rows = pa.concat_tables([candidates, _table([batch], _BESTSELLER_COLUMNS)])
    rows = rows.filter(pc.is_valid(rows["sold"]))
    count = min(rows.num_rows, MAX_BESTSELLERS * _CANDIDATES)
    return rows.take(pc.select_k_unstable(rows, k=count, sort_keys=[("sold", "descending")]))


def _bestsellers(candidates: pa.Table) -> list[Bestseller]:
    by_id: dict[int, dict[str, Any]] = {}
    for row in candidates.sort_by([("sold", "descending")]).to_pylist():
        by_id.setdefault(row["item_id"], row)
    return [
        Bestseller(**{**row, "price": None if row["price"] is None else f"{row['price']:,.2f}"})
        for row in list(by_id.values())[:MAX_BESTSELLERS]
    ]


def _histogram(rates: pa.ChunkedArray) -> list[int]:
    bins = [0] * _RATE_BINS
    steps = pc.floor(pc.divide(rates, float(_RATE_STEP)))
    for entry in pc.value_counts(steps).to_pylist():
        bins[min(max(int(entry["values"]), 0), _RATE_BINS - 1)] += entry["counts"]
    return bins
