"""A SQLite table: its definition, the check of an existing one, and its rows as SQLite values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.errors import ExportRefusedError
from tmapi_async.export.arrays.number_arrays import nearest_floats
from tmapi_async.export.csv_safety import replace_nul, time_texts
from tmapi_async.export.sinks import Table

_COLUMNS = "SELECT name, type FROM pragma_table_info(?, ?)"
_PREFERRED = ("item_id", "cat_id", "fetched_at", "seen_at", "change")
"""Columns with an index, where a table has them."""


class SqliteTable:
    """A table of a database that this process writes.

    Args:
        connection: The database, in a transaction.
        name: Name of the table.
        table: Its columns.
        more: More columns: name -> type.
        indexed: Columns that get an index beside the usual ones.
        schema: Schema of SQLite: `main` or `temp`.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        table: Table,
        *,
        more: dict[str, str] | None = None,
        indexed: Iterable[str] = (),
        schema: str = "main",
    ) -> None:
        self._connection, self._name, self._table, self._schema = connection, name, table, schema
        self._types = {field.name: sqlite_type(field.type) for field in table.schema}
        self._all_types = self._types | (more or {})
        self._indexed = [column for column in (*_PREFERRED, *indexed) if column in self._types]
        self.sql_name = f"{schema}.{quoted(name)}"

    @property
    def names(self) -> Sequence[str]:
        """Columns of the rows that are written."""
        return tuple(self._types)

    @property
    def rows(self) -> int:
        """Number of rows."""
        ((rows,),) = self._connection.execute(f"SELECT count(*) FROM {self.sql_name}")  # noqa: S608 - quoted
        return int(rows)

    def exists(self) -> bool:
        """Return True if the database has the table, after checking that the rows fit it.

        Raises:
            ExportRefusedError: The table has other columns.
        """
        existing = self._existing_types()
        if not existing:
            return False
        for column, kind in self._all_types.items():
            if existing.get(column) != kind:
                raise ExportRefusedError(
                    f"the table {self._name} does not fit: the column {column} must be {kind}. "
                    "Name another table (--table) or another file; nothing was written"
                )
        return True

    def is_like(self) -> bool:
        """Return True if the database has the table, with these columns and no others."""
        return self._existing_types() == self._all_types

    def _existing_types(self) -> dict[str, str]:
        rows = self._connection.execute(_COLUMNS, [self._name, self._schema])
        return {name: kind.upper() for name, kind in rows}

    def create(self) -> None:
        """Create the table."""
        required = {field.name for field in self._table.schema if not field.nullable}
        columns = ", ".join(
            f"{quoted(name)} {kind}{' NOT NULL' if name in required else ''}"
            for name, kind in self._all_types.items()
        )
        key = ", ".join(map(quoted, self._table.key))
        self._connection.execute(f"CREATE TABLE {self.sql_name} ({columns}, PRIMARY KEY ({key}))")

    def create_indexes(self) -> None:
        """Create the indexes that the table lacks, best after its rows are written."""
        for column in self._indexed:
            index = f"{self._schema}.{quoted(f'{self._name}_{column}')}"
            self._connection.execute(
                f"CREATE INDEX IF NOT EXISTS {index} ON {quoted(self._name)} ({quoted(column)})"
            )

    def insert(self, batch: pa.RecordBatch, conflict: str) -> None:
        """Insert rows.

        Args:
            batch: The rows.
            conflict: SQL that decides on a row whose key the table has.
        """
        marks = ", ".join("?" * len(self._types))
        names = ", ".join(map(quoted, self._types))
        self._connection.executemany(
            f"INSERT INTO {self.sql_name} ({names}) VALUES ({marks}) {conflict}",  # noqa: S608 - quoted
            sqlite_rows(batch),
        )


def quoted(name: str) -> str:
    """Return a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def sqlite_type(kind: pa.DataType) -> str:
    """Return the type of a column: exact numbers are REAL, times and JSON are TEXT."""
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "INTEGER"
    return "REAL" if pa.types.is_decimal(kind) else "TEXT"


def sqlite_rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Yield rows as values of SQLite.

    A number with more digits than a REAL can hold is the nearest REAL, and exact text in the column
    `..._text` beside it.
    """
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, array in list(arrays.items()):
        if pa.types.is_decimal(array.type):
            arrays[name], inexact = nearest_floats(array)
            text = f"{name}_text"
            if text in arrays and pc.any(inexact).as_py():
                exact = pc.if_else(inexact, array.cast(pa.string()), None)
                arrays[text] = pc.coalesce(arrays[text], exact)
        elif pa.types.is_timestamp(array.type):
            arrays[name] = time_texts(array)
        elif pa.types.is_boolean(array.type):
            arrays[name] = array.cast(pa.int8())
        elif pa.types.is_string(array.type) and array.null_count < len(array):
            arrays[name] = replace_nul(array)
    return zip(*(array.to_pylist() for array in arrays.values()), strict=True)
