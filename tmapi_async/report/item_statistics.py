"""Categories, prices and repurchase rates of a run, aggregated with Arrow."""

from __future__ import annotations

import heapq

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.export.arrays.listing_arrays import (
    group_names,
    latest_sightings,
    undivided_listings,
)
from tmapi_async.export.arrow import record_batches
from tmapi_async.export.chunks import read_by_listing
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.selection import Scope
from tmapi_async.export.semantics import SOURCE_COLUMNS, category_column, semantic_column
from tmapi_async.journal.reader import JournalReader

from .item_ranking import CANDIDATE, ItemRanking, RankedItem

MAX_CATEGORIES = 30
MAX_TOP = 3
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_RATE_STEP = 5
_RATE_BINS = 100 // _RATE_STEP

_COLUMNS = ("listing", "cat_id", "item_id", "row", "price", "rate")


class CategoryStatistics(msgspec.Struct, frozen=True):
    """Items of one category, or of one listing without a category.

    Attributes:
        group: ID of the category, or identity of the listing.
        items: Number of distinct items.
        priced: Items with a price.
        quantiles: The 5th, 25th, 50th, 75th and 95th percentile of the prices, in yuan; empty if
            no item has a price.
    """

    group: str
    items: int
    priced: int
    quantiles: list[float]


class ItemStatistics(msgspec.Struct, frozen=True):
    """Statistics of the items of a run.

    Attributes:
        distinct: Number of distinct items, counted in each listing and summed.
        sightings: Rows received.
        priced: Items with a price.
        unread: Column -> number of values that could not be read.
        categories: The largest categories (or listings without a category), largest first.
        category_count: Number of all these categories and listings.
        ranked: Best sellers and cheapest items of these categories, in their order.
        rates: Number of items by repurchase rate (of the item, else of its shop), in steps of 5 %.
        rated: Items with a repurchase rate.
    """

    distinct: int
    sightings: int
    priced: int
    unread: dict[str, int]
    categories: list[CategoryStatistics]
    category_count: int
    ranked: list[RankedItem]
    rates: list[int]
    rated: int

    @property
    def top(self) -> list[RankedItem]:
        """The best-selling items of all categories."""
        sold = {item.item_id: item for item in self.ranked if item.best}
        return heapq.nlargest(MAX_TOP, sold.values(), key=lambda item: item.sold or 0)

    @property
    def cheapest(self) -> list[RankedItem]:
        """The cheapest items of all categories."""
        priced = {item.item_id: item for item in self.ranked if item.cheapest}
        return heapq.nsmallest(MAX_TOP, priced.values(), key=lambda item: item.price or 0)


def item_statistics(reader: JournalReader, scope: Scope) -> ItemStatistics:
    """Aggregate the items of a run and an endpoint.

    Memory: twelve bytes for each item, the narrow columns of a group of listings, and the
    candidates for the best-selling and the cheapest items.

    Raises:
        JournalError: A page cannot be read.
    """
    conversions, roots = Conversions(), reader.roots()
    sums = _Sums()
    for (chunks,) in read_by_listing(reader, [scope], roots):
        batches: list[pa.RecordBatch] = []
        rows = 0
        for item_batch in record_batches(chunks, conversions):
            batch = _semantic_batch(item_batch, roots, rows)
            rows += batch.num_rows
            batches.append(batch.select(_COLUMNS))
            sums.ranking.add_rows(_candidates(batch))
        sums.add_listings(_table(batches))
    categories = sums.largest()
    return ItemStatistics(
        distinct=sums.distinct,
        sightings=sums.sightings,
        priced=sums.priced,
        unread=conversions.unread,
        categories=categories,
        category_count=len(sums.groups),
        ranked=sums.ranking.items([category.group for category in categories]),
        rates=sums.rates,
        rated=sum(sums.rates),
    )


class _Sums:
    """Statistics of the listings read so far."""

    def __init__(self) -> None:
        self.distinct = self.sightings = self.priced = 0
        self.rates = [0] * _RATE_BINS
        self.ranking = ItemRanking()
        self.groups: dict[str, int] = {}  # category or listing -> its code in `_prices`
        self.sizes: dict[str, int] = {}  # category or listing -> number of items
        self._prices: list[pa.RecordBatch] = []

    def add_listings(self, table: pa.Table) -> None:
        """Add all rows of some listings."""
        # Each batch has its own dictionary, but Arrow groups by a single one.
        items = latest_sightings(table.unify_dictionaries().combine_chunks())
        self.distinct += items.num_rows
        self.sightings += table.num_rows
        names = group_names(items)
        for entry in pc.value_counts(names).to_pylist():
            name = entry["values"]
            self.groups.setdefault(name, len(self.groups))
            self.sizes[name] = self.sizes.get(name, 0) + entry["counts"]
        self.ranking.end_listings(items["row"], self.sizes)
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

    def largest(self) -> list[CategoryStatistics]:
        """Return the categories with the most items."""
        priced = pa.Table.from_batches(self._prices, schema=_PRICES)
        statistics = []
        for name in heapq.nlargest(MAX_CATEGORIES, self.sizes, key=self.sizes.__getitem__):
            prices = priced["price"].filter(pc.equal(priced["group"], self.groups[name]))
            values = pc.quantile(prices, q=list(_QUANTILES)).to_pylist() if len(prices) else []
            quantiles = [round(value, 4) for value in values]
            statistics.append(CategoryStatistics(name, self.sizes[name], len(prices), quantiles))
        return statistics


def _table(batches: list[pa.RecordBatch]) -> pa.Table:
    schema = pa.schema([(name, _TYPES[name]) for name in _COLUMNS])
    return pa.Table.from_batches([batch.cast(schema) for batch in batches], schema=schema)


_PRICES = pa.schema([("group", pa.int32()), ("price", pa.float64())])

_TYPES: dict[str, pa.DataType] = {
    "listing": pa.dictionary(pa.int32(), pa.string()),
    "cat_id": pa.int64(),
    "item_id": pa.int64(),
    "price": pa.float64(),
    "row": pa.int64(),
    "rate": pa.float32(),
}


def _semantic_batch(batch: pa.RecordBatch, roots: dict[str, str], first: int) -> pa.RecordBatch:
    """Return the columns of a report; `first` is the number of the rows before the batch."""
    columns = {"cat_id": category_column(batch), "item_id": batch["item_id"]}
    columns["listing"] = undivided_listings(batch["listing"], roots).dictionary_encode()
    columns["row"] = pa.array(range(first, first + batch.num_rows), pa.int64())
    columns |= {name: semantic_column(batch, name) for name in SOURCE_COLUMNS}
    columns["amount"] = columns["price"]
    columns["price"] = pc.cast(columns["price"], pa.float64())  # for charts only, never summed
    return pa.RecordBatch.from_pydict(columns)


def _candidates(batch: pa.RecordBatch) -> pa.Table:
    rows = pa.Table.from_batches([batch])
    return rows.append_column("group", group_names(rows)).select(CANDIDATE.names).cast(CANDIDATE)


def _histogram(rates: pa.ChunkedArray) -> list[int]:
    bins = [0] * _RATE_BINS
    steps = pc.floor(pc.divide(rates, float(_RATE_STEP)))
    for entry in pc.value_counts(steps).to_pylist():
        bins[min(max(int(entry["values"]), 0), _RATE_BINS - 1)] += entry["counts"]
    return bins
