"""DuckDB destination: a database with one table of items, created anew by each export."""

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
    """A database file that appears complete or not at all."""

    def __init__(self, path: Path, table: str, endpoint: Endpoint) -> None:
        self.to = str(path)
        self._table = _quoted(table)
        self._json_casts = ", ".join(
            f"{_quoted(name)}::JSON AS {_quoted(name)}" for name in json_columns(endpoint)
        )
        self._rows = 0
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._atomic_file = AtomicFile(path)
        try:
            self._connection = duckdb.connect(str(self._atomic_file.temporary))
            self._insert(item_schema(endpoint).empty_table(), "CREATE TABLE {table} AS {rows}")
        except BaseException:
            self._atomic_file.discard()
            raise

    def write(self, rows: Rows) -> None:
        """Write rows."""
        self._rows += rows.chunk.rows
        self._pending.append(rows.batch)
        self._pending_rows += rows.batch.num_rows
        if self._pending_rows >= _GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra, loaded by now

        if self._pending:
            table = pa.Table.from_batches(self._pending)
            self._insert(table, "INSERT INTO {table} {rows}")
            self._pending, self._pending_rows = [], 0

    def _insert(self, rows: Any, statement: str) -> None:
        self._connection.register("tmapi_rows", rows)
        # Text columns with JSON become JSON columns, so that DuckDB can query inside them.
        select = f"SELECT * REPLACE ({self._json_casts}) FROM tmapi_rows"  # noqa: S608 - our own names
        try:
            self._connection.execute(statement.format(table=self._table, rows=select))
        except duckdb.Error as error:
            raise self._error(error) from None
        self._connection.unregister("tmapi_rows")

    def commit(self) -> DestinationResult:
        """Make the file durable and move it to its final path."""
        try:
            self._write_group()
            self._connection.execute("CHECKPOINT")
            self._connection.close()
        except duckdb.Error as error:
            raise self._error(error) from None
        return DestinationResult(to=self.to, rows=self._rows, bytes=self._atomic_file.commit())

    def abort(self) -> None:
        """Discard the written rows; a previous file stays as it was."""
        with suppress(Exception):  # a full disk fails here again
            self._connection.close()
        self._atomic_file.discard()

    def _error(self, error: duckdb.Error) -> ExportError:
        return ExportError(f"{self.to}: {str(error).splitlines()[0]}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
