"""The journal's files: created private, and written by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from tmapi_async.errors import JournalInUseError, NoJournalError, NotAJournalError

from .sqlite_errors import journal_error

PRIVATE = 0o600

_TRIES, _PAUSE = 10, 0.02


class WriteLock:
    """Holds the right to write to a journal, by an OS lock on a file beside it.

    The lock goes with the process, also after `kill -9`, so it cannot be stale; the file may be
    left behind and is used again. It is not the journal's own file because closing any handle of
    that would drop SQLite's locks on it (POSIX: all of a process's locks on a file go with the
    first handle closed).
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self._path = lock_path(journal)
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            JournalInUseError: Another process, or this one, holds it.
            NoJournalError: The folder does not exist.
            ReadOnlyJournalError: The file beside the journal cannot be made.
        """
        while self._handle is None:
            handle = self._locked()
            # Whoever held it may have removed the file after we opened it.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), self._path.stat()):
                    self._handle = handle
                    break
            os.close(handle)
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def _locked(self) -> int:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        except FileNotFoundError:
            where = f"the folder {self.journal.parent} does not exist"
            raise NoJournalError(self.journal, where) from None
        except OSError as error:
            raise journal_error(self.journal, error) from None
        for left in range(_TRIES, 0, -1):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # It may only be somebody asking who writes (`writer_pid`): ask again, briefly.
                time.sleep(_PAUSE if left > 1 else 0)
            else:
                return handle
        pid = _pid(os.pread(handle, 32, 0))
        os.close(handle)
        raise JournalInUseError(self.journal, pid)

    def release(self) -> None:
        """Give the lock back and remove its file; safe to call twice."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(handle)

    def __repr__(self) -> str:
        return f"<WriteLock {self._path} {'held' if self._handle is not None else 'free'}>"


def lock_path(journal: Path) -> Path:
    """The file whose lock gives the right to write to `journal`."""
    return journal.with_name(journal.name + "-lock")


def writer_pid(journal: Path) -> int | None:
    """The process that writes to a journal now; 0 if it cannot be told which, None if none does."""
    try:
        handle = os.open(lock_path(journal), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Shared, so that two who ask do not take each other for a writer.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(os.pread(handle, 32, 0)) or 0
    else:
        return None
    finally:
        os.close(handle)


def _pid(text: bytes) -> int | None:
    return int(text) if text.strip().isdigit() else None


def create_private(journal: Path) -> None:
    """Make the journal's file, empty, unless it exists; never readable by others, not for a moment.

    SQLite gives the files beside it (`-wal`, `-shm`) the same permissions.

    Raises:
        NotAJournalError: There is something there that is not a file.
        NoJournalError: Its directory does not exist.
        ReadOnlyJournalError: It cannot be made there.
    """
    try:
        handle = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    except FileExistsError:
        if not journal.is_file():
            raise NotAJournalError(journal, "it is not a regular file") from None
        # An empty file (made by mktemp, or by a start that was killed) becomes a journal.
        if journal.stat().st_size == 0:
            journal.chmod(PRIVATE)
        return
    except OSError as error:
        raise journal_error(journal, error) from None
    os.close(handle)
