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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import unquote

import msgspec
import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pyarrow import csv

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportError, ExportRefusedError

from .arrow import json_columns
from .csv_safety import replace_nul
from .postgres_table import (
    KEY,
    column_definitions,
    create_or_check,
    table_columns,
    table_identifier,
)
from .sinks import DestinationResult, Rows

_CONNECT_SECONDS = 15
_HIDDEN = "[password]"

_STAGE = "CREATE TEMPORARY TABLE {stage} ({columns}, seq bigserial) ON COMMIT DROP"
_COPY = "COPY {stage} ({names}) FROM STDIN (FORMAT csv)"
# The table keeps the latest sighting. Rows that are older than the table's row, or equal to it,
# change nothing.
_MERGE = """
WITH latest AS (
    SELECT DISTINCT ON ({key}) {names} FROM {stage} ORDER BY {key}, seq DESC
), merged AS (
    INSERT INTO {table} AS existing ({names}) SELECT {names} FROM latest
    ON CONFLICT ({key}) DO UPDATE SET ({names}) = ROW ({new})
    WHERE existing.fetched_at <= EXCLUDED.fetched_at AND ({old}) IS DISTINCT FROM ({new})
    RETURNING existing.xmax = 0 AS inserted
)
SELECT (SELECT count(*) FROM latest), count(*) FILTER (WHERE inserted),
       count(*) FILTER (WHERE NOT inserted)
FROM merged
"""
_CSV_OPTIONS = csv.WriteOptions(include_header=False)


def describe_url(url: str) -> str:
    """Return a database URL for messages: user, host, port and database, without the password.

    Raises:
        ExportRefusedError: libpq cannot parse the URL. The message does not contain the URL.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        # The message of libpq may quote the URL with its password.
        raise ExportRefusedError(
            "the database URL cannot be read: write it like postgresql://USER@HOST:PORT/DATABASE "
            "and percent-encode special characters in the user name and the password"
        ) from None
    user = f"{parts['user']}@" if parts.get("user") else ""
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{user}{parts.get('host') or ''}{port}/{parts.get('dbname') or ''}"


class PostgresTable:
    """A table that receives the rows of an export in one transaction.

    Args:
        url: URL for libpq.
        table: The table, with its schema if the schema is not in the search path.
        endpoint: The endpoint whose rows are written.

    Raises:
        ExportRefusedError: The table does not fit the rows.
        ExportError: The server cannot be reached, or refuses a statement.
    """

    def __init__(self, url: str, table: str, endpoint: Endpoint) -> None:
        self.to = f"{describe_url(url)} table {table}"
        settings = conninfo_to_dict(url)
        self._secret = str(settings.get("password") or "")
        self._table = table
        self._endpoint = endpoint
        self._rows = 0
        with ExitStack() as stack, self._errors("nothing was written"):
            self._connection = psycopg.connect(
                url,
                application_name="tmapi export",
                connect_timeout=settings.get("connect_timeout") or _CONNECT_SECONDS,
                prepare_threshold=None,  # pools that share sessions lose prepared statements
            )
            stack.callback(self._connection.close)
            self._cursor = self._connection.cursor()
            create_or_check(self._cursor, table, endpoint)
            self._cursor.execute(self._sql(_STAGE))
            self._copying = ExitStack()
            self._copy = self._copying.enter_context(self._cursor.copy(self._sql(_COPY)))
            stack.pop_all()

    def write(self, rows: Rows) -> None:
        """Copy rows into the temporary table."""
        self._rows += rows.chunk.rows
        with self._errors("the table is unchanged; run the same command again"):
            self._copy.write(_csv(rows.batch, json_columns(self._endpoint)))

    def commit(self) -> DestinationResult:
        """Merge the rows into the table and commit."""
        with self._errors("the table is unchanged; run the same command again"):
            self._copying.close()
            self._cursor.execute(self._sql(_MERGE))
            latest, inserted, updated = self._cursor.fetchone() or (0, 0, 0)
        with self._errors("the rows may or may not be committed; run the same command again"):
            self._connection.commit()
            self._connection.close()
        return DestinationResult(
            to=self.to,
            rows=self._rows,
            inserted=inserted,
            updated=updated,
            unchanged=latest - inserted - updated,
        )

    def abort(self) -> None:
        """Close the connection; the server rolls back and the table is unchanged."""
        with suppress(Exception):  # if the server is gone, it has rolled back by itself
            # Closing in the middle of COPY cuts the connection, and the server rolls back.
            self._connection.close()

    def _sql(self, text: str) -> sql.Composed:
        names = [sql.Identifier(column.name) for column in table_columns(self._endpoint)]

        def joined(prefix: str) -> sql.Composed:
            return sql.SQL(", ").join(sql.SQL(prefix) + name for name in names)

        return sql.SQL(text).format(
            stage=sql.Identifier("pg_temp", "tmapi_stage"),
            table=table_identifier(self._table),
            columns=column_definitions(self._endpoint, required=False),
            names=joined(""),
            old=joined("existing."),
            new=joined("EXCLUDED."),
            key=sql.SQL(", ").join(map(sql.Identifier, KEY)),
        )

    @contextmanager
    def _errors(self, consequence: str) -> Iterator[None]:
        """Raise errors of the database as `ExportError`, without the password."""
        try:
            yield
        except psycopg.Error as error:
            message = " ".join(str(error).split()) or type(error).__name__
            for secret in {self._secret, unquote(self._secret)} - {""}:
                message = message.replace(secret, _HIDDEN)
            raise ExportError(f"{self.to}: {message}; {consequence}") from None


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
