"""Version of the tables, and how a journal is opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

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
from .sqlite_errors import RowLostError
from .tables.contents import content_problems, value_problems
from .tables.damaged_values import translated
from .tables.definitions import MIGRATIONS, TABLES, split_statements
from .tables.differences import FOREIGN, definition_differences

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x544D4A4C  # "TMJL"
PAGE_SIZE = 32768
_MAX_NAMED = 3
_TEMPORARY_FOLDERS = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108 - those that SQLite tries
LOCK_SECONDS = 5.0
"""Seconds that SQLite waits for a lock of another process."""
LARGEST_VALUE = 1 << 28
"""Bytes of the largest value that is read or written: a row of text, or a body."""

CACHE_PAGES = 128
WAL_PAGES = 512
"""Pages of the write-ahead log after which SQLite copies the log into the file: 16 MiB."""


READ_AS_THEY_ARE = frozenset((3,))
"""Older versions that readers accept: they lack only tables that nobody but a harvest needs."""


def version() -> int:
    """Return the version of the tables that this package writes."""
    return 1 + len(MIGRATIONS)


class CheckedConnection(sqlite3.Connection):
    """Connection that remembers which state of the tables was checked.

    Attributes:
        checked: SQLite's number of this state, which each change of a table or trigger increases;
            None before the first check.
    """

    checked: int | None = None


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit everything that the block writes, or nothing.

    Raises:
        RowLostError: Another program has changed the tables, or added a trigger that could drop
            rows without an error.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        _check_unchanged(connection)
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
    check_access(path, writing=writing)
    connection: CheckedConnection | None = None
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
    check_access(path, writing=False)
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
    return definition_differences(connection, _scripts(connection))


def all_value_problems(connection: sqlite3.Connection) -> Iterator[str]:
    """Check every value of a journal whose tables do not differ; see `value_problems`."""
    return value_problems(connection, _scripts(connection))


def _scripts(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the scripts that have created the tables of a journal."""
    return (TABLES, *MIGRATIONS)[: _pragma(connection, "user_version")]


def check_access(path: Path, *, writing: bool) -> None:
    """Check that a journal may be read or written. Opens and writes nothing.

    Raises:
        ReadOnlyJournalError: The file or its folder may not be written.
        JournalError: The file may not be read.
    """
    if not os.access(path, os.R_OK):
        raise JournalError(path, "permission denied")
    for name in (path, path.parent) if writing else ():
        if not os.access(name, os.W_OK):
            raise ReadOnlyJournalError(path, f"no permission to write to {name}")


def provide_temporary_folder(folder: Path) -> bool:
    """Let this process keep temporary files in `folder` if the system has no other place for them.

    In a container with a read-only root, SQLite could write nothing that it may have to undo.

    Returns:
        True if temporary files have no other place.
    """
    if sys.platform == "win32":
        return False
    usual = [os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), *_TEMPORARY_FOLDERS]
    if os.environ.get("TMPDIR") != str(folder) and any(map(_is_usable, filter(None, usual))):
        return False
    if _is_usable(folder):
        os.environ["TMPDIR"] = str(folder)
    return True


def _is_usable(folder: str | Path) -> bool:
    return Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _connect(path: Path, *, writing: bool) -> CheckedConnection:
    uri = f"file:{quote(os.fsencode(path))}?mode={'rw' if writing else 'ro'}"
    connection = sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        timeout=LOCK_SECONDS,
        check_same_thread=False,
        factory=CheckedConnection,
    )
    try:
        # A number of pages: SQLite would convert a size in KiB with pages of 4 KiB, because it has
        # not read the page size of the file yet.
        connection.execute(f"PRAGMA cache_size = {CACHE_PAGES}")
        connection.execute("PRAGMA trusted_schema = OFF")
        # SQLite would reserve the memory of a value of any size that a foreign file states.
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
        if provide_temporary_folder(path.parent):
            # SQLite has read the environment before this module could change it.
            name = str(path.parent).replace("'", "''")
            connection.execute(f"PRAGMA temp_store_directory = '{name}'")
        if not writing:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:  # the first statement reads the file, which may not be a database
        connection.close()
        raise
    return connection


def _prepare(connection: CheckedConnection, path: Path) -> None:
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
    connection.checked = _pragma(connection, "schema_version")


def _check_unchanged(connection: sqlite3.Connection) -> None:
    if not isinstance(connection, CheckedConnection) or connection.checked is None:
        return
    current = _pragma(connection, "schema_version")
    if current != connection.checked:
        foreign = [text for text in schema_differences(connection) if not _is_harmless(text)]
        if foreign:
            raise RowLostError(f"it was changed meanwhile: {'; '.join(foreign[:_MAX_NAMED])}")
        connection.checked = current


def _is_harmless(difference: str) -> bool:
    """Return True for a table that somebody added, as `.recover` does: no row gets into it."""
    return difference.endswith(FOREIGN) and difference.startswith("the table ")


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
    problems = content_problems(connection, _scripts(connection))
    if problems:
        raise CorruptJournalError(path, "; ".join(problems[:_MAX_NAMED]))


def _check_definitions(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a journal whose tables would not do what this package expects of them.

    A trigger can ignore inserts, a view can take the place of a table, and a changed table can drop
    a row that conflicts: pages that were paid for would be lost without an error.
    """
    differences = [text for text in schema_differences(connection) if not _is_harmless(text)]
    foreign = [text for text in differences if text.endswith(FOREIGN)]
    changed = [text for text in differences if text not in foreign]
    if changed:
        raise CorruptJournalError(path, "; ".join(changed[:_MAX_NAMED]))
    if foreign:
        raise NotAJournalError(path, "; ".join(foreign[:_MAX_NAMED]))


def check_version(connection: sqlite3.Connection, path: Path, *, writing: bool = False) -> None:
    """Check the version of a journal's tables.

    Raises:
        NewerJournalError: A newer version of this package wrote the journal.
        OlderJournalError: An older version wrote it which is not in `READ_AS_THEY_ARE`, and
            `writing`, which upgrades, is False.
    """
    stored = _pragma(connection, "user_version")
    if stored > version():
        raise NewerJournalError(path, f"its version is {stored}; this package reads {version()}")
    if stored < version() and stored not in READ_AS_THEY_ARE and not writing:
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
