"""Items as Arrow tables: one schema per endpoint, filled column by column.

Rows are never built one at a time. A column of a few thousand items is a list comprehension over
structs, and Arrow turns the whole list into numbers at once. Only values that Arrow cannot read
(`"100000+"`, `"29.2%"`) are read one by one, by the same readers as in the rest of the package.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.api.columns import READERS, Block, Column, layout
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.listings import Listing

from .arrays.number_arrays import COLUMN_TYPES, bytes_of, convert_each, no_texts, number_arrays
from .conversions import Conversions

_PROVENANCE = (
    pa.field("listing", pa.string(), nullable=False),
    pa.field("cat_id", pa.int64()),
    pa.field("page", pa.int32(), nullable=False),
    pa.field("position", pa.int32(), nullable=False),
    pa.field("run", pa.int32(), nullable=False),
    pa.field("fetched_at", pa.timestamp("us", tz="UTC"), nullable=False),
)

# Python types that Arrow converts without a reader.
_READY: dict[str, set[type]] = {"id": {int}, "count": {int, type(None)}, "flag": {bool, type(None)}}
_NULL = pa.scalar(None, pa.string())
_SCHEME = "https://"
_WRONG_SEPARATORS = (b"https:///", b"https://\\")
_NULL_TEXT = b"null"


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


def record_batch(chunk: PagesOfItems, conversions: Conversions) -> pa.RecordBatch:
    """Turn decoded pages into a record batch of `item_schema` of their endpoint.

    Args:
        chunk: Decoded pages.
        conversions: Counts of inexact conversions, which this function adds to.
    """
    items = list(chain.from_iterable(chunk.items))
    has_run = not chunk.pages or chunk.pages[0].run is not None
    arrays = _provenance(chunk, has_run=has_run)
    texts: list[pa.Array] = []
    misspelt: dict[int, dict[str, Any]] = {}
    schema = item_schema(chunk.endpoint, run=has_run)
    for column, inputs in _columns(items, chunk.endpoint):
        values, inexact = _array(column, inputs, conversions)
        arrays.append(values)
        if column.text is not None:
            texts.append(inexact)
        elif column.kind == "picture":
            _add_misspelt(misspelt, column, inputs, inexact)
    return pa.RecordBatch.from_arrays(
        [*arrays, *texts, _extra(items, chunk.endpoint, misspelt)], schema=schema
    )


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
        self._blocks = {0: items}
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
        inputs = list(map(attrgetter(column.path[-1]), self._block(column.block)))
        return _array(column, inputs, self._conversions)[0]

    def _block(self, index: int) -> list[Any]:
        if index not in self._blocks:
            block = self._layout.blocks[index]
            self._blocks[index] = _block_of(self._block(block.above), block)
        return self._blocks[index]


def _provenance(chunk: PagesOfItems, *, has_run: bool) -> list[pa.Array]:
    counts = [len(items) for items in chunk.items]
    listings = [page.listing for page in chunk.pages]
    page_columns = (
        pa.array([listing.identity for listing in listings], pa.string()),
        pa.array([listing.cat_id for listing in listings], pa.int64()),
        pa.array([page.number for page in chunk.pages], pa.int32()),
        None,
        pa.array([page.run for page in chunk.pages], pa.int32()),
        pa.array([round(page.fetched_at * 1e6) for page in chunk.pages], pa.int64()),
    )
    pages = pa.array(_page_indices(counts), pa.int32())
    positions = pa.array(list(chain.from_iterable(chunk.positions)), pa.int32())
    return [
        positions if column is None else column.take(pages).cast(field.type)
        for column, field in zip(page_columns, _PROVENANCE, strict=True)
        if has_run or field.name != "run"
    ]


def _page_indices(counts: list[int]) -> list[int]:
    return [page for page, count in enumerate(counts) for _ in range(count)]


def _columns(items: list[Any], endpoint: Endpoint) -> Iterator[tuple[Column, list[Any]]]:
    """Yield each column, with the values that were sent for it."""
    item_layout = layout(endpoint.item)
    blocks = [items]
    for block in item_layout.blocks[1:]:
        blocks.append(_block_of(blocks[block.above], block))
    for column in item_layout.columns:
        yield column, list(map(attrgetter(column.path[-1]), blocks[column.block]))


def _block_of(structs: list[Any], block: Block) -> list[Any]:
    """Return the structs of a block that these structs contain; one that is null becomes empty."""
    inner = list(map(attrgetter(block.name), structs))
    if types.NoneType in set(map(type, inner)):
        empty = block.kind()
        inner = [empty if part is None else part for part in inner]
    return inner


def _array(
    column: Column, inputs: list[Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array | None]:
    """Convert a column.

    Returns:
        The values in the type of the column, and the texts of its `..._text` column (None if the
        column has no such column beside it; for pictures, a mask of the mended addresses).
    """
    if column.kind == "text":
        return _texts(inputs), None
    if column.kind == "picture":
        return _pictures(inputs)
    if column.kind == "json":
        return _json(inputs), None
    # Arrow would accept a float for a whole number, although its text may be another number.
    if set(map(type, inputs)) <= _READY.get(column.kind, set()):
        try:
            return pa.array(inputs, COLUMN_TYPES[column.kind]), no_texts(column, len(inputs))
        except (pa.ArrowInvalid, OverflowError):
            pass
    if column.kind == "flag":
        return convert_each(column, inputs, conversions)
    return number_arrays(column, inputs, conversions)


def _texts(inputs: list[Any]) -> pa.Array:
    try:
        values = pa.array(inputs, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        values = pa.array([READERS["text"](value) for value in inputs], pa.string())
    if _NULL_TEXT not in bytes_of(values):
        return values
    return pc.if_else(pc.equal(values, "null"), _NULL, values)


def _pictures(inputs: list[Any]) -> tuple[pa.Array, pa.Array]:
    """Return the addresses, and a mask of those that are not as they were sent."""
    texts = _texts(inputs)
    if _are_well_spelt(texts):
        return texts, pa.repeat(pa.scalar(False), len(texts))
    read = READERS["picture"]
    values = pa.array([read(text) for text in texts.to_pylist()], pa.string())
    return values, pc.fill_null(pc.not_equal(values, texts), False)


def _are_well_spelt(addresses: pa.Array) -> bool:
    """Return True if each address begins with `https://` and a host, without a regex."""
    characters = bytes_of(addresses)
    if any(wrong in characters for wrong in _WRONG_SEPARATORS):
        return False
    return pc.all(pc.starts_with(addresses, _SCHEME)).as_py() is not False


def _add_misspelt(
    misspelt: dict[int, dict[str, Any]], column: Column, inputs: list[Any], mask: pa.Array
) -> None:
    """Add the addresses as they were sent to the fields that no column holds."""
    for index in pc.indices_nonzero(mask).to_pylist():
        misspelt.setdefault(index, {})[column.name] = inputs[index]


def _json(inputs: list[Any]) -> pa.Array:
    read = READERS["json"]
    values = [None if value is None else read(value) for value in inputs]
    return pa.array(
        [None if v is None else msgspec.json.encode(v).decode() for v in values], pa.string()
    )


def _extra(items: list[Any], endpoint: Endpoint, misspelt: dict[int, dict[str, Any]]) -> pa.Array:
    if misspelt:
        rows = enumerate(items)
        extras = [item.extra | misspelt.get(index, {}) for index, item in rows]
        return pa.array(map(json_text, extras), pa.string())
    if set(map(type, items)) <= {endpoint.item}:
        return pa.nulls(
            len(items), pa.string()
        )  # no item has a field that its struct does not declare
    return pa.array([json_text(item.extra) for item in items], pa.string())


def json_text(extra: dict[str, Any]) -> str | None:
    """Return the fields without a column as a JSON object, or None if there are none."""
    return msgspec.json.encode(extra).decode() if extra else None
