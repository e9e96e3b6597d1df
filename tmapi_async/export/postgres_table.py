"""The Postgres table of items: what it must look like, and what is wrong with one that does not."""

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

from .arrow import item_schema, json_columns

KEY = ("listing", "item_id")

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


class PostgresColumn(msgspec.Struct, frozen=True):
    """A column as the table must have it.

    Attributes:
        name: Its name.
        type: Its SQL type.
        required: Whether it is never null.
    """

    name: str
    type: str
    required: bool

    def takes(self, found: str) -> bool:
        """Whether a column of another type holds every value of this one, unchanged."""
        if found == self.type or (self.type, found) in _WIDER:
            return True
        ours, theirs = _NUMERIC.fullmatch(self.type), _NUMERIC.fullmatch(found)
        if not ours or not theirs:
            return False
        (digits, places), (held, exact) = map(int, ours.groups()), map(int, theirs.groups())
        return exact >= places and held - exact >= digits - places


_WIDER = {
    ("integer", "bigint"),
    ("text", "character varying"),
    ("numeric(20,4)", "numeric"),
    ("numeric(18,6)", "numeric"),
}


@functools.cache
def columns(endpoint: Endpoint) -> tuple[PostgresColumn, ...]:
    """The columns of an item table, in the order of a row."""
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


def identifier(table: str) -> sql.Identifier:
    """A table's name, with its schema if it has one (`shop.items`).

    Raises:
        ExportRefusedError: It is no name.
    """
    parts = table.split(".")
    if not 1 <= len(parts) <= 2 or not all(parts) or "\0" in table:  # noqa: PLR2004 - schema, table
        raise ExportRefusedError(f"{table!r} is no table: give NAME or SCHEMA.NAME")
    return sql.Identifier(*parts)


def definition(endpoint: Endpoint, *, required: bool = True) -> sql.Composable:
    """The columns as `CREATE TABLE` takes them."""
    return sql.SQL(", ").join(
        sql.SQL("{} {} {}").format(
            sql.Identifier(column.name),
            sql.SQL(column.type),
            sql.SQL("NOT NULL" if required and column.required else ""),
        )
        for column in columns(endpoint)
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


def create_or_check(cursor: psycopg.Cursor[Any], table: str, endpoint: Endpoint) -> None:
    """Create the table if there is none; otherwise check that rows fit it.

    Raises:
        ExportRefusedError: They do not; the message names the column.
    """
    name = identifier(table)
    # Two exports that begin together must not both create it, nor lock its rows crosswise.
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"tmapi {table}"])
    cursor.execute("SELECT to_regclass(%s)::oid", [name.as_string(cursor)])
    found = (cursor.fetchone() or (None,))[0]
    if found is None:
        key = sql.SQL(", ").join(map(sql.Identifier, KEY))
        create = "CREATE TABLE {} ({}, PRIMARY KEY ({}))"
        cursor.execute(sql.SQL(create).format(name, definition(endpoint), key))
        return
    cursor.execute(_COLUMNS, [found])
    held = {column: rest for column, *rest in cursor.fetchall()}
    cursor.execute(_KEYS, [found])
    keys = [sorted(names) for (names,) in cursor.fetchall()]
    wrong = next(misfits(endpoint, held, keys), None)
    if wrong:
        raise ExportRefusedError(
            f"the table {table} does not fit: {wrong}. Mend that, or name another table (--table); "
            "nothing was written"
        )


def misfits(endpoint: Endpoint, held: dict[str, Any], keys: list[list[str]]) -> Iterator[str]:
    """What is wrong with a table.

    Args:
        endpoint: The endpoint whose rows it is to hold.
        held: Name of each of its columns to type, whether it is never null, whether it has a
            default.
        keys: Columns of each of its unique keys, sorted.

    Yields:
        One sentence for each column that does not fit.
    """
    for column in columns(endpoint):
        if column.name not in held:
            yield (
                f"it has no column {column.name} "
                f"(ALTER TABLE ... ADD COLUMN {column.name} {column.type})"
            )
            continue
        kind, required, _ = held[column.name]
        if not column.takes(kind):
            yield f"its column {column.name} is {kind}, and must be {column.type}"
        elif required and not column.required:
            yield f"its column {column.name} is NOT NULL, and items may have none"
    ours = {column.name for column in columns(endpoint)}
    for name, (_, required, default) in held.items():
        if name not in ours and required and not default:
            yield f"its column {name} is NOT NULL without a default, and items have no such column"
    if sorted(KEY) not in keys:
        yield f"its columns {' and '.join(KEY)} are not its primary key, nor unique together"
