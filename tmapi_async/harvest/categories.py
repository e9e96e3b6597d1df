"""Keeps the tree of categories in a journal, so that it is paid for once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import zstandard

from ..details import Category
from ..replies import Page
from .bodies import LEVEL, answer
from .errors import JournalError, journal_error
from .files import WriteLock
from .records import milliseconds
from .schema import connect, finish, translated

_LATEST = "SELECT id, ended_at FROM tree ORDER BY id DESC LIMIT 1"
_BEGIN = "INSERT INTO tree (started_at) VALUES (?)"
_REOPEN = "UPDATE tree SET ended_at = NULL WHERE id = ?"
_END = "UPDATE tree SET ended_at = ? WHERE id = ?"
_FORGET = ("DELETE FROM category WHERE tree < ?", "DELETE FROM tree WHERE id < ?")
_BODY = "SELECT body FROM category WHERE tree = ? AND cat_id = ?"
_KEEP = "INSERT OR REPLACE INTO category VALUES (?, ?, ?, ?)"

Row = tuple[int, int, int, bytes]


class JournalCategories:
    """A cache of the category tree in a journal, beside the runs in it.

    Answers are committed in groups, in a thread: while one commit runs, the next group gathers. The
    walk asks for nothing more while two of the gate's widths wait. Use it as a context manager:
    nobody else can write to the journal meanwhile.

    Args:
        journal: The journal's file; made if there is none.
        refresh: Ask for everything anew; a look that was broken off is gone on with.

    Raises:
        JournalError: The journal cannot be used; nothing was sent.
    """

    def __init__(self, journal: str | Path, *, refresh: bool = False) -> None:
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
            self._tree, self._ended = self._open(refresh=refresh)

    def _open(self, *, refresh: bool) -> tuple[int, bool]:
        found = self._connection.execute(_LATEST).fetchone()
        if found is None or (refresh and found[1] is not None):
            started = self._connection.execute(_BEGIN, (milliseconds(time.time()),))
            return int(started.lastrowid or 0), False
        return int(found[0]), found[1] is not None

    def begin(self, on_durable: Callable[[], None]) -> None:
        """Get ready; `on_durable` is called in the event loop when fewer answers wait."""
        self._on_durable = on_durable

    def get(self, cat_id: int) -> bytes | None:
        """The body that answered a category (0: the first level), or None.

        Raises:
            JournalError: It cannot be read.
        """
        with translated(self.path):
            found = self._connection.execute(_BODY, (self._tree, cat_id)).fetchone()
        return None if found is None else answer(self.path, cat_id, found[0])

    def put(self, cat_id: int, page: Page[Category]) -> None:
        """Keep an answer; it is durable when it is not `waiting` any more."""
        fetched_at = milliseconds(page.fetched_at.timestamp())
        self._rows.append((self._tree, cat_id, fetched_at, self._compress(page.body)))
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
        statements: list[tuple[str, Any]] = [(_KEEP, row) for row in rows]
        if self._ended:
            statements.insert(0, (_REOPEN, (self._tree,)))
        self._transaction(statements)
        self._ended = False

    def _transaction(self, statements: list[tuple[str, Any]]) -> None:
        execute = self._connection.execute
        with translated(self.path):
            execute("BEGIN IMMEDIATE")
            try:
                for sql, values in statements:
                    execute(sql, values)
                execute("COMMIT")
            except BaseException:
                with contextlib.suppress(Exception):
                    execute("ROLLBACK")
                raise

    async def end(self, *, complete: bool) -> None:
        """Make all of it durable; a complete look replaces those before it.

        Raises:
            JournalError: It cannot be committed.
        """
        while (task := self._committing) is not None:
            await task
        if self.error is not None:
            raise self.error
        if complete and not self._ended:
            ended = (_END, (milliseconds(time.time()), self._tree))
            self._transaction([ended, *((sql, (self._tree,)) for sql in _FORGET)])
            self._ended = True

    def close(self) -> None:
        """Close the journal."""
        finish(self._connection)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<JournalCategories {self.path}: tree {self._tree}, {self.waiting} waiting>"
