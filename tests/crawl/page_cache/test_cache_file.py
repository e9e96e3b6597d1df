"""The file of a cache: shared by processes, bounded, and never a reason for a page to be lost."""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import cache_writers
from tests.support.cache_files import kept_pages
from tests.support.watching import until
from tmapi_async import InvalidRequestError
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.page_cache.cache_database import CacheDatabase, CacheTroubleError
from tmapi_async.crawl.page_cache.cache_file import CacheFile
from tmapi_async.crawl.page_cache.locations import make_page_cache
from tmapi_async.crawl.page_cache.stores import StoredReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ORIGIN = "api.example"
NOISE = random.Random(1)  # noqa: S311 - no secret


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a cache file."""
    return tmp_path / "pages.db"


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@asynccontextmanager
async def opened(path: Path, limit: int = 2**30, **options: Any) -> AsyncIterator[CacheFile]:
    """Open a cache file."""
    store = CacheFile(path, limit, **options)
    await store.open(ORIGIN)
    try:
        yield store
    finally:
        await store.close()


def request(number: int, cat_id: int = 1) -> PageRequest:
    """Return a page request."""
    return PageRequest(category_items(cat_id), number)


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def remove(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def body(number: int) -> bytes:
    """Return a body that differs from page to page, and is alike for the most part."""
    return b'{"page": %d, "rows": [%s]}' % (number, b'{"title": "dress", "price": 1.5}, ' * 300)


async def test_reply_is_found_at_once_and_later_by_others(path: Path) -> None:
    """A reply is found before it is written; after `close` it is in the file, byte for byte."""
    async with opened(path) as store:
        store.keep(request(1), StoredReply(5.0, body(1)))
        assert store.find(request(1)) == StoredReply(5.0, body(1))
    async with opened(path) as store:
        assert store.find(request(1)) == StoredReply(5.0, body(1))
        assert store.find(request(2)) is None


async def test_later_reply_replaces_an_earlier_one_and_never_the_other_way(path: Path) -> None:
    """Of two processes that write one page, the one with the later reply wins."""
    for fetched_at, expected in ((5.0, 5.0), (9.0, 9.0), (7.0, 9.0)):
        async with opened(path) as store:
            store.keep(request(1), StoredReply(fetched_at, body(int(fetched_at))))
        async with opened(path) as store:
            assert store.find(request(1)) == StoredReply(expected, body(int(expected)))


async def test_two_files_open_at_once_read_what_the_other_compressed(path: Path) -> None:
    """Each uses the dictionary that the other has trained, and neither trains a second one."""
    async with opened(path) as first, opened(path) as second:
        for number in range(1, 121):
            store = first if number // 10 % 2 else second
            store.keep(request(number), StoredReply(1.0, body(number) * 2))
            if not number % 10:
                await until(lambda number=number: len(kept_pages(path)) == number)
        for number in range(1, 121):
            for store in (first, second):
                assert store.find(request(number)) == StoredReply(1.0, body(number) * 2)
    with closing(sqlite3.connect(path)) as connection:
        count = connection.execute("SELECT count(*) FROM dictionary").fetchone()[0]
        used = connection.execute("SELECT count(*) FROM page WHERE dictionary").fetchone()[0]
    assert count == 1
    assert used > 30


async def test_oldest_pages_go_when_the_file_is_full(path: Path) -> None:
    """The file stays near its limit; the pages that were kept last are still there."""
    limit = 2**20
    async with opened(path, limit) as store:
        for number in range(1, 201):
            store.keep(request(number), StoredReply(1.0, NOISE.randbytes(20_000)))
            if not number % 20:
                await until(lambda number=number: (request(number).listing.identity, number)
                            in kept_pages(path))  # fmt: skip
    pages = [number for _, number in kept_pages(path)]
    assert pages == list(range(201 - len(pages), 201))
    assert 20 <= len(pages) <= 60
    assert size_of(path) <= 1.3 * limit


async def test_file_shrinks_when_the_limit_is_lowered(path: Path) -> None:
    """The bytes of deleted pages are given back to the disk."""
    async with opened(path) as store:
        for number in range(1, 201):
            store.keep(request(number), StoredReply(1.0, NOISE.randbytes(20_000)))
    assert size_of(path) > 3 * 2**20
    async with opened(path, 2**20) as store:
        store.keep(request(999), StoredReply(1.0, b"{}"))
    assert size_of(path) <= 1.3 * 2**20


async def test_file_that_was_removed_is_made_again(path: Path) -> None:
    """To remove the file empties the cache of running processes within two seconds."""
    emptied = []
    clock = Clock()
    async with opened(path, clock=clock) as store:
        store.on_emptied = lambda: emptied.append(True)
        store.keep(request(1), StoredReply(1.0, body(1)))
        await until(lambda: kept_pages(path))
        remove(path)
        await until(lambda: _looked(store, clock) is None and size_of(path))
        await until(lambda: _kept(store, path))
    assert emptied


def _looked(store: CacheFile, clock: Clock) -> StoredReply | None:
    clock.now += 3
    return store.find(request(1))


def _kept(store: CacheFile, path: Path) -> bool:
    store.keep(request(2), StoredReply(1.0, body(2)))
    return size_of(path) > 0 and len(kept_pages(path)) == 1


def damage(path: Path, start: int) -> None:
    """Write over a part of a file."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * 30_000)


async def test_damaged_file_is_put_aside_at_the_start(path: Path, caplog: Any) -> None:
    """A file whose tables cannot be read is renamed, and a new one begun; the log says so."""
    async with opened(path) as store:
        store.keep(request(1), StoredReply(1.0, body(1)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX page_place")
    async with opened(path) as store:
        assert store.find(request(1)) is None
        store.keep(request(1), StoredReply(2.0, body(1)))
    assert kept_pages(path) == [("category/items?cat_id=1", 1)]
    assert size_of(path.with_name("pages.db.damaged"))
    assert "pages.db is begun anew: it was damaged" in caplog.text


async def test_damage_met_while_reading_costs_only_the_cache(path: Path, caplog: Any) -> None:
    """The page counts as not there, and the file is put aside by the next look-up."""
    async with opened(path) as store:
        for number in range(1, 100):
            store.keep(request(number), StoredReply(1.0, NOISE.randbytes(5000)))
    damage(path, 8192)
    async with opened(path) as store:
        for number in range(1, 100):
            store.find(request(number))  # raises nothing
        await until(lambda: store.find(request(1)) is None and path.with_name(
            "pages.db.damaged").exists())  # fmt: skip
        await until(lambda: _kept(store, path))
    assert caplog.text.count("begun anew") == 1


async def test_damaged_page_is_only_missing(path: Path) -> None:
    """A body whose frame is damaged, or whose time is no number, is requested again."""
    async with opened(path) as store:
        store.keep(request(1), StoredReply(1.0, body(1)))
        store.keep(request(2), StoredReply(1.0, body(2)))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE page SET body = substr(body, 1, 20) WHERE number = 1")
        connection.execute("UPDATE page SET fetched_at = 'noon' WHERE number = 2")
    async with opened(path) as store:
        assert store.find(request(1)) is None
        assert store.find(request(2)) is None
        store.keep(request(1), StoredReply(2.0, body(1)))
    async with opened(path) as store:
        assert store.find(request(1)) == StoredReply(2.0, body(1))


def foreign_database(path: Path) -> None:
    """Write the database of another program."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def text_file(path: Path) -> None:
    """Write a text."""
    path.write_text("the accounts of last year\n" * 100)


@pytest.mark.parametrize("write", [foreign_database, text_file])
def test_file_of_another_program_is_refused_and_not_changed(path: Path, write: Any) -> None:
    """At construction, before anything is sent."""
    write(path)
    before = path.read_bytes()
    with pytest.raises(InvalidRequestError, match="was not changed"):
        location(path)
    assert path.read_bytes() == before


def location(path: Path) -> Any:
    """Return the cache at a path."""
    return make_page_cache(
        path, origin=ORIGIN, secret=ORIGIN, max_age=60, stale_if_error=0, limit=2**30
    )  # fmt: skip


async def test_foreign_file_that_comes_later_is_refused_when_the_cache_is_opened(
    path: Path,
) -> None:
    """A file that was not there at construction is checked again."""
    cache = location(path)
    foreign_database(path)
    with pytest.raises(InvalidRequestError, match="was not changed"):
        await cache.open()
    await cache.close()


async def test_full_disk_is_told_once_and_costs_no_page(
    path: Path, caplog: Any, monkeypatch: Any
) -> None:
    """Replies that cannot be written are dropped; the next ones are tried after a pause."""
    clock, tries = Clock(), 0

    def full(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise CacheTroubleError("database or disk is full")

    async with opened(path, clock=clock) as store:
        store.keep(request(1), StoredReply(1.0, body(1)))
        await until(lambda: kept_pages(path))
        monkeypatch.setattr(CacheDatabase, "write", full)
        store.keep(request(2), StoredReply(1.0, body(2)))
        await until(lambda: "cannot be written (database or disk is full)" in caplog.text)
        await until(lambda: store.find(request(2)) is None)
        assert store.find(request(1)) is not None
        clock.now += 20
        store.keep(request(3), StoredReply(1.0, body(3)))
        await until(lambda: tries == 2)
    assert caplog.text.count("cannot be written") == 1


async def test_pages_that_come_too_fast_are_not_kept(
    path: Path, caplog: Any, monkeypatch: Any
) -> None:
    """Memory does not grow where the disk is slower than the API; the log says so once."""
    monkeypatch.setattr("tmapi_async.crawl.page_cache.cache_file._MAX_WAITING", 3)
    async with opened(path) as store:
        for number in range(1, 6):
            store.keep(request(number), StoredReply(1.0, body(number)))
    assert len(kept_pages(path)) == 3
    assert caplog.text.count("cannot be written fast enough") == 1


async def test_file_that_cannot_be_opened_is_tried_again(
    path: Path, caplog: Any, monkeypatch: Any
) -> None:
    """Without it pages are requested; the log says so once."""
    clock = Clock()

    def fail(*_: object) -> None:
        raise CacheTroubleError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr("tmapi_async.crawl.page_cache.cache_file.open_database", fail)
        async with opened(path, clock=clock) as store:
            assert store.find(request(1)) is None
            patch.undo()
            clock.now = 30.0
            await until(lambda: _kept(store, path))
    assert caplog.text.count("cannot be opened (database is locked)") == 1


async def test_foreign_file_in_the_place_of_the_cache_is_left_alone(
    path: Path, caplog: Any
) -> None:
    """The client goes on without a cache, and says so."""
    clock = Clock()
    async with opened(path, clock=clock) as store:
        remove(path)
        text_file(path)
        before = path.read_bytes()  # noqa: ASYNC240 - a small file
        await until(lambda: _looked(store, clock) is None and "cannot be opened" in caplog.text)
        store.keep(request(1), StoredReply(1.0, body(1)))
    assert path.read_bytes() == before  # noqa: ASYNC240 - as above


async def test_store_that_was_not_opened_closes(path: Path) -> None:
    """As after a client that could not be entered."""
    store = CacheFile(path, 2**20)
    await store.close()
    store.abandon()
    assert store.find(request(1)) is None


async def test_file_that_can_only_be_read_is_read(
    path: Path, caplog: Any, monkeypatch: Any
) -> None:
    """Hits still come; new pages are not kept, and the log says so once."""
    async with opened(path) as store:
        store.keep(request(1), StoredReply(1.0, body(1)))
    monkeypatch.setattr(
        "tmapi_async.crawl.page_cache.cache_opening._prepare", read_only_error
    )  # fmt: skip
    async with opened(path) as store:
        assert store.find(request(1)) is not None
        store.keep(request(2), StoredReply(1.0, body(2)))
    assert caplog.text.count("cannot be written (it can only be read)") == 1
    assert len(kept_pages(path)) == 1


def read_only_error(*_: object) -> None:
    """Fail as on a read-only disk."""
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    raise error


async def test_locked_file_is_only_missing(path: Path) -> None:
    """A look-up waits hardly at all for a program that keeps the file locked."""
    async with opened(path) as store:
        store.keep(request(1), StoredReply(1.0, body(1)))
    async with opened(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert store.find(request(1)) is not None  # reading goes on beside a writer
            other.execute("ROLLBACK")


def wait_for_page_after(path: Path, newest: int) -> int:
    """Wait until a process has written a page; return its number in the file."""
    while True:
        with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):
            last: int = connection.execute("SELECT max(id) FROM page").fetchone()[0] or 0
            if last > newest:
                return last
        time.sleep(0.002)


@pytest.mark.slow
def test_eight_processes_and_kills_tear_nothing(path: Path) -> None:
    """Each reads what any of them wrote; after kills in the middle the file is whole."""
    command = [sys.executable, cache_writers.__file__, str(path), str(2**20)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 - ours
        assert process.stdin is not None
        assert process.stdout is not None
        for seed in range(8):
            process.stdin.write(f"go {seed}\n")
        process.stdin.flush()
        newest = 0
        for seed in range(8, 20):
            victim = int(process.stdout.readline())
            newest = wait_for_page_after(path, newest)
            os.kill(victim, signal.SIGKILL)
            process.stdin.write(f"go {seed}\n")
            process.stdin.flush()
        codes = process.communicate(timeout=60)[0].splitlines()[-1].split()
    assert codes == [str(-signal.SIGKILL)] * 20
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert len(kept_pages(path)) > 5


async def test_every_page_left_by_killed_processes_can_be_read(path: Path) -> None:
    """A file with a log that nobody has copied back opens as usual."""
    async with opened(path) as store:
        store.keep(request(1), StoredReply(1.0, body(1)))
        await until(lambda: kept_pages(path))
        for ending in ("", "-wal"):
            source = path.with_name(path.name + ending)
            path.with_name(f"copy.db{ending}").write_bytes(source.read_bytes())
    async with opened(path.with_name("copy.db")) as store:
        assert store.find(request(1)) == StoredReply(1.0, body(1))


async def test_logs_name_the_file(path: Path, caplog: Any) -> None:
    """Nothing is logged where all is well."""
    caplog.set_level(logging.INFO)
    async with opened(path) as store:
        store.keep(request(1), StoredReply(1.0, body(1)))
        assert str(path) in repr(store)
    assert not caplog.records
