"""Items as Arrow tables: one schema for each endpoint, filled column by column.

Rows are never built one at a time: a column of a few thousand items is a list comprehension over
structs, and Arrow turns the whole list into numbers at once. Only the values that it cannot read
(`"100000+"`, `"29.2%"`) are read one by one, with the same readers as everywhere else.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.api.columns import Column, Kind, layout
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.rows import READERS, says_more

from .conversions import Conversions
from .selection import Chunk

MONEY = pa.decimal128(20, 4)
"""Yuan. Holds all that decimal128(18, 2) does and, so that a file keeps one schema, four decimals:
prices have been seen with two, but parts of a cent are quoted for small parts."""

PERCENT = pa.decimal128(18, 6)

_TYPES: dict[Kind, pa.DataType] = {
    "id": pa.int64(),
    "text": pa.string(),
    "money": MONEY,
    "count": pa.int64(),
    "percent": PERCENT,
    "number": PERCENT,
    "flag": pa.bool_(),
    "json": pa.string(),
}
# Digits that surely fit the type; what does not match is read one by one. A rate below 1 may be a
# fraction, so none of those is plain.
_PLAIN = {
    "money": r"^-?\d{1,16}(\.\d{1,4})?$",
    "count": r"^\d{1,18}$",
    "percent": r"^[1-9]\d{0,9}(\.\d{1,6})?$",
    "number": r"^-?\d{1,12}(\.\d{1,6})?$",
}

_PROVENANCE = (
    pa.field("listing", pa.string(), nullable=False),
    pa.field("cat_id", pa.int64()),
    pa.field("page", pa.int32(), nullable=False),
    pa.field("position", pa.int32(), nullable=False),
    pa.field("run", pa.int32(), nullable=False),
    pa.field("fetched_at", pa.timestamp("us", tz="UTC"), nullable=False),
)

# What Arrow can take as it was sent.
_READY: dict[str, set[type]] = {"id": {int}, "count": {int, type(None)}, "flag": {bool, type(None)}}
_NULL = pa.scalar(None, pa.string())


@functools.cache
def item_schema(endpoint: Endpoint) -> pa.Schema:
    """The schema of an item table, the same for every export of an endpoint."""
    found = layout(endpoint.item).columns
    columns = [pa.field(c.name, _TYPES[c.kind], nullable=c.kind != "id") for c in found]
    texts = [pa.field(c.text, pa.string()) for c in found if c.text is not None]
    return pa.schema([*_PROVENANCE, *columns, *texts, pa.field("extra", pa.string())])


def json_columns(endpoint: Endpoint) -> tuple[str, ...]:
    """The text columns that hold JSON: databases can look inside."""
    found = layout(endpoint.item).columns
    return (*(column.name for column in found if column.kind == "json"), "extra")


def record_batch(chunk: Chunk, conversions: Conversions) -> pa.RecordBatch:
    """Turn decoded pages into a record batch of `item_schema` of their endpoint.

    Args:
        chunk: Decoded pages.
        conversions: Where values that could not be converted are counted.
    """
    items = list(chain.from_iterable(chunk.items))
    arrays = _provenance(chunk)
    texts: list[pa.Array] = []
    schema = item_schema(chunk.endpoint)
    for column, sent in _columns(items, chunk.endpoint):
        values, more = _array(column, sent, conversions)
        arrays.append(values)
        if column.text is not None:
            texts.append(more)
    return pa.RecordBatch.from_arrays(
        [*arrays, *texts, _extra(items, chunk.endpoint)], schema=schema
    )


def _provenance(chunk: Chunk) -> list[pa.Array]:
    counts = [len(items) for items in chunk.items]
    listings = [page.listing for page in chunk.pages]
    of_pages = (
        pa.array([listing.identity for listing in listings], pa.string()),
        pa.array([listing.cat_id for listing in listings], pa.int64()),
        pa.array([page.number for page in chunk.pages], pa.int32()),
        None,
        pa.array([page.run for page in chunk.pages], pa.int32()),
        pa.array([round(page.fetched_at * 1e6) for page in chunk.pages], pa.int64()),
    )
    pages = pa.array(_repeated(counts), pa.int32())
    positions = pa.array(list(chain.from_iterable(chunk.positions)), pa.int32())
    return [
        positions if column is None else column.take(pages).cast(field.type)
        for column, field in zip(of_pages, _PROVENANCE, strict=True)
    ]


def _repeated(counts: list[int]) -> list[int]:
    return [n for n, count in enumerate(counts) for _ in range(count)]


def _columns(items: list[Any], endpoint: Endpoint) -> Iterator[tuple[Column, list[Any]]]:
    """Each column with what was sent for it."""
    found = layout(endpoint.item)
    blocks = [items]
    for block in found.blocks[1:]:
        parts = list(map(attrgetter(block.name), blocks[block.above]))
        if types.NoneType in set(map(type, parts)):
            empty = block.kind()  # for a block that is null or absent
            parts = [empty if part is None else part for part in parts]
        blocks.append(parts)
    for column in found.columns:
        yield column, list(map(attrgetter(column.path[-1]), blocks[column.block]))


def _array(
    column: Column, sent: list[Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array | None]:
    """A column of its type, and beside it what the values do not say."""
    if column.kind == "text":
        return _texts(sent), None
    if column.kind == "json":
        return _json(sent), None
    # Arrow would take a float for a whole number, though its text says another one.
    if set(map(type, sent)) <= _READY.get(column.kind, set()):
        try:
            return pa.array(sent, _TYPES[column.kind]), _nothing(column, len(sent))
        except (pa.ArrowInvalid, OverflowError):
            pass
    if column.kind == "flag":
        return _one_by_one(column, sent, conversions)
    return _numbers(column, sent, conversions)


def _nothing(column: Column, rows: int) -> pa.Array | None:
    return None if column.text is None else pa.nulls(rows, pa.string())


def _texts(sent: list[Any]) -> pa.Array:
    try:
        values = pa.array(sent, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        values = pa.array([READERS["text"](value) for value in sent], pa.string())
    return pc.if_else(pc.equal(values, "null"), _NULL, values)


def _json(sent: list[Any]) -> pa.Array:
    read = READERS["json"]
    values = [None if value is None else read(value) for value in sent]
    return pa.array(
        [None if v is None else msgspec.json.encode(v).decode() for v in values], pa.string()
    )


def _numbers(
    column: Column, sent: list[Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array | None]:
    """Read what is plain decimal text all at once, and only the rest one by one."""
    texts = _as_text(sent)
    plain = pc.match_substring_regex(texts, _PLAIN[column.kind])
    values = pc.cast(pc.if_else(plain, texts, _NULL), _TYPES[column.kind])
    odd = pc.fill_null(pc.and_(pc.invert(plain), pc.not_equal(texts, "")), False)
    where = pc.indices_nonzero(odd).to_pylist()
    if not where:
        return values, _nothing(column, len(sent))
    read, more = _one_by_one(column, [sent[n] for n in where], conversions)
    return (
        pc.replace_with_mask(values, odd, read),
        pc.replace_with_mask(pa.nulls(len(sent), pa.string()), odd, more),
    )


def _as_text(sent: list[Any]) -> pa.Array:
    try:
        return pa.array(sent, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in sent], pa.string())


def _one_by_one(
    column: Column, sent: list[Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array]:
    reader, kind = READERS[column.kind], _TYPES[column.kind]
    fits = _fitting(kind)
    values = [fits(reader(value)) if value is not None else None for value in sent]
    more = [
        str(value) if says_more(column.kind, value, read) else None
        for value, read in zip(sent, values, strict=True)
    ]
    pairs = list(zip(more, values, strict=True))
    unread = sum(text is not None and read is None for text, read in pairs)
    bounds = sum(text is not None and read is not None for text, read in pairs)
    conversions.add(column.name, unread=unread, bounds=bounds)
    return pa.array(values, kind), pa.array(more, pa.string())


def _fitting(kind: pa.DataType) -> Callable[[Any], Any]:
    """None for what the type cannot hold exactly, rather than something near it."""

    def fits(value: Any) -> Any:
        if value is None:
            return None
        try:
            held = pa.scalar(value, kind).as_py()
        except (pa.ArrowInvalid, OverflowError):
            return None
        # Arrow cuts digits that are too small for the type in silence: 1e-28 would become 0.
        return held if held == value else None

    return fits


def _extra(items: list[Any], endpoint: Endpoint) -> pa.Array:
    if set(map(type, items)) <= {endpoint.item}:
        return pa.nulls(len(items), pa.string())  # no field that the struct does not know
    return pa.array([json_text(item.extra) for item in items], pa.string())


def json_text(extra: dict[str, Any]) -> str | None:
    """What no column holds, as the text of a JSON object; None if that is nothing."""
    return msgspec.json.encode(extra).decode() if extra else None
