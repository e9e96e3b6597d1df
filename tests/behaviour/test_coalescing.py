"""Tasks of one client pay for what they need together, as one walk would."""

from __future__ import annotations

import asyncio

from tmapi_async import TMAPI, Item
from tmapi_async.sandbox import Sandbox


async def test_page_that_fifty_tasks_await_is_billed_once() -> None:
    """Sandbox, budget and statistics count one request; everybody gets the page."""
    async with (
        Sandbox(categories={1: 60}, latency=0.05) as sandbox,
        TMAPI("sandbox", base_url=sandbox.url, max_requests=1) as api,
    ):

        async def first_page() -> int:
            return len((await api.category_items(1)).items)

        assert set(await asyncio.gather(*(first_page() for _ in range(50)))) == {20}
        assert sandbox.stats.requests == 1
        assert api.statistics().requests == 1
        assert api.statistics().budget_left == 0


async def test_visitor_who_leaves_costs_no_request_and_hurts_nobody() -> None:
    """The first of several askers is cancelled: the request goes on for the others."""
    async with (
        Sandbox(categories={1: 60}, latency=0.05) as sandbox,
        TMAPI("sandbox", base_url=sandbox.url) as api,
    ):

        async def first_page() -> int:
            return len((await api.category_items(1)).items)

        tasks = [asyncio.ensure_future(first_page()) for _ in range(5)]
        await sandbox.until(lambda stats: stats.requests == 1)
        tasks[0].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert outcomes[1:] == [20] * 4
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert sandbox.stats.requests == 1


async def test_walks_of_one_category_side_by_side_share_their_pages() -> None:
    """Walks that keep step are billed as one, and each delivers every item in order."""
    async with (
        Sandbox(categories={1: 100}, latency=0.02) as sandbox,
        TMAPI("sandbox", base_url=sandbox.url, lookahead="off") as api,
    ):

        async def items() -> list[Item]:
            return [item async for item in api.category_items(1)]

        walks = await asyncio.gather(*(items() for _ in range(4)))
        assert [len(walk) for walk in walks] == [100] * 4
        assert all(walk == walks[0] for walk in walks)
        assert sandbox.stats.requests == 5


async def test_client_closed_while_tasks_wait_for_one_page_tells_each() -> None:
    """Nobody waits for ever for a page that a closed client will not bring."""
    async with Sandbox(categories={1: 60}, latency=30) as sandbox:
        async with TMAPI("sandbox", base_url=sandbox.url) as api:

            async def first_page() -> object:
                return await api.category_items(1)

            tasks = [asyncio.ensure_future(first_page()) for _ in range(3)]
            await sandbox.until(lambda stats: stats.requests == 1)
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome).__name__ for outcome in outcomes} == {"ClosedError"}


async def test_categories_walked_by_tasks_are_billed_as_one_walk() -> None:
    """40 categories of 2 pages, four at a time: at most 6 % is billed beyond the need."""
    async with (
        Sandbox(categories=dict.fromkeys(range(1, 41), 40), latency=0.005) as sandbox,
        TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api,
    ):
        four = asyncio.Semaphore(4)

        async def items(cat_id: int) -> int:
            async with four:
                return len([item async for item in api.category_items(cat_id)])

        assert set(await asyncio.gather(*map(items, range(1, 41)))) == {40}
        assert sandbox.stats.requests <= 80 * 1.06
