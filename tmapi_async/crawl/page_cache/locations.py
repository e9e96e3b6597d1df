"""The place of a cache as a user names it: a file, a journal, or the address of a server."""

from __future__ import annotations

import importlib.util
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.argument_checks import check_path
from tmapi_async.errors.extras import install_command
from tmapi_async.journal.schema import APPLICATION_ID as JOURNAL

from .cache_file import CacheFile
from .cache_opening import APPLICATION_ID, database_kind
from .journal_pages import JournalPages
from .page_cache import PageCache
from .stores import FarStore, NearStore

DEFAULT_MAX_AGE = 3600.0
"""Seconds up to which a page is taken from the cache if nothing else is said."""

DEFAULT_CACHE_BYTES = 2**30

_SERVERS = ("redis", "rediss", "valkey", "valkeys")
_SECONDS = 0.1
_FORMS = "the path of a file, or the address of a server such as redis://HOST:6379/0"


def make_page_cache(
    location: str | Path,
    *,
    origin: str,
    secret: str,
    max_age: float,
    stale_if_error: float,
    limit: int,
) -> PageCache:
    """Return the page cache at a location. It is not open yet.

    Args:
        location: Path of a cache file or a journal, or address of a Redis or Valkey server.
        origin: Host of the API, with the prefix of its paths.
        secret: Token of the account.
        max_age: Seconds up to which a page is taken from the cache.
        stale_if_error: Seconds up to which a page is taken from the cache if the API fails.
        limit: Bytes of a cache file.

    Raises:
        InvalidRequestError: The location cannot be that of a cache; nothing was changed there.
    """
    check_path("cache", location)
    store: NearStore | FarStore
    if "://" in str(location):
        store = _server(str(location), max(max_age, stale_if_error))
    else:
        path = _path(location)
        store = JournalPages(path) if _is_journal(path) else CacheFile(path, limit)
    return PageCache(
        store, origin=origin, secret=secret, max_age=max_age, stale_if_error=stale_if_error
    )


def _server(address: str, life: float) -> FarStore:
    scheme = address.partition("://")[0].lower()
    if scheme not in _SERVERS:
        raise InvalidRequestError(f"cache must be {_FORMS}, and no other address")
    if importlib.util.find_spec("redis") is None:
        raise InvalidRequestError(
            f"a cache at {scheme}:// needs redis, which is not installed: "
            f"run {install_command('redis')}"
        )
    from .redis_pages import RedisPages  # noqa: PLC0415 - an extra

    return RedisPages(address, life)


def _path(location: str | Path) -> Path:
    text = str(location)
    if not text.strip() or "\0" in text or text == ":memory:":
        raise InvalidRequestError(f"cache must be {_FORMS}")
    path = Path(location).expanduser().resolve()
    if path.exists() and not path.is_file():
        raise InvalidRequestError(f"the page cache {path} is not a file: name a file")
    if not path.parent.is_dir():
        raise InvalidRequestError(f"the folder of the page cache {path} does not exist")
    return path


def _is_journal(path: Path) -> bool:
    """Return True if a file is a journal.

    Raises:
        InvalidRequestError: The file is neither a journal, nor a page cache, nor empty.
    """
    kind = database_kind(path)
    if kind in (None, JOURNAL, APPLICATION_ID):
        return kind == JOURNAL
    try:
        uri = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_SECONDS)) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.Error:
        return False  # it cannot be read now: opening it tells why
    if kind or tables:
        raise InvalidRequestError(
            f"{path} belongs to another program, and was not changed: name another file for the "
            "cache"
        )
    return False
