"""Items as Arrow tables: one schema per endpoint, filled column by column.

Rows are never built one at a time. A column of a few thousand items is a list comprehension over
structs, and Arrow turns the whole list into numbers at once. Only values that Arrow cannot read
(`"100000+"`, `"29.2%"`) are read one by one, by the same readers as in the rest of the package.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.api.columns import READERS, Column, Kind, layout, text_says_more
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.listings import Listing

from .conversions import Conversions

MONEY = pa.decimal128(20, 4)
"""Type of amounts in yuan. Stores every value of decimal128(18, 2), and two more decimals.

Prices have been seen with two decimals, but small parts are quoted in fractions of a cent; four
decimals from the beginning keep the schema of files the same.
"""

PERCENT = pa.decimal128(18, 6)

_TYPES: dict[Kind, pa.DataType] = {
    "id": pa.int64(),
    "text": pa.string(),
    "picture": pa.string(),
    "money": MONEY,
    "count": pa.int64(),
    "percent": PERCENT,
    "number": PERCENT,
    "flag": pa.bool_(),
    "json": pa.string(),
}
# Digits that certainly fit the type; all other values are read one by one. A rate below 1 may be a
# fraction, so rates below 1 are not plain.
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

# Python types that Arrow converts without a reader.
_READY: dict[str, set[type]] = {"id": {int}, "count": {int, type(None)}, "flag": {bool, type(None)}}
_NULL = pa.scalar(None, pa.string())
_WELL_SPELT = r"^https://[^/\\]"
_ONE, _ZERO = pa.scalar(Decimal(1), PERCENT), pa.scalar(Decimal(0), PERCENT)
_NULL_TEXT = b"null"
_NUMBER_BYTES = {"money": b"0123456789.", "count": b"0123456789", "percent": b"0123456789."}


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
        pa.field(column.name, _TYPES[column.kind], nullable=column.kind != "id")
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
    """Yield each column with the values that were sent for it."""
    item_layout = layout(endpoint.item)
    blocks = [items]
    for block in item_layout.blocks[1:]:
        structs = list(map(attrgetter(block.name), blocks[block.above]))
        if types.NoneType in set(map(type, structs)):
            empty = block.kind()  # for a block that is null or absent
            structs = [empty if part is None else part for part in structs]
        blocks.append(structs)
    for column in item_layout.columns:
        yield column, list(map(attrgetter(column.path[-1]), blocks[column.block]))


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
            return pa.array(inputs, _TYPES[column.kind]), _no_texts(column, len(inputs))
        except (pa.ArrowInvalid, OverflowError):
            pass
    if column.kind == "flag":
        return _convert_each(column, inputs, conversions)
    return _numbers(column, inputs, conversions)


def _no_texts(column: Column, rows: int) -> pa.Array | None:
    return None if column.text is None else pa.nulls(rows, pa.string())


def _texts(inputs: list[Any]) -> pa.Array:
    try:
        values = pa.array(inputs, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        values = pa.array([READERS["text"](value) for value in inputs], pa.string())
    if _NULL_TEXT not in _bytes_of(values):
        return values
    return pc.if_else(pc.equal(values, "null"), _NULL, values)


def _bytes_of(texts: pa.Array) -> bytes:
    """Return the bytes of all texts, one behind the other: fast to look through."""
    buffer = texts.buffers()[2]
    return b"" if buffer is None else bytes(buffer)


def _pictures(inputs: list[Any]) -> tuple[pa.Array, pa.Array]:
    """Return the addresses, and a mask of those that are not as they were sent."""
    texts = _texts(inputs)
    unusual = pc.fill_null(pc.invert(pc.match_substring_regex(texts, _WELL_SPELT)), False)
    if not pc.any(unusual).as_py():
        return texts, unusual
    read = READERS["picture"]
    values = pa.array([read(text) for text in texts.to_pylist()], pa.string())
    return values, pc.fill_null(pc.not_equal(values, texts), False)


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


def _numbers(
    column: Column, inputs: list[Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array | None]:
    """Convert plain decimal text all at once, and only the other values one by one."""
    texts = _as_text(inputs)
    all_plain = _all_plain(texts, column.kind)
    if all_plain is not None:
        return all_plain, _rates_below_1(column, all_plain, texts, conversions)
    plain = pc.match_substring_regex(texts, _PLAIN[column.kind])
    values = pc.cast(pc.if_else(plain, texts, _NULL), _TYPES[column.kind])
    unusual = pc.fill_null(pc.and_(pc.invert(plain), pc.not_equal(texts, "")), False)
    indices = pc.indices_nonzero(unusual).to_pylist()
    if not indices:
        return values, _no_texts(column, len(inputs))
    converted, inexact = _convert_each(column, [inputs[index] for index in indices], conversions)
    return (
        pc.replace_with_mask(values, unusual, converted),
        pc.replace_with_mask(pa.nulls(len(inputs), pa.string()), unusual, inexact),
    )


def _all_plain(texts: pa.Array, kind: Kind) -> pa.Array | None:
    """Return the numbers if each text is a plain one, else None: the usual case, without a regex.

    Digits that Arrow casts are a plain number, but for `.5` and `5.`; see `_PLAIN`.
    """
    characters = _bytes_of(texts)
    if not characters:
        return pa.nulls(len(texts), _TYPES[kind])  # each text is empty or null
    if characters.translate(None, _NUMBER_BYTES.get(kind, b"")):
        return None
    if b"." in characters and _any(pc.or_(pc.starts_with(texts, "."), pc.ends_with(texts, "."))):
        return None
    try:
        return texts.cast(_TYPES[kind])
    except pa.ArrowInvalid:
        pass
    try:
        return pc.if_else(pc.equal(texts, ""), _NULL, texts).cast(_TYPES[kind])
    except pa.ArrowInvalid:
        return None


def _rates_below_1(
    column: Column, values: pa.Array, texts: pa.Array, conversions: Conversions
) -> pa.Array | None:
    """Return the texts of rates below 1, which may be fractions; null for all other numbers."""
    if column.kind != "percent":
        return _no_texts(column, len(values))
    below = pc.and_(pc.less(values, _ONE), pc.greater(values, _ZERO))
    conversions.add(column.name, unread=0, bounds=pc.sum(below).as_py() or 0)
    return pc.if_else(below, texts, _NULL)


def _any(mask: pa.Array) -> bool:
    return bool(pc.any(mask).as_py())


def _as_text(inputs: list[Any]) -> pa.Array:
    try:
        return pa.array(inputs, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in inputs], pa.string())


def _convert_each(
    column: Column, inputs: list[Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array]:
    read, kind = READERS[column.kind], _TYPES[column.kind]
    values = [exact_value(read(value), kind) if value is not None else None for value in inputs]
    texts = [
        str(value) if text_says_more(column.kind, value, number) else None
        for value, number in zip(inputs, values, strict=True)
    ]
    pairs = list(zip(texts, values, strict=True))
    unread = sum(text is not None and number is None for text, number in pairs)
    bounds = sum(text is not None and number is not None for text, number in pairs)
    conversions.add(column.name, unread=unread, bounds=bounds)
    return pa.array(values, kind), pa.array(texts, pa.string())


def exact_value(value: Any, kind: pa.DataType) -> Any:
    """Return the value, or None if the type cannot store it exactly."""
    if value is None:
        return None
    try:
        stored = pa.scalar(value, kind).as_py()
    except (pa.ArrowInvalid, OverflowError):
        return None
    # Arrow silently drops digits that are too small for the type: 1e-28 would become 0.
    return stored if stored == value else None


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


_FLOAT_DIGITS = 15
"""Decimal digits that every float keeps."""


def nearest_floats(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return whole or decimal numbers as the nearest floats, and a mask of those with more digits.

    A float that is not in the mask is the number itself: its shortest text is exact.
    """
    # Arrow parses text into the nearest float; its cast of a decimal may miss it by one bit.
    floats = column.cast(pa.string()).cast(pa.float64())
    scale = column.type.scale if pa.types.is_decimal(column.type) else 0
    inexact = pc.greater_equal(pc.abs(floats), 10.0 ** (_FLOAT_DIGITS - scale))
    return floats, pc.fill_null(inexact, False)
