"""Warns when another process on this machine uses the same account.

Two processes with one account compete for one limit: each learns from the refusals of both. A lock
file is held while an account is in use, and a second file names the process that holds the lock.
The operating system releases the lock when the process ends in any way. The files may stay; without
the lock they mean nothing.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from tmapi_async.transport.credentials import account_digest

from .console import print_message


class _Owner(msgspec.Struct):
    pid: int
    since: float


def _lock_folder() -> Path:
    """Return this user's folder of lock files: private, and emptied when the machine restarts."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    if sys.platform == "win32":
        return base / "tmapi-async"  # the folder for temporary files belongs to one user already
    return base / f"tmapi-async-{os.getuid()}"


@contextmanager
def lock_account(token: str) -> Iterator[None]:
    """Hold the lock of an account while the block runs; warn if another process holds it.

    Never fails: where no lock file can be made, the block runs without one.

    Args:
        token: The account's token. Only a digest of it becomes a file name.
    """
    lock = None
    with suppress(OSError):
        path = _make_folder() / account_digest(token)
        lock = _acquire(path)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _make_folder() -> Path:
    folder = _lock_folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    if sys.platform != "win32" and folder.lstat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    return folder


def _acquire(path: Path) -> FileLock | None:
    lock = FileLock(path.with_suffix(".lock"), mode=0o600)
    owner_file = path.with_suffix(".json")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _warn(owner_file)
        return None
    with suppress(OSError):
        owner_file.touch(mode=0o600)
        owner_file.write_bytes(msgspec.json.encode(_Owner(os.getpid(), time.time())))
    return lock


def _warn(owner_file: Path) -> None:
    process = "another process"
    # The owner may be between taking the lock and writing the file.
    with suppress(OSError, msgspec.DecodeError):
        owner = msgspec.json.decode(owner_file.read_bytes(), type=_Owner)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.since))
        process = f"process {owner.pid}, since {since},"
    print_message(
        f"warning: {process} uses the same account on this machine: both share one limit, and each "
        "also slows down for refusals that the other one causes"
    )
