"""A DuckDB database with one table of items, made anew by each export."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportError

from .arrow import item_schema, json_columns
from .atomic_file import AtomicFile
from .sinks import DestinationResult, Rows

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_ROWS = 122_880
"""Rows of a DuckDB row group."""


class DuckDBFile:
    """A database file that is put in place whole."""

    def __init__(self, path: Path, table: str, endpoint: Endpoint) -> None:
        self.to = str(path)
        self._table = _quoted(table)
        self._json = ", ".join(
            f"{_quoted(name)}::JSON AS {_quoted(name)}" for name in json_columns(endpoint)
        )
        self._rows = 0
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._place = AtomicFile(path)
        try:
            self._connection = duckdb.connect(str(self._place.part))
            self._insert(item_schema(endpoint).empty_table(), "CREATE TABLE {table} AS {rows}")
        except BaseException:
            self._place.remove()
            raise

    def write(self, rows: Rows) -> None:
        """Take rows."""
        self._rows += rows.chunk.rows
        self._waiting.append(rows.batch)
        self._waiting_rows += rows.batch.num_rows
        if self._waiting_rows >= _GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - loaded by now

        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._insert(table, "INSERT INTO {table} {rows}")
            self._waiting, self._waiting_rows = [], 0

    def _insert(self, rows: Any, statement: str) -> None:
        self._connection.register("tmapi_rows", rows)
        # What is not its Arrow type: DuckDB can look inside JSON.
        select = f"SELECT * REPLACE ({self._json}) FROM tmapi_rows"  # noqa: S608 - our own names
        try:
            self._connection.execute(statement.format(table=self._table, rows=select))
        except duckdb.Error as error:
            raise ExportError(f"{self.to}: {str(error).splitlines()[0]}") from None
        self._connection.unregister("tmapi_rows")

    def finish(self) -> DestinationResult:
        """Make the file durable and put it in place."""
        try:
            self._write_group()
            self._connection.execute("CHECKPOINT")
            self._connection.close()
        except duckdb.Error as error:
            raise ExportError(f"{self.to}: {str(error).splitlines()[0]}") from None
        return DestinationResult(to=self.to, rows=self._rows, bytes=self._place.put())

    def abandon(self) -> None:
        """Leave what was there before."""
        with suppress(Exception):  # a full disk fails here again
            self._connection.close()
        self._place.remove()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
