"""Divided listings in a journal: resumed at any point, counted and compared as one listing."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import pytest

from tests.support.commands import environment, finish, spawn
from tmapi_async import TMAPI, InvalidRequestError
from tmapi_async.api.listings import category_items
from tmapi_async.crawl.splitting.driver import Split
from tmapi_async.errors import JournalError
from tmapi_async.export.changes.comparison import compare_runs
from tmapi_async.harvest import Harvest, JournalReader
from tmapi_async.sandbox import Prices
from tmapi_async.sandbox.server.process import SandboxThread

WORLD = {
    "categories": {7: 900, 8: 45},
    "prices": {7: Prices.parse("20,1.0,9.90:180")},
    "ceiling": 100,
}
FEW = Split(ceiling=100)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Two walks of one price that go on in another start count as made together, however slow."""
    monkeypatch.setattr("tmapi_async.crawl.splitting.split_parts.MAX_GAP_MS", 600_000)


async def divide(sandbox, path, *ids, api=None, **options):
    """Harvest categories in parts."""
    limits = {"concurrency": 4, **(api or {})}
    async with TMAPI("sandbox", base_url=sandbox.url, **limits) as client:
        requested = [category_items(cat_id) for cat_id in ids or (7, 8)]
        work = Harvest(client, requested, journal=path, split=FEW, host="sandbox", **options)
        return await work.run()


def journal_contents(path):
    """What a journal holds: pages, and item IDs by category."""
    with JournalReader(path) as reader:
        pages = list(reader.pages())
        visits = list(reader.listings())
        return len(pages), {visit.listing.cat_id: visit for visit in visits}


def served(sandbox):
    """Page requests served, and how many of them more than once."""
    times = [n for pages in sandbox.stats.served.values() for n in pages.values()]
    return sum(times), sum(n > 1 for n in times)


async def test_a_divided_listing_is_one_listing(tmapi_sandboxes, path):
    """The figures of a divided listing include its parts, which are no listings themselves."""
    sandbox = await tmapi_sandboxes(**WORLD)
    result = await divide(sandbox, path)
    pages, visits = journal_contents(path)
    assert (result.tally.listings, result.tally.complete) == (2, 2)
    assert result.tally.unique_items == 945
    assert pages == result.tally.pages == sum(visit.pages for visit in visits.values())
    assert visits[7].unique_items == 900
    assert visits[7].parts > 5
    assert visits[8].parts == 0
    with JournalReader(path) as reader:
        assert reader.runs()[0].states == {"complete": 2}
        (division,) = [division for division in reader.divisions() if division.root == visits[7].id]
        assert division.complete
        assert "complete, 900 distinct items" in division.account
        assert set(reader.roots().values()) == {visits[7].listing.identity}
        reader.verify()
    again = await divide(sandbox, path)
    assert (again.requests, again.tally) == (0, result.tally)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 7, 19])
async def test_starts_of_any_budget_reach_the_same_result(tmapi_sandboxes, path, tmp_path, step):
    """Starts with small budgets walk the same parts as one start, and look at seams alone again."""
    sandbox = await tmapi_sandboxes(**WORLD)
    whole = await divide(sandbox, tmp_path / "whole.journal")
    requests_before = sandbox.stats.requests
    starts = looks = 0
    while True:
        result = await divide(sandbox, path, api={"max_requests": step, "lookahead": "off"})
        starts += 1
        looks += result.second_looks
        pages, visits = journal_contents(path)
        assert pages == result.tally.pages == sum(visit.pages for visit in visits.values())
        assert result.tally.unique_items == sum(visit.unique_items for visit in visits.values())
        if result.stopped_by is None:
            break
        assert result.stopped_by == "budget"
        assert result.requests == step
    assert starts > 60 / step
    assert result.tally == whole.tally
    assert (sandbox.stats.requests - requests_before, looks) == (pages + looks, looks)


async def test_cancelled_starts_reach_the_same_result(tmapi_sandboxes, path):
    """Starts that are cancelled after some pages reach the same result and lose nothing."""
    sandbox = await tmapi_sandboxes(**WORLD, latency=0.002, limit=4)
    for after in range(2, 60, 9):
        before = sandbox.stats.pages_served
        task = asyncio.create_task(divide(sandbox, path))
        while not task.done() and sandbox.stats.pages_served < before + after:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.001)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    result = await divide(sandbox, path)
    assert result.tally.complete == 2
    assert result.tally.unique_items == 945
    pages, _ = journal_contents(path)
    total, twice = served(sandbox)
    assert total - pages <= 7 * 4  # at most what was on the wire each time
    assert twice <= 7 * 4


async def test_a_capped_listing_is_divided_later(tmapi_sandboxes, path):
    """A listing that an earlier start left capped is divided, and its stored pages are used."""
    sandbox = await tmapi_sandboxes(**WORLD | {"ceiling": 2000, "categories": {7: 4000, 8: 45}})
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=4) as api:
        from tmapi_async.api.endpoints import CATEGORY_ITEMS_V2  # noqa: PLC0415 - here alone
        from tmapi_async.api.listings import describe  # noqa: PLC0415 - as above

        requested = [describe(CATEGORY_ITEMS_V2, {"cat_id": 7})]
        first = await Harvest(api, requested, journal=path, host="sandbox").run()
        assert first.tally.capped == 1
        rest = await Harvest(api, requested, journal=path, host="sandbox", split=True).run()
    assert (rest.tally.capped, rest.tally.complete) == (0, 1)
    assert rest.tally.unique_items == 4000
    assert served(sandbox)[1] == 0


async def test_runs_are_compared_by_the_requested_listing(tmapi_sandboxes, path):
    """An item that moves to another part is neither gone nor new."""
    sandbox = await tmapi_sandboxes(**WORLD)
    await divide(sandbox, path)
    await divide(sandbox, path, refresh=True)
    comparison = compare_runs(path)
    assert (comparison.total.before, comparison.total.after) == (945, 945)
    assert (
        comparison.total.new,
        comparison.total.gone,
        comparison.unsure,
        comparison.listings,
    ) == (0, 0, 0, 2)


async def test_split_is_for_one_account_and_whole_listings(tmapi_sandbox, path):
    """Options that contradict a split are refused before anything is sent."""
    async with TMAPI("sandbox", base_url=tmapi_sandbox.url) as api:
        with pytest.raises(InvalidRequestError, match="remove max_pages"):
            Harvest(api, [category_items(7)], journal=path, split=True, max_pages=1)
        with pytest.raises(InvalidRequestError, match="single account"):
            Harvest([api, api], [category_items(7)], journal=path, split=True)
    assert tmapi_sandbox.stats.requests == 0


@pytest.mark.slow
def test_a_killed_command_continues(path):
    """After kill -9 no durable page is requested again, and the result is complete."""
    with SandboxThread(**WORLD, latency=0.004, limit=4) as sandbox:
        env = environment(sandbox.url)
        command = ("harvest", "7", "8", "--split", "--ceiling", "100", "--journal", str(path))
        for pages in (3, 20, 45):
            running = spawn(*command, env=env)
            while running.poll() is None:
                with suppress(JournalError), JournalReader(path) as reader:
                    if sum(visit.pages for visit in reader.listings()) >= pages:
                        break
            os.kill(running.pid, signal.SIGKILL)
            running.communicate()
        done = finish(spawn(*command, "--json", env=env))
        total, twice = served(sandbox.sandbox)
    assert done.code == 0
    assert "using category/items/v2 instead" in done.err
    # Not that it is complete: two seconds between two starts would forbid that.
    assert "900 distinct items" in done.err
    pages, visits = journal_contents(path)
    assert visits[7].unique_items == 900
    # A gate's width on the wire and another awaiting its commit, each time.
    assert twice <= 3 * 8
    assert total - pages <= 3 * 8
