"""DuckDB destination: a database with a table for each endpoint, created anew by each export.

Rows of the file before that are gone since are taken over, with the time in the column `gone_at`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportError

from .arrow import item_schema, json_columns
from .atomic_file import AtomicFile
from .endpoint_choice import DEFAULT_TABLE, row_key, table_name
from .over_time.gone_items import WalkedListing
from .sinks import DestinationResult, WritableRows

_GROUP_ROWS = 122_880
"""Rows of a DuckDB row group."""

_MEGABYTES = 64
_MOST_MEGABYTES = 1 << 16
"""Memory of DuckDB at the beginning, and at most. By default DuckDB takes most of the memory of the
machine. A statement that needs more than it has is given twice as much."""

_THREADS = 1
"""More threads need memory of their own, and leave half of the file empty. Most of the time goes
into decoding the journal."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4" if pa.Codec.is_available("lz4") else None)
"""The rows of a group wait compressed. As plain columns they need 70 MB."""

_CREATE = (
    "CREATE TABLE {table} AS SELECT *, NULL::TIMESTAMP WITH TIME ZONE AS gone_at FROM ({rows})"
)
_COLUMNS = """
SELECT column_name, data_type FROM duckdb_columns()
WHERE database_name = ? AND schema_name = 'main' AND table_name = ? AND column_name != 'gone_at'
ORDER BY column_name
"""
_HAS_GONE_AT = """
SELECT count(*) FROM duckdb_columns() WHERE database_name = 'tmapi_before'
    AND schema_name = 'main' AND table_name = ? AND column_name = 'gone_at'
"""
# Of the listings of this export: the latest row of each item that the listing no longer shows. It
# was marked before, or the newest visit of its listing proves that it is gone. The other columns
# are read at the end and of the rows to take over alone, because all of them need much memory.
_TAKE_OVER = """
INSERT INTO {table} BY NAME
WITH shown AS (
    SELECT DISTINCT family, {rest} FROM {table} JOIN tmapi_walked USING (listing, run)
), exported AS (SELECT DISTINCT listing, {rest} FROM {table}),
before AS (SELECT {columns} FROM tmapi_before.{table}),
earlier AS (
    SELECT listing, {rest}, max(fetched_at) AS fetched_at,
        nullif(arg_max(coalesce(gone_at, 'infinity'), fetched_at), 'infinity') AS gone_at
    FROM before GROUP BY listing, {rest}
), taken AS (
    SELECT earlier.* REPLACE (coalesce(earlier.gone_at, walked.ended_at) AS gone_at)
    FROM earlier LEFT JOIN tmapi_walked AS walked ON walked.listing = earlier.listing
    WHERE CASE WHEN walked.listing IS NULL
        THEN earlier.gone_at IS NOT NULL
            AND earlier.listing IN (SELECT exported.listing FROM exported)
            AND NOT EXISTS (SELECT 1 FROM exported
                WHERE exported.listing = earlier.listing AND {exported_rest})
        ELSE earlier.fetched_at <= walked.ended_at AND NOT EXISTS (SELECT 1 FROM shown
                WHERE shown.family = walked.family AND {shown_rest})
        END
)
SELECT before.* REPLACE (taken.gone_at AS gone_at)
FROM before JOIN taken USING (listing, {rest}, fetched_at)
QUALIFY row_number() OVER (PARTITION BY listing, {rest}) = 1
"""
_NEWLY_GONE = """
SELECT count(*) FROM {table} AS item WHERE item.gone_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM (SELECT {columns} FROM tmapi_before.{table}) AS earlier
    WHERE earlier.listing = item.listing AND {item_rest} AND earlier.gone_at IS NOT NULL)
"""


class DuckDBFile:
    """A database file that appears complete or not at all.

    Args:
        path: The file.
        name: Name of the first table; None for the usual one.
        endpoint: The endpoint whose rows it has.
    """

    def __init__(self, path: Path, name: str | None, endpoint: Endpoint) -> None:
        self.to = str(path)
        self._history: int | None = None
        self._rows: dict[str, int] = {}
        self._gone = 0
        self._atomic_file = AtomicFile(path)
        try:
            self._megabytes = _MEGABYTES
            settings: dict[str, str | bool | int | float | list[str]] = {
                "threads": _THREADS,
                "memory_limit": f"{_MEGABYTES}MB",
            }
            self._connection = duckdb.connect(str(self._atomic_file.temporary), config=settings)
            self._open_table(endpoint, name)
        except BaseException:
            self._atomic_file.discard()
            raise

    def _open_table(self, endpoint: Endpoint, name: str | None) -> None:
        self._endpoint = endpoint
        self._walked: Sequence[WalkedListing] | None = None
        self._json_casts = ", ".join(
            f"{_quoted(column)}::JSON AS {_quoted(column)}" for column in json_columns(endpoint)
        )
        self._schema = item_schema(endpoint)
        self._begin_group()
        self._name_table(name or table_name(endpoint))
        self._insert(self._schema.empty_table, _CREATE)
        if not self._check_file_before() and name is None and self._name != DEFAULT_TABLE:
            self._keep_earlier_name()
        self._rows[self._name] = 0

    def _name_table(self, name: str) -> None:
        self._name, self._table = name, _quoted(name)

    def _keep_earlier_name(self) -> None:
        """Name the table `items` if an earlier version has put such rows there."""
        own, own_quoted = self._name, self._table
        self._connection.execute(f"ALTER TABLE {own_quoted} RENAME TO {DEFAULT_TABLE}")
        self._name_table(DEFAULT_TABLE)
        if not self._check_file_before():
            self._connection.execute(f"ALTER TABLE {self._table} RENAME TO {own_quoted}")
            self._name_table(own)

    def write(self, rows: WritableRows) -> None:
        """Write rows."""
        self._rows[self._name] += rows.count
        self._group.write_batch(rows.batch)
        self._group_rows += rows.batch.num_rows
        if self._group_rows >= _GROUP_ROWS:
            self._write_group()
            self._begin_group()

    def _begin_group(self) -> None:
        self._buffer, self._group_rows = pa.BufferOutputStream(), 0
        self._group = pa.ipc.new_stream(self._buffer, self._schema, options=_OPTIONS)

    def _write_group(self) -> None:
        self._group.close()
        if self._group_rows:
            rows = self._buffer.getvalue()
            self._insert(lambda: pa.ipc.open_stream(rows), "INSERT INTO {table} BY NAME {rows}")

    def _insert(self, make_rows: Callable[[], Any], statement: str) -> None:
        # Text columns with JSON become JSON columns, so that DuckDB can query inside them.
        select = f"SELECT * REPLACE ({self._json_casts}) FROM tmapi_rows"  # noqa: S608 - our own names
        sql = statement.format(table=self._table, rows=select)
        try:
            self._execute(sql, lambda: self._connection.register("tmapi_rows", make_rows()))
        except duckdb.Error as error:
            raise self._error(error) from None
        self._connection.unregister("tmapi_rows")

    def write_history(self, rows: WritableRows) -> None:
        """Write rows of the price history into a table of their own."""
        name = _quoted(f"{self._name}_history")
        statement = f"INSERT INTO {name} SELECT * FROM tmapi_history"  # noqa: S608 - our own names
        if self._history is None:
            self._history = 0
            statement = f"CREATE TABLE {name} AS SELECT * FROM tmapi_history"  # noqa: S608 - as above
        self._history += rows.count
        self._connection.register("tmapi_history", rows.batch)
        try:
            self._execute(statement)
        except duckdb.Error as error:
            raise self._error(error) from None
        self._connection.unregister("tmapi_history")

    def _execute(
        self, sql: str, prepare: Callable[[], object] = lambda: None
    ) -> duckdb.DuckDBPyConnection:
        """Execute a statement, and again with more memory if it needs more.

        Args:
            sql: The statement.
            prepare: Called before each try.
        """
        while True:
            prepare()
            try:
                return self._connection.execute(sql)
            except duckdb.OutOfMemoryException:
                self._megabytes *= 2
                if self._megabytes > _MOST_MEGABYTES:
                    raise
                self._connection.execute(f"SET memory_limit = '{self._megabytes}MB'")

    def mark_gone(self, walked: Sequence[WalkedListing]) -> None:
        """Take over the rows of the file before that the written rows lack, when it is complete."""
        self._walked = walked

    def begin_table(self, endpoint: Endpoint, name: str) -> None:
        """End the table, and begin another one of the same file."""
        try:
            self._end_table()
            self._open_table(endpoint, name)
        except duckdb.Error as error:
            raise self._error(error) from None

    def _end_table(self) -> None:
        self._write_group()
        if self._walked is not None:
            self._gone += self._take_over(self._walked)

    def commit(self) -> DestinationResult:
        """Make the file durable and move it to its final path."""
        try:
            self._end_table()
            self._connection.execute("CHECKPOINT")
            self._connection.close()
        except duckdb.Error as error:
            raise self._error(error) from None
        size = self._atomic_file.commit()
        return DestinationResult(
            to=self.to,
            rows=sum(self._rows.values()),
            bytes=size,
            gone=self._gone,
            history=self._history,
            tables=self._rows if len(self._rows) > 1 else {},
        )

    def _take_over(self, walked: Sequence[WalkedListing]) -> int:
        """Take over rows of the file before that are gone; return how many are newly gone."""
        if not self._attach_file_before():
            return 0
        execute = self._connection.execute
        rows = [msgspec.structs.asdict(listing) for listing in walked]
        self._connection.register(
            "tmapi_walked", pa.Table.from_pylist(rows, schema=_walked_schema())
        )
        has_gone_at = execute(_HAS_GONE_AT, [self._name]).fetchall() == [(1,)]
        columns = "*" if has_gone_at else "*, NULL::TIMESTAMP WITH TIME ZONE AS gone_at"
        self._execute(self._key_sql(_TAKE_OVER, columns))
        ((newly_gone,),) = self._execute(self._key_sql(_NEWLY_GONE, columns)).fetchall()
        execute("DETACH tmapi_before")
        self._connection.unregister("tmapi_walked")
        return int(newly_gone)

    def _key_sql(self, statement: str, columns: str) -> str:
        """Return a statement with the columns that tell the rows of a listing from each other."""
        rest = row_key(self._endpoint)[1:]

        def equal(one: str, other: str) -> str:
            return " AND ".join(f"{one}.{name} = {other}.{name}" for name in rest)

        return statement.format(
            table=self._table,
            columns=columns,
            rest=", ".join(rest),
            exported_rest=equal("exported", "earlier"),
            shown_rest=equal("shown", "earlier"),
            item_rest=equal("earlier", "item"),
        )

    def _check_file_before(self) -> bool:
        """Return True if the file has the same table already.

        Raises:
            ExportError: Another program has locked the file.
        """
        try:
            attached = self._attach_file_before()
        except duckdb.Error as error:
            raise self._error(error) from None
        if attached:
            self._connection.execute("DETACH tmapi_before")
        return attached

    def _attach_file_before(self) -> bool:
        """Attach the file that is about to be replaced if its table has the same columns."""
        path = self._atomic_file.path
        if not path.exists():
            return False
        quoted_path = str(path).replace("'", "''")
        try:
            self._connection.execute(f"ATTACH '{quoted_path}' AS tmapi_before (READ_ONLY)")
        except duckdb.Error as error:
            if "lock" in str(error).lower():
                raise  # another program has it open: its rows would be lost
            return False  # not a database of this version: it is replaced
        ((this_database,),) = self._connection.execute("SELECT current_database()").fetchall()
        new, old = (
            self._connection.execute(_COLUMNS, [database, self._name]).fetchall()
            for database in (this_database, "tmapi_before")
        )
        if new != old:
            self._connection.execute("DETACH tmapi_before")
        return bool(new == old)

    def abort(self) -> None:
        """Discard the written rows; a previous file stays as it was."""
        with suppress(Exception):  # a full disk fails here again
            self._connection.close()
        self._atomic_file.discard()

    def _error(self, error: duckdb.Error) -> ExportError:
        return ExportError(f"{self.to}: {str(error).splitlines()[0]}")


def _walked_schema() -> pa.Schema:
    return pa.schema(
        [
            ("listing", pa.string()),
            ("family", pa.string()),
            ("run", pa.int32()),
            ("ended_at", pa.timestamp("us", tz="UTC")),
        ]
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
