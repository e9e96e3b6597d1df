"""For every await on the path: hang exactly there, cancel, and find everything back in balance."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from tests.support import leaving_walks
from tests.support.watching import (
    FAST,
    all_slots_back,
    client,
    ids_by_category,
    suspended_in,
    tasks_of_walks,
    truth,
    until,
)
from tmapi_async import ClosedError, RetryPolicy
from tmapi_async.sandbox import Faults

pytestmark = pytest.mark.usefixtures("tidy")

SIZES = {1: 100, 2: 100, 3: 100}


class HangingResolver(AbstractResolver):
    """Never finds a host once it is told to hang; until then every host is this machine."""

    def __init__(self):
        self.hangs = False

    async def resolve(self, host, port=0, family=0):
        """The one address there is, or nothing for ever."""
        if self.hangs:
            await asyncio.Event().wait()
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": family,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def close(self):
        """Keep nothing."""


class Stuck:
    """A walk that hangs at one place, the client it belongs to, and its sandbox."""

    def __init__(self, sandbox, api, place):
        self.sandbox = sandbox
        self.api = api
        self.place = place

    async def heal(self):
        """Take the cause of the hanging away."""
        self.sandbox.release()
        self.sandbox.faults = Faults()


@asynccontextmanager
async def _slot(tmapi_sandboxes):
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox, concurrency=1) as api:
        await api.category_items(1)
        sandbox.hold()
        first = asyncio.create_task(_first(api))
        await sandbox.until(lambda seen: seen.in_flight == 1)
        yield Stuck(sandbox, api, "AdaptiveSemaphore.acquire")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


@asynccontextmanager
async def _pace(tmapi_sandboxes):
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox, rate=0.02) as api:
        await api.category_items(1)
        stuck = Stuck(sandbox, api, "RateLimiter.wait")
        yield stuck


@asynccontextmanager
async def _connect(tmapi_sandboxes):
    sandbox = await tmapi_sandboxes(categories=SIZES)
    resolver = HangingResolver()
    url = sandbox.url.replace("127.0.0.1", "sandbox.localhost")
    async with (
        aiohttp.TCPConnector(
            resolver=resolver, use_dns_cache=False, force_close=True, limit=0
        ) as connector,
        client(sandbox, base_url=url, connector=connector) as api,
    ):
        await api.category_items(1)
        resolver.hangs = True
        stuck = Stuck(sandbox, api, "TCPConnector._create_connection")
        heal = stuck.heal

        async def healed():
            resolver.hangs = False
            await heal()

        stuck.heal = healed
        yield stuck


@asynccontextmanager
async def _headers(tmapi_sandboxes):
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox) as api:
        await api.category_items(1)
        sandbox.hold()
        yield Stuck(sandbox, api, "ConnectionTransport.exchange")


@asynccontextmanager
async def _body(tmapi_sandboxes):
    sandbox = await tmapi_sandboxes(categories=SIZES, slow=600)
    async with client(sandbox) as api:
        await api.category_items(1)
        sandbox.faults = Faults({"slow": 1.0})
        yield Stuck(sandbox, api, "ConnectionTransport.exchange")


@asynccontextmanager
async def _back_off(tmapi_sandboxes):
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox, retry=RetryPolicy(base=1e6, cap=1e6), wait=0) as api:
        await api.category_items(1)
        sandbox.faults = Faults({"500": 1.0})
        yield Stuck(sandbox, api, "CrawlCounts.rest")


@asynccontextmanager
async def _outage(tmapi_sandboxes):
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox, wait=1e6) as api:
        await api.category_items(1)
        sandbox.faults = Faults({"500": 1.0})
        yield Stuck(sandbox, api, "OutageQueue.wait")


PLACES = {
    "slot": _slot,
    "pace": _pace,
    "connect": _connect,
    "headers": _headers,
    "body": _body,
    "back-off": _back_off,
    "outage": _outage,
}


async def _first(api):
    # Not a page of the walk, which would wait for this request instead of a slot.
    return await api.category_items(1, free_shipping=True)


@pytest.mark.parametrize("leave", leaving_walks.WAYS)
@pytest.mark.parametrize("place", PLACES)
async def test_cancelled_there_everything_is_back_in_balance(tmapi_sandboxes, place, leave):
    """Cancelled at that await: no task left, every slot back, budget as sent, and work goes on."""
    async with PLACES[place](tmapi_sandboxes) as stuck:
        sandbox, api = stuck.sandbox, stuck.api
        walk = api.category_items([1, 2, 3])
        taking = asyncio.create_task(ids_by_category(walk.pages()))
        await until(lambda: suspended_in(stuck.place))
        # All that can go on has gone on: three pages, or as many as there are slots.
        await until(lambda: walk.statistics().in_flight >= min(3, api.statistics().width))
        for _ in range(5):
            await asyncio.sleep(0)
        await leave(taking, walk)
        with suppress(asyncio.CancelledError, ClosedError):
            await taking
        assert tasks_of_walks() == []
        seen = walk.statistics()
        assert seen.in_flight == 0
        assert seen.stopped == seen.listings
        # Nothing is charged for an attempt that was still looking for a connection.
        assert api.statistics().requests == sandbox.stats.requests
        assert seen.unreached == (seen.requests if place == "connect" else 0)
        await stuck.heal()
        await all_slots_back(api)
        if place != "pace":
            rest = api.category_items([1, 2, 3])
            assert await ids_by_category(rest.pages()) == truth(sandbox)


@pytest.mark.parametrize("place", sorted(PLACES.keys() - {"outage"}))  # one page is no outage
async def test_a_time_out_of_the_callers_is_not_swallowed(tmapi_sandboxes, place):
    """`asyncio.timeout` round a page awaited there raises TimeoutError, and no slot is lost."""
    async with PLACES[place](tmapi_sandboxes) as stuck:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await stuck.api.category_items(2)
        await stuck.heal()
        await all_slots_back(stuck.api)


@pytest.mark.parametrize("place", PLACES)
async def test_a_client_closed_there_ends_its_walks(tmapi_sandboxes, place):
    """Closing the client ends walks and single pages that hang at that await; none waits on."""
    async with PLACES[place](tmapi_sandboxes) as stuck:
        walk = stuck.api.category_items([1, 2, 3])
        taking = asyncio.create_task(ids_by_category(walk.pages()))
        single = asyncio.create_task(_first(stuck.api))
        await until(lambda: suspended_in(stuck.place))
        await stuck.api.aclose()
        with pytest.raises(ClosedError):
            await taking
        assert tasks_of_walks() == []
        async with asyncio.timeout(10):
            with pytest.raises(ClosedError):
                await single
        assert stuck.api.statistics().waiting == 0


async def test_a_consumer_that_waits_can_be_cancelled(tmapi_sandboxes):
    """The caller's task, cancelled while it waits for a page, ends the walk; others go on."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox) as api:
        await api.category_items(1)
        sandbox.hold()
        left = asyncio.create_task(ids_by_category(api.category_items([1, 2]).pages()))
        stays = asyncio.create_task(ids_by_category(api.category_items([3]).pages()))
        await sandbox.until(lambda seen: seen.in_flight == 3)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        sandbox.release()
        assert await stays == {3: truth(sandbox)[3]}
        await all_slots_back(api)


async def test_a_task_group_takes_its_walks_down_with_it(tmapi_sandboxes):
    """When one task of a group fails, the walks of its siblings end without a trace."""
    sandbox = await tmapi_sandboxes(categories=40, latency=0.002)
    ids = sandbox.catalogue.category_ids
    async with client(sandbox) as api:
        await api.category_items(ids[0])

        async def fails():
            await api.category_items(ids[0])
            raise KeyError("ours")

        async def group_of_walks():
            async with asyncio.TaskGroup() as group:
                for n in range(5):
                    group.create_task(ids_by_category(api.category_items(ids[n:]).pages()))
                group.create_task(fails())

        with pytest.raises(ExceptionGroup) as raised:
            await group_of_walks()
        assert raised.group_contains(KeyError)
        assert tasks_of_walks() == []
        await all_slots_back(api)


async def test_closing_can_itself_be_cancelled(tmapi_sandboxes):
    """`aclose` cancelled in the middle still ends every task, and may be called again."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox) as api:
        await api.category_items(1)
        sandbox.hold()
        walk = api.category_items([1, 2, 3])
        taking = asyncio.create_task(ids_by_category(walk.pages()))
        await sandbox.until(lambda seen: seen.in_flight == 3)
        closing = asyncio.create_task(walk.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing, taking])
        assert taking.exception() is not None
        await walk.aclose()
        await until(lambda: not tasks_of_walks())
        assert walk.statistics().stopped == walk.statistics().listings == 3
        sandbox.release()
        await all_slots_back(api)


async def test_a_cancellation_in_any_turn_of_the_loop_leaves_nothing(tmapi_sandboxes):
    """Whichever turn of the loop a walk is cancelled in: slots, budget and tasks are right."""
    sandbox = await tmapi_sandboxes(
        seed=7, categories=30, mean=60, faults=Faults({"500": 0.2, "cut": 0.1})
    )
    ids = sandbox.catalogue.category_ids
    async with client(sandbox, retry=FAST) as api:
        await api.category_items(ids[0])
        for turns in range(60):
            walk = api.category_items(ids)
            taking = asyncio.create_task(ids_by_category(walk.pages()))
            for _ in range(turns):
                await asyncio.sleep(0)
            taking.cancel()
            with suppress(asyncio.CancelledError):
                await taking
            assert tasks_of_walks() == []
            seen = walk.statistics()
            assert seen.in_flight == 0
            ended = seen.complete + seen.capped + seen.failed + seen.stopped
            assert ended == seen.listings
        await all_slots_back(api)
        await sandbox.until(lambda seen: seen.in_flight == 0)
        assert api.statistics().requests >= sandbox.stats.requests
        assert await ids_by_category(api.category_items(ids).pages()) == truth(sandbox)


@pytest.mark.parametrize("steps_of", ["items", "pages", "categories"])
async def test_a_walk_cut_off_by_a_time_out_does_not_look_complete(tmapi_sandboxes, steps_of):
    """After a time-out on `anext`, the next one raises: the end of the loop is not the end."""
    sandbox = await tmapi_sandboxes(categories=3, latency=30.0)
    async with client(sandbox) as api:
        listings = api.category_items(list(sandbox.catalogue.category_ids))
        steps = {
            "items": lambda: aiter(listings),
            "pages": listings.pages,
            "categories": lambda: aiter(api.categories()),
        }[steps_of]()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(steps), 0.01)
        for _ in range(2):
            with pytest.raises(ClosedError, match="cut off"):
                await anext(steps)


@pytest.mark.parametrize("steps_of", ["items", "pages", "split", "categories"])
@pytest.mark.parametrize("taken", [0, 1, 2])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_a_step_that_is_cancelled_at_any_time_does_not_look_complete(
    tmapi_sandboxes, steps_of, taken, turns
):
    """Also before it has begun, as by `wait_for` with no time left: closed, or the walk goes on."""
    sandbox = await tmapi_sandboxes(categories={7: 45}, tree=3, latency=0.001)
    async with client(sandbox) as api:
        expected = 45 if steps_of in ("items", "split") else 3
        if steps_of == "categories":
            expected = len(await api.categories())
        steps = {
            "items": lambda: aiter(api.category_items(7)),
            "pages": lambda: api.category_items(7).pages(),
            "split": lambda: aiter(api.category_items(7, split=True)),
            "categories": lambda: aiter(api.categories()),
        }[steps_of]()
        count = 0
        for _ in range(taken):
            await anext(steps)
            count += 1
        step = asyncio.ensure_future(anext(steps))
        for _ in range(turns):
            await asyncio.sleep(0)
        step.cancel()
        with suppress(asyncio.CancelledError):
            await step
            count += 1
        try:
            async for _ in steps:
                count += 1
            assert count == expected
        except ClosedError as error:
            assert "cut off" in str(error)  # noqa: PT017 - going on is right, too
        await steps.aclose()
