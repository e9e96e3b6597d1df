"""Never more is sent than the budget allows, and exactly that many where there is work for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.support.watching import all_slots_back, client, ids_by_category, tasks_of_walks, truth
from tmapi_async import (
    BudgetSpentError,
    InvalidRequestError,
    RetryPolicy,
    TMAPIError,
    UnreachableError,
)
from tmapi_async.sandbox import Faults

pytestmark = pytest.mark.usefixtures("tidy")

SIX = dict.fromkeys(("417", "499", "500", "cut", "truncated", "html"), 0.05)


@pytest.mark.parametrize("most", [1, 2, 7, 8, 9, 50, 157])
@pytest.mark.parametrize("lookahead", ["auto", "off"])
async def test_exactly_the_budget_is_sent(tmapi_sandboxes, most, lookahead):
    """Many listings and many faults: N requests allowed, N sent, and the error says so."""
    sandbox = await tmapi_sandboxes(
        seed=2, categories=100, mean=100, latency=0.001, limit=8, faults=Faults(SIX)
    )
    async with client(sandbox, max_requests=most, lookahead=lookahead) as api:
        walk = api.category_items(sandbox.catalogue.category_ids)
        found: dict[int, list[int]] = {}
        with pytest.raises(BudgetSpentError, match=f"{most} of {most} requests sent") as raised:
            await ids_by_category(walk.pages(), found)
        assert sandbox.stats.requests == walk.statistics().requests == most
        assert api.statistics().budget_left == 0
        assert raised.value.progress.pages == walk.statistics().pages
        assert raised.value.progress.items == sum(map(len, found.values()))
        assert walk.statistics().pages + walk.statistics().wasted == sandbox.stats.codes["200"]
        assert tasks_of_walks() == []
        await all_slots_back(api)
        # It stays spent.
        with pytest.raises(BudgetSpentError):
            await api.category_items(1)
        assert sandbox.stats.requests == most


async def test_a_budget_that_just_suffices_is_enough(tmapi_sandboxes):
    """A walk that needs N requests completes with N, and with N - 1 does not."""
    sandbox = await tmapi_sandboxes(categories={1: 100, 2: 60})
    async with client(sandbox, max_requests=8, lookahead="off") as api:
        assert await ids_by_category(api.category_items([1, 2]).pages()) == truth(sandbox)
        assert api.statistics().budget_left == 0
    async with client(sandbox, max_requests=7, lookahead="off") as api:
        with pytest.raises(BudgetSpentError) as raised:
            await ids_by_category(api.category_items([1, 2]).pages())
        assert raised.value.progress.pages == 7
        assert raised.value.progress.open_count == 1


async def test_retries_count(tmapi_sandboxes):
    """A page that fails for ever takes the budget, one request an attempt, and then it is spent."""
    sandbox = await tmapi_sandboxes(categories={1: 100}, faults=Faults(script={1: "500"}))
    async with client(sandbox, max_requests=5) as api:
        with pytest.raises(BudgetSpentError):
            await api.category_items(1)
        assert sandbox.stats.requests == 5


async def test_walks_share_the_budget(tmapi_sandboxes):
    """Several walks of one client send N together, and each is told."""
    sandbox = await tmapi_sandboxes(categories=60, mean=100, latency=0.001, limit=8)
    ids = sandbox.catalogue.category_ids
    async with client(sandbox, max_requests=60) as api:
        parts = [ids_by_category(api.category_items(ids[n::3]).pages()) for n in range(3)]
        ends = await asyncio.gather(*parts, return_exceptions=True)
        assert [type(end) for end in ends] == [BudgetSpentError] * 3
        assert sandbox.stats.requests == 60


async def test_abandoned_walks_charge_only_what_was_sent(tmapi_sandboxes):
    """Cancelled while waiting for a slot, an attempt costs nothing of the budget."""
    sandbox = await tmapi_sandboxes(categories=60, mean=100)
    ids = sandbox.catalogue.category_ids
    async with client(sandbox, max_requests=40, concurrency=2) as api:
        await api.category_items(ids[0])
        for _ in range(10):
            sandbox.hold()
            before = sandbox.stats.requests
            taking = asyncio.create_task(ids_by_category(api.category_items(ids).pages()))
            more = asyncio.create_task(ids_by_category(api.category_items(ids).pages()))
            await sandbox.until(lambda seen, n=before: seen.requests == n + 2)
            taking.cancel()
            more.cancel()
            await asyncio.wait([taking, more])
            sandbox.release()
            await all_slots_back(api)
            assert api.statistics().requests == sandbox.stats.requests == before + 2
        assert api.statistics().budget_left == 40 - 21
        with suppress(TMAPIError):
            await ids_by_category(api.category_items(ids).pages())
        assert sandbox.stats.requests == 40


async def test_connections_that_fail_are_not_charged(tmapi_sandboxes):
    """An attempt that reached no server is counted, and costs no budget."""
    sandbox = await tmapi_sandboxes()
    await sandbox.close()
    policy = RetryPolicy(base=0, max_unreachable=40, max_attempts=40)
    async with client(sandbox, max_requests=6, retry=policy) as api:
        walk = api.category_items([1])
        with pytest.raises(UnreachableError):
            _ = [page async for page in walk.pages()]
        assert (walk.statistics().requests, walk.statistics().unreached) == (40, 40)
        assert (api.statistics().requests, api.statistics().budget_left) == (0, 6)


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "8"])
async def test_a_budget_must_make_sense(most):
    """A budget that is not a whole number from 1 is refused when the client is made."""
    from tmapi_async import TMAPI  # noqa: PLC0415 - makes the point that nothing else is needed

    with pytest.raises(InvalidRequestError):
        TMAPI("sandbox", max_requests=most)


async def test_a_retry_that_the_budget_forbids_is_not_counted_as_one(tmapi_sandboxes):
    """Retries are attempts that were sent: what was only intended is none."""
    sandbox = await tmapi_sandboxes(categories={1: 100}, faults=Faults(script={1: "500"}))
    async with client(sandbox, max_requests=1) as api:
        walk = api.category_items([1])
        with pytest.raises(BudgetSpentError):
            await ids_by_category(walk.pages())
        assert (walk.statistics().requests, walk.statistics().retries) == (1, 0)


@pytest.mark.parametrize("most", [1, 3])
async def test_look_ahead_that_was_never_sent_is_not_wasted(tmapi_sandboxes, most):
    """Guesses that the budget kept from being sent do not count as wasted."""
    sandbox = await tmapi_sandboxes(categories={1: 2000})
    async with client(sandbox, max_requests=most, lookahead=16) as api:
        walk = api.category_items([1])
        with pytest.raises(BudgetSpentError):
            await ids_by_category(walk.pages())
        seen = walk.statistics()
        assert seen.wasted + seen.pages <= seen.requests == most
