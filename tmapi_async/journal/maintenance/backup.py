"""Copy a whole journal, also while a harvest writes to it or after a kill.

The write-ahead log beside a journal holds its latest pages, so a copy of the file alone lacks them.
The backup interface of SQLite copies both, as they were at one moment.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec

from tmapi_async.errors import CorruptJournalError
from tmapi_async.journal.lock import create_private
from tmapi_async.journal.schema import connect_unchecked
from tmapi_async.journal.sqlite_errors import storage_errors_named
from tmapi_async.journal.tables.damaged_values import translated

_STEP = 256
"""Database pages to copy between two calls of `progress`: 8 MiB."""

_CONTENTS = """
SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM listing), (SELECT count(*) FROM visit),
       count(*), coalesce(sum(items), 0), coalesce(sum(rejects), 0), coalesce(max(seq), 0)
FROM page
"""


class JournalContents(msgspec.Struct, frozen=True):
    """JournalContents of a journal in figures.

    Attributes:
        runs: Number of runs.
        listings: Number of listings.
        visits: Number of visits: a listing counts once for each run.
        pages: Number of pages.
        items: Items on these pages.
        rejects: Rows on them that could not be decoded.
        last_page: Number of the page that was committed last.
    """

    runs: int
    listings: int
    visits: int
    pages: int
    items: int
    rejects: int
    last_page: int


def back_up(
    path: Path, copy: Path, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> JournalContents:
    """Copy a journal of any version to a new file, and check the copy.

    The copy is one file without a log beside it. It is not durable before the caller syncs it.

    Args:
        path: The journal's file. It is not changed.
        copy: File to create. It must not exist, or must be empty.
        progress: Called with the number of bytes that are copied, and of all bytes.

    Returns:
        The contents of the copy.

    Raises:
        CorruptJournalError: The journal is damaged, so the copy is damaged too.
        JournalError: The journal cannot be read, or the copy cannot be written.
    """
    path = path.expanduser().resolve()
    with translated(path), contextlib.closing(connect_unchecked(path)) as source:
        with translated(path):
            size = source.execute("PRAGMA page_size").fetchone()[0]
            # The copy is of this moment. Without the transaction, SQLite would start again with
            # every commit of a harvest.
            source.execute("BEGIN")
            expected = _contents(source)
        with storage_errors_named(copy):
            create_private(copy)
            with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as target:
                source.backup(
                    target,
                    pages=_STEP,
                    progress=lambda _, left, total: progress((total - left) * size, total * size),
                )
                # The journal is in WAL mode. Without WAL, the copy can be read on read-only media.
                target.execute("PRAGMA journal_mode = DELETE")
                with translated(path):
                    _check(path, target, expected)
    return expected


def _contents(connection: sqlite3.Connection) -> JournalContents:
    return JournalContents(*connection.execute(_CONTENTS).fetchone())


def _check(path: Path, copy: sqlite3.Connection, expected: JournalContents) -> None:
    findings = [str(row[0]) for row in copy.execute("PRAGMA quick_check(3)")]
    if findings != ["ok"]:
        raise CorruptJournalError(path, " ".join("; ".join(findings).split()))
    if _contents(copy) != expected:
        raise CorruptJournalError(path, "its copy has other contents")
