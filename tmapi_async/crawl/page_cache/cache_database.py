"""The file of a page cache: an SQLite database that several processes read and write. Synchronous.

Bodies are compressed as in a journal, with dictionaries of the file's own. Every write is one
transaction of SQLite's write-ahead log: a process that is killed leaves the pages before, or those
pages and the new ones. Power cuts may cost the last pages: they are only a cache.

A look-up is a short read on the event loop's thread: measured, it costs 7 microseconds, and a hop
to a thread and back costs 60.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from tmapi_async.api.listings import PageRequest
from tmapi_async.errors import (
    CorruptJournalError,
    JournalError,
    NotAJournalError,
)
from tmapi_async.journal.compression import Decoder, Encoder
from tmapi_async.journal.records import to_milliseconds
from tmapi_async.journal.schema import transaction
from tmapi_async.journal.sqlite_errors import journal_error

from .stores import StoredReply

_KEPT_SHARE = 0.9
"""Share of the limit to which a full file is emptied."""

_STEPS = 50  # in which the oldest pages are deleted

_FIND = """
SELECT fetched_at, dictionary, body FROM page WHERE listing = ? AND number = ? AND origin = ?
"""
_DROP_OLDER = """
DELETE FROM page WHERE listing = ? AND number = ? AND origin = ? AND fetched_at <= ?
"""
_KEEP = """
INSERT OR IGNORE INTO page (listing, number, origin, fetched_at, dictionary, body)
VALUES (?, ?, ?, ?, ?, ?)
"""


class CacheTroubleError(Exception):
    """The file cannot be used now; its text says why.

    Attributes:
        damaged: True if the file is damaged.
    """

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


class CacheDatabase:
    """An open cache file. `find` belongs to one thread, all other methods to another.

    Args:
        path: The file.
        origin: Host of the API, with the prefix of its paths.
        limit: Bytes of the file above which its oldest pages are deleted.
        writer: Connection for writing; None for a file that can only be read.
        reader: Connection for reading.

    Attributes:
        identity: Tells this file from another one of the same name.
    """

    def __init__(
        self,
        path: Path,
        origin: str,
        limit: int,
        writer: sqlite3.Connection | None,
        reader: sqlite3.Connection,
    ) -> None:
        self._path = path
        self._origin = origin
        self._limit = limit
        self._writer = writer
        self._reader = reader
        self._decoder = Decoder(reader, path)
        self._encoder: Encoder | None = None
        self._newest_dictionary: int | None = None
        self.identity = file_identity(path)

    @property
    def can_write(self) -> bool:
        """True unless the file can only be read."""
        return self._writer is not None

    def has_moved(self) -> bool:
        """Return True if the name of the file belongs to another file, or to none."""
        return file_identity(self._path) != self.identity

    def find(self, request: PageRequest) -> StoredReply | None:
        """Return the reply of a page, or None.

        Raises:
            CacheTroubleError: The file cannot be read.
        """
        key = (request.listing.identity, request.number, self._origin)
        try:
            row = self._reader.execute(_FIND, key).fetchone()
            if row is None:
                return None
            fetched_at, dictionary, frame = row
            return StoredReply(fetched_at / 1000, self._decoder.decode(dictionary, frame))
        except sqlite3.Error as error:
            raise storage_trouble(self._path, error) from None
        except (JournalError, TypeError):
            return None  # this page is damaged: it is requested, and its row replaced

    def write(self, replies: Sequence[tuple[PageRequest, StoredReply]]) -> None:
        """Write replies in one transaction, and delete the oldest ones if the file is too large.

        Raises:
            CacheTroubleError: Nothing was written.
        """
        if self._writer is None:
            return
        try:
            with transaction(self._writer):
                self._insert(self._writer, replies)
            self._delete_oldest(self._writer)
        except (sqlite3.Error, OSError) as error:
            self._encoder = None  # it may have a dictionary that was not written
            raise storage_trouble(self._path, error) from None

    def _insert(
        self, connection: sqlite3.Connection, replies: Sequence[tuple[PageRequest, StoredReply]]
    ) -> None:
        newest = connection.execute("SELECT max(id) FROM dictionary").fetchone()[0]
        if self._encoder is None or newest != self._newest_dictionary:
            self._encoder = Encoder(connection)  # another process has added a dictionary
        for request, reply in replies:
            listing = request.listing
            key = (listing.identity, request.number, self._origin)
            fetched_at = to_milliseconds(reply.fetched_at)
            connection.execute(_DROP_OLDER, (*key, fetched_at))
            frame = self._encoder.encode(listing.endpoint, reply.body)
            connection.execute(_KEEP, (*key, fetched_at, *frame))
        for dictionary in self._encoder.trained():
            connection.execute("INSERT INTO dictionary VALUES (?, ?, ?)", dictionary)
            newest = dictionary[0]
        self._newest_dictionary = newest

    def _delete_oldest(self, connection: sqlite3.Connection) -> None:
        if _used_bytes(connection) <= self._limit:
            return
        first, last = connection.execute("SELECT min(id), max(id) FROM page").fetchone()
        first, last = first or 0, last or 0
        for step in range(1, _STEPS + 1):
            bound = first + (last + 1 - first) * step // _STEPS
            with transaction(connection):
                connection.execute("DELETE FROM page WHERE id < ?", (bound,))
            if _used_bytes(connection) <= _KEPT_SHARE * self._limit:
                break
        size = read_pragma(connection, "page_count") * read_pragma(connection, "page_size")
        if size > self._limit * (2 - _KEPT_SHARE):  # the limit was higher before
            # A row without columns for each page: `execute` would stop at the first one.
            connection.executescript("PRAGMA incremental_vacuum")

    def close(self) -> None:
        """Close the file."""
        for connection in (self._writer, self._reader):
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()


def storage_trouble(path: Path, error: Exception) -> CacheTroubleError:
    """Return the trouble that an error of SQLite or of the system stands for."""
    problem = journal_error(path, error)
    reason = problem.message or type(problem).__name__
    damaged = isinstance(problem, (CorruptJournalError, NotAJournalError))
    return CacheTroubleError(reason, damaged=damaged)


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return numbers that tell a file from any other one, or None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages = read_pragma(connection, "page_count") - read_pragma(connection, "freelist_count")
    return pages * read_pragma(connection, "page_size")


def read_pragma(connection: sqlite3.Connection, name: str) -> int:
    """Return the value of a pragma that is a number."""
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value
