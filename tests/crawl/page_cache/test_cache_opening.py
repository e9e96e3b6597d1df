"""Opening of a cache file: what cannot be used is told, and never hurts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tmapi_async import InvalidRequestError
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.page_cache import cache_opening
from tmapi_async.crawl.page_cache.cache_database import CacheTroubleError
from tmapi_async.crawl.page_cache.cache_opening import open_database
from tmapi_async.crawl.page_cache.stores import StoredReply

REQUEST = PageRequest(category_items(1), 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a cache file."""
    return tmp_path / "pages.db"


def made(path: Path) -> None:
    """Make a cache file with one page."""
    database, note = open_database(path, "host", 2**30)
    assert note is None
    database.write([(REQUEST, StoredReply(1.0, b"{}"))])
    database.close()


def test_new_file_is_private(path: Path) -> None:
    """Other users of the machine cannot read the pages."""
    made(path)
    assert path.stat().st_mode & 0o077 == 0


def test_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    """It is neither read nor put aside: the newer version goes on with it."""
    made(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(CacheTroubleError, match="newer version"):
        open_database(path, "host", 2**30)
    assert not path.with_name("pages.db.damaged").exists()


def test_file_that_another_process_is_opening_for_long_is_not_waited_for(
    path: Path, monkeypatch: Any
) -> None:
    """The client goes on without a cache."""
    monkeypatch.setattr(cache_opening, "_OPEN_SECONDS", 0.01)
    with FileLock(f"{path}-lock"), pytest.raises(CacheTroubleError, match="another process"):
        open_database(path, "host", 2**30)


def test_folder_without_room_for_a_lock_is_no_hindrance(path: Path, monkeypatch: Any) -> None:
    """A file that is there can be read where nothing can be written beside it."""
    made(path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    database, _ = open_database(path, "host", 2**30)
    assert database.find(REQUEST) == StoredReply(1.0, b"{}")
    database.close()


def test_missing_folder_is_refused(path: Path) -> None:
    """It may have gone since the client was made."""
    with pytest.raises(InvalidRequestError, match="folder"):
        open_database(path.parent / "gone" / "pages.db", "host", 2**30)


def test_locked_file_is_a_trouble_that_can_pass(path: Path, monkeypatch: Any) -> None:
    """Another program may keep the file locked for a while."""
    made(path)
    monkeypatch.setattr(cache_opening, "_WRITE_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM page")
        with pytest.raises(CacheTroubleError) as caught:
            open_database(path, "host", 2**30)
        other.execute("ROLLBACK")
    assert not caught.value.damaged


def test_file_that_cannot_be_put_aside_is_a_trouble(path: Path, monkeypatch: Any) -> None:
    """As on Windows, where another process has it open."""
    made(path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "replace", refuse)
    damaged = (path.stat().st_dev, path.stat().st_ino)
    with pytest.raises(CacheTroubleError, match="in use"):
        open_database(path, "host", 2**30, damaged)
