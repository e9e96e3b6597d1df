"""Troubles of a journal that can pass by themselves: a lock of another program, a full disk.

The writer waits for them and repeats its commit. Meanwhile nothing new is requested.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tmapi_async.errors import DiskError, DiskFullError, LockedJournalError

BUSY_SECONDS = 1.0
"""Seconds that SQLite itself waits for a lock before it is told as a trouble."""

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 2.0
_PROBE_BYTES = 65536
_ENDLESS = 2**40

T = TypeVar("T")

log = logging.getLogger("tmapi_async")


class TroubleWait:
    """Waits for troubles of one journal. Its attributes may be read in any thread.

    Args:
        seconds: Longest wait for one trouble; 0 to fail at once.
        on_begin: Called when a trouble begins, in the thread that met it.
        clock: Returns monotonic seconds.

    Attributes:
        seconds: Longest wait for one trouble.
        trouble: Trouble that is waited for now, or None.
        hold: Number to add to the pages that await their commit: endless during a trouble, so that
            nothing is requested.
    """

    def __init__(
        self,
        seconds: float = 0.0,
        *,
        on_begin: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._on_begin = on_begin
        self.trouble: DiskError | None = None
        self.hold = 0
        self._clock = clock
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Wait no longer: whatever fails now has failed."""
        self._stopped.set()

    def repeat(self, path: Path, write: Callable[[], None], error: sqlite3.Error) -> None:
        """Repeat a write that failed until it succeeds, while its trouble can pass.

        Args:
            path: The journal's file.
            write: Writes all or nothing.
            error: Error of the first try.

        Raises:
            sqlite3.Error: The trouble cannot pass, has lasted too long, or is not waited for.
        """
        since = self._clock()
        try:
            while True:
                self._stopped.wait(self._delay(path, error, since))
                try:
                    write()
                except sqlite3.Error as next_error:
                    error = next_error
                else:
                    self._tell_end(since)
                    return
        finally:
            self.trouble, self.hold = None, 0

    async def run(self, path: Path, action: Callable[[], T]) -> T:
        """Run an action in the event loop; repeat it while it fails by a trouble that can pass.

        Args:
            path: The journal's file.
            action: Does all or nothing.

        Raises:
            JournalError: The trouble cannot pass, has lasted too long, or is not waited for.
        """
        since = None
        try:
            while True:
                try:
                    result = action()
                except DiskError as error:
                    since = since or self._clock()
                    delay = self._delay(path, error, since)
                else:
                    if since is not None:
                        self._tell_end(since)
                    return result
                await asyncio.sleep(delay)
        finally:
            self.trouble, self.hold = None, 0

    def _delay(self, path: Path, error: Exception, since: float) -> float:
        """Tell a trouble and return the seconds until the next try, or raise the error."""
        waited = self._clock() - since
        trouble = passing_trouble(path, error)
        if trouble is None or waited >= self.seconds or self._stopped.is_set():
            raise error
        earlier, self.trouble, self.hold = self.trouble, trouble, _ENDLESS
        if earlier is None:
            self._on_begin()
        if type(trouble) is not type(earlier):
            limit = _duration(self.seconds)
            log.warning(
                "%s: nothing is requested until that has ended, for at most %s",
                trouble.meaning,
                limit,
            )
        return retry_delay(waited)

    def _tell_end(self, since: float) -> None:
        log.warning("the journal can be written again, after %.0f s", self._clock() - since)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"  # noqa: PLR2004 - a minute


def passing_trouble(path: Path, error: BaseException) -> DiskError | None:
    """Return the trouble that an error stands for, or None if waiting does not help.

    Args:
        path: The journal's file.
        error: Error of a read or a write.
    """
    if isinstance(error, (LockedJournalError, DiskFullError)):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LockedJournalError(path)
    # SQLite has a code of its own for a full disk, but not for a spent quota, nor for a full disk
    # under the shared memory beside the file.
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _is_full(path)):
        return DiskFullError(path)
    return None


def retry_delay(waited: float) -> float:
    """Return the seconds until the next try, after a trouble that has lasted for some seconds."""
    return min(_LONGEST_DELAY, max(_FIRST_DELAY, waited / 4))


def _is_full(path: Path) -> bool:
    """Return True if no small file can be written beside the journal for lack of space."""
    import tempfile  # noqa: PLC0415 - slow to import, and seldom needed

    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False
