"""File in which the limits that were learned are kept for the next process."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import msgspec

from .messages import LearnedLimit
from .remembered_limit import RememberedLimit, newly_learned, with_account

CACHE_VARIABLE = "TMAPI_CACHE_DIR"
_MAX_BYTES = 64 * 1024
_decode = msgspec.json.Decoder(dict[str, RememberedLimit]).decode


def memory_path() -> Path:
    """Return the path of the file; its folder may not exist.

    Raises:
        OSError: The user has no home folder, as in a container whose user has no name.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given) / "limits.json"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or _home())
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache")
    return base / "tmapi-async" / "limits.json"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise FileNotFoundError("this user has no home folder") from None


def recall(account: str) -> RememberedLimit | None:
    """Return the limit that is remembered for an account, or None.

    Args:
        account: Name of the account, see `account_name`.
    """
    return _read().get(account)


def remember(account: str, learned: LearnedLimit, *, bounded: bool) -> None:
    """Remember the limit of an account if it is new. Does nothing where no file can be written.

    Args:
        account: Name of the account.
        learned: Limit as far as a controller knows it.
        bounded: True if a ceiling bounds the width.
    """
    accounts = _read()
    limit = newly_learned(learned, accounts.get(account), time.time(), bounded=bounded)
    if limit is not None:
        with contextlib.suppress(OSError):
            _write(memory_path(), msgspec.json.encode(with_account(accounts, account, limit)))


def _read() -> dict[str, RememberedLimit]:
    try:
        with memory_path().open("rb") as file:
            return _decode(file.read(_MAX_BYTES))
    except (OSError, msgspec.DecodeError):  # none yet, no home, or damaged
        return {}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        new.touch(mode=0o600)
        new.write_bytes(content)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
