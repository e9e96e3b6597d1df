"""Clients of one account share its gate by default."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest

from tmapi_async import TMAPI, ClosedError, InvalidRequestError
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.sharing.gate_sharing import GateSharing
from tmapi_async.limits.sharing.member_controller import MemberController
from tmapi_async.limits.sharing.runtime_folder import SocketPlace, account_name
from tmapi_async.sandbox.server.process import SandboxThread

IDS = range(1, 13)
CATEGORIES = dict.fromkeys(IDS, 100)


def files(variable):
    """Return the files and folders below a folder of this test."""
    return list(Path(os.environ[variable]).rglob("*"))


async def count(api):
    """Walk all categories. Returns the number of items."""
    return len([item async for item in api.category_items(IDS)])


async def test_clients_of_one_account_keep_to_its_limit_together(tmapi_sandboxes, tidy):
    """Each gets all its items; the server refuses no more than a single client would be."""
    sandbox = await tmapi_sandboxes(categories=CATEGORIES, limit=4, latency=0.01)
    async with (
        TMAPI("sandbox", base_url=sandbox.url, concurrency=2) as first,
        TMAPI("sandbox", base_url=sandbox.url, concurrency=2) as second,
    ):
        assert first.core.sharing.role == "host"
        assert second.core.sharing.role == "member"
        assert await asyncio.gather(count(first), count(second)) == [1200, 1200]
    assert sandbox.stats.codes["503"] == 0
    assert sandbox.stats.peak_in_flight <= 4
    assert tidy == []


async def test_a_budget_stays_the_clients_own(tmapi_sandboxes):
    """One of two clients that share a gate sends no more than it may, the other goes on."""
    sandbox = await tmapi_sandboxes(categories=CATEGORIES, limit=4)
    async with (
        TMAPI("sandbox", base_url=sandbox.url) as first,
        TMAPI("sandbox", base_url=sandbox.url, max_requests=3) as second,
    ):
        async with second.category_items(IDS) as walk:
            with pytest.raises(Exception, match="3 of 3 requests sent"):
                [page async for page in walk.pages()]
        assert await count(first) == 1200
    assert second.statistics().requests == 3


async def test_a_client_apart_makes_no_socket(tmapi_sandboxes):
    """`shared=False` leaves nothing in the folder."""
    sandbox = await tmapi_sandboxes(categories=CATEGORIES)
    async with TMAPI("sandbox", base_url=sandbox.url, shared=False) as api:
        assert api.core.sharing is None
        assert await count(api) == 1200
    assert files("TMAPI_RUNTIME_DIR") == []


async def test_a_client_whose_slots_are_divided_otherwise_leaves_the_gate(tmapi_sandboxes):
    """A cluster divides the width that was learned among its sessions."""
    sandbox = await tmapi_sandboxes(categories=CATEGORIES, limit=4)
    async with (
        TMAPI("sandbox", base_url=sandbox.url) as first,
        TMAPI("sandbox", base_url=sandbox.url) as second,
    ):
        assert isinstance(second.gate.controller, MemberController)
        await second.core.stay_apart()
        assert isinstance(second.gate.controller, LearningController)
        assert await asyncio.gather(count(first), count(second)) == [1200, 1200]


async def test_no_file_has_the_token(tmapi_sandboxes, canary):
    """Neither the folder of sockets nor the memory of limits; the log has no record of it."""
    sandbox = await tmapi_sandboxes(categories=CATEGORIES, limit=4, token=canary.token)
    async with (
        TMAPI(canary.token, base_url=sandbox.url) as first,
        TMAPI(canary.token, base_url=sandbox.url) as second,
    ):
        await asyncio.gather(count(first), count(second))
        names = [str(path) for path in files("TMAPI_RUNTIME_DIR")]
        assert names
        assert not any(canary.token in name for name in names)
    texts = [path.read_text() for path in files("TMAPI_CACHE_DIR") if path.suffix == ".json"]
    assert not any(canary.token in text for text in texts)


@pytest.mark.parametrize("shared", [None, 1, "no"])
def test_shared_is_true_or_false(shared):
    """Another type is refused at construction."""
    with pytest.raises(InvalidRequestError, match="shared must be True or False"):
        TMAPI("token", shared=shared)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_whose_loop_was_closed_first_leaves_the_place_to_others():
    """The next process does not wait for an answer that cannot come."""
    api = TMAPI("token", base_url="http://127.0.0.1:9")
    place = SocketPlace(account_name("token", "127.0.0.1:9"))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(api.core.open())
    assert place.identity() is not None
    loop.close()
    asyncio.run(api.aclose())
    assert place.identity() is None
    del api
    gc.collect()  # or a later test is told of the session that nobody could close


def test_clients_share_on_uvloop_too():
    """The command line runs on it where it is installed."""
    uvloop = pytest.importorskip("uvloop")

    async def main():
        with SandboxThread(categories=CATEGORIES, limit=4, latency=0.01) as sandbox:
            async with (
                TMAPI("sandbox", base_url=sandbox.url, concurrency=2) as first,
                TMAPI("sandbox", base_url=sandbox.url, concurrency=2) as second,
            ):
                assert second.core.sharing.role == "member"
                assert await asyncio.gather(count(first), count(second)) == [1200, 1200]
                await first.aclose()
                assert await count(second) == 1200
            assert sandbox.sandbox.stats.codes["503"] == 0

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def test_a_client_given_up_while_it_joins_leaves_no_connection(tmapi_sandboxes, monkeypatch):
    """`async with` that is cancelled on the way in closes the session that it had opened."""
    sandbox = await tmapi_sandboxes(categories=CATEGORIES)
    joining = asyncio.Event()

    async def never(_self):
        joining.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(GateSharing, "open", never)
    api = TMAPI("sandbox", base_url=sandbox.url)
    entering = asyncio.create_task(api.__aenter__())
    await joining.wait()
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not api.core.session.is_open
    with pytest.raises(ClosedError):
        await api.category_items(1)
