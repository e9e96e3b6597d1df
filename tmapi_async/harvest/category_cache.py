"""Store the category tree in a journal, so that it is paid for only once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import zstandard

from tmapi_async.api.category_info import refusal
from tmapi_async.api.details import Category
from tmapi_async.api.replies import Page
from tmapi_async.errors import JournalError
from tmapi_async.errors.argument_checks import check_path, check_type
from tmapi_async.journal.compression import LEVEL, decompress_category
from tmapi_async.journal.lock import WriteLock
from tmapi_async.journal.records import to_milliseconds
from tmapi_async.journal.schema import connect, finish, transaction
from tmapi_async.journal.sqlite_errors import journal_error, require_rows
from tmapi_async.journal.tables.damaged_values import translated

_LATEST = "SELECT id, ended_at FROM look ORDER BY id DESC LIMIT 1"
_BEGIN = "INSERT INTO look (host, started_at) VALUES (?, ?)"
_END = "UPDATE look SET ended_at = ? WHERE id = ?"
_BODY = "SELECT body FROM category WHERE cat_id = ? AND look >= ?"
_KEEP = "INSERT OR REPLACE INTO category VALUES (?, ?, ?, ?)"
_HOSTS = "SELECT DISTINCT host FROM category JOIN look ON look.id = category.look"

log = logging.getLogger("tmapi_async")

Row = tuple[int, int, int, bytes]


class JournalCategories:
    """Cache of the category tree in a journal, beside the runs.

    Answers are committed in groups, in a thread: while one commit runs, the next group gathers. The
    walk sends no request while answers of two gate widths wait for their commit. Use the cache as a
    context manager. No other process can write to the journal meanwhile.

    Args:
        journal: The journal's file. It is created if it does not exist.
        refresh: Request every category again. A fetch that was interrupted continues.
        host: Host and port of the API. It is stored, and a warning is logged if stored answers
            came from another host. None for neither.

    Attributes:
        continues: True if this fetch continues one that was interrupted.

    Raises:
        JournalError: The journal cannot be used; nothing was sent.
    """

    def __init__(
        self, journal: str | Path, *, refresh: bool = False, host: str | None = None
    ) -> None:
        check_path("journal", journal)
        check_type("refresh", refresh, bool, "True or False", optional=False)
        check_type("host", host, str, "the name of a host")
        self.path = Path(journal).expanduser().resolve()
        self._lock = WriteLock(self.path)
        self._lock.acquire()
        try:
            self._connection = connect(self.path, writing=True)
        except BaseException:
            self._lock.release()
            raise
        self._compress = zstandard.ZstdCompressor(LEVEL, write_checksum=True).compress
        self._rows: list[Row] = []
        self._committing: asyncio.Task[None] | None = None
        self._on_durable: Callable[[], None] = lambda: None
        self.waiting = 0
        self.error: JournalError | None = None
        self.continues = False
        with translated(self.path):
            self._warn(host)
            self._fetch = self._open(host)
        # With `refresh`, only the answers of this fetch count.
        self._oldest = self._fetch if refresh else 0

    def _warn(self, host: str | None) -> None:
        hosts = {stored for (stored,) in self._connection.execute(_HOSTS)} - {host, None}
        if host is not None and hosts:
            message = (
                "the category tree in %s is from %s, new answers are from %s: check the base URL"
            )
            log.warning(message, self.path, ", ".join(sorted(hosts)), host)

    def _open(self, host: str | None) -> int:
        latest = self._connection.execute(_LATEST).fetchone()
        if latest is not None and latest[1] is None:
            self.continues = True
            return int(latest[0])
        cursor = self._connection.execute(_BEGIN, (host, to_milliseconds(time.time())))
        require_rows(cursor)
        return int(cursor.lastrowid or 0)

    def begin(self, on_durable: Callable[[], None]) -> None:
        """Prepare for answers.

        Args:
            on_durable: Called in the event loop when fewer answers wait for their commit.
        """
        self._on_durable = on_durable

    def get(self, cat_id: int) -> bytes | None:
        """Return the stored body of a category (0: the first level), or None.

        Raises:
            JournalError: The journal cannot be read.
        """
        with translated(self.path):
            row = self._connection.execute(_BODY, (cat_id, self._oldest)).fetchone()
        return None if row is None else decompress_category(self.path, cat_id, row[0])

    def put(self, cat_id: int, page: Page[Category]) -> None:
        """Store an answer. It is durable when `waiting` no longer counts it."""
        self._put(cat_id, page.body, page.fetched_at.timestamp())

    def put_refusal(self, cat_id: int, message: str) -> None:
        """Store that the API does not know a category, with the text of the server."""
        self._put(cat_id, refusal(message), time.time())

    def _put(self, cat_id: int, body: bytes, fetched_at: float) -> None:
        row = (cat_id, self._fetch, to_milliseconds(fetched_at), self._compress(body))
        self._rows.append(row)
        self.waiting += 1
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit(), name="tmapi categories")

    async def _commit(self) -> None:
        try:
            while self._rows:
                rows, self._rows = self._rows, []
                await asyncio.to_thread(self._write, rows)
                self.waiting -= len(rows)
                self._on_durable()
        except Exception as failure:  # noqa: BLE001 - the walk must learn of any error
            self.error = journal_error(self.path, failure)
            self._on_durable()
        finally:
            self._committing = None

    def _write(self, rows: list[Row]) -> None:
        execute = self._connection.execute
        with translated(self.path), transaction(self._connection):
            for row in rows:
                require_rows(execute(_KEEP, row))

    async def end(self, *, complete: bool) -> None:
        """Wait until all answers are durable.

        Args:
            complete: True if the tree is complete, so that a later fetch starts anew.

        Raises:
            JournalError: An answer cannot be committed.
        """
        while (task := self._committing) is not None:
            await task
        if self.error is not None:
            raise self.error
        if complete:
            with translated(self.path):
                require_rows(
                    self._connection.execute(_END, (to_milliseconds(time.time()), self._fetch))
                )

    def close(self) -> None:
        """Close the journal."""
        finish(self._connection)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<JournalCategories {self.path}: fetch {self._fetch}, {self.waiting} waiting>"
