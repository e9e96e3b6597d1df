"""Translate errors of SQLite and of the operating system to journal errors."""

from __future__ import annotations

import sqlite3
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

_KINDS: dict[int, type[JournalError]] = {
    sqlite3.SQLITE_NOTADB: NotAJournalError,
    sqlite3.SQLITE_CORRUPT: CorruptJournalError,
    sqlite3.SQLITE_FULL: DiskFullError,
    sqlite3.SQLITE_BUSY: LockedJournalError,
    sqlite3.SQLITE_LOCKED: LockedJournalError,
    sqlite3.SQLITE_IOERR: DiskError,
    sqlite3.SQLITE_READONLY: ReadOnlyJournalError,
    sqlite3.SQLITE_PERM: ReadOnlyJournalError,
}


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
    if isinstance(error, PermissionError):
        return ReadOnlyJournalError(path, error.strerror or "")
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and isinstance(error, OSError):
        return DiskError(path, error.strerror or type(error).__name__)
    # The low byte is the primary code; the rest says which operation it was.
    kind = _KINDS.get(code & 0xFF, JournalError) if code is not None else JournalError
    return kind(path, str(error))
