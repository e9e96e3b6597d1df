"""Version of the tables, and how a journal is opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
import zstandard

from tmapi_async.errors import (
    CorruptJournalError,
    JournalError,
    NewerJournalError,
    NoJournalError,
    NotAJournalError,
    OlderJournalError,
    ReadOnlyJournalError,
)

from .lock import create_private
from .sqlite_errors import journal_error
from .tables.definitions import MIGRATIONS, TABLES, split_statements
from .tables.differences import FOREIGN, definition_differences

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x544D4A4C  # "TMJL"
PAGE_SIZE = 32768
_MAX_NAMED = 3
# Flipped bits change types, lengths and texts. ValueError and TypeError are missing here, because
# the caller's own iterables, which planning reads, can raise them.
_DAMAGE = (
    msgspec.MsgspecError,
    zstandard.ZstdError,
    IndexError,
    UnicodeDecodeError,
    OverflowError,
    MemoryError,
)
LOCK_SECONDS = 5.0
"""Seconds that SQLite waits for a lock of another process."""

CACHE_PAGES = 128
WAL_PAGES = 512
"""Pages of the write-ahead log after which SQLite copies the log into the file: 16 MiB."""


def version() -> int:
    """Return the version of the tables that this package writes."""
    return 1 + len(MIGRATIONS)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise a `JournalError` in place of an error of SQLite, of the system or of damaged values."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise journal_error(path, error) from None
    except _DAMAGE as error:
        raise CorruptJournalError(path, f"{type(error).__name__}: {error}") from None


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit everything that the block writes, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, for example a full disk, SQLite has rolled back already. A second
        # rollback would raise an error that hides the first one.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    """Open a journal, and check that this package can use it.

    Args:
        path: The journal's file, as an absolute path.
        writing: True to create the file if needed, to upgrade older tables, and to prepare for
            commits that survive a power cut. The caller holds the write lock.

    Returns:
        A connection in autocommit mode that any thread may use, one at a time.

    Raises:
        JournalError: The journal cannot be used. The subclass says why.
    """
    if writing:
        create_private(path)
    elif not path.is_file():
        raise NoJournalError(path)
    _check_access(path, writing=writing)
    connection = None
    try:
        with translated(path):
            connection = _connect(path, writing=writing)
            _prepare(connection, path) if writing else _check(connection, path)
            return connection
    except BaseException:
        if connection is not None:
            connection.close()
        raise


def connect_unchecked(path: Path) -> sqlite3.Connection:
    """Open a journal of any version for reading, damaged or not. Its tables are not checked.

    Args:
        path: The journal's file, as an absolute path.

    Returns:
        A connection in autocommit mode that any thread may use, one at a time.

    Raises:
        JournalError: There is no such file, or the file is not a journal.
    """
    if not path.is_file():
        raise NoJournalError(path)
    _check_access(path, writing=False)
    with translated(path):
        connection = _connect(path, writing=False)
        try:
            _check_kind(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def schema_differences(connection: sqlite3.Connection) -> list[str]:
    """Compare the tables of a journal with those that this package creates for its version.

    Args:
        connection: Connection to a journal of this version or an older one.

    Returns:
        One text for each table, index, trigger or view that is missing, changed or foreign.
    """
    scripts = (TABLES, *MIGRATIONS)[: _pragma(connection, "user_version")]
    return definition_differences(connection, scripts)


def _check_access(path: Path, *, writing: bool) -> None:
    if not os.access(path, os.R_OK):
        raise JournalError(path, "permission denied")
    for name in (path, path.parent) if writing else ():
        if not os.access(name, os.W_OK):
            raise ReadOnlyJournalError(path, f"no permission to write to {name}")


def _connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    uri = f"file:{quote(os.fsencode(path))}?mode={'rw' if writing else 'ro'}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=LOCK_SECONDS, check_same_thread=False
    )
    try:
        # A number of pages: SQLite would convert a size in KiB with pages of 4 KiB, because it has
        # not read the page size of the file yet.
        connection.execute(f"PRAGMA cache_size = {CACHE_PAGES}")
        connection.execute("PRAGMA trusted_schema = OFF")
        if not writing:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:  # the first statement reads the file, which may not be a database
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if _is_new(connection):
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    else:
        _check(connection, path, writing=True)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the disk
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {2 * WAL_PAGES * PAGE_SIZE}")
    with transaction(connection):
        _upgrade(connection)


def _is_new(connection: sqlite3.Connection) -> bool:
    # A start that is killed while it creates the file leaves a database without tables.
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    return (
        empty and _pragma(connection, "application_id") == _pragma(connection, "user_version") == 0
    )


def _upgrade(connection: sqlite3.Connection) -> None:
    scripts = (TABLES, *MIGRATIONS)[_pragma(connection, "user_version") :]
    for script in scripts:
        # executescript would commit the transaction that makes the upgrade all or nothing.
        for statement in split_statements(script):
            connection.execute(statement)
    if scripts:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version()}")


def _check_kind(connection: sqlite3.Connection, path: Path, *, writing: bool = False) -> None:
    if not writing and _is_new(connection):
        raise NoJournalError(path, "the file is empty: no start has written to it")
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise NotAJournalError(path)


def _check(connection: sqlite3.Connection, path: Path, *, writing: bool = False) -> None:
    _check_kind(connection, path, writing=writing)
    check_version(connection, path, writing=writing)
    _check_definitions(connection, path)


def _check_definitions(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a journal whose tables would not do what this package expects of them.

    A trigger can ignore inserts, a view can take the place of a table, and a changed table can drop
    a row that conflicts: pages that were paid for would be lost without an error.
    """
    differences = schema_differences(connection)
    foreign = [text for text in differences if text.endswith(FOREIGN)]
    # A table that somebody added, as `.recover` does, changes nothing for those of the journal.
    changed = [text for text in differences if text not in foreign]
    foreign = [text for text in foreign if not text.startswith("the table ")]
    if changed:
        raise CorruptJournalError(path, "; ".join(changed[:_MAX_NAMED]))
    if foreign:
        raise NotAJournalError(path, "; ".join(foreign[:_MAX_NAMED]))


def check_version(connection: sqlite3.Connection, path: Path, *, writing: bool = False) -> None:
    """Check the version of a journal's tables.

    Raises:
        NewerJournalError: A newer version of this package wrote the journal.
        OlderJournalError: An older version wrote it, and `writing`, which upgrades, is False.
    """
    stored = _pragma(connection, "user_version")
    if stored > version():
        raise NewerJournalError(path, f"its version is {stored}; this package reads {version()}")
    if stored < version() and not writing:
        raise OlderJournalError(path, f"its version is {stored}; this package reads {version()}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def finish(connection: sqlite3.Connection) -> None:
    """Close a writing connection and leave a single file, readable on read-only media.

    While another process reads, the log stays beside the file. Nothing is lost in either case.
    """
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 200")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()


def verify(connection: sqlite3.Connection, path: Path) -> None:
    """Read the whole file and check its structure.

    Raises:
        CorruptJournalError: The file is damaged. The message says where, if SQLite can tell.
    """
    with translated(path):
        findings = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if findings != ["ok"]:
        raise CorruptJournalError(path, "; ".join(findings))
