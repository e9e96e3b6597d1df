"""An API that does not answer for some seconds costs no listing, over real sockets."""

from __future__ import annotations

import asyncio
import os
import signal

import msgspec
import pytest

from tests.support.commands import environment, finish, run, spawn
from tests.support.outages import Line
from tests.support.watching import tasks_of_walks, until
from tmapi_async import TMAPI, ClosedError, ListingsFailedError, OutageError, RetryPolicy, Split
from tmapi_async.api.listings import category_items
from tmapi_async.harvest import Harvest
from tmapi_async.limits import circuit_breaker
from tmapi_async.sandbox import Prices
from tmapi_async.sandbox.server.process import SandboxThread

KINDS = ("refused", "hanging", "blackholed", "500", "reset")
SIZES = dict.fromkeys(range(1, 121), 40)
REQUESTS = 240


@pytest.fixture(scope="module")
def sandbox():
    """A sandbox with 120 listings of two pages each."""
    with SandboxThread(categories=SIZES, latency=0.01, limit=8) as running:
        yield running


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch):
    """Probe four times as often as usual; virtual time has the intervals of the product."""
    for name in ("FIRST_INTERVAL", "MAX_INTERVAL"):
        monkeypatch.setattr(circuit_breaker, name, getattr(circuit_breaker, name) / 4)


def client(line, **options):
    """Return a client behind a line, with a short time-out."""
    options = {"timeout": 1.5, "concurrency": 8, "lookahead": "off", "wait": 60.0, **options}
    return TMAPI("sandbox", base_url=f"http://127.0.0.1:{line.port}", **options)


def port_of(sandbox):
    """Return the port of a sandbox."""
    return int(sandbox.url.rsplit(":", 1)[1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("begun", [False, True], ids=["before the first reply", "in the middle"])
async def test_an_outage_costs_no_listing(sandbox, tmp_path, kind, begun):
    """Every page comes, one probe at most is on its way, and the budget is exact."""
    async with Line(port_of(sandbox)) as line, client(line) as api:
        listings = [category_items(cat_id) for cat_id in SIZES]
        harvest = Harvest(api, listings, journal=tmp_path / "a.journal")
        if not begun:
            await line.tear(kind)
        task = asyncio.create_task(harvest.run())
        if begun:
            await until(lambda: harvest.progress().pages > 40)
            await line.tear(kind)
        await until(lambda: harvest.progress().outage is not None)
        # Attempts that were on their way, and hang, end by the time-out.
        await until(lambda: api.statistics().in_flight <= 1)
        line.restart_count()
        await until(lambda: getattr(harvest.progress().outage, "probes", 0) >= 3)
        assert line.at_once <= 1
        await line.mend()
        stored = harvest.progress().pages
        await until(lambda: harvest.progress().pages > stored)
        result = await task
        assert (result.tally.complete, result.tally.failed, result.tally.left) == (len(SIZES), 0, 0)
        assert result.stopped_by is None
        assert result.waited > 1.5  # the intervals before the third probe: 0.25, 0.5 and 1.0
        assert result.requests - result.unreached == api.gate.budget.spent
        if kind in ("refused", "blackholed"):
            assert result.unreached >= 3
        assert api.gate.budget.spent < REQUESTS + 50


async def tear_for_a_while(api, line, kind, begun):
    """Break the line as soon as `begun` returns true, until the third probe is sent."""
    await until(begun)
    await line.tear(kind)
    await until(lambda: getattr(api.core.session.outages.report(), "probes", 0) >= 3)
    await line.mend()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refused", "500"])
async def test_a_listing_that_is_split_and_a_tree_outlast_an_outage(kind):
    """Walks of every kind go on: nothing is missing, and nothing comes twice."""
    sizes = {"categories": {7: 900}, "prices": {7: Prices.parse("20,1.0,9.90:180")}}
    with SandboxThread(**sizes, latency=0.05, limit=4) as own:
        async with Line(port_of(own)) as line, client(line, concurrency=4) as api:
            walk = api.category_items_v2(7, split=Split(ceiling=100))
            tearing = asyncio.create_task(
                tear_for_a_while(api, line, kind, lambda: walk.statistics().pages > 5)
            )
            ids = [item.item_id async for item in walk]
            await tearing
            assert sorted(ids) == sorted(own.sandbox.catalogue.item_ids(7))
            assert walk.statistics().waited > 1
    with SandboxThread(latency=0.05, limit=4) as own:
        async with Line(port_of(own)) as line, client(line, concurrency=4) as api:
            whole = await api.categories()
            tree = api.categories()
            tearing = asyncio.create_task(
                tear_for_a_while(api, line, kind, lambda: tree.statistics().requests > 1)
            )
            assert [node.id for node in await tree] == [node.id for node in whole]
            await tearing


async def test_several_accounts_that_get_no_answer_stop_together(sandbox, tmp_path):
    """The harvest stops when the last account gives up; no listing has failed."""
    async with (
        Line(port_of(sandbox)) as line,
        client(line, wait=0.5) as first,
        client(line, wait=0.7) as second,
    ):
        listings = [category_items(cat_id) for cat_id in range(1, 41)]
        harvest = Harvest([first, second], listings, journal=tmp_path / "a.journal")
        task = asyncio.create_task(harvest.run())
        await until(lambda: harvest.progress().pages > 5)
        await line.tear("refused")
        result = await task
        assert (result.stopped_by, result.tally.failed) == ("outage", 0)
        assert result.tally.left + result.tally.complete == 40


async def test_an_outage_that_lasts_stops_the_work(sandbox):
    """The walk ends with `OutageError`; its listings are stopped, and none has failed."""
    async with Line(port_of(sandbox)) as line, client(line, wait=0.3) as api:
        walk = api.category_items(list(SIZES))
        pages = walk.pages()
        await anext(pages)
        await line.tear("refused")
        with pytest.raises(OutageError, match="has not answered") as raised:
            _ = [page async for page in pages]
        counts = walk.statistics()
        assert counts.failed == 0
        assert counts.complete + counts.stopped == counts.listings
        assert raised.value.progress is not None
        assert counts.waited > 0
        # A walk begun later tries again.
        await line.mend()
        assert (await api.category_items(1)).items
        assert tasks_of_walks() == []


async def test_without_a_wait_an_outage_fails_pages(sandbox):
    """`wait=0`: each page is tried by the retry policy alone."""
    async with Line(port_of(sandbox)) as line:
        retry = RetryPolicy(base=0.001)
        async with client(line, wait=0, retry=retry) as api:
            walk = api.category_items(list(SIZES)[:40])
            pages = walk.pages()
            await anext(pages)
            await line.tear("refused")
            with pytest.raises(ListingsFailedError):
                _ = [page async for page in pages]
            assert walk.statistics().failed > 0
            assert walk.statistics().waited == 0


async def test_closing_a_client_in_an_outage_ends_its_work_at_once(sandbox):
    """Walks, single calls and the category tree end; no task and no slot is left."""
    async with Line(port_of(sandbox)) as line:
        await line.tear("refused")
        api = client(line, wait=3600)
        await api.__aenter__()
        works = [
            asyncio.create_task(work)
            for work in (
                _all(api.category_items([1, 2, 3])),
                _first(api.category_items(4)),
                _whole(api.categories()),
                _whole(api.categories(5)),
            )
        ]
        await until(lambda: api.core.session.outages.report() is not None)
        async with asyncio.timeout(10):
            await api.aclose()
            outcomes = await asyncio.gather(*works, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {ClosedError}
        assert tasks_of_walks() == []
        assert api.statistics().in_flight == 0


async def _all(walk):
    return [page async for page in walk.pages()]


async def _first(walk):
    return await walk


async def _whole(walk):
    return await walk


@pytest.mark.slow
async def test_the_command_waits_says_so_and_gives_up(sandbox, tmp_path):
    """`--wait` ends a harvest with exit code 3, listings stopped, and a word on how to go on."""
    async with Line(port_of(sandbox)) as line:
        await line.tear("refused")
        env = environment(f"http://127.0.0.1:{line.port}")
        journal = str(tmp_path / "a.journal")
        command = ["harvest", *map(str, range(1, 31)), "--journal", journal, "--json"]
        done = await asyncio.to_thread(run, *command, "--wait", "2", env=env)
        assert done.code == 3
        totals = msgspec.json.decode(done.out.splitlines()[-1])
        assert (totals["stopped"], totals["failed"]) == (30, 0)
        assert (totals["stopped_by"], totals["pages"]) == ("outage", 0)
        assert totals["waited"] >= 2
        assert totals["unreached"] == totals["requests"]
        assert "the API has not answered since" in done.err
        assert "stopped because the API does not answer" in done.err
        assert "To continue, run" in done.err
        status = await asyncio.to_thread(run, "status", journal, "--json", env=env)
        assert msgspec.json.decode(status.out)["stopped_by"] == "outage"
        await line.mend()
        done = await asyncio.to_thread(run, *command, env=env)
        assert done.code == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["items", "harvest", "categories"])
async def test_ctrl_c_ends_a_command_that_waits(sandbox, tmp_path, name):
    """Ctrl-C while the API does not answer ends the command at once, with exit code 3."""
    more = {
        "items": ["1", "2", "3"],
        "harvest": ["1", "2", "3", "--journal", str(tmp_path / "a.journal")],
        "categories": [],
    }[name]
    async with Line(port_of(sandbox)) as line:
        await line.tear("blackholed")
        env = environment(f"http://127.0.0.1:{line.port}")
        process = spawn(name, *more, "--wait", "600", "--timeout", "1", env=env)
        assert process.stderr is not None
        first = await asyncio.to_thread(process.stderr.readline)
        assert b"has not answered since" in first
        os.kill(process.pid, signal.SIGINT)
        async with asyncio.timeout(30):
            done = await asyncio.to_thread(finish, process)
        assert done.code == 3
        assert "Traceback" not in done.err
