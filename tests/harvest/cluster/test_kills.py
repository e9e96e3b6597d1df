"""The coordinator killed, and the scheduler killed: workers stop, and the same command goes on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys

import pytest

from tests.support.cluster_harvests import (
    LIMIT,
    cluster_harvest,
    expected_items,
    stored_items,
    until,
)
from tests.support.paths import SUPPORT
from tmapi_async.errors import ClusterError
from tmapi_async.harvest import JournalReader
from tmapi_async.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]

KILLS = 3
SLOW = 0.2
"""Latency in seconds while kills happen: far above the time to notice a broken connection."""


@contextlib.asynccontextmanager
async def scheduler():
    """Run a scheduler with two workers; yields its process and address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, SUPPORT / "run_scheduler.py", "2", stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def stored_pages(path):
    """Return the number of pages in the journal."""
    if not path.exists():
        return 0
    with JournalReader(path) as reader:
        return sum(1 for _ in reader.pages())


async def test_a_coordinator_that_is_killed_is_resumed_by_the_same_command(path):
    """A kill costs two widths of pages at most, and the next start waits for what it left."""
    dice = random.Random(5)  # noqa: S311 - no secret
    async with (
        Sandbox(limit=LIMIT, latency=SLOW, categories=60, mean=150, ghosts=True) as sandbox,
        scheduler() as (_, address),
    ):
        stats = sandbox.stats

        async def start():
            ids = map(str, sandbox.catalogue.category_ids)
            script = SUPPORT / "run_coordinator.py"
            return await asyncio.create_subprocess_exec(
                sys.executable, script, sandbox.url, path, address, str(LIMIT), *ids
            )

        lost = 0
        for _ in range(KILLS):
            process, target = await start(), stats.requests + dice.randrange(20, 40)
            await until(
                lambda process=process, target=target: (
                    stats.requests >= target or process.returncode is not None
                )
            )
            assert process.returncode is None
            process.kill()
            await process.wait()
            sent = stats.requests
            await until(lambda: not stats.in_flight)
            assert stats.requests <= sent + LIMIT  # the workers stopped, too
            before, lost = lost, stats.billed - await asyncio.to_thread(stored_pages, path)
            assert lost - before <= 2 * LIMIT + 8  # and pages past the end, which are not kept
        sandbox.latency = 0.02
        process = await start()
        assert await process.wait() == 0
        assert stored_items(path) == expected_items(sandbox)
        assert stats.peak_in_flight == LIMIT
        assert stats.codes["503"] == 0


async def test_when_the_scheduler_is_killed_the_harvest_ends_and_says_so(path, monkeypatch):
    """Received pages are in the journal; the same harvest on another cluster continues."""
    connections = "tmapi_async.harvest.cluster.coordinator.connections"
    monkeypatch.setattr(f"{connections}.SCHEDULER_TIMEOUT", 2.0)
    async with Sandbox(limit=LIMIT, latency=SLOW, categories=40, mean=150, ghosts=True) as sandbox:
        async with scheduler() as (process, address):
            harvest = cluster_harvest(sandbox, path, address)
            running = asyncio.create_task(harvest.run())
            await until(lambda: harvest.progress().pages > 2 * LIMIT)
            process.kill()
            first = await running
        assert isinstance(first.error, ClusterError)
        assert first.tally.left
        sandbox.latency = 0.02
        async with scheduler() as (_, address):
            assert (await cluster_harvest(sandbox, path, address).run()).complete
        assert stored_items(path) == expected_items(sandbox)
