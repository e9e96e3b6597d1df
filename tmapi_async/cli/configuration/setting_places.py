"""Places of settings files: that of the user, and that of the project in the working folder."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from tmapi_async.errors import InvalidRequestError

PROJECT_FILE = Path("tmapi.toml")
"""Settings file of a project, in the working folder."""


def user_file(
    environment: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> Path | None:
    """Return the path of the user's settings file; None for a user without a home folder.

    Args:
        environment: Environment variables.
        platform: Name of the platform, as `sys.platform` has it.
    """
    name = "APPDATA" if platform == "win32" else "XDG_CONFIG_HOME"
    base = environment.get(name, "")
    if Path(base).is_absolute():  # the standard says to ignore a relative one
        return Path(base) / "tmapi" / "config.toml"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    default = home / "AppData" / "Roaming" if platform == "win32" else home / ".config"
    return default / "tmapi" / "config.toml"


def exists(path: Path) -> bool:
    """Return True if a settings file is there.

    A folder that this user must not search holds no settings of this user.

    Raises:
        InvalidRequestError: Something is there that is no file.
    """
    try:
        mode = path.stat().st_mode
    except (PermissionError, NotADirectoryError):
        return False
    except FileNotFoundError:
        if path.is_symlink():
            raise InvalidRequestError(f"{path} is a link to a file that is not there") from None
        return False
    except (OSError, ValueError) as error:  # ValueError for a NUL in the name
        reason = getattr(error, "strerror", None) or "the name contains a NUL character"
        raise InvalidRequestError(f"cannot read the settings file {path}: {reason}") from None
    if not stat.S_ISREG(mode):
        raise InvalidRequestError(f"{path} is not a file: remove it, or rename it")
    return True


def check_owner(path: Path) -> None:
    """Refuse a user's settings file that somebody else can change: it says where the token goes.

    Raises:
        InvalidRequestError: Another user owns the file, or can write to it.
    """
    if sys.platform == "win32":
        return
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0):
        raise InvalidRequestError(
            f"{path} belongs to another user, who could send your token elsewhere: copy the file, "
            "so that it is yours"
        )
    # Many systems make files writable for a group that has its user alone.
    others = stat.S_IWOTH | (0 if status.st_gid == os.getegid() else stat.S_IWGRP)
    if stat.S_IMODE(status.st_mode) & others:
        raise InvalidRequestError(
            f"other users can change {path}, and so send your token elsewhere: run "
            f"chmod go-w {path}"
        )
