"""A file that appears complete or not at all: written in a folder beside it, then renamed."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import stat
import sys
import weakref
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_FOLDER_SUFFIX = ".tmapi-part"
_LOCK_ENDING = ".lock"
# A file name has at most 255 bytes, and a character at most 4: 48 leave space for the rest.
_MAX_NAME_CHARACTERS = 48


class AtomicFile:
    """A file under way in a hidden folder beside its final path.

    The folder (`.NAME.xxxx.tmapi-part`) has a lock file beside it. The lock is taken before the
    folder is created, and the operating system releases it when the process ends, also after
    `kill -9`. A folder whose lock is free therefore belongs to a process that was killed; the next
    `AtomicFile` for the same path removes it. The temporary place is a folder and not a file,
    because an open database consists of several files.

    Args:
        path: The final path. If it is a symbolic link, the target of the link is replaced.

    Attributes:
        path: The final path, with symbolic links resolved.
        temporary: The path to write to before `commit`.

    Raises:
        OSError: The temporary folder cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        if self.path.exists() and not self.path.is_file():
            # Renaming over a device or a pipe would destroy it.
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        _check_replaceable(self.path)
        prefix = f".{self.path.name[:_MAX_NAME_CHARACTERS]}."
        for folder in _folders(self.path.parent, prefix):
            _remove_if_abandoned(folder)
        folder, lock = _locked_folder(self.path.parent, prefix)
        # An interrupt may come between any two lines, also before the owner can call `discard`.
        self._remove = weakref.finalize(self, _remove, folder, lock)
        self.temporary = folder / self.path.name

    def commit(self) -> int:
        """Make the temporary file durable and rename it to the final path.

        Returns:
            Size of the file in bytes.

        Raises:
            OSError: Writing or renaming failed; a previous file at the path is unchanged.
        """
        with self.temporary.open("r+b") as file:  # Windows syncs only files that can be written
            size = os.fstat(file.fileno()).st_size
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            self.temporary.chmod(self.path.stat().st_mode & 0o777)
        self.temporary.replace(self.path)
        _sync_folder(self.path.parent)
        self.discard()
        return size

    def discard(self) -> None:
        """Remove the temporary folder and its lock. Safe to call twice, and after `commit`."""
        self._remove()


def _check_replaceable(path: Path) -> None:
    """Refuse the file of another user in a folder such as /tmp, where only its owner may rename it.

    Raises:
        PermissionError: The file is one of another user.
    """
    if sys.platform == "win32" or not path.exists():
        return
    folder, user = path.parent.stat(), os.geteuid()
    if folder.st_mode & stat.S_ISVTX and user not in (0, folder.st_uid, path.stat().st_uid):
        raise PermissionError(errno.EPERM, "the file belongs to another user", str(path))


def overwrites_journal(path: Path, journal: Path) -> bool:
    """Return True if writing to `path` would replace the journal or one of its side files."""
    side_files = (journal.with_name(journal.name + end) for end in ("", "-wal", "-shm", "-lock"))
    return any(
        path.resolve() == file.resolve()
        or (path.exists() and file.exists() and path.samefile(file))
        for file in side_files
    )


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, FileLock]:
    """Create a temporary folder whose lock this process holds.

    Raises:
        OSError: No file or folder can be created there.
    """
    while True:
        folder = parent / f"{prefix}{secrets.token_hex(4)}{_FOLDER_SUFFIX}"
        lock = _acquired(folder)
        if lock is None:
            # The name is taken, or another process is looking at this very lock: try another name.
            # Or no file can be created here, which the lock does not say.
            probe = parent / f"{folder.name}.probe"
            probe.touch(exist_ok=False)
            probe.unlink()
            continue
        try:
            folder.mkdir(mode=0o700)
        except OSError:
            _remove(folder, lock)
            raise
        return folder, lock


def _acquired(folder: Path) -> FileLock | None:
    """Take the lock of a folder, or return None if another process holds it."""
    lock = FileLock(folder.with_name(folder.name + _LOCK_ENDING), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _folders(parent: Path, prefix: str) -> set[Path]:
    """Return the temporary folders of a file, also those of which only the lock file exists."""
    pattern = f"{glob.escape(prefix)}*{_FOLDER_SUFFIX}"
    locks = parent.glob(pattern + _LOCK_ENDING)
    return {
        *parent.glob(pattern),
        *(lock.with_name(lock.name.removesuffix(_LOCK_ENDING)) for lock in locks),
    }


def _remove_if_abandoned(folder: Path) -> None:
    with suppress(OSError):  # for example a folder of another user: not ours to remove
        lock = _acquired(folder)
        if lock is not None:
            _remove(folder, lock)


def _remove(folder: Path, lock: FileLock) -> None:
    lock_file = Path(lock.lock_file)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # Windows does not remove a file that is open
        lock_file.unlink()
    lock.release()
    with suppress(OSError):
        lock_file.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open a folder and needs no such call."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
