"""Files of a journal: created private, and written by one process at a time.

`filelock` is imported where a lock is taken: the import costs 20 ms, and reading a journal that
nobody writes takes no lock.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tmapi_async.errors import JournalInUseError, NoJournalError, NotAJournalError

from .sqlite_errors import journal_error

if TYPE_CHECKING:
    from filelock import FileLock

PRIVATE = 0o600

WAIT = 0.2
"""Seconds to wait for a lock: a process that only asks who writes holds it for an instant."""

_POLL = 0.01
_PROBE_WAIT = 0.05
_MAX_PID_BYTES = 32


class WriteLock:
    """The right to write to a journal, as a lock of the operating system on a file beside it.

    The system releases the lock when the process ends, also after `kill -9`, so no lock is ever
    stale. A file that a killed process left is used again. The lock is not on the journal's own
    file: closing any handle of that file would drop SQLite's locks on it (POSIX drops all of a
    process's locks on a file with the first handle closed).

    Args:
        journal: The journal's file.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self._path = lock_path(journal)
        self._lock = _file_lock(self._path, writer=True)

    def acquire(self) -> None:
        """Take the lock and write the number of this process into the lock file.

        Raises:
            JournalInUseError: Another process, or another `WriteLock` of this one, holds the lock.
            NoJournalError: The folder does not exist.
            ReadOnlyJournalError: The lock file cannot be created.
        """
        if not self._path.parent.is_dir():
            # Old versions of filelock would create the folder.
            raise NoJournalError(self.journal, f"the folder {self.journal.parent} does not exist")
        try:
            self._lock.acquire(timeout=WAIT, poll_interval=_POLL)
        except TimeoutError:
            raise JournalInUseError(self.journal, _read_pid(self._path)) from None
        except OSError as error:
            raise journal_error(self.journal, error) from None

    def release(self) -> None:
        """Remove the lock file and release the lock. Safe to call twice."""
        if self._lock.is_locked:
            _release(self._lock, self._path)

    def __repr__(self) -> str:
        return f"<WriteLock {self._path} {'locked' if self._lock.is_locked else 'free'}>"


def lock_path(journal: Path) -> Path:
    """Return the path of the file whose lock gives the right to write to `journal`."""
    return journal.with_name(journal.name + "-lock")


def writer_pid(journal: Path) -> int | None:
    """Return the number of the process that writes to a journal.

    Returns:
        The number, 0 if a process writes but its number is unknown, or None if no process writes.
    """
    path = lock_path(journal)
    if not path.exists():
        return None
    probe = _file_lock(path)
    try:
        # Two processes that ask at once must not take each other for a writer: try for a while.
        probe.acquire(timeout=_PROBE_WAIT, poll_interval=_POLL)
    except TimeoutError:
        return _read_pid(path) or 0
    except OSError:
        return None
    _release(probe, path)
    return None


def is_lock_testable(journal: Path) -> bool:
    """Return True if this process may try the lock, so that `writer_pid` knows of a writer.

    On a read-only mount, or for the journal of another user, nobody can tell.
    """
    path = lock_path(journal)
    return not path.exists() or os.access(path, os.W_OK)


def _file_lock(path: Path, *, writer: bool = False) -> FileLock:
    from filelock import FileLock  # noqa: PLC0415 - slow to import, see the top of the module

    return FileLock(
        path,
        mode=PRIVATE,
        thread_local=False,  # the journal's writer thread releases the lock
        fallback_to_soft=False,  # a lock without the system's help would outlive `kill -9`
        on_acquired=_write_pid if writer else None,
    )


def _release(lock: FileLock, path: Path) -> None:
    # Removed while locked: a process that has opened the file sees that it is gone and opens a
    # new one. Windows removes no open file; there filelock removes the file after its release.
    with contextlib.suppress(OSError):
        path.unlink()
    lock.release()


def _write_pid(handle: int) -> None:
    # The first byte is a space, see `_read_pid`.
    os.lseek(handle, 0, os.SEEK_SET)
    os.ftruncate(handle, 0)
    os.write(handle, f" {os.getpid()}\n".encode())


def _read_pid(path: Path) -> int | None:
    try:
        with path.open("rb", buffering=0) as file:
            try:
                text = file.read(_MAX_PID_BYTES)
            except PermissionError:
                # On Windows nobody else can read a locked byte, and the first one is locked.
                file.seek(1)
                text = file.read(_MAX_PID_BYTES)
    except OSError:
        return None
    return int(text) if text.strip().isdigit() else None


def create_private(journal: Path) -> None:
    """Create the journal's file, empty, unless it exists. Other users can never read it.

    SQLite gives the files beside it (`-wal`, `-shm`) the same permissions.

    Raises:
        NotAJournalError: The path is not a regular file.
        NoJournalError: Its folder does not exist.
        ReadOnlyJournalError: The file cannot be created in its folder.
    """
    try:
        handle = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE)
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
