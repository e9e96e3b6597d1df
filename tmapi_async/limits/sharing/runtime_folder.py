"""Private folder of this user, and the sockets in it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .messages import PROTOCOL

FOLDER_VARIABLE = "TMAPI_RUNTIME_DIR"
_PRIVATE = 0o700
_BACKLOG = 64


def account_name(token: str, host: str) -> str:
    """Return the name under which the processes of an account find one another.

    Args:
        token: Token of the account, the key of the digest. The name does not reveal the token.
        host: Host and port of the API.
    """
    key = hashlib.blake2b(token.encode(), person=b"tmapi gate").digest()
    return hashlib.blake2b(host.lower().encode(), key=key, digest_size=8).hexdigest()


def runtime_folder() -> Path:
    """Return this user's folder of sockets, made and checked.

    Raises:
        OSError: The folder cannot be made, or belongs to another user.
    """
    bases = (os.environ.get(FOLDER_VARIABLE), os.environ.get("XDG_RUNTIME_DIR"))
    base = next((name for name in bases if name and Path(name).is_dir()), tempfile.gettempdir())
    folder = Path(base) / f"tmapi-async-{_user()}"
    folder.mkdir(mode=_PRIVATE, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _user():
        raise PermissionError(f"{folder} belongs to another user")
    if stat.S_IMODE(found.st_mode) != _PRIVATE:
        folder.chmod(_PRIVATE)
    return folder


def _user() -> int:
    if sys.platform == "win32":
        return 0
    return os.getuid()


class SocketPlace:
    """Path of an account's socket. Only one process at a time can listen there.

    A socket is bound under a name of its own and then linked to the path, which fails if another
    one is there. So whatever is at the path either has a process that listens, or is what a killed
    process left. Only `replace` removes what another process has put there, and it holds a lock.

    Args:
        account: Name of the account.

    Raises:
        OSError: The folder cannot be used.
    """

    def __init__(self, account: str) -> None:
        self.path = runtime_folder() / f"{account}.{PROTOCOL}"

    def identity(self) -> tuple[int, int] | None:
        """Return the identity of the socket at the path, or None if there is none to be seen."""
        try:
            found = self.path.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def seconds_since_use(self) -> float:
        """Return the seconds since a host with members was seen to be alive."""
        try:
            return max(0.0, time.time() - self.path.lstat().st_mtime)
        except OSError:
            return float("inf")

    def mark_used(self) -> None:
        """Note that the host has members, which outlive it for a moment."""
        with contextlib.suppress(OSError):
            os.utime(self.path)

    def mark_unused(self) -> None:
        """Note that nobody else uses the gate."""
        with contextlib.suppress(OSError):
            os.utime(self.path, (0, 0))

    def listen(self) -> socket.socket | None:
        """Return a socket that listens at the path, or None if there is something already.

        Raises:
            OSError: No socket can be made there.
        """
        with self._bound() as (sock, bound):
            try:
                os.link(bound, self.path)
            except FileExistsError:
                sock.close()
                return None
            return sock

    def replace(self, dead: tuple[int, int]) -> socket.socket | None:
        """Put a listening socket in the place of one on which nobody answers.

        Args:
            dead: Identity of that socket.

        Returns:
            The socket; None if another process is about to do the same, or has done it.

        Raises:
            OSError: No socket can be made there.
        """
        with _lock(self.path.with_suffix(".lock")) as locked:
            if not locked or self.identity() != dead:
                return None
            with self._bound() as (sock, bound):
                bound.rename(self.path)  # at no time is the path empty
                return sock

    @contextlib.contextmanager
    def _bound(self) -> Iterator[tuple[socket.socket, Path]]:
        """Make a listening socket under a name of its own, which is removed after the block."""
        if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
            raise OSError("this system has no Unix sockets")
        bound = self.path.with_name(f"{self.path.name}.{os.getpid()}-{id(self):x}")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(str(bound))
            bound.chmod(0o600)
            os.utime(bound, (0, 0))
            sock.listen(_BACKLOG)
            sock.setblocking(False)
            yield sock, bound
        except BaseException:
            sock.close()
            raise
        finally:
            with contextlib.suppress(OSError):
                bound.unlink()

    def remove_dead(self) -> None:
        """Remove a socket on which nobody listens any more."""
        dead = self.identity()
        with contextlib.suppress(OSError), _lock(self.path.with_suffix(".lock")) as locked:
            if locked and dead is not None and self.identity() == dead and not self._is_alive():
                self.path.unlink()

    def _is_alive(self) -> bool:
        if sys.platform == "win32":
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            return probe.connect_ex(str(self.path)) not in (errno.ECONNREFUSED, errno.ENOENT)

    def remove(self, own: tuple[int, int] | None) -> None:
        """Remove the socket of this process, if it is still the one at the path."""
        with contextlib.suppress(OSError):
            if own is not None and self.identity() == own:
                self.path.unlink()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold a lock of the system while the block runs; yields False if another process holds it."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - takes 20 ms, and is seldom needed

    lock = FileLock(path, mode=0o600, fallback_to_soft=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
