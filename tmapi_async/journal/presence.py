"""Notice that a journal's file was removed, moved or replaced while it is written.

SQLite writes on into the file that it holds open, whatever happens to its name. Every page would be
paid for and lost with the last handle.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from tmapi_async.errors import JournalError, MovedJournalError

from .lock import create_private

if TYPE_CHECKING:
    from pathlib import Path

CHECK_INTERVAL = 2.0
"""Seconds after which an idle writer looks at its file."""

_MAX_COPIES = 100


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return numbers that stand for the file of this name; None if there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


class OpenFile:
    """The file that a writer holds open, and its name.

    Args:
        path: The journal's file.
        connection: Connection to the file.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._identity = file_identity(path)

    def check(self) -> None:
        """Compare the file of this name with the open one.

        Raises:
            MovedJournalError: The name belongs to another file, or to none. The contents of the
                open file were saved beside it if possible.
        """
        identity = file_identity(self._path)
        if identity == self._identity:
            return
        change = "there is no such file" if identity is None else "there is another file"
        copy = self._save_copy()
        saved = "its pages could not be saved" if copy is None else f"its pages are in {copy}"
        raise MovedJournalError(self._path, f"{change}; {saved}")

    def _save_copy(self) -> Path | None:
        """Write all committed pages to a new file; return None if that is not possible."""
        names = [f"{self._path.name}.rescued"]
        names += [f"{self._path.name}.rescued-{number}" for number in range(2, _MAX_COPIES)]
        paths = map(self._path.with_name, names)
        copy = next((path for path in paths if not path.exists()), None)
        if copy is None:
            return None
        try:
            create_private(copy)
            with contextlib.closing(sqlite3.connect(copy)) as target:
                self._connection.backup(target)
                # A single file, as a journal is after its writer has ended.
                target.execute("PRAGMA journal_mode = DELETE")
        except (sqlite3.Error, OSError, JournalError):
            copy.unlink(missing_ok=True)
            return None
        return copy
