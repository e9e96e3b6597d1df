"""Checks of the place of a file before anything is read or paid for."""

from __future__ import annotations

import os
from pathlib import Path

from tmapi_async.errors import ExportRefusedError


def check_log(path: Path, ending: str, program: str) -> None:
    """Refuse a database that is about to be replaced while a log of changes is beside it.

    The log of the old database would be applied to the new one.

    Args:
        path: The database.
        ending: Ending that the name of the log adds to that of the database.
        program: Program that applies the log.

    Raises:
        ExportRefusedError: There is a log.
    """
    log = path.resolve().with_name(path.resolve().name + ending)
    if log.exists():
        raise ExportRefusedError(
            f"{path} is in use or was not closed: {log.name} has changes that are not in it yet. "
            f"Close the database, or open and close it once with {program}"
        )


def check_folder(path: Path) -> None:
    """Check that a file can be written to its folder.

    Raises:
        ExportRefusedError: The folder does not exist or cannot be written, or the file is none.
    """
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ExportRefusedError(f"{path}: the folder {folder} does not exist: create it first")
    if path.exists() and not path.is_file():
        raise ExportRefusedError(f"{path} exists and is not a file: name another file")
    if not os.access(folder, os.W_OK):
        raise ExportRefusedError(f"{path}: no permission to write to {folder}")
