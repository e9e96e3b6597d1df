"""The Postgres table of items: its definition, and checks of an existing table against it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
from psycopg import sql

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportRefusedError
from tmapi_async.errors.shown_value import show_value

from .arrow import item_schema, json_columns
from .endpoint_choice import row_key

GONE_AT = "gone_at"
"""Column with the time when the first visit ended that no longer showed the item; else null."""

GONE_AT_TYPE = "timestamp with time zone"

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


class PostgresColumn(msgspec.Struct, frozen=True):
    """A required column of the table.

    Attributes:
        name: Name of the column.
        type: SQL type.
        required: True if the value is never null.
    """

    name: str
    type: str
    required: bool

    def fits(self, existing_type: str) -> bool:
        """Return True if a column of this type stores every value of the column unchanged."""
        if existing_type == self.type or (self.type, existing_type) in _WIDER:
            return True
        needed, existing = _NUMERIC.fullmatch(self.type), _NUMERIC.fullmatch(existing_type)
        if not needed or not existing:
            return False
        precision, scale = map(int, needed.groups())
        existing_precision, existing_scale = map(int, existing.groups())
        return existing_scale >= scale and existing_precision - existing_scale >= precision - scale


_WIDER = {
    ("integer", "bigint"),
    ("text", "character varying"),
    ("numeric(20,4)", "numeric"),
    ("numeric(18,6)", "numeric"),
}


@functools.cache
def table_columns(endpoint: Endpoint) -> tuple[PostgresColumn, ...]:
    """Return the columns of an item table, in the order of a row."""
    return tuple(
        PostgresColumn(field.name, _type(field, endpoint), not field.nullable)
        for field in item_schema(endpoint)
    )


def _type(field: pa.Field, endpoint: Endpoint) -> str:
    if field.name in json_columns(endpoint):
        return "jsonb"
    if pa.types.is_decimal(field.type):
        return f"numeric({field.type.precision},{field.type.scale})"
    if pa.types.is_timestamp(field.type):
        return "timestamp with time zone"
    return {pa.int64(): "bigint", pa.int32(): "integer", pa.bool_(): "boolean"}.get(
        field.type, "text"
    )


def table_identifier(table: str) -> sql.Identifier:
    """Return the SQL name of a table, with its schema if it has one (`shop.items`).

    Raises:
        ExportRefusedError: The text is not a table name.
    """
    parts = table.split(".")
    if not 1 <= len(parts) <= 2 or not all(parts) or "\0" in table:  # noqa: PLR2004 - schema, table
        raise ExportRefusedError(
            f"{show_value(table)} is not a table name: write NAME or SCHEMA.NAME"
        )
    return sql.Identifier(*parts)


def column_definitions(endpoint: Endpoint, *, required: bool = True) -> sql.Composable:
    """Return the column definitions for `CREATE TABLE`."""
    return sql.SQL(", ").join(
        sql.SQL("{} {} {}").format(
            sql.Identifier(column.name),
            sql.SQL(column.type),
            sql.SQL("NOT NULL" if required and column.required else ""),
        )
        for column in table_columns(endpoint)
    )


_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull,
       atthasdef OR attidentity <> '' OR attgenerated <> ''
FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
"""
_KEYS = """
SELECT array_agg(attname::text ORDER BY attname)
FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey[:indnkeyatts - 1])
WHERE indrelid = %s AND indisunique AND indisvalid AND indimmediate
      AND indpred IS NULL AND indexprs IS NULL
GROUP BY indexrelid
"""


def lock_table_name(cursor: psycopg.Cursor[Any], table: str, *, wait: bool = True) -> bool:
    """Lock the name of a table for this transaction.

    Two exports that begin together must not both create the table, nor deadlock on its rows.

    Args:
        cursor: Cursor of the transaction.
        table: The table.
        wait: True to wait until an export that has the lock ends.

    Returns:
        True if this transaction has the lock.
    """
    function = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    lock = sql.SQL("SELECT {}(hashtextextended(%s, 0))").format(sql.SQL(function))
    cursor.execute(lock, [f"tmapi {table}"])
    return wait or bool((cursor.fetchone() or (False,))[0])


def is_like(cursor: psycopg.Cursor[Any], table: str, endpoint: Endpoint) -> bool:
    """Return True if there is such a table with the columns of an endpoint, and no others."""
    cursor.execute("SELECT to_regclass(%s)::oid", [table_identifier(table).as_string(cursor)])
    cursor.execute(_COLUMNS, [(cursor.fetchone() or (None,))[0]])
    existing = {column for column, *_ in cursor.fetchall()}
    return existing - {GONE_AT} == {column.name for column in table_columns(endpoint)}


def create_or_check(cursor: psycopg.Cursor[Any], table: str, endpoint: Endpoint) -> None:
    """Create the table if it does not exist; otherwise check that it fits the rows.

    Raises:
        ExportRefusedError: The table does not fit; the message names the column.
    """
    name = table_identifier(table)
    lock_table_name(cursor, table)
    cursor.execute("SELECT to_regclass(%s)::oid", [name.as_string(cursor)])
    table_id = (cursor.fetchone() or (None,))[0]
    if table_id is None:
        key = sql.SQL(", ").join(map(sql.Identifier, row_key(endpoint)))
        create = f"CREATE TABLE {{}} ({{}}, {GONE_AT} {GONE_AT_TYPE}, PRIMARY KEY ({{}}))"
        cursor.execute(sql.SQL(create).format(name, column_definitions(endpoint), key))
        return
    cursor.execute(_COLUMNS, [table_id])
    existing = {column: traits for column, *traits in cursor.fetchall()}
    cursor.execute(_KEYS, [table_id])
    keys = [sorted(names) for (names,) in cursor.fetchall()]
    problem = next(mismatches(endpoint, existing, keys), None)
    if problem:
        raise ExportRefusedError(
            f"the table {table} does not fit: {problem}. Change the table, or name another one "
            "(--table); nothing was written"
        )
    if GONE_AT not in existing:
        _add_gone_at(cursor, name, table)


def _add_gone_at(cursor: psycopg.Cursor[Any], name: sql.Identifier, table: str) -> None:
    """Add the column of items that are gone to a table that an earlier version created."""
    column = f"ADD COLUMN {GONE_AT} {GONE_AT_TYPE}"
    try:
        cursor.execute(sql.SQL("ALTER TABLE {} " + column).format(name))
    except psycopg.errors.InsufficientPrivilege:
        raise ExportRefusedError(
            f"the table {table} does not fit: the column {GONE_AT} is missing, and this role may "
            f"not add it. Let the owner run ALTER TABLE {table} {column}; nothing was written"
        ) from None


def mismatches(
    endpoint: Endpoint, existing: dict[str, Any], keys: list[list[str]]
) -> Iterator[str]:
    """Compare an existing table with the rows of an endpoint.

    Args:
        endpoint: The endpoint whose rows the table should store.
        existing: Name of each column -> its type, True if it is never null, True if it has a
            default.
        keys: Sorted columns of each unique key of the table.

    Yields:
        One sentence for each mismatch.
    """
    for column in table_columns(endpoint):
        if column.name not in existing:
            yield (
                f"the column {column.name} is missing "
                f"(ALTER TABLE ... ADD COLUMN {column.name} {column.type})"
            )
            continue
        kind, required, _ = existing[column.name]
        if not column.fits(kind):
            yield f"the column {column.name} is {kind} and must be {column.type}"
        elif required and not column.required:
            yield f"the column {column.name} is NOT NULL, but an item may have no value"
    if GONE_AT in existing and (existing[GONE_AT][0] != GONE_AT_TYPE or existing[GONE_AT][1]):
        yield f"the column {GONE_AT} must be {GONE_AT_TYPE}, and null where an item is not gone"
    known = {column.name for column in table_columns(endpoint)} | {GONE_AT}
    for name, (_, required, default) in existing.items():
        if name not in known and required and not default:
            yield f"the column {name} is NOT NULL without a default, but items have no such column"
    key = row_key(endpoint)
    if sorted(key) not in keys:
        yield f"the columns {' and '.join(key)} are not its primary key, nor unique together"
