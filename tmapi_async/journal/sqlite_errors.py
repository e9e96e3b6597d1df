"""Translate errors of SQLite and of the operating system to journal errors."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tmapi_async.errors import (
    CorruptJournalError,
    DiskError,
    DiskFullError,
    JournalError,
    LockedJournalError,
    NoJournalError,
    NotAJournalError,
    ReadOnlyJournalError,
)


class RowLostError(sqlite3.DatabaseError):
    """The file has taken rows without an error and does not keep them, or would not."""


_KINDS: dict[int, type[JournalError]] = {
    sqlite3.SQLITE_NOTADB: NotAJournalError,
    sqlite3.SQLITE_CORRUPT: CorruptJournalError,
    sqlite3.SQLITE_FULL: DiskFullError,
    sqlite3.SQLITE_BUSY: LockedJournalError,
    sqlite3.SQLITE_LOCKED: LockedJournalError,
    sqlite3.SQLITE_IOERR: DiskError,
    sqlite3.SQLITE_READONLY: ReadOnlyJournalError,
    sqlite3.SQLITE_PERM: ReadOnlyJournalError,
    # Values, rows or names that no journal of this package has.
    sqlite3.SQLITE_TOOBIG: CorruptJournalError,
    sqlite3.SQLITE_MISMATCH: CorruptJournalError,
    sqlite3.SQLITE_CONSTRAINT: CorruptJournalError,
}
# Texts of errors whose code tells no more than that there was one: texts that are no UTF-8, and
# tables or columns whose names were damaged.
_DAMAGE_TEXTS = ("Could not decode to UTF-8", "no such ", "malformed database schema")
_MAX_TEXT = 200


def journal_error(path: Path, error: BaseException) -> JournalError:
    """Return the journal error for an error of SQLite or of the system.

    Args:
        path: The journal's file.
        error: The error that was raised.

    Returns:
        The error to raise instead.
    """
    if isinstance(error, JournalError):
        return error
    if isinstance(error, FileNotFoundError):
        return NoJournalError(path)
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        return ReadOnlyJournalError(path, getattr(error, "strerror", None) or "")
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and isinstance(error, OSError):
        return DiskError(path, error.strerror or type(error).__name__)
    # The low byte is the primary code; the rest says which operation it was.
    kind = _KINDS.get(code & 0xFF, JournalError) if code is not None else JournalError
    text = " ".join(str(error).split())
    if isinstance(error, RowLostError) or text.startswith(_DAMAGE_TEXTS):
        kind = CorruptJournalError
    return kind(path, text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}...")


def require_rows(cursor: sqlite3.Cursor, rows: int = 1) -> None:
    """Check that a statement has changed a number of rows.

    Raises:
        RowLostError: The statement has changed fewer rows.
    """
    if cursor.rowcount < rows:
        raise RowLostError("it does not keep what is written to it")


@contextlib.contextmanager
def storage_errors_named(path: Path) -> Iterator[None]:
    """Raise a `JournalError` in place of an error of SQLite or of the system."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise journal_error(path, error) from None
