"""Prices of items over all visits of a journal: one row for each change of a price."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterator
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from tmapi_async.api.columns import READERS, columns
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.rows import encode_lines
from tmapi_async.export.chunks import read_chunks
from tmapi_async.export.selection import Scope, VisitMarks, chosen_visits
from tmapi_async.journal.reader import JournalReader

if TYPE_CHECKING:
    import pyarrow as pa

KEY = ("listing", "item_id", "seen_at")

_TABLE = """
CREATE TABLE latest (
    listing INTEGER, item_id INTEGER, prices TEXT NOT NULL, PRIMARY KEY (listing, item_id)
) WITHOUT ROWID
"""
_FIND = "SELECT prices FROM latest WHERE listing = ? AND item_id = ?"
_STORE = "INSERT OR REPLACE INTO latest VALUES (?, ?, ?)"


def price_columns(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the names of the columns with prices, in the order of a row."""
    return tuple(column.name for column in columns(endpoint.item) if column.kind == "money")


def history_schema(endpoint: Endpoint) -> pa.Schema:
    """Return the schema of the price history: the same for every export of an endpoint."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    from tmapi_async.export.arrays.number_arrays import MONEY  # noqa: PLC0415 - as above

    return pa.schema(
        [
            pa.field("listing", pa.string(), nullable=False),
            pa.field("item_id", pa.int64(), nullable=False),
            pa.field("seen_at", pa.timestamp("us", tz="UTC"), nullable=False),
            *(pa.field(name, MONEY) for name in price_columns(endpoint)),
        ]
    )


class HistoryTable(msgspec.Struct, frozen=True):
    """Columns of a price history, for a destination."""

    endpoint: Endpoint

    title: ClassVar[str] = "history"
    key: ClassVar[tuple[str, ...]] = KEY

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows."""
        return history_schema(self.endpoint)


class HistoryRows:
    """Some rows of a price history, in the formats that destinations need.

    Args:
        rows: The rows: column -> value.
        endpoint: Their endpoint.
    """

    def __init__(self, rows: list[dict[str, Any]], endpoint: Endpoint) -> None:
        self._rows = rows
        self._endpoint = endpoint

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self._rows)

    @property
    def lines(self) -> bytes:
        r"""The rows as JSON lines; every line ends with a single `\n`."""
        return encode_lines(self._rows)

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows as an Arrow record batch; a price that does not fit its column is null."""
        import pyarrow as pa  # noqa: PLC0415 - an extra

        from tmapi_async.export.arrays.number_arrays import MONEY, exact_value  # noqa: PLC0415 - as above

        arrays = [
            pa.array(
                [exact_value(row[f.name], MONEY) if f.type == MONEY else row[f.name]
                 for row in self._rows],
                f.type,
            )
            for f in history_schema(self._endpoint)
        ]  # fmt: skip
        return pa.RecordBatch.from_arrays(arrays, schema=history_schema(self._endpoint))


def history_scope(reader: JournalReader, scope: Scope) -> Scope:
    """Return the scope of every visit of the exported listings, over all runs."""
    chosen = VisitMarks()
    for listing in reader.listing_visits():
        if any(scope.has(visit) for visit in listing.visits):
            for visit in listing.visits:
                chosen.add(visit)
    selected: Container[int] = chosen
    return chosen_visits(reader, selected, scope.endpoint, scope.cats)


def price_history(reader: JournalReader, scope: Scope) -> Iterator[HistoryRows]:
    """Yield the price history of the exported listings, in the order in which pages came.

    An item has a row when its listing shows it for the first time, and whenever a price differs
    from the one before. A divided listing counts as one. The latest prices are kept in a temporary
    SQLite database, on disk beyond a small cache.

    Args:
        reader: The journal.
        scope: The exported pages.
    """
    endpoint, roots = scope.endpoint, reader.roots()
    paths = [column for column in columns(endpoint.item) if column.kind == "money"]
    numbers: dict[str, int] = {}
    with closing(sqlite3.connect("", isolation_level=None)) as latest:
        latest.execute("PRAGMA cache_size = -65536")
        latest.execute(_TABLE)
        latest.execute("BEGIN")
        for chunk in read_chunks(reader, history_scope(reader, scope)):
            rows: list[dict[str, Any]] = []
            for origin, items, _ in chunk.origins():
                name = origin.listing.identity
                family = roots.get(name, name)
                number = numbers.setdefault(family, len(numbers))
                for item in items:
                    prices = {column.name: _price(item, column.path) for column in paths}
                    if _is_change(latest, number, item.item_id, prices):
                        rows.append(_row(family, item.item_id, origin.fetched_at, prices))
            yield HistoryRows(rows, endpoint)


def _row(listing: str, item_id: int, seen_at: datetime, prices: dict[str, Any]) -> dict[str, Any]:
    return {"listing": listing, "item_id": item_id, "seen_at": seen_at, **prices}


def _price(item: Any, path: tuple[str, ...]) -> Any:
    value = item
    for name in path:
        value = None if value is None else getattr(value, name)
    return None if value is None else READERS["money"](value)


def _is_change(
    latest: sqlite3.Connection, listing: int, item_id: int, prices: dict[str, Any]
) -> bool:
    """Return True if an item has other prices than before, and keep them."""
    text = "|".join(
        "" if value is None else format(value.normalize(), "f") for value in prices.values()
    )
    before = latest.execute(_FIND, (listing, item_id)).fetchall()
    if before == [(text,)]:
        return False
    latest.execute(_STORE, (listing, item_id, text))
    return True
