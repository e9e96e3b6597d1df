"""A Redis server as the cache of several hosts: pages come from it, or from the API."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.support import gateways, redis_server
from tests.support.ranking_server import serve_rankings
from tests.support.watching import client, until
from tmapi_async import TMAPI, InvalidRequestError
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.page_cache.redis_pages import RedisPages
from tmapi_async.crawl.page_cache.stores import StoredReply
from tmapi_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tidy")]

PASSWORD = "s3cret-of-the-cache"  # noqa: S105 - of a server of the test
FIRST = PageRequest(category_items(1), 1)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return host and port of a server with a password."""
    folder = tmp_path_factory.mktemp("redis")
    with redis_server.serve(folder, "--requirepass", PASSWORD) as name:
        yield name


@pytest.fixture
def server(host: str) -> Iterator[Any]:
    """Return a connection to the server, which is emptied."""
    with redis.Redis.from_url(f"redis://:{PASSWORD}@{host}/0") as connection:
        connection.flushall()
        connection.config_resetstat()
        yield connection


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Return a sandbox with two categories."""
    async with Sandbox(categories={1: 100, 2: 30}) as running:
        yield running


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def cached(sandbox: Any, url: str, **options: Any) -> TMAPI:
    """Return a client with a cache in a server."""
    return client(sandbox, **{"cache": url, "max_age": 3600, "lookahead": "off", **options})


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
async def test_pages_are_shared_through_the_server(
    sandbox: Sandbox, server: Any, host: str, scheme: str
) -> None:
    """A client of another host gets the pages; a walk sends nothing, look-ahead included."""
    url = f"{scheme}://:{PASSWORD}@{host}/0"
    async with cached(sandbox, url) as api:
        async for _ in api.category_items([1, 2]).pages():
            pass
    paid = sandbox.stats.requests
    assert server.dbsize() == paid == 7
    async with cached(sandbox, url, lookahead="auto", concurrency=16) as api:
        walk = api.category_items([1, 2])
        assert all([page.from_cache async for page in walk.pages()])
        assert (walk.statistics().complete, walk.statistics().cache_hits) == (2, 7)
        assert PASSWORD not in repr(api.core.page_sources.cache)
    assert sandbox.stats.requests == paid
    keys = server.keys()
    assert all(server.ttl(key) > 86_400 for key in keys)


async def test_tasks_that_look_at_once_make_one_look_up(
    sandbox: Sandbox, server: Any, host: str
) -> None:
    """And one request, if the page is not there. A task that is cancelled hurts no other."""
    async with cached(sandbox, f"redis://:{PASSWORD}@{host}/0") as api:
        tasks = [asyncio.ensure_future(first_page(api)) for _ in range(50)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        pages = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(page).__name__ for page in pages] == ["CancelledError", *["Page"] * 49]
    assert sandbox.stats.requests == 1
    assert server.info("commandstats")["cmdstat_get"]["calls"] == 1


async def first_page(api: TMAPI) -> Any:
    """Return the first page of category 1."""
    return await api.category_items(1)


async def test_neither_token_nor_password_is_told(
    server: Any, host: str, canary: Any, caplog: Any
) -> None:
    """The token is in no key and no value; the password in no message."""
    caplog.set_level(logging.DEBUG, "tmapi_async")
    async with serve_rankings() as rankings:
        rankings.rankings |= {1: list(range(20)), 2: list(range(20, 40))}
        rankings.fields[20] = {"title": f"your token is {canary.token}"}
        url = f"redis://:{PASSWORD}@{host}/0"
        async with cached(rankings, url, token=canary.token) as api:
            await api.category_items(1)
            await api.category_items(2)
        async with cached(rankings, f"redis://:wrong-{PASSWORD}@{host}/0") as api:
            assert not (await api.category_items(1)).from_cache
    keys = server.keys()
    contents = [*keys, *(server.get(key) for key in keys)]
    assert len(contents) == 2
    assert all(canary.absent_from(content) for content in contents)
    assert f"redis://{host}/0 cannot be used" in caplog.text
    assert PASSWORD not in caplog.text
    assert canary.loggers_leaking(caplog.records) == set()


async def test_value_that_is_not_ours_is_only_missing(
    sandbox: Sandbox, server: Any, host: str
) -> None:
    """A damaged value, and the value of another key, are replaced by a new page."""
    url = f"redis://:{PASSWORD}@{host}/0"
    async with cached(sandbox, url) as api:
        await api.category_items(1)
        await api.category_items(2)
    one, two = sorted(server.keys())
    for wrong in (server.get(two), b"text", b"", server.get(one)[:-20]):
        server.set(one, wrong)
        async with cached(sandbox, url) as api:
            assert not (await api.category_items(1)).from_cache
        async with cached(sandbox, url) as api:
            assert (await api.category_items(1)).from_cache


async def test_server_that_is_away_costs_no_page(
    sandbox: Sandbox, tmp_path: Path, caplog: Any
) -> None:
    """Pages are requested, the log says so once, and the server is used again when it is back."""
    port, clock = gateways.free_port(), Clock()
    url = f"redis://127.0.0.1:{port}/0"
    async with cached(sandbox, url) as api:
        for number in (1, 2):
            assert not (await api.category_items(number)).from_cache
    assert caplog.text.count("cannot be used") == 1
    store = RedisPages(url, 60, clock=clock)
    await store.open("host")
    assert await store.fetch(FIRST) is None
    with redis_server.serve(tmp_path, port=port):
        store.keep(FIRST, StoredReply(1.0, b"{}"))
        assert await store.fetch(FIRST) is None  # left alone for some seconds
        clock.now += 60
        store.keep(FIRST, StoredReply(1.0, b"{}"))
        await until(lambda: "answers again" in caplog.text)
        assert await store.fetch(FIRST) == StoredReply(1.0, b"{}")
    await store.close()


async def test_server_that_stands_still_is_waited_for_once(
    sandbox: Sandbox, tmp_path: Path, caplog: Any
) -> None:
    """A look-up has a time-out of its own, and the next ones do not wait at all."""
    with redis_server.serve(tmp_path) as name:
        url = f"redis://{name}/0"
        with redis.Redis.from_url(url) as connection:
            pid = connection.info("server")["process_id"]
        async with cached(sandbox, url) as api:
            await api.category_items(1)
            os.kill(pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(5):
                    for number in range(1, 4):
                        assert not (await api.category_items(2, start_page=number)).rejects
            finally:
                os.kill(pid, signal.SIGCONT)
    assert caplog.text.count("cannot be used") == 1


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}@host:port/0",
        f"redis://user:a/{PASSWORD}@host/0",
        f"redis://:{PASSWORD}@host/0?no_such_option=@",
        f"postgresql://:{PASSWORD}@host/db",
        f"redis://[{PASSWORD}",
    ],
)
def test_address_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    """The message shows how to write an address, and nothing of this one."""
    with pytest.raises(InvalidRequestError) as caught:
        TMAPI("token", cache=url)
    assert PASSWORD not in str(caught.value)
    assert "redis://HOST" in str(caught.value) or "%40" in str(caught.value)


def test_missing_library_is_told_with_the_way_to_install_it(monkeypatch: Any) -> None:
    """The cache needs an extra, which only those install who use it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InvalidRequestError, match=r"pip install .*redis"):
        TMAPI("token", cache="redis://host/0")
