"""Postgres destination: copies the rows of an export and merges them in one transaction.

COPY writes the rows to a temporary table, and one statement merges them into the table. Other
sessions therefore see all of an export or nothing, and an interrupted export leaves the table
unchanged.

The driver is psycopg and not asyncpg: an export has no event loop, and libpq understands every URL,
`PGPASSFILE` and service file that `psql` does. psycopg's licence (LGPL) has no conditions for a
program that imports it unchanged, as an optional extra.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from tmapi_async.api.endpoints import Endpoint

from .arrow import json_columns
from .csv_safety import replace_nul
from .endpoint_choice import DEFAULT_TABLE, row_key, table_name
from .over_time.gone_items import WalkedListing
from .over_time.postgres_history import PostgresHistory
from .postgres_session import PostgresSession, describe_url
from .postgres_table import (
    column_definitions,
    create_or_check,
    is_like,
    lock_table_name,
    table_columns,
    table_identifier,
)
from .sinks import DestinationResult, WritableRows

_STAGE = "CREATE TEMPORARY TABLE {stage} ({columns}, seq bigserial) ON COMMIT DROP"
_COPY = "COPY {stage} ({names}) FROM STDIN (FORMAT csv)"
# The table keeps the latest sighting. Rows that are older than the table's row, or equal to it,
# change nothing.
_MERGE = """
WITH latest AS (
    SELECT DISTINCT ON ({key}) {names} FROM {stage} ORDER BY {key}, seq DESC
), merged AS (
    INSERT INTO {table} AS existing ({names}) SELECT {names} FROM latest
    ON CONFLICT ({key}) DO UPDATE SET ({names}) = ROW ({new}), gone_at =
        CASE WHEN EXCLUDED.fetched_at > existing.gone_at THEN NULL ELSE existing.gone_at END
    WHERE existing.fetched_at <= EXCLUDED.fetched_at AND ({old}) IS DISTINCT FROM ({new})
    RETURNING existing.xmax = 0 AS inserted
)
SELECT (SELECT count(*) FROM latest), count(*) FILTER (WHERE inserted),
       count(*) FILTER (WHERE NOT inserted)
FROM merged
"""
_CREATE_WALKED = """
CREATE TEMPORARY TABLE {walked} (
    listing text PRIMARY KEY, family text NOT NULL, run integer NOT NULL,
    ended_at timestamp with time zone NOT NULL
) ON COMMIT DROP
"""
_COPY_WALKED = "COPY {walked} FROM STDIN"
_SHOWN = """
CREATE TEMPORARY TABLE {shown} ON COMMIT DROP AS
SELECT DISTINCT family, {rest} FROM {stage} JOIN {walked} USING (listing, run)
"""
_ANALYZE = "ANALYZE {walked}, {shown}"
_MARK_GONE = """
UPDATE {table} AS existing SET gone_at = walked.ended_at FROM {walked} AS walked
WHERE existing.listing = walked.listing AND existing.gone_at IS NULL
  AND existing.fetched_at <= walked.ended_at AND NOT EXISTS (
    SELECT 1 FROM {shown} AS shown
    WHERE shown.family = walked.family AND ({shown_rest}) = ({existing_rest}))
"""
_CSV_OPTIONS = csv.WriteOptions(include_header=False)


class PostgresTable:
    """A table that receives the rows of an export in one transaction.

    Args:
        url: URL for libpq.
        table: The table, with its schema if the schema is not in the search path; None for the
            usual one.
        endpoint: The endpoint whose rows are written.

    Raises:
        ExportRefusedError: The table does not fit the rows, or the database cannot store Chinese.
        ExportError: The server cannot be reached, or refuses a statement.
    """

    def __init__(self, url: str, table: str | None, endpoint: Endpoint) -> None:
        table = table or _usual_table(url, endpoint)
        self.to = _describe(url, table)
        self._endpoint = endpoint
        self._rows = 0
        self._sql = partial(_sql, table=table, endpoint=endpoint)
        self._table = table
        self._history: PostgresHistory | None = None
        self._walked: Sequence[WalkedListing] = ()
        self._session = PostgresSession(url, self.to)
        with ExitStack() as stack, self._session.errors("nothing was written"):
            stack.callback(self._session.connection.close)
            cursor = self._session.cursor
            create_or_check(cursor, table, endpoint)
            cursor.execute(self._sql(_STAGE))
            self._copying = ExitStack()
            self._copy = self._copying.enter_context(cursor.copy(self._sql(_COPY)))
            stack.pop_all()

    def write(self, rows: WritableRows) -> None:
        """Copy rows into the temporary table."""
        self._rows += rows.count
        with self._session.errors("the table is unchanged; run the same command again"):
            self._copy.write(_csv(rows.batch, json_columns(self._endpoint)))

    def write_history(self, rows: WritableRows) -> None:
        """Copy rows of the price history into a temporary table of their own."""
        with self._session.errors("the table is unchanged; run the same command again"):
            if self._history is None:
                self._copying.close()  # all items are copied
                self._history = PostgresHistory(self._session.cursor, self._table, self._endpoint)
                self._copying = ExitStack()
                self._copy = self._copying.enter_context(self._history.copy())
            self._copy.write(_csv(rows.batch, ()))

    def mark_gone(self, walked: Sequence[WalkedListing]) -> None:
        """Mark the rows of these listings that the written rows lack, when they are merged."""
        self._walked = walked

    def commit(self) -> DestinationResult:
        """Merge the rows into the table and commit."""
        cursor = self._session.cursor
        with self._session.errors("the table is unchanged; run the same command again"):
            self._copying.close()
            cursor.execute(self._sql(_MERGE))
            latest, inserted, updated = cursor.fetchone() or (0, 0, 0)
            gone = _mark_gone(cursor, self._sql, self._walked)
            history = None if self._history is None else self._history.add()
        with self._session.errors(
            "the rows may or may not be committed; run the same command again"
        ):
            self._session.connection.commit()
            self._session.connection.close()
        return DestinationResult(
            to=self.to,
            rows=self._rows,
            inserted=inserted,
            updated=updated,
            unchanged=latest - inserted - updated,
            gone=gone,
            history=history,
        )

    def abort(self) -> None:
        """Close the connection; the server rolls back and the table is unchanged."""
        with suppress(Exception):  # if the server is gone, it has rolled back by itself
            # Closing in the middle of COPY cuts the connection, and the server rolls back.
            self._session.connection.close()


def check_table(url: str, table: str | None, endpoint: Endpoint, *, history: bool = False) -> None:
    """Check that an export to a table can work: do all of it without rows, and roll back.

    Args:
        url: URL for libpq.
        table: The table, with its schema if the schema is not in the search path; None for the
            usual one.
        endpoint: The endpoint whose rows will be written.
        history: True if a price history will be written, too.

    Raises:
        ExportRefusedError: The table does not fit the rows, or the database cannot store Chinese.
        ExportError: The server cannot be reached, or refuses a statement.
    """
    table = table or _usual_table(url, endpoint)
    session = PostgresSession(url, _describe(url, table))
    with closing(session.connection), session.errors("nothing was written"):
        if lock_table_name(session.cursor, table, wait=False):  # else an export is using the table
            create_or_check(session.cursor, table, endpoint)
            session.cursor.execute(_sql(_STAGE, table, endpoint))
            session.cursor.execute(_sql(_MERGE, table, endpoint))
            _mark_gone(session.cursor, partial(_sql, table=table, endpoint=endpoint), [])
            if history:
                PostgresHistory(session.cursor, table, endpoint).add()
        session.connection.rollback()


def _mark_gone(
    cursor: psycopg.Cursor[Any],
    make_sql: Callable[[str], sql.Composed],
    walked: Iterable[WalkedListing],
) -> int:
    """Mark the items of the table that are gone, and return their number."""
    cursor.execute(make_sql(_CREATE_WALKED))
    with cursor.copy(make_sql(_COPY_WALKED)) as copy:
        for listing in walked:
            copy.write_row((listing.listing, listing.family, listing.run, listing.ended_at))
    for statement in (_SHOWN, _ANALYZE, _MARK_GONE):
        cursor.execute(make_sql(statement))
    return cursor.rowcount


def _usual_table(url: str, endpoint: Endpoint) -> str:
    """Return the usual table; `items` if an earlier version has put such rows there."""
    name = table_name(endpoint)
    if name == DEFAULT_TABLE:
        return name
    session = PostgresSession(url, _describe(url, name))
    with closing(session.connection), session.errors("nothing was written"):
        cursor = session.cursor
        earlier = not is_like(cursor, name, endpoint) and is_like(cursor, DEFAULT_TABLE, endpoint)
        session.connection.rollback()
    return DEFAULT_TABLE if earlier else name


def _describe(url: str, table: str) -> str:
    return f"{describe_url(url)} table {table}"


def _sql(text: str, table: str, endpoint: Endpoint) -> sql.Composed:
    names = [sql.Identifier(column.name) for column in table_columns(endpoint)]
    key = [sql.Identifier(name) for name in row_key(endpoint)]

    def joined(prefix: str, columns: list[sql.Identifier] = names) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL(prefix) + name for name in columns)

    return sql.SQL(text).format(
        stage=sql.Identifier("pg_temp", "tmapi_stage"),
        walked=sql.Identifier("pg_temp", "tmapi_walked"),
        shown=sql.Identifier("pg_temp", "tmapi_shown"),
        table=table_identifier(table),
        columns=column_definitions(endpoint, required=False),
        names=joined(""),
        old=joined("existing."),
        new=joined("EXCLUDED."),
        key=joined("", key),
        rest=joined("", key[1:]),
        shown_rest=joined("shown.", key[1:]),
        existing_rest=joined("existing.", key[1:]),
    )


def _csv(batch: pa.RecordBatch, json_names: tuple[str, ...]) -> bytes:
    arrays = [
        replace_nul(column) if pa.types.is_string(column.type) else column
        for column in batch.columns
    ]
    for name in json_names:
        index = batch.schema.get_field_index(name)
        arrays[index] = _jsonb_texts(batch.column(index))
    text = io.BytesIO()
    csv.write_csv(pa.RecordBatch.from_arrays(arrays, schema=batch.schema), text, _CSV_OPTIONS)
    return text.getvalue()


def _jsonb_texts(column: pa.Array) -> pa.Array:
    """Replace U+0000 in JSON: jsonb does not accept it."""
    if column.null_count == len(column):
        return column
    return pa.array(
        [
            _jsonb_text(text) if text is not None and "\\u0000" in text else text
            for text in column.to_pylist()
        ],
        pa.string(),
    )


def _jsonb_text(text: str) -> str:
    def cleaned(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        if isinstance(value, list):
            return [cleaned(part) for part in value]
        if isinstance(value, dict):
            return {cleaned(name): cleaned(part) for name, part in value.items()}
        return value

    return msgspec.json.encode(cleaned(json.loads(text))).decode()
