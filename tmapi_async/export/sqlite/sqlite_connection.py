"""A SQLite file that is changed in one transaction, or appears complete or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tmapi_async.errors import ExportError, ExportRefusedError
from tmapi_async.export.atomic_file import AtomicFile
from tmapi_async.journal.schema import APPLICATION_ID

WAIT_SECONDS = 5.0
"""Seconds to wait for another program that is changing the database."""
_CACHE = "PRAGMA cache_size = -32768"
_NEW_FILE = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF")
"""Settings of a new file, which nobody sees before it is synced and renamed."""


class SqliteConnection:
    """An existing database, changed in one transaction; or a new one beside its final path.

    Args:
        path: The file.

    Attributes:
        is_new: True if there was no such file.
        database: The database, in a transaction.

    Raises:
        ExportRefusedError: The file is not a database, or is a journal of this program.
        ExportError: Another program is changing the database.
    """

    def __init__(self, path: Path) -> None:
        self.to = str(path)
        self._path = path.resolve()
        self.is_new = not self._path.exists()
        self._atomic_file = AtomicFile(path) if self.is_new else None
        file = self._atomic_file.temporary if self._atomic_file else self._path
        with self.errors():
            self.database = sqlite3.connect(file, timeout=WAIT_SECONDS, isolation_level=None)
            try:
                self._begin()
            except BaseException:
                self.abort()
                raise

    def _begin(self) -> None:
        self.database.execute(_CACHE)
        if self.is_new:
            for setting in _NEW_FILE:
                self.database.execute(setting)
        ((application,),) = self.database.execute("PRAGMA application_id")
        if application == APPLICATION_ID:
            raise ExportRefusedError(f"{self.to} is a journal: name another file")
        self.database.execute("BEGIN IMMEDIATE")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of SQLite into those of an export."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            text = str(error)
            if "not a database" in text:
                raise ExportRefusedError(
                    f"{self.to} exists and is not a SQLite database: name another file"
                ) from None
            if "locked" in text:
                text = "another program is changing the database: close it, then run again"
            raise ExportError(f"{self.to}: {text}; nothing there was changed") from None

    def commit(self) -> int:
        """Make the changes durable and visible; return the size of the file.

        Raises:
            ExportError: The changes cannot be written, or the file, which was new, was made by
                another program meanwhile: it may have rows that no replacement may drop.
        """
        with self.errors():
            self.database.execute("COMMIT")
            self.database.close()
        if self._atomic_file is None:
            return self._path.stat().st_size
        if self._path.exists():
            raise ExportError(
                f"{self.to}: another program has made this file meanwhile; nothing there was "
                "changed. Run the same command again to add the rows to it"
            )
        return self._atomic_file.commit()

    def abort(self) -> None:
        """Undo every change. Never raises."""
        with suppress(Exception):  # the journal of SQLite restores what cannot be undone here
            if self.database.in_transaction and not self.is_new:
                self.database.execute("ROLLBACK")
        with suppress(Exception):
            self.database.close()
        if self._atomic_file:
            self._atomic_file.discard()
