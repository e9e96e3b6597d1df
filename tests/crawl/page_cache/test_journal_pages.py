"""A journal as a cache: its pages come from it, and nothing is written to it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.watching import client, until
from tmapi_async import InvalidRequestError
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.page_cache.journal_pages import JournalPages
from tmapi_async.harvest import Harvest
from tmapi_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("tidy")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Return a sandbox with two categories."""
    async with Sandbox(categories={1: 100, 2: 30}) as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a journal."""
    return tmp_path / "shop.journal"


def contents(path: Path) -> bytes:
    """Return the bytes of a file."""
    return path.read_bytes()


async def harvest(sandbox: Sandbox, path: Path, *ids: int, **options: Any) -> None:
    """Harvest categories."""
    async with client(sandbox, lookahead="off") as api:
        await Harvest(api, map(category_items, ids), journal=path, **options).run()


async def test_finished_journal_is_a_cache(sandbox: Sandbox, path: Path) -> None:
    """Its pages are not requested; other pages are, and are not written to the journal."""
    await harvest(sandbox, path, 1)
    paid, before = sandbox.stats.requests, contents(path)
    async with client(sandbox, cache=path, max_age=60, lookahead="off") as api:
        walk = api.category_items([1, 2])
        pages = [(page.request.listing.cat_id, page.from_cache) async for page in walk.pages()]
        assert sorted(pages) == [*[(1, True)] * 5, *[(2, False)] * 2]
        assert walk.statistics().complete == 2
        assert (await api.category_items(2)).from_cache  # as long as the client lives
        assert str(path) in repr(api.core.page_sources.cache)
    assert sandbox.stats.requests == paid + 2
    assert contents(path) == before


async def test_latest_page_of_all_runs_is_taken(sandbox: Sandbox, path: Path) -> None:
    """A page that a later run has requested again counts; so does its age."""
    await harvest(sandbox, path, 2)
    await harvest(sandbox, path, 2, refresh=True)
    async with client(sandbox, cache=path) as api:
        page = await api.category_items(2)
    assert page.from_cache
    assert page.age < 60
    assert sandbox.stats.requests == 4


async def test_journal_that_is_being_written_is_a_cache(sandbox: Sandbox, path: Path) -> None:
    """An application reads what a harvest has paid for so far."""
    await harvest(sandbox, path, 2)
    async with client(sandbox, cache=path, lookahead="off") as api:
        sandbox.hold()
        running = asyncio.create_task(harvest(sandbox, path, 1))
        await until(lambda: sandbox.stats.in_flight == 1)
        assert (await api.category_items(2)).from_cache
        sandbox.release()
        await running
        assert (await api.category_items(1, start_page=3)).from_cache


async def test_other_host_finds_nothing(sandbox: Sandbox, path: Path) -> None:
    """Pages of another host, or of another listing, are not taken."""
    await harvest(sandbox, path, 1)
    async with (
        Sandbox(categories={1: 20}) as other,
        client(other, cache=path) as api,
    ):
        assert not (await api.category_items(1)).from_cache


async def test_damaged_journal_is_refused(sandbox: Sandbox, path: Path) -> None:
    """With the words of the journal's own error, before anything is sent."""
    await harvest(sandbox, path, 1)
    paid = sandbox.stats.requests
    with path.open("r+b") as file:
        file.seek(40_000)
        file.write(b"\xa5" * 30_000)
    with pytest.raises(InvalidRequestError, match="cannot be used as a cache"):
        async with client(sandbox, cache=path):
            pass
    assert sandbox.stats.requests == paid


async def test_damage_met_while_reading_is_only_a_missing_page(
    sandbox: Sandbox, path: Path, caplog: Any
) -> None:
    """The page is requested, and the log says once what was wrong."""
    await harvest(sandbox, path, 1)
    store = JournalPages(path)
    await store.open(sandbox.url.partition("://")[2])
    request = PageRequest(category_items(1), 1)
    assert store.find(request) is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE page SET body = x'00' WHERE number = 1")
    assert store.find(request) is None
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE page")
    for _ in range(2):
        assert store.find(request) is None
    assert caplog.text.count("cannot be read as a cache") == 1
    await store.close()
    assert store.find(request) is None
