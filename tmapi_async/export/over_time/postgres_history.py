"""The Postgres table of a price history: its definition, its check, and how rows are added."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportRefusedError
from tmapi_async.export.postgres_table import table_identifier

from .price_history import KEY, price_columns

_CREATE = "CREATE TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({key}))"
_STAGE = "CREATE TEMPORARY TABLE {stage} ({columns}) ON COMMIT DROP"
_COPY = "COPY {stage} ({names}) FROM STDIN (FORMAT csv)"
_ADD = """
INSERT INTO {table} ({names}) SELECT DISTINCT ON ({key}) {names} FROM {stage}
ON CONFLICT ({key}) DO NOTHING
"""
_EXISTING = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""


class PostgresHistory:
    """A table beside the table of items, which gets the changes of prices.

    Args:
        cursor: Cursor of the transaction of the export.
        table: Name of the table of items.
        endpoint: The endpoint whose prices are kept.

    Raises:
        ExportRefusedError: A table of that name has other columns.
    """

    def __init__(self, cursor: psycopg.Cursor[Any], table: str, endpoint: Endpoint) -> None:
        self._cursor = cursor
        self._types = {
            "listing": "text",
            "item_id": "bigint",
            "seen_at": "timestamp with time zone",
            **dict.fromkeys(price_columns(endpoint), "numeric(20,4)"),
        }
        self._name = f"{table}_history"
        self._execute(_CREATE)
        self._check()
        self._execute(_STAGE)

    def _check(self) -> None:
        name = table_identifier(self._name).as_string(self._cursor)
        self._cursor.execute(_EXISTING, [name])
        existing = dict(self._cursor.fetchall())
        for column, kind in self._types.items():
            if existing.get(column) != kind:
                raise ExportRefusedError(
                    f"the table {self._name} does not fit: the column {column} must be {kind}. "
                    "Change the table, or name another one (--table); nothing was written"
                )

    def copy(self) -> Any:
        """Return the COPY that takes rows as CSV."""
        return self._cursor.copy(self._sql(_COPY))

    def add(self) -> int:
        """Add the copied rows that the table lacks, and return their number."""
        self._execute(_ADD)
        return self._cursor.rowcount

    def _execute(self, text: str) -> None:
        self._cursor.execute(self._sql(text))

    def _sql(self, text: str) -> sql.Composed:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
            for name, kind in self._types.items()
        )
        return sql.SQL(text).format(
            table=table_identifier(self._name),
            stage=sql.Identifier("pg_temp", "tmapi_history"),
            columns=columns,
            names=sql.SQL(", ").join(map(sql.Identifier, self._types)),
            key=sql.SQL(", ").join(map(sql.Identifier, KEY)),
        )
