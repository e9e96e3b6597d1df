"""Items as Arrow tables: one schema per endpoint, filled column by column.

Rows are never built one at a time. The values of a column are taken from a few hundred structs at
once, and Arrow turns thousands of them into numbers at once. Only values that Arrow cannot read
(`"100000+"`, `"29.2%"`) are read one by one, by the same readers as in the rest of the package.
"""

from __future__ import annotations

import functools
import types
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Protocol, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import astuple

from tmapi_async.api.columns import Block, Column, Layout, layout
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.listings import Listing

from .arrays.column_builder import ColumnBuilder
from .arrays.number_arrays import COLUMN_TYPES, of_array
from .conversions import Conversions

_PROVENANCE = (
    pa.field("listing", pa.string(), nullable=False),
    pa.field("cat_id", pa.int64()),
    pa.field("page", pa.int32(), nullable=False),
    pa.field("position", pa.int32(), nullable=False),
    pa.field("run", pa.int32(), nullable=False),
    pa.field("fetched_at", pa.timestamp("us", tz="UTC"), nullable=False),
)

_POSITIONS = array("i", range(100))  # of the rows of a usual page

BATCH_PAGES = 128
"""Pages of a record batch: some 2,500 rows, so that Arrow's fixed cost does not matter."""


class PageOrigin(Protocol):
    """Origin of the rows of a page. `run` is None for all pages, or for none."""

    @property
    def listing(self) -> Listing:
        """The listing."""

    @property
    def number(self) -> int:
        """1-based page number."""

    @property
    def run(self) -> int | None:
        """Number of the run in the journal, or None without a journal."""

    @property
    def fetched_at(self) -> float:
        """Time at which the page had been read, seconds since 1970."""


class PagesOfItems(Protocol):
    """Decoded pages of one endpoint, such as a `Chunk`."""

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of all pages."""

    @property
    def pages(self) -> Sequence[PageOrigin]:
        """Origin of each page."""

    @property
    def items(self) -> Sequence[Sequence[Any]]:
        """Items of each page."""

    @property
    def positions(self) -> Sequence[Sequence[int]]:
        """Position of each of these items among the rows that were sent."""


@functools.cache
def item_schema(endpoint: Endpoint, *, run: bool = True) -> pa.Schema:
    """Return the schema of an item table: the same for every export of an endpoint.

    Args:
        endpoint: The endpoint.
        run: True for rows of a journal, which have the number of their run.
    """
    columns = layout(endpoint.item).columns
    fields = [
        pa.field(column.name, COLUMN_TYPES[column.kind], nullable=column.kind != "id")
        for column in columns
    ]
    texts = [pa.field(column.text, pa.string()) for column in columns if column.text is not None]
    origin = [field for field in _PROVENANCE if run or field.name != "run"]
    return pa.schema([*origin, *fields, *texts, pa.field("extra", pa.string())])


def json_columns(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the text columns with JSON, which databases can store as their own JSON type."""
    columns = layout(endpoint.item).columns
    return (*(column.name for column in columns if column.kind == "json"), "extra")


class BatchBuilder:
    """A record batch of `item_schema` that grows chunk by chunk.

    The columns of a chunk are taken when it is added: its items are then in the cache of the
    processor, if it is small, and need not be kept.

    Args:
        endpoint: The endpoint of all chunks.
        conversions: Counts of inexact conversions, which this object adds to.
    """

    def __init__(self, endpoint: Endpoint, conversions: Conversions) -> None:
        self._endpoint = endpoint
        self._layout = layout(endpoint.item)
        self._columns = [ColumnBuilder(column, conversions) for column in self._layout.columns]
        self._begin()

    @property
    def pages(self) -> int:
        """Number of pages that were added since the last call of `finish`."""
        return len(self._pages)

    def _begin(self) -> None:
        self._pages: list[_PageCells] = []
        self._counts: list[int] = []
        self._positions = array("i")
        self._extras: dict[int, dict[str, Any]] = {}

    def add(self, chunk: PagesOfItems) -> None:
        """Add the items of decoded pages."""
        items = list(chain.from_iterable(chunk.items))
        for builder, inputs in zip(self._columns, _inputs(items, self._layout), strict=True):
            builder.add(inputs)
        if not set(map(type, items)) <= {self._endpoint.item}:  # a struct has no other fields
            self._add_extras(items)
        # Not the pages themselves, which would keep their bodies.
        self._pages += _page_cells(chunk.pages)
        self._counts += map(len, chunk.items)
        for positions in chunk.positions:
            self._add_positions(positions)

    def _add_positions(self, positions: Sequence[int]) -> None:
        rows = len(positions)
        if rows <= len(_POSITIONS) and positions == range(rows):
            self._positions += _POSITIONS[:rows]
        else:
            self._positions.extend(positions)

    def _add_extras(self, items: list[Any]) -> None:
        strict = self._endpoint.item
        for index, item in enumerate(items, len(self._positions)):
            if type(item) is not strict and (extra := item.extra):
                self._extras[index] = extra

    def finish(self) -> pa.RecordBatch:
        """Return the rows that were added since the last call."""
        has_run = not self._pages or self._pages[0][_RUN] is not None
        arrays = _provenance(self._pages, self._counts, self._positions, has_run=has_run)
        nulls = pa.nulls(len(self._positions), pa.string())
        texts: list[pa.Array] = []
        for builder in self._columns:
            part, column = builder.finish(), builder.column
            arrays.append(part.values)
            if column.text is not None:
                texts.append(nulls if part.texts is None else part.texts)
            elif part.texts is not None:
                self._add_misspelt(column, part.texts)
        schema = item_schema(self._endpoint, run=has_run)
        batch = pa.RecordBatch.from_arrays([*arrays, *texts, self._extra(nulls)], schema=schema)
        self._begin()
        return batch

    def _add_misspelt(self, column: Column, sent: pa.Array) -> None:
        """Add the addresses as they were sent to the fields that no column holds."""
        for index in pc.indices_nonzero(sent.is_valid()).to_pylist():
            address = {column.name: sent[index].as_py()}
            self._extras[index] = self._extras.get(index, {}) | address

    def _extra(self, nulls: pa.Array) -> pa.Array:
        if not self._extras:
            return nulls
        extras: list[str | None] = [None] * len(nulls)
        for index, extra in self._extras.items():
            extras[index] = json_text(extra)
        return pa.array(extras, pa.string())


def record_batch(chunk: PagesOfItems, conversions: Conversions) -> pa.RecordBatch:
    """Turn decoded pages into a record batch of `item_schema` of their endpoint.

    Args:
        chunk: Decoded pages.
        conversions: Counts of inexact conversions, which this function adds to.
    """
    builder = BatchBuilder(chunk.endpoint, conversions)
    builder.add(chunk)
    return builder.finish()


def record_batches(
    chunks: Iterable[PagesOfItems], conversions: Conversions
) -> Iterator[pa.RecordBatch]:
    """Turn chunks of one endpoint into record batches, each of `BATCH_PAGES` pages or a few more.

    Args:
        chunks: Decoded pages.
        conversions: Counts of inexact conversions, which this function adds to.
    """
    builder: BatchBuilder | None = None
    for chunk in chunks:
        if builder is None:
            builder = BatchBuilder(chunk.endpoint, conversions)
        builder.add(chunk)
        del chunk  # the next one then takes the same memory, which is in the cache
        if builder.pages >= BATCH_PAGES:
            yield builder.finish()
    if builder is not None and builder.pages:
        yield builder.finish()


class ItemColumns:
    """Columns of decoded items. Each is converted when it is asked for, and no other.

    Args:
        items: The items, decoded with the fields of these columns at least.
        endpoint: The endpoint of all items.
        conversions: Counts of inexact conversions, which reading a column adds to.
    """

    def __init__(self, items: list[Any], endpoint: Endpoint, conversions: Conversions) -> None:
        self._layout = layout(endpoint.item)
        self._columns = {column.name: column for column in self._layout.columns}
        self._blocks: dict[int, Sequence[Any]] = {0: items}
        self._conversions = conversions

    @property
    def column_names(self) -> list[str]:
        """Names of all columns of the endpoint."""
        return list(self._columns)

    @property
    def num_rows(self) -> int:
        """Number of items."""
        return len(self._blocks[0])

    def __getitem__(self, name: str) -> pa.Array:
        """Return a column."""
        column = self._columns[name]
        builder = ColumnBuilder(column, self._conversions)
        builder.add(list(map(attrgetter(column.path[-1]), self._block(column.block))))
        return builder.finish().values

    def _block(self, index: int) -> Sequence[Any]:
        if index not in self._blocks:
            block = self._layout.blocks[index]
            inner = list(map(attrgetter(block.name), self._block(block.above)))
            self._blocks[index] = _without_null(inner, block)
        return self._blocks[index]


_PageCells: TypeAlias = tuple[str, int | None, int, int | None, int]
_RUN = 3


def _page_cells(pages: Sequence[PageOrigin]) -> Iterator[_PageCells]:
    """Yield the values of `_PROVENANCE` that all rows of a page have, page by page."""
    for listing, pages_of_listing in groupby(pages, attrgetter("listing")):
        identity, cat_id = listing.identity, listing.cat_id
        for page in pages_of_listing:
            yield identity, cat_id, page.number, page.run, round(page.fetched_at * 1e6)


def _provenance(
    pages: Sequence[_PageCells], counts: Sequence[int], positions: array[int], *, has_run: bool
) -> list[pa.Array]:
    listings, cats, numbers, runs, times = zip(*pages, strict=True) if pages else ((),) * 5
    page_columns = (
        pa.array(listings, pa.string()),
        pa.array(cats, pa.int64()),
        pa.array(numbers, pa.int32()),
        None,
        pa.array(runs, pa.int32()),
        pa.array(times, pa.int64()),
    )
    page_of_row = array("i")
    for page, rows in enumerate(counts):
        page_of_row += array("i", (page,)) * rows
    indices = of_array(page_of_row, pa.int32())
    return [
        of_array(positions, pa.int32()) if column is None else column.take(indices).cast(field.type)
        for column, field in zip(page_columns, _PROVENANCE, strict=True)
        if has_run or field.name != "run"
    ]


def _inputs(items: Sequence[Any], item_layout: Layout) -> Iterator[Sequence[Any]]:
    """Yield the values of each column, as they were sent."""
    blocks: list[dict[str, Sequence[Any]]] = []
    for block in item_layout.blocks:
        blocks.append(_fields(blocks[block.above][block.name] if blocks else items, block))
    for column in item_layout.columns:
        yield blocks[column.block][column.path[-1]]


def _fields(structs: Sequence[Any], block: Block) -> dict[str, Sequence[Any]]:
    """Return the values of each field of the structs of a block, of which some may be null."""
    names, kinds = block.kind.__struct_fields__, set(map(type, structs))
    if types.NoneType in kinds:
        structs = _without_null(structs, block)
        kinds = set(map(type, structs))
    if len(names) == 1 or not kinds:
        return {name: list(map(attrgetter(name), structs)) for name in names}
    # A tuple of all fields takes a quarter of the time of asking for each of them.
    if kinds == {block.kind}:
        rows: Iterable[tuple[Any, ...]] = map(astuple, structs)
    else:  # a variant may have its fields in another order
        values_of, kind = attrgetter(*names), block.kind
        rows = [astuple(one) if type(one) is kind else values_of(one) for one in structs]
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _without_null(structs: Sequence[Any], block: Block) -> Sequence[Any]:
    """Return the structs of a block, with an empty one in place of null."""
    empty = block.kind()
    return [empty if struct is None else struct for struct in structs]


def json_text(extra: dict[str, Any]) -> str | None:
    """Return the fields without a column as a JSON object, or None if there are none."""
    return msgspec.json.encode(extra).decode() if extra else None
