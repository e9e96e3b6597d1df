"""Read the rows of a damaged table, as many as can be read."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tmapi_async.errors import NewerJournalError, NoJournalError, NotAJournalError
from tmapi_async.journal.schema import LARGEST_VALUE, version
from tmapi_async.journal.tables.damaged_values import translated

from .damage import DAMAGE, describe_damage

_NEAR = 10_000
"""Keys that are tried one by one after an unreadable row. Beyond them, steps double."""

_MAX_KEY = 2**63 - 1


def open_damaged(path: Path) -> sqlite3.Connection:
    """Open a journal for reading although its header or a part of its schema is damaged.

    Raises:
        NewerJournalError: A newer version of this package wrote the journal.
        NoJournalError: There is no such file.
        NotAJournalError: The file has no tables of a journal, or none can be recognised.
    """
    if not path.is_file():
        raise NoJournalError(path)
    with translated(path):
        uri = f"file:{quote(str(path))}?mode=ro"
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=5.0, check_same_thread=False
        )
        try:
            # With it, SQLite also opens a file that was cut, and skips bad parts of the schema.
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA query_only = ON")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
            _check_tables(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    for table in ("listing", "visit", "page"):
        try:
            connection.execute(f"SELECT 1 FROM {table} LIMIT 0")  # noqa: S608 - constants
        except DAMAGE as error:
            describe_damage(path, error)
            raise NotAJournalError(path, f"no table {table} can be found in it") from None
    stored = connection.execute("PRAGMA user_version").fetchone()[0]
    if stored > version():
        raise NewerJournalError(path, f"its version is {stored}; this package reads {version()}")


class DamagedTables:
    """Reads the tables of a damaged journal.

    Args:
        connection: Connection of `open_damaged`.
        path: The journal's file.

    Attributes:
        damages: Number of places at which rows could not be read.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self.damages = 0

    def rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Yield the readable rows of a table with an integer primary key, in the order of the key.

        The columns are not named, because their names in the schema may be damaged.

        Args:
            table: Name of the table.

        Yields:
            The key and all other columns.
        """
        # NOT INDEXED: an index may be damaged where the table is not.
        sql = f"SELECT rowid, * FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid"  # noqa: S608 - constants of this package
        position: int | None = 0
        while position is not None:
            try:
                for row in self._connection.execute(sql, (position,)):
                    if row[0] < position:
                        continue  # a damaged tree leads back to rows that were read
                    position = row[0] + 1
                    yield (row[0], *row[2:])
            except DAMAGE as error:
                describe_damage(self._path, error)
            else:
                return
            # sqlite3 reads one row ahead: the error may be that of the row after this one.
            if (first := self._first(sql, position)) is not None:
                position = max(position, first[0]) + 1
                yield (first[0], *first[2:])
            else:
                self.damages += 1
                position = self._next_readable(sql, position)

    def _next_readable(self, sql: str, position: int) -> int | None:
        """Return the next key from which on a row can be read, or None."""
        step = 1
        while step <= _NEAR:
            if self._readable(sql, position + step):
                return position + step
            step += 1
        low = step - 1
        while not self._readable(sql, position + step):
            low, step = step, step * 2
            if position + step > _MAX_KEY:
                return None
        while step - low > 1:
            middle = (low + step) // 2
            if self._readable(sql, position + middle):
                step = middle
            else:
                low = middle
        return position + step

    def _first(self, sql: str, position: int) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None
            row = self._connection.execute(f"{sql} LIMIT 1", (position,)).fetchone()
        except DAMAGE as error:
            describe_damage(self._path, error)
            return None
        return row

    def _readable(self, sql: str, position: int) -> bool:
        try:
            self._connection.execute(f"{sql} LIMIT 1", (position,)).fetchone()
        except DAMAGE as error:
            describe_damage(self._path, error)
            return False
        return True

    def scan(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query up to the first one that cannot be read.

        For tables without an integer key, and for indexes.
        """
        try:
            yield from self._connection.execute(sql)
        except DAMAGE as error:
            describe_damage(self._path, error)
            self.damages += 1

    def has(self, sql: str, *values: object) -> bool:
        """Return True if a query has a row; False if not, or if it cannot be read."""
        with contextlib.suppress(*DAMAGE):
            return self._connection.execute(sql, values).fetchone() is not None
        return False
