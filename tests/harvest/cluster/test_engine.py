"""A harvest on worker processes, against the sandbox over real sockets."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import random
import signal

import msgspec
import pytest
from distributed import Client

from tests.support.cluster_harvests import (
    LIMIT,
    channels,
    cluster_harvest,
    engine_of,
    expected_items,
    repeated_pages,
    run_harvest,
    stored_items,
    until,
)
from tests.support.harvesting import locked
from tests.support.making import row
from tests.support.outages import Line
from tests.support.ranking_server import serve_rankings
from tmapi_async import TMAPI
from tmapi_async.api.listings import category_items
from tmapi_async.errors import (
    AuthenticationError,
    BalanceError,
    BudgetSpentError,
    ClusterError,
    OutageError,
    WorkerRefusedError,
)
from tmapi_async.harvest import Harvest, JournalReader
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.journal import writer
from tmapi_async.limits.budget import Budget
from tmapi_async.sandbox import Faults, Sandbox

SLOW = 0.2
"""Latency in seconds that leaves a slow machine time to act before the harvest is over."""


async def test_four_workers_hold_one_limit(workers, path):
    """The catalogue is whole, the limit is used to the full, and never overstepped."""
    async with Sandbox(limit=LIMIT, latency=0.01, categories=60, ghosts=True) as sandbox:
        result = await run_harvest(sandbox, path, workers.address)
        stats = sandbox.stats
        assert result.complete
        assert stored_items(path) == expected_items(sandbox)
        assert (stats.peak_in_flight, stats.codes["503"]) == (LIMIT, 0)
        assert result.requests == stats.requests
        assert result.tally.items == result.tally.unique_items == sandbox.catalogue.total_items
        assert repeated_pages(sandbox) == 0


async def test_pages_past_the_end_are_not_sent_to_the_journal(workers, path):
    """A worker that guesses too far is shown rows again: they are wasted, not stored."""
    async with Sandbox(limit=LIMIT, categories=9, mean=150, past_end="last") as sandbox:
        result = await run_harvest(sandbox, path, workers.address, lookahead=5)
        pages = sum(map(sandbox.catalogue.pages, sandbox.catalogue.category_ids))
        assert result.complete
        assert stored_items(path) == expected_items(sandbox)
        assert result.tally.items == result.tally.unique_items
        assert result.tally.pages == pages
        assert result.wasted >= sandbox.stats.pages_served - pages > 0


async def test_the_limit_is_learned_over_all_workers(workers, path):
    """With `auto`, one controller hears of every refusal, and its narrowing reaches every worker.

    A busy machine delays reports and shares, and requests are refused until they arrive. So the
    number of refusals has a wide bound: about 4 are usual for these 196 pages, and 260 where no
    worker is narrowed.
    """
    async with Sandbox(limit=LIMIT, latency=0.1, categories=60, ghosts=True) as sandbox:
        harvest = cluster_harvest(sandbox, path, workers.address, concurrency="auto")
        assert (await harvest.run()).complete
        assert stored_items(path) == expected_items(sandbox)
        stats = sandbox.stats
        assert stats.peak_in_flight == LIMIT
        controller = engine_of(harvest).accounts[0].api.statistics().controller
        assert controller.refused == stats.codes["503"]
        assert controller.answered == stats.codes["200"]
        assert controller.cuts
        # Workers that learned alone would come to LIMIT each, and to 4 * LIMIT together.
        assert LIMIT // 2 < controller.limit < 2 * LIMIT
        assert stats.codes["503"] <= stats.codes["200"] / 2


async def test_one_giant_listing_is_walked_in_bounded_pieces(workers, path):
    """Its pages are committed as they come, by one worker that has all the slots."""
    async with Sandbox(limit=LIMIT, latency=SLOW, categories={7: 6000}) as sandbox:
        harvest = cluster_harvest(sandbox, path, workers.address, lookahead=LIMIT)
        running = asyncio.create_task(harvest.run())
        await until(lambda: harvest.progress().pages >= 2 * LIMIT)
        (channel,) = (channel for channel in channels(harvest) if channel.listings)
        slots = engine_of(harvest).accounts[0].slots
        await until(lambda: slots(channel.name) == LIMIT)
        assert len(channel.watchers) == 1  # its Dask task is still running
        sandbox.latency = 0.002
        assert (await running).complete
        assert stored_items(path) == expected_items(sandbox)


@pytest.mark.parametrize("seed", [1, 2])
async def test_workers_killed_cost_at_most_their_slots(workers, path, seed):
    """Killed at random and replaced, workers lose only the pages on their slots."""
    dice, lost = random.Random(seed), 0  # noqa: S311 - no secret
    # Only workers of the start are killed: a nanny may give up one that it is just restarting.
    pids = await asyncio.to_thread(workers.pids)
    async with Sandbox(limit=LIMIT, latency=0.01, categories=90, mean=100, ghosts=True) as sandbox:
        harvest = cluster_harvest(sandbox, path, workers.address)
        (account,) = engine_of(harvest).accounts
        running = asyncio.create_task(harvest.run())
        for target in (60, 160, 260):
            moment = target + dice.randrange(20)
            await until(lambda moment=moment: sandbox.stats.requests >= moment)
            channel = dice.choice([one for one in channels(harvest) if one.worker in pids])
            lost += account.limits.allocator.slots_at_risk(channel.name)
            workers.kill(pids.pop(channel.worker))
        result = await running
        assert result.complete
        assert lost
        assert stored_items(path) == expected_items(sandbox)
        assert repeated_pages(sandbox) <= lost
        assert (sandbox.stats.peak_in_flight, sandbox.stats.codes["503"]) == (LIMIT, 0)
    await asyncio.to_thread(workers.restore, 4)


async def test_a_worker_that_stands_still_sends_nothing_when_it_wakes(workers, path, monkeypatch):
    """The slots of a suspended worker go to others; messages of old that it reads give it none."""
    monkeypatch.setattr("tmapi_async.harvest.cluster.coordinator.account.LEASE", 2.0)
    async with Sandbox(limit=LIMIT, latency=SLOW, categories=120, mean=100, ghosts=True) as sandbox:
        harvest = cluster_harvest(sandbox, path, workers.address)
        running = asyncio.create_task(harvest.run())
        await until(lambda: sandbox.stats.requests >= 2 * LIMIT)
        (account,), pids = engine_of(harvest).accounts, await asyncio.to_thread(workers.pids)
        channel = max(channels(harvest), key=lambda channel: account.slots(channel.name))
        pid, lost = pids[channel.worker], account.slots(channel.name)
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: channel not in channels(harvest))
            await until(
                lambda: sum(account.slots(other.name) for other in channels(harvest)) == LIMIT
            )
            await until(lambda: sandbox.stats.in_flight == LIMIT)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert not running.done()
        before = sandbox.stats.requests
        await until(lambda: sandbox.stats.requests >= before + 3 * LIMIT)
        sandbox.latency = 0.01
        assert (await running).complete
        assert stored_items(path) == expected_items(sandbox)
        assert repeated_pages(sandbox) <= lost
        assert (sandbox.stats.peak_in_flight, sandbox.stats.codes["503"]) == (LIMIT, 0)


async def test_a_worker_that_joins_gets_its_share(workers, path):
    """A worker added in the middle gets a session and slots, and the limit holds.

    Pages are slow until then: the harvest lasts as long as a worker needs to start.
    """
    async with Sandbox(limit=LIMIT + 2, latency=2.0, categories=90, mean=100) as sandbox:
        harvest = cluster_harvest(sandbox, path, workers.address, concurrency=LIMIT + 2)
        (account,) = engine_of(harvest).accounts
        running = asyncio.create_task(harvest.run())
        await until(lambda: len(channels(harvest)) == 4)
        size = len(workers.cluster.workers)
        workers.cluster.scale(size + 1)
        try:
            await until(lambda: len(channels(harvest)) == 5 or running.done())
            newest = channels(harvest)[-1]
            await until(lambda: account.slots(newest.name) or running.done())
            assert not running.done()
            sandbox.latency = 0.01
            assert (await running).complete
            assert newest.pages_received
            assert stored_items(path) == expected_items(sandbox)
            assert sandbox.stats.codes["503"] == 0
        finally:
            workers.cluster.scale(size)


async def test_a_budget_is_divided_and_never_exceeded(workers, path):
    """Start after start, each sends as many requests as it may; the last one ends the work.

    A page is requested again only at a seam, or if it was look-ahead that nothing had proven when
    the budget was spent: those requests are counted.
    """
    async with Sandbox(limit=LIMIT, latency=0.002, categories=30) as sandbox:
        starts = looks = wasted = 0
        while not (
            result := await run_harvest(sandbox, path, workers.address, max_requests=40)
        ).complete:
            starts += 1
            looks += result.second_looks
            wasted += result.wasted
            assert result.stopped_by == "budget"
            assert isinstance(result.error, BudgetSpentError)
            assert result.requests == 40
            assert sandbox.stats.requests == 40 * starts
        assert starts
        assert stored_items(path) == expected_items(sandbox)
        looks += result.second_looks
        assert looks <= repeated_pages(sandbox) <= looks + wasted


async def test_a_rate_holds_over_all_workers(workers, path):
    """All workers together send no more than the rate allows, and a small burst at the start."""
    async with Sandbox(limit=LIMIT, categories=12, mean=40) as sandbox:
        began = asyncio.get_running_loop().time()
        result = await run_harvest(sandbox, path, workers.address, rate=40.0)
        seconds = asyncio.get_running_loop().time() - began
        assert result.complete
        # An upper bound for the number of requests: on a slow machine it only gets weaker.
        assert result.requests <= 40 * seconds + 4


async def test_requests_on_the_wire_are_kept_when_the_harvest_is_stopped(workers, path):
    """After `stop` every page that was paid for is in the journal; the next start gets the rest."""
    async with Sandbox(limit=LIMIT, latency=SLOW, categories=60) as sandbox:
        harvest = cluster_harvest(sandbox, path, workers.address)
        running = asyncio.create_task(harvest.run())
        await until(lambda: harvest.progress().pages >= 3 * LIMIT)
        harvest.stop()
        result = await running
        assert result.stopped_by == "signal"
        assert result.tally.left
        assert result.tally.unique_items == result.tally.items
        assert result.requests == sandbox.stats.requests
        sandbox.latency = 0.01
        second = await run_harvest(sandbox, path, workers.address)
        assert second.complete
        assert second.tally.unique_items == second.tally.items
        assert stored_items(path) == expected_items(sandbox)
        assert repeated_pages(sandbox) == second.second_looks


@pytest.mark.parametrize(("moved", "state"), [("left", "complete"), ("came", "shifted")])
async def test_workers_look_at_the_seam_of_an_earlier_sitting(workers, path, moved, state):
    """A session compares the page before the missing ones; the coordinator stores what slid."""
    async with serve_rankings() as server:
        server.rankings[1] = list(range(1, 301))

        async def sitting(requests=None):
            budget = None if requests is None else Budget(requests)
            client = TMAPI("token", base_url=server.url, concurrency=2, max_requests=budget)
            harvest = Harvest(
                client, [category_items(1)], journal=path, cluster=workers.address, lookahead=0
            )
            return await harvest.run()

        await sitting(8)
        if moved == "left":
            server.remove(1, range(11, 41))
        else:
            server.rankings[1].insert(3, 1001)
        result = await sitting()
        assert (result.second_looks, result.tally.left) == (2 if moved == "left" else 1, 0)
        with JournalReader(path) as reader:
            (visit,) = reader.listings()
            items = {
                item["item_id"] - row(0)["item_id"]
                for page in reader.pages()
                for item in msgspec.json.decode(page.body)["data"]["items"]
            }
            reader.verify()
        assert visit.state == state
        assert {*server.rankings[1]} - items == ({1001} if moved == "came" else set())


async def test_a_locked_journal_stops_the_workers_too(workers, path, monkeypatch):
    """While the journal is locked no worker sends anything; then all of them go on."""
    monkeypatch.setattr(writer, "BUSY_SECONDS", 0.0)
    async with Sandbox(limit=LIMIT, latency=0.02, categories=60) as sandbox:
        harvest = cluster_harvest(sandbox, path, workers.address, wait=1800)
        running = asyncio.create_task(harvest.run())
        await until(lambda: harvest.progress().pages >= 3 * LIMIT)
        slots = engine_of(harvest).accounts[0].limits.allocator.slots_at_risk
        with locked(path):
            await until(lambda: harvest.progress().waiting_for)
            # Every worker has read that it has no slots, and has said so.
            await until(lambda: not any(slots(channel.name) for channel in channels(harvest)))
            requests = sandbox.stats.requests
            await asyncio.sleep(0.5)  # as long as 25 requests of each slot
            assert sandbox.stats.requests == requests
        assert (await running).complete
        assert stored_items(path) == expected_items(sandbox)
        assert repeated_pages(sandbox) == 0


async def test_a_start_that_is_cancelled_leaves_the_workers_free(workers, path):
    """Cancelled, a start ends at once and so do its sessions; the same harvest can continue."""
    async with Sandbox(limit=LIMIT, latency=0.02, categories=60) as sandbox:
        harvest = cluster_harvest(sandbox, path, workers.address)
        running = asyncio.create_task(harvest.run())
        await until(lambda: harvest.progress().pages >= 50)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await run_harvest(sandbox, path, workers.address)).complete
        assert stored_items(path) == expected_items(sandbox)
        assert sandbox.stats.codes["503"] == 0
        assert repeated_pages(sandbox) <= 2 * LIMIT


async def test_failed_pages_fail_their_listings_alone(workers, path):
    """The journal names a page that failed for good; all other listings are complete."""
    faults = Faults(script={(3, 2): "417"})
    async with Sandbox(limit=LIMIT, categories={1: 50, 2: 90, 3: 100}, faults=faults) as sandbox:
        result = await run_harvest(sandbox, path, workers.address)
        assert (result.tally.failed, result.tally.complete, result.stopped_by) == (1, 2, None)
        sandbox.faults = Faults()
        assert (await run_harvest(sandbox, path, workers.address)).complete
        assert stored_items(path) == expected_items(sandbox)


@pytest.mark.parametrize("kind", ["refused", "hanging", "500"])
async def test_an_outage_is_waited_for_by_all_workers(workers, path, caplog, kind):
    """No session is lost meanwhile, no listing fails, and what reached nobody is not charged."""
    async with Sandbox(limit=LIMIT, latency=0.02, categories=60) as sandbox:
        async with Line(int(sandbox.url.rsplit(":", 1)[1])) as line:
            url = f"http://127.0.0.1:{line.port}"
            options = {"wait": 60.0, "timeout": 2.0, "max_requests": 10_000, "base_url": url}
            harvest = cluster_harvest(sandbox, path, workers.address, **options)
            task = asyncio.create_task(harvest.run())
            await until(lambda: harvest.progress().pages > 20)
            await line.tear(kind)
            await until(lambda: harvest.progress().outage is not None)
            await asyncio.sleep(2)
            open_sessions = {channel.name for channel in channels(harvest)}
            await line.mend()
            result = await task
        assert result.complete
        assert result.waited > 1
        assert stored_items(path) == expected_items(sandbox)
        assert {channel.name for channel in channels(harvest)} <= open_sessions
        assert "lost" not in caplog.text
        assert (result.unreached > 0) == (kind == "refused")


async def test_an_outage_that_lasts_stops_a_harvest_on_a_cluster(workers, path):
    """All listings stay open, none has failed, and the same harvest goes on later."""
    async with Sandbox(limit=LIMIT, latency=0.02, categories=60) as sandbox:
        async with Line(int(sandbox.url.rsplit(":", 1)[1])) as line:
            options = {"base_url": f"http://127.0.0.1:{line.port}", "wait": 1.5}
            await line.tear("refused")
            result = await run_harvest(sandbox, path, workers.address, **options)
            assert isinstance(result.error, OutageError)
            assert result.stopped_by == "outage"
            assert (result.tally.left, result.tally.failed) == (result.tally.listings, 0)
            await line.mend()
            assert (await run_harvest(sandbox, path, workers.address, **options)).complete
        assert stored_items(path) == expected_items(sandbox)


async def test_an_account_that_is_refused_stops_alone(workers, path):
    """The listings of a refused account go to the accounts that can go on."""
    async with Sandbox(token=("first", "second"), latency=0.005, categories=60) as sandbox:
        tokens = ["first", "unknown", "second"]
        result = await run_harvest(sandbox, path, workers.address, tokens=tokens)
        assert result.complete
        assert result.error is None
        assert result.codes["4011"]
        assert stored_items(path) == expected_items(sandbox)
        assert repeated_pages(sandbox) == 0


@pytest.mark.parametrize(
    "case",
    [
        ({"token": "right"}, ["wrong"], AuthenticationError, "auth"),
        ({"quota": 30}, ["sandbox"], BalanceError, "balance"),
    ],
)
async def test_when_no_account_can_go_on_the_harvest_says_why(workers, path, case):
    """With the last account the harvest stops, for the same reason."""
    options, tokens, error, stopped_by = case
    async with Sandbox(limit=LIMIT, categories=30, **options) as sandbox:
        result = await run_harvest(sandbox, path, workers.address, tokens=tokens)
        assert result.stopped_by == stopped_by
        assert isinstance(result.error, error)
        assert result.tally.left


async def test_a_client_of_the_caller_is_used_as_it_is(workers, path):
    """A `distributed.Client`, blocking or not, says where the cluster is; it stays open."""
    async with Sandbox(limit=LIMIT, categories=5) as sandbox:
        with Client(workers.address, set_as_default=False) as client:
            assert (await run_harvest(sandbox, path, client)).complete
            assert client.status == "running"


@pytest.mark.slow
async def test_where_no_scheduler_answers_the_harvest_says_so(path, monkeypatch):
    """Nothing is sent, and the message names the address."""
    monkeypatch.setattr(
        "tmapi_async.harvest.cluster.coordinator.connections.CONNECT_TIMEOUT", "0.3s"
    )
    async with Sandbox(categories=3) as sandbox:
        result = await run_harvest(sandbox, path, "tcp://127.0.0.1:9")
        assert isinstance(result.error, ClusterError)
        assert "tcp://127.0.0.1:9" in str(result.error)
        assert sandbox.stats.requests == 0


def set_variable(name, value):
    """Set a variable of a worker's environment."""
    os.environ[name] = value


async def test_workers_find_the_token_at_its_source(workers, path, tmp_path):
    """The source is a variable or a file on the worker; a worker with another token is refused."""
    (tmp_path / "tokens").write_text("other\nright\n")
    async with (
        Client(workers.address, asynchronous=True, set_as_default=False) as client,
        Sandbox(token=["right", "other"], limit=LIMIT, categories=20) as sandbox,
    ):
        await client.run(set_variable, "TMAPI_TEST_TOKENS", "right")
        sources = {
            "env:TMAPI_TEST_TOKENS": ["right"],
            f"file:{tmp_path / 'tokens'}": ["other", "right"],
        }
        for number, (text, tokens) in enumerate(sources.items()):
            source, file = TokenSource.parse(text), path.with_suffix(f".{number}")
            result = await run_harvest(
                sandbox, file, workers.address, tokens=tokens, token_source=source
            )
            assert result.complete
            assert stored_items(file) == expected_items(sandbox)
        requests = sandbox.stats.requests
        for text, reason in (
            ("env:TMAPI_TEST_TOKENS", "another token"),
            ("env:TMAPI_TEST_NOTHING", "holds 0 tokens"),
            ("file:/nowhere", "cannot be read"),
        ):
            source = TokenSource.parse(text)
            result = await run_harvest(
                sandbox, path, workers.address, tokens=["other"], token_source=source
            )
            assert isinstance(result.error, WorkerRefusedError)
            assert reason in str(result.error)
        assert sandbox.stats.requests == requests


def log_all(folder):
    """Write every record of this worker, of distributed and of ours, to a file."""
    handler = logging.FileHandler(f"{folder}/{os.getpid()}.log")
    logging.getLogger("distributed").addHandler(handler)
    logging.getLogger("tmapi_async").addHandler(handler)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("distributed", "tmapi_async")):
            logging.getLogger(name).setLevel(logging.DEBUG)


def shown_by_plugins(dask_worker):
    """Return everything that a worker's plugins show of themselves."""
    return repr({name: (plugin, vars(plugin)) for name, plugin in dask_worker.plugins.items()})


async def test_the_token_is_in_no_task_key_log_or_event(workers, path, canary, tmp_path_factory):
    """With all logging on, nothing that the cluster keeps, logs or sends shows the token.

    The last test of this cluster: its workers log everything from here on.
    """
    scheduler, tasks = workers.cluster.scheduler, []
    logs = tmp_path_factory.mktemp("logs")
    async with (
        Client(workers.address, asynchronous=True, set_as_default=False) as client,
        Sandbox(token=canary.token, limit=LIMIT, latency=0.01, categories=60) as sandbox,
    ):
        await client.run(log_all, str(logs))
        harvest = cluster_harvest(sandbox, path, workers.address, tokens=[canary.token])
        running = asyncio.create_task(harvest.run())
        while not running.done():
            tasks += [
                (key, pickle.dumps(task.run_spec)) for key, task in dict(scheduler.tasks).items()
            ]
            await asyncio.wait([running], timeout=0.02)
        assert (await running).complete
        objects = [
            await client.get_worker_logs(),
            await client.get_scheduler_logs(),
            await client.get_events(),
            scheduler.transition_log,
            scheduler.worker_plugins,
            await client.run(shown_by_plugins),
            harvest,
            vars(engine_of(harvest).coordinator),
        ]
    assert tasks
    assert all("tmapi-batch-" in key and "category/items?cat_id=" in key for key, _ in tasks)
    assert all(canary.absent_from(content) for _, content in tasks)
    logged = [file.read_text() for file in logs.iterdir()]
    assert any("tmapi_session" in text for text in logged)  # first messages are logged
    texts = [*logged, workers.log.read_text(), *map(repr, objects)]
    assert all(canary.absent_from(text) for text in texts)
    assert canary.absent_from(path.read_bytes())
