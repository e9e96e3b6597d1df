"""SQLite destination: a database with a table for each endpoint, merged by listing and item.

A table has one row for each item of each listing, its latest sighting. An existing database is
changed in one transaction: other tables of the file stay, and readers see all of an export or
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.export.endpoint_choice import DEFAULT_TABLE, row_key, table_name
from tmapi_async.export.over_time.gone_items import WalkedListing
from tmapi_async.export.over_time.price_history import HistoryTable
from tmapi_async.export.semantics import SOURCE_COLUMNS
from tmapi_async.export.sinks import DestinationResult, ItemTable, Table, WritableRows

from .sqlite_connection import SqliteConnection
from .sqlite_table import SqliteTable, quoted

_GONE_AT = {"gone_at": "TEXT"}
_KNOWN = "ON CONFLICT DO NOTHING"
# The later row counts; rows that are older than the table's row, or equal to it, change nothing.
_LATEST = """
ON CONFLICT ({key}) DO UPDATE SET ({names}) = ({new}){gone_at}
WHERE {name}.fetched_at <= excluded.fetched_at AND ({old}) IS NOT ({new})
"""
_RETURNED = """
, gone_at = CASE WHEN excluded.fetched_at > {name}.gone_at THEN NULL ELSE {name}.gone_at END
"""
_MERGE = "INSERT INTO {table} ({names}) SELECT {names} FROM {stage} WHERE true {latest}"
_WALKED = """
CREATE TEMPORARY TABLE tmapi_walked (
    listing TEXT PRIMARY KEY, family TEXT NOT NULL, run INTEGER NOT NULL, ended_at TEXT NOT NULL
) WITHOUT ROWID
"""
_SHOWN = """
CREATE TEMPORARY TABLE tmapi_shown (
    family TEXT, {integers}, PRIMARY KEY (family, {rest})
) WITHOUT ROWID
"""
_ADD_SHOWN = """
INSERT OR IGNORE INTO temp.tmapi_shown
SELECT family, {rest} FROM {stage} JOIN temp.tmapi_walked USING (listing, run)
"""
_MARK_GONE = """
UPDATE {table} AS item SET gone_at = walked.ended_at FROM temp.tmapi_walked AS walked
WHERE item.listing = walked.listing AND item.gone_at IS NULL
  AND item.fetched_at <= walked.ended_at AND NOT EXISTS (
    SELECT 1 FROM temp.tmapi_shown AS shown
    WHERE shown.family = walked.family AND ({shown_rest}) = ({item_rest}))
"""


_WORK_TABLES = ("tmapi_stage", "tmapi_walked", "tmapi_shown")


class _Merged(msgspec.Struct):
    """Sums over the tables that are merged.

    Attributes:
        rows: Rows written to each table by its name.
    """

    rows: dict[str, int] = {}
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    gone: int = 0


class SqliteItems:
    """A database that receives the rows of an export in one transaction.

    Args:
        path: The file.
        name: Name of the table of items; None for the usual one.
        endpoint: The endpoint whose rows are written.

    Raises:
        ExportRefusedError: The file is not a database, or its table does not fit the rows.
        ExportError: Another program is changing the database.
    """

    def __init__(self, path: Path, name: str | None, endpoint: Endpoint) -> None:
        self.to = str(path)
        self._merged = _Merged()
        self._history: SqliteTable | None = None
        self._connection = SqliteConnection(path)
        try:
            with self._connection.errors():
                self._open_tables(endpoint, name)
        except BaseException:
            self._connection.abort()
            raise

    def _open_tables(self, endpoint: Endpoint, name: str | None) -> None:
        self._endpoint, self._rows = endpoint, 0
        self._walked: Sequence[WalkedListing] = ()
        self._name = name or self._usual_name()
        database = self._connection.database
        self._items, table = self._table(self._name), ItemTable(endpoint)
        if self._items.exists():
            # The rows wait beside the table, to be counted as new, changed and unchanged.
            self._stage = SqliteTable(database, "tmapi_stage", table, schema="temp")
            self._stage.create()
        else:
            self._items.create()
            self._stage = self._items
        self._latest = self._conflict("tmapi_stage" if self._is_staged else self._name)

    def _table(self, name: str) -> SqliteTable:
        meant = [*SOURCE_COLUMNS["price"], *SOURCE_COLUMNS["sold"]]
        table, database = ItemTable(self._endpoint), self._connection.database
        return SqliteTable(database, name, table, more=_GONE_AT, indexed=meant)

    def _usual_name(self) -> str:
        """Return the usual name; `items` if an earlier version has put such rows there."""
        name = table_name(self._endpoint)
        earlier = not self._table(name).is_like() and self._table(DEFAULT_TABLE).is_like()
        return DEFAULT_TABLE if earlier else name

    @property
    def _is_staged(self) -> bool:
        return self._stage is not self._items

    def _conflict(self, name: str, gone_at: str = "") -> str:
        def joined(prefix: str) -> str:
            return ", ".join(prefix + quoted(column) for column in self._items.names)

        return _LATEST.format(
            key=", ".join(map(quoted, row_key(self._endpoint))),
            name=quoted(name),
            names=joined(""),
            old=joined(f"{quoted(name)}."),
            new=joined("excluded."),
            gone_at=gone_at.format(name=quoted(name)),
        )

    def write(self, rows: WritableRows) -> None:
        """Write rows."""
        self._rows += rows.count
        with self._connection.errors():
            self._stage.insert(rows.batch, self._latest)

    def write_history(self, rows: WritableRows) -> None:
        """Write those rows of the price history that the database lacks."""
        with self._connection.errors():
            if self._history is None:
                table: Table = HistoryTable(self._endpoint)
                database = self._connection.database
                self._history = SqliteTable(database, f"{self._name}_history", table)
                if not self._history.exists():
                    self._history.create()
                self._history_before = self._history.rows
            self._history.insert(rows.batch, _KNOWN)

    def mark_gone(self, walked: Sequence[WalkedListing]) -> None:
        """Mark the rows of these listings that the written rows lack, when they are merged."""
        self._walked = walked

    def begin_table(self, endpoint: Endpoint, name: str) -> None:
        """Merge the rows into their table, and begin another one in the same transaction."""
        with self._connection.errors():
            self._end_table()
            for table in _WORK_TABLES:
                self._connection.database.execute(f"DROP TABLE IF EXISTS temp.{table}")
            self._open_tables(endpoint, name)

    def _end_table(self) -> None:
        """Merge the rows into their table."""
        merged, latest = self._merged, self._stage.rows
        inserted, updated = self._merge() if self._is_staged else (latest, 0)
        merged.rows[self._name] = self._rows
        merged.inserted += inserted
        merged.updated += updated
        merged.unchanged += latest - inserted - updated
        merged.gone += self._mark_gone()
        self._items.create_indexes()

    def commit(self) -> DestinationResult:
        """Merge the rows into the table and commit."""
        merged = self._merged
        with self._connection.errors():
            self._end_table()
            history = None
            if self._history is not None:
                self._history.create_indexes()
                history = self._history.rows - self._history_before
        return DestinationResult(
            to=self.to,
            rows=sum(merged.rows.values()),
            bytes=self._connection.commit(),
            inserted=merged.inserted,
            updated=merged.updated,
            unchanged=merged.unchanged,
            gone=merged.gone,
            history=history,
            tables=merged.rows if len(merged.rows) > 1 else {},
        )

    def _merge(self) -> tuple[int, int]:
        """Merge the waiting rows; return the numbers of new and of changed rows."""
        before = self._items.rows
        names = ", ".join(map(quoted, self._items.names))
        merge = _MERGE.format(
            table=self._items.sql_name,
            names=names,
            stage=self._stage.sql_name,
            latest=self._conflict(self._name, _RETURNED),
        )
        changes = self._connection.database.execute(merge).rowcount
        inserted = self._items.rows - before
        return inserted, changes - inserted

    def _mark_gone(self) -> int:
        """Mark the rows of the table that are gone, and return their number."""
        if not self._walked:
            return 0
        database = self._connection.database
        database.execute(_WALKED)
        database.execute(self._key_sql(_SHOWN))
        database.executemany(
            "INSERT INTO temp.tmapi_walked VALUES (?, ?, ?, ?)",
            (
                (one.listing, one.family, one.run, one.ended_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
                for one in self._walked
            ),
        )
        database.execute(self._key_sql(_ADD_SHOWN))
        return database.execute(self._key_sql(_MARK_GONE)).rowcount

    def _key_sql(self, statement: str) -> str:
        """Return a statement with the columns that tell the rows of a listing from each other."""
        rest = row_key(self._endpoint)[1:]
        return statement.format(
            table=self._items.sql_name,
            stage=self._stage.sql_name,
            rest=", ".join(rest),
            integers=", ".join(f"{name} INTEGER" for name in rest),
            shown_rest=", ".join(f"shown.{name}" for name in rest),
            item_rest=", ".join(f"item.{name}" for name in rest),
        )

    def abort(self) -> None:
        """Undo every change; never raises."""
        self._connection.abort()
