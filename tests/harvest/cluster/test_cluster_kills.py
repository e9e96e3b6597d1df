"""The coordinator killed: its workers stop, and the same command goes on."""

from __future__ import annotations

import asyncio
import random
import sys

import pytest

from tests.support.clustered import LIMIT, held, job, truth, until
from tests.support.paths import SUPPORT
from tmapi_async.errors import ClusterError
from tmapi_async.harvest import JournalReader
from tmapi_async.sandbox import Sandbox

KILLS = 3


def pages(path):
    """Pages in the journal."""
    if not path.exists():
        return 0
    with JournalReader(path) as reader:
        return sum(1 for _ in reader.pages())


async def test_a_coordinator_that_is_killed_is_resumed_by_the_same_command(workers, path):
    """A kill costs two widths of pages at most, and the next start waits for what it left."""
    dice = random.Random(5)  # noqa: S311 - no secret
    script = SUPPORT / "coordinating.py"
    async with Sandbox(limit=LIMIT, latency=0.02, categories=60, mean=150, ghosts=True) as sandbox:
        stats = sandbox.stats

        async def start():
            ids = map(str, sandbox.catalogue.category_ids)
            return await asyncio.create_subprocess_exec(
                sys.executable, script, sandbox.url, path, workers.address, str(LIMIT), *ids
            )

        lost = 0
        for _ in range(KILLS):
            process, target = await start(), stats.requests + dice.randrange(20, 90)
            while stats.requests < target:
                assert process.returncode is None
                await asyncio.sleep(0.001)
            process.kill()
            await process.wait()
            asked = stats.requests
            await until(lambda: not stats.in_flight)
            assert stats.requests <= asked + LIMIT  # the workers stopped, too
            before, lost = lost, stats.billed - await asyncio.to_thread(pages, path)
            assert lost - before <= 2 * LIMIT + 8  # and pages past the end, which nobody keeps
        process = await start()
        assert await process.wait() == 0
        assert held(path) == truth(sandbox)
        assert stats.peak_in_flight == LIMIT
        assert stats.codes["503"] == 0


@pytest.mark.slow
async def test_when_the_scheduler_is_killed_the_harvest_ends_and_says_so(path, monkeypatch):
    """What was received is in the journal; the same again, on another cluster, goes on."""
    monkeypatch.setattr(
        "tmapi_async.harvest.cluster.coordinator.connections.SCHEDULER_TIMEOUT", 2.0
    )
    script = SUPPORT / "serving.py"
    async with Sandbox(limit=LIMIT, latency=0.02, categories=40, mean=150, ghosts=True) as sandbox:
        results = []
        for last in (False, True):
            process = await asyncio.create_subprocess_exec(
                sys.executable, script, "2", stdout=asyncio.subprocess.PIPE
            )
            address = (await process.stdout.readline()).decode().strip()
            work = job(sandbox, path, address)
            running = asyncio.create_task(work.run())
            if not last:
                await until(lambda work=work: work.progress().pages > 60)
                process.kill()
            results.append(await running)
            if last:
                process.kill()
            await process.wait()
        first, second = results
        assert isinstance(first.error, ClusterError)
        assert first.tally.left
        assert second.complete
        assert held(path) == truth(sandbox)
