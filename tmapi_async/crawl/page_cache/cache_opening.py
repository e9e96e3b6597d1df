"""Opening of the file of a page cache: it is created, checked, and put aside if it is damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tmapi_async.errors import InvalidRequestError, JournalError, NotAJournalError
from tmapi_async.journal.lock import PRIVATE, create_private
from tmapi_async.journal.schema import transaction
from tmapi_async.journal.sqlite_errors import journal_error
from tmapi_async.journal.tables.definitions import split_statements
from tmapi_async.journal.tables.differences import definition_differences

from .cache_database import (
    CacheDatabase,
    CacheTroubleError,
    file_identity,
    read_pragma,
    storage_trouble,
)

APPLICATION_ID = 0x544D5043  # "TMPC"
VERSION = 1
TABLES = """
CREATE TABLE page (
    id INTEGER PRIMARY KEY,             -- grows: the oldest pages have the smallest numbers
    origin TEXT NOT NULL,               -- host of the API and prefix of its paths; never a secret
    listing TEXT NOT NULL,              -- endpoint and canonical parameters
    number INTEGER NOT NULL,
    fetched_at INTEGER NOT NULL,        -- milliseconds since 1970, UTC
    dictionary INTEGER REFERENCES dictionary,
    body BLOB NOT NULL                  -- one zstd frame
);
CREATE UNIQUE INDEX page_place ON page (listing, number, origin);
CREATE TABLE dictionary (
    id INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    content BLOB NOT NULL               -- one zstd frame
);
"""

# A look-up reads whole database pages: small ones cost less to read, and waste more of the file.
_PAGE_SIZE = 8192
_READ_SECONDS = 0.01
"""Seconds that a look-up waits for a lock. It holds up the event loop, and seldom has to wait."""

_WRITE_SECONDS = 5.0
_OPEN_SECONDS = 10.0
_WAL_PAGES = 256
_CACHED_BYTES = 4 * 2**20
_DAMAGED = "damaged"


def open_database(
    path: Path, origin: str, limit: int, damaged: tuple[int, int] | None = None
) -> tuple[CacheDatabase, str | None]:
    """Open the file of a cache; create it if there is none. A damaged file is put aside.

    Args:
        path: The file, as an absolute path.
        origin: Host of the API, with the prefix of its paths.
        limit: Bytes of the file above which its oldest pages are deleted.
        damaged: Identity of a file that was found to be damaged, or None.

    Returns:
        The open file, and what to tell the user of a file that was put aside, or None.

    Raises:
        InvalidRequestError: The file belongs to another program; it was not changed.
        CacheTroubleError: The file cannot be used.
    """
    try:
        with _opening_alone(path):
            reason = "a part of it cannot be read"
            if damaged is None or file_identity(path) != damaged:
                try:
                    return _open(path, origin, limit), None
                except CacheTroubleError as error:
                    if not error.damaged:
                        raise
                    reason = str(error)
            aside = _put_aside(path)
            return _open(path, origin, limit), f"it was damaged ({reason}) and is now {aside}"
    except OSError as error:
        raise storage_trouble(path, error) from None


def database_kind(path: Path) -> int | None:
    """Return the application ID of a database; None if there is no file, or it cannot be read now.

    A log beside the file is left out, which may be that of a cache file that somebody removed. Only
    SQLite opens the file: the first handle of a process that is closed would drop the locks that
    other clients of this process have on it.

    Raises:
        InvalidRequestError: The file is not a database.
    """
    if not path.is_file() or not path.stat().st_size:
        return None
    uri = f"file:{quote(os.fsencode(path))}?immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            return read_pragma(connection, "application_id")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_NOTADB:
            return None
    raise InvalidRequestError(
        f"{path} is not a page cache, and was not changed: name another file for the cache, or "
        "remove this one if it was a cache"
    )


@contextlib.contextmanager
def _opening_alone(path: Path) -> Iterator[None]:
    """Keep other processes from opening the file meanwhile: it may be put aside.

    A process that opened the file while its log is renamed would take the old log for its own.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - slow to import

    if not path.parent.is_dir():
        raise InvalidRequestError(f"the folder of the page cache {path} does not exist")
    lock = FileLock(
        path.with_name(f"{path.name}-lock"),
        mode=PRIVATE,
        thread_local=False,
        fallback_to_soft=False,
    )
    try:
        lock.acquire(timeout=_OPEN_SECONDS)
    except Timeout:
        raise CacheTroubleError("another process is opening it") from None
    except (OSError, NotImplementedError):
        # A folder that cannot be written: nothing can be put aside, and others only read, too.
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _open(path: Path, origin: str, limit: int) -> CacheDatabase:
    writer = None
    try:
        try:
            database_kind(path)  # refuses what is not a database
            create_private(path)
            writer = _connect(path, writing=True)
            _prepare(writer, path)
        except (JournalError, sqlite3.Error) as error:
            if writer is not None:
                writer.close()
                writer = None
            problem = _opening_problem(path, error)
            if isinstance(problem, InvalidRequestError) or problem.damaged or not path.is_file():
                raise problem from None
            return _open_for_reading(path, origin, limit, problem)
        reader = _connect(path, writing=False)
    except BaseException:
        if writer is not None:
            writer.close()
        raise
    return CacheDatabase(path, origin, limit, writer, reader)


def _open_for_reading(
    path: Path, origin: str, limit: int, problem: CacheTroubleError
) -> CacheDatabase:
    """Open a file that cannot be written, for look-ups alone."""
    try:
        reader = _connect(path, writing=False)
    except sqlite3.Error:
        raise problem from None
    try:
        _check(reader, path)
    except (sqlite3.Error, CacheTroubleError):
        reader.close()
        raise problem from None
    return CacheDatabase(path, origin, limit, None, reader)


def _opening_problem(path: Path, error: Exception) -> CacheTroubleError | InvalidRequestError:
    problem = journal_error(path, error)
    if isinstance(problem, NotAJournalError):
        return InvalidRequestError(
            f"{path} is not a page cache, and was not changed: name another file for the cache"
        )
    return storage_trouble(path, error)


def _connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    mode = "rw" if writing or os.access(path, os.W_OK) else "ro"
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=_WRITE_SECONDS if writing else _READ_SECONDS,
        check_same_thread=False,
    )
    try:
        connection.execute(f"PRAGMA cache_size = {_CACHED_BYTES // _PAGE_SIZE}")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA temp_store = MEMORY")
        if not writing:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:  # the first statement reads the file, which may not be a database
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if _is_new(connection):
        connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    else:
        _check(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_PAGES * _PAGE_SIZE}")
    with transaction(connection):
        if read_pragma(connection, "user_version") == 0:
            for statement in split_statements(TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_new(connection: sqlite3.Connection) -> bool:
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return (
        tables == read_pragma(connection, "user_version") == 0
        and read_pragma(connection, "application_id") in (0, APPLICATION_ID)
    )  # fmt: skip


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Check that a file with tables is a cache that this version can use."""
    if read_pragma(connection, "application_id") != APPLICATION_ID:
        raise NotAJournalError(path)
    version = read_pragma(connection, "user_version")
    if version > VERSION:
        raise CacheTroubleError("a newer version of tmapi-async wrote it")
    differences = definition_differences(connection, (TABLES,))
    if differences:
        raise CacheTroubleError("; ".join(differences[:3]), damaged=True)


def _put_aside(path: Path) -> Path:
    """Rename a damaged file and its log, and return the new name."""
    aside = path.with_name(f"{path.name}.{_DAMAGED}")
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).replace(aside.with_name(aside.name + ending))
    return aside
