"""A file that is there whole or not at all: written beside its place, then renamed into it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".tmapi-part"
_LONGEST_NAME = 80  # of a file name's 255 bytes, so that what is added fits


class AtomicFile:
    """Where a file will be, and the hidden folder beside it that it is made in.

    The folder (`.NAME.xxxx.tmapi-part`) is locked while its process lives; the lock goes with the
    process, also after `kill -9`. So one that can be locked was left behind, and whoever next
    writes to the same name removes it. A folder and not a file, since a database under way is
    several files.

    Args:
        path: The file. Through a symbolic link the file that it points to is replaced.

    Raises:
        OSError: The folder cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        if self.path.exists() and not self.path.is_file():
            # A device or a pipe would be renamed over, and be gone.
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        self._prefix = f".{self.path.name[:_LONGEST_NAME]}."
        self._remove_left_behind()
        self._lock = -1
        while self._lock < 0:
            made = tempfile.mkdtemp(prefix=self._prefix, suffix=_SUFFIX, dir=self.path.parent)
            self._folder = Path(made)
            self._lock = _locked(self._folder)
        self.part = self._folder / self.path.name

    def _remove_left_behind(self) -> None:
        for folder in self.path.parent.glob(f"{_escaped(self._prefix)}*{_SUFFIX}"):
            lock = _locked(folder)
            if lock >= 0:
                _remove(folder, lock)

    def put(self) -> int:
        """Make the part durable and rename it into place; returns its size in bytes.

        Raises:
            OSError: It could not be done; what was there before still is.
        """
        with self.part.open("rb") as part:
            size = os.fstat(part.fileno()).st_size
            os.fsync(part.fileno())
        with suppress(FileNotFoundError):
            self.part.chmod(self.path.stat().st_mode & 0o777)
        self.part.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.remove()
        return size

    def remove(self) -> None:
        """Remove what is not in place; safe to call twice."""
        if self._lock >= 0:
            _remove(self._folder, self._lock)
            self._lock = -1


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _locked(folder: Path) -> int:
    """A handle that holds the folder's lock, or -1: another process has it, or it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another process may have taken it for one left behind before it was locked.
        if os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
    except OSError:
        pass
    os.close(handle)
    return -1


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def overwrites(path: Path, journal: Path) -> bool:
    """Whether a file to be written is a journal, under whatever name, or a file beside one."""
    beside = [journal.with_name(journal.name + suffix) for suffix in ("", "-wal", "-shm", "-lock")]
    return any(
        path.resolve() == one.resolve() or (path.exists() and one.exists() and path.samefile(one))
        for one in beside
    )
