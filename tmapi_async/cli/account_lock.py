"""Tells one process of another on this machine that uses the same account.

Two processes with one account fight over one limit: each learns from the refusals of both. A file
is locked while an account is in use, and names who uses it. The lock goes with the process, however
that ends; the file may stay, and says nothing then.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from tmapi_async.transport.credentials import account_digest

from . import console

try:
    import fcntl
except ImportError:  # Windows: nothing is told there
    fcntl = None  # type: ignore[assignment]


class _Claim(msgspec.Struct):
    pid: int
    since: float


def _folder() -> Path:
    """Where this user's claims are: gone at the next start of the machine, readable by nobody."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    return base / f"tmapi-async-{os.getuid()}"


@contextmanager
def claimed(token: str) -> Iterator[None]:
    """Hold the claim on an account; warn if another process holds it. Never fails.

    Args:
        token: The account's token; only a digest of it becomes a file's name.
    """
    if fcntl is None:
        yield
        return
    file = None
    with suppress(OSError):
        file = _open(account_digest(token))
    try:
        if file is not None:
            _claim(file)
        yield
    finally:
        if file is not None:
            os.close(file)


def _open(name: str) -> int:
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = folder.lstat()
    if owner.st_uid != os.getuid():
        raise PermissionError(f"{folder} is somebody else's")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(folder / name, flags, 0o600)


def _claim(file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _warn(file)
        return
    with suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, msgspec.json.encode(_Claim(os.getpid(), time.time())), 0)


def _warn(file: int) -> None:
    who = "another process"
    with suppress(OSError, msgspec.DecodeError):
        claim = msgspec.json.decode(os.pread(file, 4096, 0), type=_Claim)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(claim.since))
        who = f"process {claim.pid}, since {since},"
    console.tell(
        f"warning: {who} uses the same account on this machine: the two share one limit, and each "
        "takes refusals that the other causes for its own"
    )
