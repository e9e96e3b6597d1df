"""A harvest on worker processes, against the sandbox over real sockets."""

from __future__ import annotations

import asyncio
import os
import random
import signal

import pytest
from distributed import Client

from tests.support.clustered import LIMIT, channels, harvest, held, job, paid_twice, truth, until
from tmapi_async.errors import AuthenticationError, BalanceError, BudgetSpentError, ClusterError
from tmapi_async.sandbox import Faults, Sandbox


async def test_four_workers_hold_one_limit(workers, path):
    """The catalogue is whole, the limit is used to the full, and never overstepped."""
    async with Sandbox(limit=LIMIT, latency=0.01, categories=60, ghosts=True) as sandbox:
        result = await harvest(sandbox, path, workers.address)
        stats = sandbox.stats
        assert result.complete
        assert held(path) == truth(sandbox)
        assert (stats.peak_in_flight, stats.codes["503"]) == (LIMIT, 0)
        assert result.requests == stats.requests
        assert result.tally.items == result.tally.unique_items == sandbox.catalogue.total_items
        assert paid_twice(sandbox) == 0


async def test_the_limit_is_learned_over_all_workers(workers, path):
    """With `auto`, refusals that any worker meets narrow the whole; all of the limit is used."""
    async with Sandbox(limit=LIMIT, latency=0.02, categories=60, ghosts=True) as sandbox:
        work = job(sandbox, path, workers.address, concurrency="auto")
        result = await work.run()
        assert result.complete
        assert held(path) == truth(sandbox)
        assert sandbox.stats.peak_in_flight == LIMIT
        assert 0 < sandbox.stats.codes["503"] <= 20
        learned = work._engine._clients[0].statistics().controller.limit
        # A reply on its way back is in flight for us and not for the server: one more may fit.
        assert LIMIT - 1 <= learned <= LIMIT + 1


async def test_one_giant_listing_is_walked_in_bounded_pieces(workers, path):
    """Its pages are committed as they come, by one worker that has all the slots."""
    async with Sandbox(limit=LIMIT, latency=0.005, categories={7: 6000}) as sandbox:
        work = job(sandbox, path, workers.address, lookahead=LIMIT)
        running = asyncio.create_task(work.run())
        await until(lambda: work.progress().pages >= 100)
        (channel,) = (one for one in channels(work) if one.out)
        assert work._engine._accounts[0].slots(channel.name) == LIMIT
        assert len(channel.tasks) == 1  # its stretch is still seen
        assert (await running).complete
        assert held(path) == truth(sandbox)


@pytest.mark.parametrize("seed", [1, 2])
async def test_workers_killed_cost_at_most_their_slots(workers, path, seed):
    """Killed at random and replaced, they lose nothing but pages on their slots."""
    dice, lost = random.Random(seed), 0  # noqa: S311 - no secret
    async with Sandbox(limit=LIMIT, latency=0.01, categories=90, mean=100, ghosts=True) as sandbox:
        work = job(sandbox, path, workers.address)
        running = asyncio.create_task(work.run())
        for target in (60, 160, 260):
            moment = target + dice.randrange(20)
            await until(lambda moment=moment: sandbox.stats.requests >= moment)
            channel = dice.choice(channels(work))
            pids = await asyncio.to_thread(workers.pids)
            session = work._engine._accounts[0]._slot_allocator._sessions.get(channel.name)
            if session is not None and channel.worker in pids:
                lost += session.slots
                workers.kill(pids[channel.worker])
        result = await running
        assert result.complete
        assert lost
        assert held(path) == truth(sandbox)
        assert paid_twice(sandbox) <= lost
        assert (sandbox.stats.peak_in_flight, sandbox.stats.codes["503"]) == (LIMIT, 0)
    await asyncio.to_thread(workers.wait_for, 4)


async def test_a_worker_that_stands_still_sends_nothing_when_it_wakes(workers, path, monkeypatch):
    """Its slots go to others, and what it then finds on its line gives it none: no 503 comes."""
    monkeypatch.setattr("tmapi_async.harvest.cluster.coordinator.account.LEASE", 2.0)
    async with Sandbox(limit=LIMIT, latency=0.05, categories=200, mean=100, ghosts=True) as sandbox:
        work = job(sandbox, path, workers.address)
        running = asyncio.create_task(work.run())
        await until(lambda: sandbox.stats.requests >= 60)
        account, pids = work._engine._accounts[0], await asyncio.to_thread(workers.pids)
        channel = max(channels(work), key=lambda one: account.slots(one.name))
        pid, lost = pids[channel.worker], account.slots(channel.name)
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: channel not in channels(work))
            await until(lambda: sum(account.slots(one.name) for one in channels(work)) == LIMIT)
            await until(lambda: sandbox.stats.in_flight == LIMIT)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert not running.done()
        assert (await running).complete
        assert held(path) == truth(sandbox)
        assert paid_twice(sandbox) <= lost
        assert (sandbox.stats.peak_in_flight, sandbox.stats.codes["503"]) == (LIMIT, 0)


async def test_a_worker_that_joins_gets_its_share(workers, path):
    """A worker added in the middle is seated, and the limit holds."""
    async with Sandbox(limit=LIMIT + 2, latency=0.02, categories=90, mean=100) as sandbox:
        work = job(sandbox, path, workers.address, concurrency=LIMIT + 2)
        running = asyncio.create_task(work.run())
        await until(lambda: len(channels(work)) == 4)
        workers.cluster.scale(5)
        try:
            await until(lambda: len(channels(work)) == 5 or running.done())
            assert not running.done()
            assert (await running).complete
            assert held(path) == truth(sandbox)
            assert sandbox.stats.codes["503"] == 0
        finally:
            workers.cluster.scale(4)


async def test_a_budget_is_dealt_out_and_never_exceeded(workers, path):
    """Start after start, each sends as many as it may; the last one ends the work."""
    async with Sandbox(limit=LIMIT, latency=0.002, categories=30) as sandbox:
        starts = 0
        while not (
            result := await harvest(sandbox, path, workers.address, max_requests=40)
        ).complete:
            starts += 1
            assert result.stopped_by == "budget"
            assert isinstance(result.error, BudgetSpentError)
            assert result.requests == 40
            assert sandbox.stats.requests == 40 * starts
        assert starts
        assert held(path) == truth(sandbox)
        assert paid_twice(sandbox) == 0


async def test_a_pace_holds_over_all_workers(workers, path):
    """No second sees more requests than the pace allows, and a burst at the start is small."""
    async with Sandbox(limit=LIMIT, categories=12, mean=40) as sandbox:
        began = asyncio.get_running_loop().time()
        result = await harvest(sandbox, path, workers.address, rate=40.0)
        seconds = asyncio.get_running_loop().time() - began
        assert result.complete
        assert result.requests <= 40 * seconds + 4


async def test_what_is_on_the_wire_is_kept_when_it_is_stopped(workers, path):
    """After `stop` every page that was paid for is in the journal; the next start asks the rest."""
    async with Sandbox(limit=LIMIT, latency=0.02, categories=60) as sandbox:
        work = job(sandbox, path, workers.address)
        running = asyncio.create_task(work.run())
        await until(lambda: work.progress().pages >= 50)
        work.stop()
        result = await running
        assert result.stopped_by == "signal"
        assert result.tally.left
        assert result.tally.unique_items == result.tally.items
        assert result.requests == sandbox.stats.requests
        again = await harvest(sandbox, path, workers.address)
        assert again.complete
        assert again.tally.unique_items == again.tally.items
        assert held(path) == truth(sandbox)
        assert paid_twice(sandbox) == 0


async def test_a_start_that_is_cancelled_leaves_the_workers_free(workers, path):
    """Cancelled, it ends at once; seats end with their lines, and the same again goes on."""
    async with Sandbox(limit=LIMIT, latency=0.02, categories=60) as sandbox:
        work = job(sandbox, path, workers.address)
        running = asyncio.create_task(work.run())
        await until(lambda: work.progress().pages >= 50)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await harvest(sandbox, path, workers.address)).complete
        assert held(path) == truth(sandbox)
        assert sandbox.stats.codes["503"] == 0
        assert paid_twice(sandbox) <= 2 * LIMIT


async def test_failed_pages_fail_their_listings_alone(workers, path):
    """A page that cannot be had is named in the journal; all other listings are complete."""
    faults = Faults(script={(3, 2): "417"})
    async with Sandbox(limit=LIMIT, categories={1: 50, 2: 90, 3: 100}, faults=faults) as sandbox:
        result = await harvest(sandbox, path, workers.address)
        assert (result.tally.failed, result.tally.complete, result.stopped_by) == (1, 2, None)
        sandbox.faults = Faults()
        assert (await harvest(sandbox, path, workers.address)).complete
        assert held(path) == truth(sandbox)


async def test_an_account_that_is_spent_stops_alone(workers, path):
    """The listings of a spent account and of a refused one go to the one that can go on."""
    known = ("first", "second")
    async with Sandbox(token=known, latency=0.005, categories=60) as sandbox:
        tokens = ["first", "unknown", "second"]
        result = await harvest(sandbox, path, workers.address, tokens=tokens)
        assert result.complete
        assert result.error is None
        assert result.codes["4011"]
        assert held(path) == truth(sandbox)
        assert paid_twice(sandbox) == 0


@pytest.mark.parametrize(
    "case",
    [
        ({"token": "right"}, ["wrong"], AuthenticationError, "auth"),
        ({"quota": 30}, ["sandbox"], BalanceError, "balance"),
    ],
)
async def test_when_no_account_can_go_on_the_harvest_says_why(workers, path, case):
    """With the last account the whole stops, for its reason."""
    options, tokens, error, stopped_by = case
    async with Sandbox(limit=LIMIT, categories=30, **options) as sandbox:
        result = await harvest(sandbox, path, workers.address, tokens=tokens)
        assert result.stopped_by == stopped_by
        assert isinstance(result.error, error)
        assert result.tally.left


async def test_a_client_of_the_caller_is_taken_as_it_is(workers, path):
    """A `distributed.Client`, blocking or not, says where the cluster is; it stays open."""
    async with Sandbox(limit=LIMIT, categories=5) as sandbox:
        with Client(workers.address, set_as_default=False) as client:
            assert (await harvest(sandbox, path, client)).complete
            assert client.status == "running"


@pytest.mark.slow
async def test_where_no_scheduler_answers_the_harvest_says_so(path, monkeypatch):
    """Nothing is sent, and the message names the address."""
    monkeypatch.setattr("tmapi_async.harvest.cluster.coordinator.connections._CONNECT", "0.3s")
    async with Sandbox(categories=3) as sandbox:
        result = await harvest(sandbox, path, "tcp://127.0.0.1:9")
        assert isinstance(result.error, ClusterError)
        assert "tcp://127.0.0.1:9" in str(result.error)
        assert sandbox.stats.requests == 0
