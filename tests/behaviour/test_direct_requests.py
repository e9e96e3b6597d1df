"""Requests that are sent without a task do what those of tasks do, and are left in balance."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from tests.support import leaving_walks
from tests.support.watching import (
    all_slots_back,
    client,
    ids_by_category,
    tasks_of_walks,
    truth,
    until,
    workers,
)
from tmapi_async import ClosedError, ListingsFailedError, Observer, RetryPolicy
from tmapi_async.sandbox import Faults

pytestmark = pytest.mark.usefixtures("tidy")

SIZES = {1: 100, 2: 100, 3: 100}
FAILURES = (
    "417", "499", "500", "503", "bare-balance", "no-code", "html-502", "not-json", "empty-body",
    "data-null", "no-paging", "cut", "reset", "truncated", "gzip", "oversized", "bad-gzip",
    "redirect",
)  # fmt: skip


async def walked(sandbox, **options):
    """Walk the catalogue; return the items, the counts and the kind of the error."""
    async with client(sandbox, lookahead=0, **options) as api:
        walk, found, failure = api.category_items([*SIZES]), {}, None
        try:
            await ids_by_category(walk.pages(), found)
        except Exception as error:  # noqa: BLE001 - any two errors are compared
            failure = type(error)
        seen = walk.statistics()
        await all_slots_back(api)
        assert api.statistics().requests == sandbox.stats.requests
        return found, (seen.requests, seen.retries, seen.codes, seen.in_flight), failure


@pytest.mark.parametrize("fault", FAILURES)
async def test_a_failure_is_handled_as_by_a_task(tmapi_sandboxes, fault):
    """With an observer each request has a task: the pages, the counts and the errors are equal."""
    results = []
    for observer in (None, Observer()):
        sandbox = await tmapi_sandboxes(
            categories=SIZES, faults=Faults(script={(1, 3): [fault], (2, 2): [fault, fault]})
        )
        results.append(await walked(sandbox, observer=observer, concurrency=1))
    assert results[0] == results[1]


@asynccontextmanager
async def on_their_way(tmapi_sandboxes, **options):
    """Begin a walk whose three requests hang on the wire, and none of them has a task."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox, **options) as api:
        # Three connections are open then.
        await asyncio.gather(*(api.category_items(n, free_shipping=True) for n in SIZES))
        sandbox.hold()
        walk = api.category_items([*SIZES])
        taking = asyncio.create_task(ids_by_category(walk.pages()))
        await sandbox.until(lambda seen: seen.in_flight == 3)
        assert workers() == []
        yield sandbox, api, walk, taking


@pytest.mark.parametrize("leave", leaving_walks.WAYS)
async def test_left_on_their_way_everything_is_back_in_balance(tmapi_sandboxes, leave):
    """No request goes on, every slot comes back, the budget is as sent, and work goes on."""
    async with on_their_way(tmapi_sandboxes) as (sandbox, api, walk, taking):
        await leave(taking, walk)
        with suppress(asyncio.CancelledError, ClosedError):
            await taking
        assert tasks_of_walks() == []
        seen = walk.statistics()
        assert (seen.in_flight, seen.requests, seen.stopped) == (0, 3, 3)
        sandbox.release()
        await all_slots_back(api)
        assert api.statistics().requests == sandbox.stats.requests
        assert await ids_by_category(api.category_items([*SIZES]).pages()) == truth(sandbox)


async def test_a_walk_that_is_stopped_takes_what_is_on_its_way(tmapi_sandboxes):
    """What is on the wire was paid for: it is handed over, and nothing more is sent."""
    async with on_their_way(tmapi_sandboxes) as (sandbox, _, walk, taking):
        walk.stop()
        sandbox.release()
        assert {key: len(ids) for key, ids in (await taking).items()} == {1: 20, 2: 20, 3: 20}
        assert walk.statistics().requests == 3


async def test_a_client_closed_then_ends_its_walk(tmapi_sandboxes):
    """Closing the client ends the walk with an error, since not all pages came."""
    async with on_their_way(tmapi_sandboxes) as (_, api, _, taking):
        await api.aclose()
        with pytest.raises(ClosedError):
            await taking
        assert tasks_of_walks() == []
        assert api.statistics().waiting == 0


async def test_the_time_limit_ends_a_request_without_a_task(tmapi_sandboxes):
    """The page is requested again by its own retries, and fails when they are used up."""
    async with on_their_way(
        tmapi_sandboxes, timeout=0.3, retry=RetryPolicy(max_attempts=2, base=0)
    ) as (_, api, walk, taking):
        with pytest.raises(ListingsFailedError):
            await taking
        assert walk.statistics().codes.keys() == {"timeout"}
        assert walk.statistics().requests > 3
        await until(lambda: api.statistics().waiting == 0)


async def test_another_task_follows_a_request_without_one(tmapi_sandboxes):
    """A page that is on its way is not requested again; if the walk is left, its follower asks."""
    async with on_their_way(tmapi_sandboxes) as (sandbox, api, walk, taking):
        following = [asyncio.create_task(_page(api, n)) for n in (1, 2)]
        await asyncio.sleep(0)
        sandbox.release()
        await taking
        assert [page.request.listing.cat_id for page in await asyncio.gather(*following)] == [1, 2]
        assert api.statistics().requests == walk.statistics().requests + 3
        sandbox.hold()
        again = asyncio.create_task(ids_by_category(api.category_items([*SIZES]).pages()))
        await sandbox.until(lambda seen: seen.in_flight == 3)
        follower = asyncio.create_task(_page(api, 3))
        await asyncio.sleep(0)
        again.cancel()
        with suppress(asyncio.CancelledError):
            await again
        sandbox.release()
        assert len((await follower).items) == 20


async def _page(api, cat_id):
    return await api.category_items(cat_id)


async def test_a_caller_that_does_something_else_holds_nothing_up(tmapi_sandboxes):
    """Replies are read and requests sent while the caller waits for something else."""
    sandbox = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 5), 100))
    async with client(sandbox, concurrency=4) as api, api.category_items(range(1, 5)) as walk:
        async for page in walk.pages():
            assert page.items
            # More than one width waits for the caller, however long this takes.
            await until(lambda: walk.statistics().waiting >= 8)
            break
