"""A table of a Postgres database: one transaction copies the rows in and merges them.

Rows go into a temporary table by COPY, and from there into the table by one statement. So others
see all of an export or nothing of it, and whatever ends it early leaves the table as it was.

psycopg and not asyncpg: an export has no event loop, and libpq understands every URL, `PGPASSFILE`
and service file that `psql` does. psycopg is under the LGPL, which asks nothing of a program that
imports it unchanged, as an extra.
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
from .csv_safety import without_nul
from .postgres_table import KEY, columns, create_or_check, definition, identifier
from .sinks import DestinationResult, Rows

_CONNECT_SECONDS = 15
_HIDDEN = "[password]"

_STAGE = "CREATE TEMPORARY TABLE {stage} ({columns}, seq bigserial) ON COMMIT DROP"
_COPY = "COPY {stage} ({names}) FROM STDIN (FORMAT csv)"
# The latest sighting stays: what was seen earlier than what the table has changes nothing, and so
# does what the table has already.
_MERGE = """
WITH latest AS (
    SELECT DISTINCT ON ({key}) {names} FROM {stage} ORDER BY {key}, seq DESC
), merged AS (
    INSERT INTO {table} AS held ({names}) SELECT {names} FROM latest
    ON CONFLICT ({key}) DO UPDATE SET ({names}) = ROW ({new})
    WHERE held.fetched_at <= EXCLUDED.fetched_at AND ({old}) IS DISTINCT FROM ({new})
    RETURNING held.xmax = 0 AS inserted
)
SELECT (SELECT count(*) FROM latest), count(*) FILTER (WHERE inserted),
       count(*) FILTER (WHERE NOT inserted)
FROM merged
"""
_TEXT = csv.WriteOptions(include_header=False)


def describe(url: str) -> str:
    """A database URL for people: who, where and which database; no password, no options.

    Raises:
        ExportRefusedError: It is no such URL; the message does not show it.
    """
    try:
        found = conninfo_to_dict(url)
    except psycopg.Error:
        # What libpq says about a URL may quote it, password included.
        raise ExportRefusedError(
            "the database URL cannot be read: it must be like postgresql://USER@HOST:PORT/DATABASE "
            "(percent-encode what is special in a user's name or password)"
        ) from None
    user = f"{found['user']}@" if found.get("user") else ""
    port = f":{found['port']}" if found.get("port") else ""
    return f"postgresql://{user}{found.get('host') or ''}{port}/{found.get('dbname') or ''}"


class PostgresTable:
    """A table that gets the rows of an export in one transaction.

    Args:
        url: A URL as libpq takes it.
        table: The table, with its schema if it is not in the search path.
        endpoint: The endpoint whose rows it gets.

    Raises:
        ExportRefusedError: The table does not fit.
        ExportError: The server cannot be reached, or refuses.
    """

    def __init__(self, url: str, table: str, endpoint: Endpoint) -> None:
        self.to = f"{describe(url)} table {table}"
        given = conninfo_to_dict(url)
        self._secret = str(given.get("password") or "")
        self._table = table
        self._endpoint = endpoint
        self._rows = 0
        with ExitStack() as stack, self._told("nothing was written"):
            self._connection = psycopg.connect(
                url,
                application_name="tmapi export",
                connect_timeout=given.get("connect_timeout") or _CONNECT_SECONDS,
                prepare_threshold=None,  # poolers that share sessions know no prepared statements
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
        with self._told("the table is as it was; run the same again"):
            self._copy.write(_csv(rows.batch, json_columns(self._endpoint)))

    def finish(self) -> DestinationResult:
        """Merge and commit."""
        with self._told("the table is as it was; run the same again"):
            self._copying.close()
            self._cursor.execute(self._sql(_MERGE))
            latest, inserted, updated = self._cursor.fetchone() or (0, 0, 0)
        with self._told("it cannot be told whether that was committed; run the same again"):
            self._connection.commit()
            self._connection.close()
        return DestinationResult(
            to=self.to,
            rows=self._rows,
            inserted=inserted,
            updated=updated,
            unchanged=latest - inserted - updated,
        )

    def abandon(self) -> None:
        """Leave the table as it was."""
        with suppress(Exception):  # the server may be gone: then it has rolled back by itself
            # Closed without leaving COPY, the connection is cut and the server rolls back.
            self._connection.close()

    def _sql(self, text: str) -> sql.Composed:
        names = [sql.Identifier(column.name) for column in columns(self._endpoint)]

        def listed(prefix: str) -> sql.Composed:
            return sql.SQL(", ").join(sql.SQL(prefix) + name for name in names)

        return sql.SQL(text).format(
            stage=sql.Identifier("pg_temp", "tmapi_stage"),
            table=identifier(self._table),
            columns=definition(self._endpoint, required=False),
            names=listed(""),
            old=listed("held."),
            new=listed("EXCLUDED."),
            key=sql.SQL(", ").join(map(sql.Identifier, KEY)),
        )

    @contextmanager
    def _told(self, state: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            said = " ".join(str(error).split()) or type(error).__name__
            for secret in {self._secret, unquote(self._secret)} - {""}:
                said = said.replace(secret, _HIDDEN)
            raise ExportError(f"{self.to}: {said}; {state}") from None


def _csv(batch: pa.RecordBatch, json_names: tuple[str, ...]) -> bytes:
    arrays = [
        without_nul(column) if pa.types.is_string(column.type) else column
        for column in batch.columns
    ]
    for name in json_names:
        place = batch.schema.get_field_index(name)
        arrays[place] = _storable(batch.column(place))
    text = io.BytesIO()
    csv.write_csv(pa.RecordBatch.from_arrays(arrays, schema=batch.schema), text, _TEXT)
    return text.getvalue()


def _storable(column: pa.Array) -> pa.Array:
    """JSON without U+0000, which jsonb cannot hold."""
    if column.null_count == len(column):
        return column
    return pa.array(
        [
            _clean(text) if text is not None and "\\u0000" in text else text
            for text in column.to_pylist()
        ],
        pa.string(),
    )


def _clean(text: str) -> str:
    def cleaned(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        if isinstance(value, list):
            return [cleaned(part) for part in value]
        if isinstance(value, dict):
            return {cleaned(name): cleaned(part) for name, part in value.items()}
        return value

    return msgspec.json.encode(cleaned(json.loads(text))).decode()
