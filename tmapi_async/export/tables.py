"""Items as Arrow tables: one schema for each endpoint, filled column by column.

Rows are never built one at a time: a column of a few thousand items is a list comprehension over
structs, and Arrow turns the whole list into numbers at once. Only the values that it cannot read
(`"100000+"`, `"29.2%"`) are read one by one, with the same readers as everywhere else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ..drift import OpenItem
from ..models import Item
from ..replies import decoder
from ..rows import ITEM_COLUMNS, READERS, Column, Kind, says_more
from .reading import StoredPage

MONEY = pa.decimal128(18, 4)
"""Yuan. Prices have been seen with two decimals; four leave room, and a file keeps one schema."""

PERCENT = pa.decimal128(9, 4)

BATCH_PAGES = 128
"""Pages turned into one record batch: some 2,500 rows, enough to make Arrow's own cost vanish."""

_TYPES: dict[Kind, pa.DataType] = {
    "id": pa.int64(),
    "text": pa.string(),
    "money": MONEY,
    "count": pa.int64(),
    "percent": PERCENT,
    "flag": pa.bool_(),
}
# Digits that surely fit the type; what does not match is read one by one.
_PLAIN = {
    "money": r"^-?\d{1,13}(\.\d{1,4})?$",
    "count": r"^\d{1,18}$",
    "percent": r"^[1-9]\d{0,4}(\.\d{1,4})?$",
}

_PROVENANCE = (
    pa.field("listing", pa.string(), nullable=False),
    pa.field("cat_id", pa.int64()),
    pa.field("page", pa.int32(), nullable=False),
    pa.field("position", pa.int32(), nullable=False),
    pa.field("run", pa.int32(), nullable=False),
    pa.field("fetched_at", pa.timestamp("us", tz="UTC"), nullable=False),
)


@functools.cache
def item_schema() -> pa.Schema:
    """The schema of an item table, the same for every export of an endpoint."""
    columns = [pa.field(c.name, _TYPES[c.kind], nullable=c.kind != "id") for c in ITEM_COLUMNS]
    texts = [pa.field(c.text, pa.string()) for c in ITEM_COLUMNS if c.text is not None]
    return pa.schema([*_PROVENANCE, *columns, *texts, pa.field("extra", pa.string())])


class Conversions(msgspec.Struct):
    """What could not be turned into a column's type.

    Attributes:
        unread: Column to how many of its values are null although something was sent; what was
            sent stands in the column's `..._text`.
        bounds: Column to how many of its values say more than the number that was read.
    """

    unread: dict[str, int] = msgspec.field(default_factory=dict)
    bounds: dict[str, int] = msgspec.field(default_factory=dict)

    def add(self, column: str, *, unread: int, more: int) -> None:
        """Count the values of one batch."""
        if unread:
            self.unread[column] = self.unread.get(column, 0) + unread
        if more > unread:
            self.bounds[column] = self.bounds.get(column, 0) + more - unread


def batches(
    pages: Iterable[StoredPage], conversions: Conversions | None = None
) -> Iterator[pa.RecordBatch]:
    """Turn stored pages into record batches of `item_schema()`, streamed.

    Args:
        pages: Pages as the journal holds them.
        conversions: Where values that could not be converted are counted.
    """
    counted = conversions if conversions is not None else Conversions()
    waiting: list[StoredPage] = []
    for page in pages:
        waiting.append(page)
        if len(waiting) >= BATCH_PAGES:
            yield _batch(waiting, counted)
            waiting = []
    if waiting:
        yield _batch(waiting, counted)


def _batch(pages: list[StoredPage], conversions: Conversions) -> pa.RecordBatch:
    origin = _Origin()
    items: list[Item] = []
    for page in pages:
        success, rejects = decoder(Item).decode(page.body)
        found = success.data.items
        gaps = {reject.position for reject in rejects}
        positions = [n for n in range(len(found) + len(gaps)) if n not in gaps] if gaps else None
        origin.add(page, len(found), positions)
        items += found
    arrays = origin.arrays()
    texts: list[pa.Array] = []
    for column, sent in _columns(items):
        values, more = _array(column, sent, conversions)
        arrays.append(values)
        if column.text is not None:
            texts.append(more)
    return pa.RecordBatch.from_arrays([*arrays, *texts, _extra(items)], schema=item_schema())


class _Origin:
    """The provenance columns of a batch."""

    def __init__(self) -> None:
        self._columns: tuple[list[Any], ...] = ([], [], [], [], [], [])

    def add(self, page: StoredPage, rows: int, positions: list[int] | None) -> None:
        listing = page.listing
        fetched = datetime.fromtimestamp(page.fetched_at, UTC)
        same = (listing.identity, listing.cat_id, page.number, None, page.run, fetched)
        for column, value in zip(self._columns, same, strict=True):
            column += [value] * rows
        self._columns[3][-rows or len(self._columns[3]) :] = positions or range(rows)

    def arrays(self) -> list[pa.Array]:
        return [
            pa.array(column, field.type)
            for column, field in zip(self._columns, _PROVENANCE, strict=True)
        ]


def _columns(items: list[Item]) -> Iterator[tuple[Column, list[Any]]]:
    """Each column with what was sent for it."""
    blocks: dict[str, list[Any]] = {}
    for column in ITEM_COLUMNS:
        *above, name = column.path
        if not above:
            yield column, [getattr(item, name) for item in items]
            continue
        block = blocks.get(above[0])
        if block is None:
            block = blocks[above[0]] = [getattr(item, above[0]) for item in items]
        yield column, [None if part is None else getattr(part, name) for part in block]


def _array(
    column: Column, sent: list[Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array | None]:
    """A column of its type, and beside it what the values do not say."""
    kind = _TYPES[column.kind]
    if column.kind in ("id", "count", "flag"):
        try:
            return pa.array(sent, kind), _nothing(column, len(sent))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            pass
    if column.kind == "text":
        return _texts(sent), None
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
    return pc.if_else(pc.equal(values, "null"), pa.scalar(None, pa.string()), values)


def _numbers(
    column: Column, sent: list[Any], conversions: Conversions
) -> tuple[pa.Array, pa.Array | None]:
    """Read what is plain decimal text all at once, and only the rest one by one."""
    kind = _TYPES[column.kind]
    texts = pa.array(
        [value if value is None or type(value) is str else repr(value) for value in sent],
        pa.string(),
    )
    plain = pc.match_substring_regex(texts, _PLAIN[column.kind])
    nothing = pa.scalar(None, pa.string())
    values = pc.cast(pc.if_else(plain, texts, nothing), kind)
    odd = pc.and_(pc.invert(plain), pc.not_equal(texts, ""))
    where = pc.indices_nonzero(pc.fill_null(odd, False)).to_pylist()
    if not where:
        return values, _nothing(column, len(sent))
    read, more = _one_by_one(column, [sent[n] for n in where], conversions)
    mask = pc.fill_null(odd, False)
    return (
        pc.replace_with_mask(values, mask, read),
        pc.replace_with_mask(pa.nulls(len(sent), pa.string()), mask, more),
    )


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
    told = sum(text is not None for text in more)
    unread = sum(text is not None and read is None for text, read in zip(more, values, strict=True))
    conversions.add(column.name, unread=unread, more=told)
    return pa.array(values, kind), pa.array(more, pa.string())


def _fitting(kind: pa.DataType) -> Callable[[Any], Any]:
    """None for what the type cannot hold exactly, rather than something near it."""

    def fits(value: Any) -> Any:
        if value is None:
            return None
        try:
            return pa.scalar(value, kind).as_py()
        except (pa.ArrowInvalid, OverflowError):
            return None

    return fits


def _extra(items: list[Item]) -> pa.Array:
    return pa.array(
        [
            msgspec.json.encode(item.extra).decode()
            if isinstance(item, OpenItem) and item.extra
            else None
            for item in items
        ],
        pa.string(),
    )
