"""Priority, time limit and retries of a single call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.watching import FAST, client, until
from tmapi_async import DeadlineError, InvalidRequestError, RetryPolicy, ServerError
from tmapi_async.sandbox import Faults, Sandbox


async def drain(walk: Any) -> None:
    """Walk to the end, or until cancelled."""
    async for _ in walk.pages():
        pass


@pytest.mark.parametrize("priority", [None, "interactive", "bulk"])
async def test_awaited_page_comes_before_bulk_walks(priority: str | None) -> None:
    """With twenty walks waiting for two slots, an awaited page gets the next one; a bulk one waits.

    It used to wait behind every worker of every walk.
    """
    sizes = dict.fromkeys(range(1, 22), 400)
    async with (
        Sandbox(categories=sizes, latency=0.02) as sandbox,
        client(sandbox, concurrency=2, lookahead="off") as api,
    ):
        walks = [asyncio.create_task(drain(api.category_items(n))) for n in range(1, 21)]
        await until(lambda: api.statistics().waiting >= 18)
        before = sandbox.stats.requests
        await api.category_items(21, priority=priority)
        waited_for = sandbox.stats.requests - before
        for walk in walks:
            walk.cancel()
        await asyncio.gather(*walks, return_exceptions=True)
    if priority == "bulk":
        assert waited_for >= 18
    else:
        assert waited_for <= 4


async def test_walk_may_be_interactive() -> None:
    """A walk with that priority goes on at full speed beside bulk walks."""
    sizes = dict.fromkeys(range(1, 11), 400)
    async with (
        Sandbox(categories={**sizes, 11: 100}, latency=0.02) as sandbox,
        client(sandbox, concurrency=2, lookahead="off") as api,
    ):
        walks = [asyncio.create_task(drain(api.category_items(n))) for n in range(1, 11)]
        await until(lambda: api.statistics().waiting >= 8)
        before = sandbox.stats.requests
        await drain(api.category_items(11, priority="interactive"))
        assert sandbox.stats.requests - before <= 5 * 5
        for walk in walks:
            walk.cancel()
        await asyncio.gather(*walks, return_exceptions=True)


async def test_call_has_its_own_time_limit() -> None:
    """A short limit ends one call, and not the other requests of the client."""
    once = RetryPolicy(max_attempts=1)
    async with (
        Sandbox(categories={1: 20, 2: 20}, latency=0.5) as sandbox,
        client(sandbox, timeout=60) as api,
    ):
        slow = asyncio.create_task(drain(api.category_items(2)))
        with pytest.raises(DeadlineError, match=r"0\.05 s"):
            await api.category_items(1, timeout=0.05, retry=once)
        await slow


async def test_call_has_its_own_retries() -> None:
    """A call that may fail once costs one request; the client's policy holds for the others."""
    async with (
        Sandbox(categories={1: 20}, faults=Faults({"500": 1.0})) as sandbox,
        client(sandbox, retry=FAST) as api,
    ):
        with pytest.raises(ServerError):
            await api.category_items(1, retry=RetryPolicy(max_attempts=1))
        assert sandbox.stats.requests == 1
        with pytest.raises(ServerError):
            await api.category_items(1)
        assert sandbox.stats.requests == 1 + FAST.max_attempts


@pytest.mark.parametrize(
    "option", [{"priority": "high"}, {"timeout": 0}, {"timeout": "1"}, {"retry": 3}]
)
async def test_wrong_option_is_refused_before_anything_is_sent(option: dict[str, Any]) -> None:
    """The message names the option."""
    async with Sandbox(categories={1: 20}) as sandbox, client(sandbox) as api:
        with pytest.raises(InvalidRequestError, match=next(iter(option))):
            api.category_items(1, **option)
        assert sandbox.stats.requests == 0
