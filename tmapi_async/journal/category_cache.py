"""Keeps the tree of categories in a journal, so that it is paid for once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import zstandard

from tmapi_async.api.details import Category
from tmapi_async.api.replies import Page
from tmapi_async.errors import JournalError

from .compression import LEVEL, answer
from .lock import WriteLock
from .records import to_milliseconds
from .schema import connect, finish, transaction, translated
from .sqlite_errors import journal_error

_LATEST = "SELECT id, ended_at FROM look ORDER BY id DESC LIMIT 1"
_BEGIN = "INSERT INTO look (host, started_at) VALUES (?, ?)"
_END = "UPDATE look SET ended_at = ? WHERE id = ?"
_BODY = "SELECT body FROM category WHERE cat_id = ? AND look >= ?"
_KEEP = "INSERT OR REPLACE INTO category VALUES (?, ?, ?, ?)"
_HOSTS = "SELECT DISTINCT host FROM category JOIN look ON look.id = category.look"

log = logging.getLogger("tmapi_async")

Row = tuple[int, int, int, bytes]


class JournalCategories:
    """A cache of the category tree in a journal, beside the runs in it.

    Answers are committed in groups, in a thread: while one commit runs, the next group gathers. The
    walk asks for nothing more while two of the gate's widths wait. Use it as a context manager:
    nobody else can write to the journal meanwhile.

    Args:
        journal: The journal's file; made if there is none.
        refresh: Ask for everything anew; a look that was broken off is gone on with.
        host: Host and port of the API, to be noted and, where what is kept came from another one,
            warned of; None for neither.

    Raises:
        JournalError: The journal cannot be used; nothing was sent.
    """

    def __init__(
        self, journal: str | Path, *, refresh: bool = False, host: str | None = None
    ) -> None:
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
        with translated(self.path):
            self._warn(host)
            self._look = self._open(host)
        # Asked anew, only what this look was answered counts.
        self._oldest = self._look if refresh else 0

    def _warn(self, host: str | None) -> None:
        others = {other for (other,) in self._connection.execute(_HOSTS)} - {host, None}
        if host is not None and others:
            message = "the tree in %s was filled from %s, and now from %s: is it the same API?"
            log.warning(message, self.path, ", ".join(sorted(others)), host)

    def _open(self, host: str | None) -> int:
        found = self._connection.execute(_LATEST).fetchone()
        if found is not None and found[1] is None:
            return int(found[0])
        begun = self._connection.execute(_BEGIN, (host, to_milliseconds(time.time())))
        return int(begun.lastrowid or 0)

    def begin(self, on_durable: Callable[[], None]) -> None:
        """Get ready; `on_durable` is called in the event loop when fewer answers wait."""
        self._on_durable = on_durable

    def get(self, cat_id: int) -> bytes | None:
        """The body that answered a category (0: the first level), or None.

        Raises:
            JournalError: It cannot be read.
        """
        with translated(self.path):
            found = self._connection.execute(_BODY, (cat_id, self._oldest)).fetchone()
        return None if found is None else answer(self.path, cat_id, found[0])

    def put(self, cat_id: int, page: Page[Category]) -> None:
        """Keep an answer; it is durable when it is not `waiting` any more."""
        fetched_at = to_milliseconds(page.fetched_at.timestamp())
        self._rows.append((cat_id, self._look, fetched_at, self._compress(page.body)))
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
        except Exception as failure:  # noqa: BLE001 - whatever it is, the walk must hear
            self.error = journal_error(self.path, failure)
            self._on_durable()
        finally:
            self._committing = None

    def _write(self, rows: list[Row]) -> None:
        execute = self._connection.execute
        with translated(self.path), transaction(self._connection):
            for row in rows:
                execute(_KEEP, row)

    async def end(self, *, complete: bool) -> None:
        """Make all of it durable; a complete look is not gone on with.

        Raises:
            JournalError: It cannot be committed.
        """
        while (task := self._committing) is not None:
            await task
        if self.error is not None:
            raise self.error
        if complete:
            with translated(self.path):
                self._connection.execute(_END, (to_milliseconds(time.time()), self._look))

    def close(self) -> None:
        """Close the journal."""
        finish(self._connection)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<JournalCategories {self.path}: look {self._look}, {self.waiting} waiting>"
