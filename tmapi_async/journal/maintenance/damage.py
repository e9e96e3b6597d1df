"""Tell damage of a file from other failures, such as a busy file or an interruption."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from tmapi_async.errors import JournalError
from tmapi_async.journal.sqlite_errors import journal_error
from tmapi_async.journal.tables.damaged_values import DAMAGED_VALUES

if TYPE_CHECKING:
    from pathlib import Path

DAMAGE = (sqlite3.Error, JournalError, *DAMAGED_VALUES)
"""Errors that reading a damaged journal raises."""

_NOT_DAMAGE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_FULL,
}


class InterruptedReadError(Exception):
    """Another thread has called `interrupt`."""


def describe_damage(path: Path, error: BaseException) -> str:
    """Return a text for an error of `DAMAGE` if damage of the file explains the error.

    Args:
        path: The journal's file.
        error: The error that reading raised.

    Returns:
        The text, without the path.

    Raises:
        InterruptedReadError: Another thread has interrupted the connection.
        JournalError: The file is busy or cannot be opened, which says nothing about damage.
    """
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary == sqlite3.SQLITE_INTERRUPT:
        raise InterruptedReadError from None
    if primary in _NOT_DAMAGE:
        raise journal_error(path, error) from None
    if isinstance(error, JournalError):
        return error.message or error.meaning
    if isinstance(error, MemoryError):
        return "its size exceeds the memory"
    return str(error) or type(error).__name__
