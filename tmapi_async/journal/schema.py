"""Tables of the journal, their version, and how a file is opened.

The position of a page's row decides the cost of a commit. Rows are appended in the order of their
commits. So a small group changes one leaf of the table and one or two leaves of the index, however
many listings are walked side by side. A table ordered by listing would change a leaf for each page,
and leave a third of each leaf empty. Measured (`benchmarks/journal.py`): a database page of 32 KiB
has twelve bodies and leaves 6 % of the file unused; pages of 4 KiB leave 40 % unused.

`page_place` is unique: no page can be stored twice. Planning reads visits, and only the pages of
visits that a kill left open.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sqlite3
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
from .sqlite_errors import journal_error

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x544D4A4C  # "TMJL"
PAGE_SIZE = 32768
CACHE_PAGES = 128
WAL_PAGES = 512
"""Pages of the write-ahead log after which SQLite copies the log into the file: 16 MiB."""

TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,        -- milliseconds since 1970, UTC, as every *_at
    version TEXT NOT NULL               -- of this package
);
CREATE TABLE start (                    -- one process that worked on the journal
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,                   -- null: it runs, or was killed
    stopped_by TEXT,                    -- null: it went to its end, or was killed
    host TEXT NOT NULL,                 -- scheme, host and port; never a secret
    version TEXT NOT NULL,
    pid INTEGER NOT NULL
);
CREATE TABLE tick (                     -- what a start had counted, up to 720 times in its life
    start INTEGER NOT NULL REFERENCES start,
    n INTEGER NOT NULL,                 -- second of the start; the last row holds its totals
    elapsed_ms INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    wasted INTEGER NOT NULL,
    pages INTEGER NOT NULL,
    items INTEGER NOT NULL,
    width INTEGER NOT NULL,             -- the gate's, at that moment
    codes TEXT NOT NULL,                -- JSON: code -> count
    PRIMARY KEY (start, n)
) WITHOUT ROWID;
CREATE TABLE listing (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,      -- endpoint and canonical parameters; neither host nor token
    endpoint TEXT NOT NULL,
    params TEXT NOT NULL                -- JSON: [[name, value], ...]
);
CREATE TABLE visit (                    -- a listing in a run
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run,
    listing INTEGER NOT NULL REFERENCES listing,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete', 'capped', 'failed')),
    began_at INTEGER,                   -- null: nothing of it was asked for yet
    ended_at INTEGER,
    pages INTEGER, items INTEGER, unique_items INTEGER, rejects INTEGER,    -- once it has ended
    last_page INTEGER, total_count INTEGER,
    capped_at INTEGER,                  -- the --max-pages that cut it; null: it was not cut
    error_kind TEXT, error TEXT,
    UNIQUE (listing, run)
);
CREATE TABLE page (
    seq INTEGER PRIMARY KEY,            -- order of the commits; clocks may go backwards
    visit INTEGER NOT NULL REFERENCES visit,
    number INTEGER NOT NULL,
    start INTEGER NOT NULL REFERENCES start,
    fetched_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    latency_us INTEGER NOT NULL,
    code INTEGER NOT NULL,
    page_size INTEGER,
    has_next_page INTEGER NOT NULL,
    total_count INTEGER,
    items INTEGER NOT NULL,
    rejects INTEGER NOT NULL,
    dictionary INTEGER REFERENCES dictionary,
    body BLOB NOT NULL                  -- one zstd frame
);
CREATE UNIQUE INDEX page_place ON page (visit, number);
CREATE TABLE reject (
    seq INTEGER NOT NULL REFERENCES page,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    raw BLOB NOT NULL,                  -- the row's JSON, byte for byte
    PRIMARY KEY (seq, position)
) WITHOUT ROWID;
CREATE TABLE failed_page (
    visit INTEGER NOT NULL REFERENCES visit,
    number INTEGER NOT NULL,
    start INTEGER NOT NULL REFERENCES start,
    failed_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    kind TEXT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (visit, number)
) WITHOUT ROWID;
CREATE TABLE dictionary (
    id INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    content BLOB NOT NULL               -- one zstd frame
);
"""

_CATEGORIES = """
CREATE TABLE look (                     -- a look at the tree of categories, or at a part of it
    id INTEGER PRIMARY KEY,
    host TEXT,                          -- as that of a start; null: not told
    started_at INTEGER NOT NULL,
    ended_at INTEGER                    -- null: it was broken off
);
CREATE TABLE category (                 -- what the API answered about a category, last
    cat_id INTEGER PRIMARY KEY,         -- 0: the first level
    look INTEGER NOT NULL REFERENCES look,
    fetched_at INTEGER NOT NULL,
    body BLOB NOT NULL                  -- one zstd frame
);
"""

_DIVISIONS = """
CREATE TABLE part (                     -- a visit made on behalf of a listing that is divided
    visit INTEGER PRIMARY KEY REFERENCES visit,
    root INTEGER NOT NULL REFERENCES visit
);
CREATE INDEX part_root ON part (root);
CREATE TABLE division (                 -- what came of a listing that was walked in parts
    root INTEGER PRIMARY KEY REFERENCES visit,
    complete INTEGER NOT NULL,          -- all that the totals promise is proven to be there
    pages INTEGER NOT NULL, items INTEGER NOT NULL,     -- of the listing and of all its parts
    unique_items INTEGER NOT NULL, rejects INTEGER NOT NULL,
    promised INTEGER NOT NULL,          -- sum of the totals of the parts walked
    account TEXT NOT NULL               -- for people
);
"""

MIGRATIONS: tuple[str, ...] = (_CATEGORIES, _DIVISIONS)
"""Scripts from version n+1 to n+2, each in one transaction with the new version."""


def version() -> int:
    """Return the version of the tables that this package writes."""
    return 1 + len(MIGRATIONS)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise a `JournalError` in place of an error of SQLite or of the system."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise journal_error(path, error) from None


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
    """Compare the tables of a journal with those that this package creates.

    Triggers and views belong to no journal: a trigger that ignores inserts would lose pages.

    Args:
        connection: Connection to a journal of this version or an older one.

    Returns:
        One text for each table, index, trigger or view that is missing, changed or foreign.
    """
    expected = _expected_schema(_pragma(connection, "user_version"))
    # Pages that SQLite analysed have statistics in tables of SQLite itself, which are no danger.
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    actual = {(kind, name): _plain(sql) for kind, name, sql in connection.execute(query)}
    differences = [f"the {kind} {name} is missing" for kind, name in expected.keys() - actual]
    for (kind, name), sql in actual.items():
        if (kind, name) not in expected:
            differences.append(f"the {kind} {name!r} does not belong to a journal")
        elif sql != expected[kind, name]:
            differences.append(f"the {kind} {name} is not as this package creates it")
    return sorted(differences)


@functools.cache
def _expected_schema(stored: int) -> dict[tuple[str, str], str]:
    """Return the definitions of a version by kind and name."""
    kinds = re.compile(r"CREATE (?:UNIQUE )?(TABLE|INDEX) (\w+)")
    schema = {}
    for script in (TABLES, *MIGRATIONS)[:stored]:
        for statement in _statements(script):
            match = kinds.search(statement)
            if match is not None:
                schema[match[1].lower(), match[2]] = _plain(statement)
    return schema


def _plain(sql: object) -> str:
    """Return a definition without comments and white space, which may differ between versions."""
    return "".join(re.sub(r"--[^\n]*", "", str(sql)).split()).rstrip(";")


def _check_access(path: Path, *, writing: bool) -> None:
    if not os.access(path, os.R_OK):
        raise JournalError(path, "permission denied")
    for name in (path, path.parent) if writing else ():
        if not os.access(name, os.W_OK):
            raise ReadOnlyJournalError(path, f"no permission to write to {name}")


def _connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode={'rw' if writing else 'ro'}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=5.0, check_same_thread=False
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
        for statement in _statements(script):
            connection.execute(statement)
    if scripts:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version()}")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _check_kind(connection: sqlite3.Connection, path: Path, *, writing: bool = False) -> None:
    if not writing and _is_new(connection):
        raise NoJournalError(path, "the file is empty: no start has written to it")
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise NotAJournalError(path)


def _check(connection: sqlite3.Connection, path: Path, *, writing: bool = False) -> None:
    _check_kind(connection, path, writing=writing)
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
