"""Cache files that tests look into and make older."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_older(path: Path, seconds: float, pages: str = "1") -> None:
    """Let pages have been fetched earlier.

    Args:
        path: The cache file; no client may have pages of it in memory.
        seconds: Number of seconds.
        pages: Condition on the columns `listing` and `number`, as SQL.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        statement = f"UPDATE page SET fetched_at = fetched_at - ? WHERE {pages}"  # noqa: S608
        connection.execute(statement, (round(seconds * 1000),))


def kept_pages(path: Path) -> list[tuple[str, int]]:
    """Return listing and number of each page in a file, sorted."""
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'page'").fetchall():
            return []  # the file is being made
        return connection.execute("SELECT listing, number FROM page ORDER BY 1, 2").fetchall()


def all_bytes(path: Path) -> bytes:
    """Return the contents of a cache file and of the files beside it."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))
