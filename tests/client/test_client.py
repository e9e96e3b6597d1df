"""The constructor of a client, the options that `from_env` takes, and who may use a client."""

from __future__ import annotations

import asyncio
import inspect
from typing import get_type_hints

import aiohttp
import pytest

from tests.support.watching import client, ids_by_category, truth
from tmapi_async import TMAPI, ClientOptions, ClosedError, InvalidRequestError, category_items
from tmapi_async.client.core import ClientCore
from tmapi_async.sandbox.server.process import SandboxThread


@pytest.mark.parametrize("constructor", [TMAPI.__init__, ClientCore.__init__])
def test_from_env_takes_the_options_of_the_constructor(constructor):
    """`ClientOptions` types `from_env`: names and types are those of the constructors."""
    parameters = inspect.signature(constructor).parameters.values()
    names = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    hints = get_type_hints(constructor)
    assert {name: hints[name] for name in names} == get_type_hints(ClientOptions)


def test_from_env_reads_token_and_host(monkeypatch):
    """The environment gives token and host; an option given wins over the environment."""
    monkeypatch.setenv("TMAPI_TOKEN", "secret")
    monkeypatch.setenv("TMAPI_BASE_URL", "http://127.0.0.1:8080")
    assert TMAPI.from_env().host == "127.0.0.1:8080"
    assert TMAPI.from_env().reveal_token() == "secret"
    assert TMAPI.from_env(base_url="https://api.tmapi.top").host == "api.tmapi.top"


def test_from_env_without_a_token_is_refused(monkeypatch):
    """No client is made without a token."""
    monkeypatch.delenv("TMAPI_TOKEN", raising=False)
    with pytest.raises(InvalidRequestError):
        TMAPI.from_env()


def test_an_unknown_option_is_refused():
    """A misspelled option is no option: nothing is silently ignored."""
    with pytest.raises(TypeError, match="concurency"):
        TMAPI("token", concurency=3)
    with pytest.raises(TypeError, match="concurency"):
        TMAPI.from_env(concurency=3)


@pytest.mark.parametrize(
    ("limits", "concurrency", "ceiling", "width"),
    [
        ({"limit": 0}, "auto", None, 4),
        ({"limit": 0, "limit_per_host": 3}, "auto", 3, 3),
        ({"limit": 2, "limit_per_host": 3}, "auto", 2, 2),
        ({}, "auto", 100, 4),
        ({"limit_per_host": 3}, 16, 3, 3),
        ({}, 16, 16, 16),
    ],
)
async def test_the_limits_of_a_connector_bound_the_gate(limits, concurrency, ceiling, width):
    """An attempt that waits for a connection would use up its time; "auto" learns even so."""
    async with aiohttp.TCPConnector(**limits) as connector:
        gate = TMAPI("token", connector=connector, concurrency=concurrency).statistics()
    assert (gate.controller.ceiling, gate.width) == (ceiling, width)


def test_a_walk_tells_its_listings():
    """What a walk would ask for can be seen, counted and handed to a harvest, and costs nothing."""
    api = TMAPI("token", base_url="http://127.0.0.1:1")
    walk = api.category_items([7, 8], free_shipping=True)
    assert [str(one) for one in walk.listings] == [
        "category/items?cat_id=7&free_shipping=true",
        "category/items?cat_id=8&free_shipping=true",
    ]
    assert api.category_items(7).listings == (category_items(7),)
    assert len(api.category_items(range(1, 4)).listings) == 3
    assert api.walk(walk.listings).listings == walk.listings
    split = api.category_items(7, split=True)
    assert [str(one) for one in split.listings] == ["category/items/v2?cat_id=7"]
    with pytest.raises(InvalidRequestError, match="from an iterator"):
        _ = api.category_items(iter([7])).listings


async def walked(api):
    """Walk a category to its end."""
    return [item.item_id async for item in api.category_items(1)]


async def entered(api):
    """Enter a client, and leave it."""
    async with api:
        pass


@pytest.mark.usefixtures("tidy")
@pytest.mark.parametrize("use", [walked, entered, TMAPI.aclose])
async def test_another_thread_is_told_so_and_the_owner_goes_on(tmapi_sandboxes, use):
    """A thread has an event loop of its own, in which the connections do not work."""
    sandbox = await tmapi_sandboxes(categories=20, latency=0.002)
    async with client(sandbox) as api:
        pages = api.category_items(sandbox.catalogue.category_ids).pages()
        found = {}
        first = await anext(pages)
        found[first.request.listing.cat_id] = [item.item_id for item in first.items]
        with pytest.raises(ClosedError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(use(api)))
        assert await ids_by_category(pages, found) == truth(sandbox)


@pytest.mark.usefixtures("tidy")
async def test_a_second_entry_is_refused_and_the_owner_goes_on(tmapi_sandboxes):
    """The end of an inner block would close the connections of the outer one."""
    sandbox = await tmapi_sandboxes(categories={1: 95})
    async with client(sandbox) as api:
        results = await asyncio.gather(entered(api), entered(api), return_exceptions=True)
        assert [type(result) for result in results] == [ClosedError, ClosedError]
        assert "open already" in str(results[0])
        assert await walked(api) == sandbox.catalogue.item_ids(1)
    async with api:  # one after the other is no harm
        assert await walked(api) == sandbox.catalogue.item_ids(1)


@pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")  # nobody closed that client
def test_a_client_of_a_loop_that_is_gone_says_so_and_can_be_entered_again(sandbox_of_a_thread):
    """Helpers that call `asyncio.run` each time leave a client open in a loop that is closed."""
    api = client(sandbox_of_a_thread)
    asyncio.run(api.__aenter__())
    with pytest.raises(ClosedError, match="another event loop"):
        asyncio.run(walked(api))

    async def use_again():
        async with api:
            return await walked(api)

    expected = sandbox_of_a_thread.sandbox.catalogue.item_ids(1)
    assert asyncio.run(use_again()) == expected
    asyncio.run(api.__aenter__())
    asyncio.run(api.aclose())
    assert asyncio.run(use_again()) == expected


def test_a_walk_that_is_held_does_not_keep_its_client_from_closing_in_another_loop(
    sandbox_of_a_thread,
):
    """A client is used in one loop after the other, and the program keeps the walks of each."""
    api = client(sandbox_of_a_thread)
    walks = []

    async def use():
        async with api:
            walks.append(api.category_items(1))
            return [item.item_id async for item in walks[-1]]

    expected = sandbox_of_a_thread.sandbox.catalogue.item_ids(1)
    assert [asyncio.run(use()) for _ in range(3)] == [expected] * 3
    assert [walk.statistics().items for walk in walks] == [95] * 3


@pytest.fixture
def sandbox_of_a_thread():
    """Run a sandbox in a thread, for tests that run event loops themselves."""
    with SandboxThread(categories={1: 95}) as sandbox:
        yield sandbox
