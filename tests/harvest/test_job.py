"""The durable job against a sandbox: resume, stopping, failures, the truth at the end."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from functools import partial

import msgspec
import pytest

from tests.support.harvesting import (
    client,
    harvest,
    hold_commits,
    listings,
    open_with,
    stored,
    until,
)
from tmapi_async.errors import (
    BudgetSpentError,
    ClosedError,
    DiskFullError,
    InvalidRequestError,
    JournalInUseError,
)
from tmapi_async.harvest import Harvest, JournalReader
from tmapi_async.journal.journal import Journal
from tmapi_async.sandbox import Drift, Faults

pytestmark = pytest.mark.usefixtures("tidy")

SIZES = {1: 95, 2: 0, 3: 40, 4: 1, 5: 61, 6: 200}
PAGES = 5 + 1 + 2 + 1 + 4 + 10


def held(path):
    """The items of each category in the journal, each as often as it is there."""
    found = {cat_id: [] for cat_id in SIZES}
    with JournalReader(path) as reader:
        for page in reader.pages():
            found[page.listing.cat_id] += _ids(page.body)
    return {cat_id: sorted(ids) for cat_id, ids in found.items()}


def _ids(body):
    return [int(item["item_id"]) for item in msgspec.json.decode(body)["data"]["items"]]


def truth(sandbox):
    """The items of each category in the catalogue."""
    catalogue = sandbox.catalogue
    return {cat_id: sorted(catalogue.item_ids(cat_id)) for cat_id in SIZES}


async def test_everything_is_kept_and_the_same_again_sends_nothing(tmapi_sandboxes, path):
    """A harvest holds every item once; run again it asks for nothing and says the same."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    first = await harvest(sandbox, path)
    assert (first.complete, first.stopped_by, first.error) == (True, None, None)
    assert (first.tally.complete, first.tally.pages, first.tally.items) == (6, PAGES, 397)
    assert held(path) == truth(sandbox)
    asked = sandbox.stats.requests
    again = await harvest(sandbox, path)
    assert (again.start, again.requests, again.pages) == (None, 0, 0)
    assert again.tally == first.tally
    assert sandbox.stats.requests == asked


async def test_it_goes_on_where_the_budget_stopped_it(tmapi_sandboxes, path):
    """Start after start with a small budget, all is walked and no page is paid for twice."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    results = []
    while not results or results[-1].stopped_by == "budget":
        results.append(await harvest(sandbox, path, api={"max_requests": 4, "lookahead": "off"}))
        assert results[-1].requests <= 4
    assert len(results) == -(-PAGES // 4)
    assert isinstance(results[0].error, BudgetSpentError)
    assert results[0].tally.left
    assert results[-1].complete
    assert held(path) == truth(sandbox)
    assert sandbox.stats.pages_served_twice == 0
    assert sandbox.stats.requests == PAGES


async def test_other_speed_and_more_categories_between_starts_are_normal(tmapi_sandboxes, path):
    """A start with another concurrency and more categories goes on with all of them."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    await harvest(sandbox, path, [1, 6], api={"max_requests": 3})
    result = await harvest(sandbox, path, api={"concurrency": 2})
    assert result.complete
    assert held(path) == truth(sandbox)
    assert sandbox.stats.pages_served_twice == 0


async def test_a_refresh_walks_all_again_into_a_run_of_its_own(tmapi_sandboxes, path):
    """The old run stays as it was, and the new one holds what is shown now."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    await harvest(sandbox, path)
    result = await harvest(sandbox, path, refresh=True)
    assert (result.run, result.requests) == (2, PAGES)
    assert result.wasted == 0  # the length of each listing is known
    with JournalReader(path) as reader:
        assert [run.states for run in reader.runs()] == [{"complete": 6}] * 2
        assert [len(list(reader.pages(run=run))) for run in (1, 2)] == [PAGES, PAGES]


async def test_a_page_that_cannot_be_had_is_named_and_tried_again(tmapi_sandboxes, path):
    """Its listing fails, all the rest is walked; the next start asks for that page alone."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    await harvest(sandbox, path)
    sandbox.faults = Faults(script={(6, 4): "417"})
    result = await harvest(sandbox, path, refresh=True)
    assert (result.complete, result.stopped_by) == (False, None)
    assert (result.tally.failed, result.tally.complete, result.tally.pages) == (1, 5, PAGES - 1)
    with JournalReader(path) as reader:
        (failed,) = reader.failed_pages(2)
        assert (failed.listing.cat_id, failed.number, failed.kind) == (6, 4, "417")
        (visit,) = (visit for visit in reader.visits() if visit.state == "failed")
        assert (visit.listing.cat_id, visit.pages, visit.error_kind) == (6, 9, "417")
    sandbox.faults = Faults()
    asked = sandbox.stats.requests
    again = await harvest(sandbox, path)
    assert again.complete
    assert sandbox.stats.requests == asked + 1
    with JournalReader(path) as reader:
        assert reader.failed_pages() == []
        assert len(list(reader.pages(run=2))) == PAGES


async def test_a_listing_whose_next_page_fails_goes_on_from_there(tmapi_sandboxes, path):
    """If no page after the failed one is stored, the next start continues with the failed page."""
    sandbox = await tmapi_sandboxes(categories=SIZES, faults=Faults(script={(6, 4): "500"}))
    result = await harvest(sandbox, path, api={"lookahead": "off"})
    assert (result.tally.failed, result.tally.pages) == (1, PAGES - 7)
    sandbox.faults = Faults()
    assert (await harvest(sandbox, path)).complete
    assert held(path) == truth(sandbox)
    assert sandbox.stats.pages_served_twice == 0


async def test_a_parameter_the_server_refuses_fails_its_listing_alone(tmapi_sandboxes, path):
    """422 is the caller's mistake: that listing fails, unretried, and the others are walked."""
    sandbox = await tmapi_sandboxes(categories=SIZES, faults=Faults(script={3: "422"}))
    result = await harvest(sandbox, path)
    assert (result.tally.failed, result.tally.complete) == (1, 5)
    assert result.codes["422"] == 1


@pytest.mark.parametrize(("fault", "why"), [("439", "balance"), ("401", "auth")])
async def test_a_refused_account_ends_all_and_is_resumed(tmapi_sandboxes, path, fault, why):
    """Balance or token refused: what came is kept, the result says why, the same again goes on."""
    sandbox = await tmapi_sandboxes(categories=SIZES, faults=Faults(script={(6, 6): fault}))
    result = await harvest(sandbox, path, api={"lookahead": "off", "concurrency": 2})
    assert result.stopped_by == why
    assert result.tally.left
    assert len(stored(path)) == sandbox.stats.billed
    with JournalReader(path) as reader:
        assert reader.starts()[-1].stopped_by == why
    sandbox.faults = Faults()
    assert (await harvest(sandbox, path)).complete
    assert held(path) == truth(sandbox)
    assert sandbox.stats.pages_served_twice == 0


async def test_a_stop_drains_what_is_on_the_wire(tmapi_sandboxes, path):
    """A stop waits for the pages in flight, stores them and requests no more: they are billed."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        sandbox.hold()
        running = asyncio.create_task(work.run())
        await sandbox.until(lambda seen: seen.in_flight == 4)
        work.stop()
        assert work.progress().stopping
        sandbox.release()
        result = await running
    assert (result.stopped_by, result.requests, result.pages) == ("signal", 4, 4)
    assert len(stored(path)) == sandbox.stats.requests == 4
    assert (await harvest(sandbox, path)).complete
    assert sandbox.stats.pages_served_twice == 0


async def test_cancelled_it_keeps_what_it_has_received(tmapi_sandboxes, path):
    """Ended at once, it commits every page that was read; those on the wire are asked again."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        running = asyncio.create_task(work.run())
        await until(lambda: work.progress().pages >= 5)
        sandbox.hold()
        await sandbox.until(lambda seen: seen.in_flight == 4)
        received = work.progress().pages
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert work.result().stopped_by == "signal"
        sandbox.release()
    assert len(stored(path)) == received
    assert (await harvest(sandbox, path)).complete
    assert held(path) == truth(sandbox)
    assert sandbox.stats.extra_servings <= 4


async def test_a_stop_before_it_runs_sends_nothing(tmapi_sandboxes, path):
    """Stopped before its first request, it leaves the journal to the next start."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        work.stop()
        result = await work.run()
    assert (result.stopped_by, result.tally.left, sandbox.stats.requests) == ("signal", 6, 0)


async def test_what_awaits_its_commit_and_what_is_on_the_wire_stay_within_two_widths(
    tmapi_sandboxes, path, monkeypatch
):
    """With the disk standing still, no more is sent than a kill may cost."""
    sandbox = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 60), 60))
    stuck = threading.Event()
    hold_commits(monkeypatch, until=stuck)
    async with client(sandbox, concurrency=4) as api:
        work = Harvest(api, listings(*range(1, 60)), journal=path)
        running = asyncio.create_task(work.run())
        await until(lambda: work.progress().waiting == 8)
        for _ in range(50):
            await asyncio.sleep(0)
        assert sandbox.stats.requests == 8
        assert stored(path) == []
        stuck.set()
        assert (await running).complete
    assert sandbox.stats.pages_served_twice == 0


async def test_a_full_disk_stops_it_and_loses_nothing(tmapi_sandboxes, path, monkeypatch):
    """The error names the full disk. Committed pages stay; with free space a start continues."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "open", partial(open_with, pragma="max_page_count = 14"))
        result = await harvest(sandbox, path)
    assert result.stopped_by == "disk"
    assert isinstance(result.error, DiskFullError)
    assert result.tally.left
    with JournalReader(path) as reader:
        reader.verify()
    assert (await harvest(sandbox, path)).complete
    assert held(path) == truth(sandbox)


async def test_a_journal_in_use_is_refused_before_anything_is_sent(tmapi_sandboxes, path):
    """A second harvest into the same journal is told so, and spends nothing."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    other = Journal.open(path)
    with pytest.raises(JournalInUseError):
        await harvest(sandbox, path)
    assert sandbox.stats.requests == 0
    await other.close()


async def test_rejects_are_kept_and_counted(tmapi_sandboxes, path):
    """Rows that cannot be decoded are in the journal with bytes, place and reason."""
    sandbox = await tmapi_sandboxes(categories=SIZES, drift=Drift(bad_rows=0.1))
    result = await harvest(sandbox, path)
    assert result.complete
    assert result.tally.rejects > 10
    assert result.tally.items + result.tally.rejects == 397
    with JournalReader(path) as reader:
        found = list(reader.rejects())
        pages = {(page.listing, page.number): page.body for page in reader.pages()}
    assert len(found) == result.tally.rejects
    assert all(reject.raw in pages[reject.listing, reject.number] for reject in found)
    assert all(reject.reason for reject in found)


async def test_a_page_of_rejects_fails_its_listing_loudly(tmapi_sandboxes, path):
    """Rows that are mostly undecodable mean a changed API: the listing fails, its page is kept."""
    sandbox = await tmapi_sandboxes(categories={6: 200}, drift=Drift(bad_rows=1.0))
    result = await harvest(sandbox, path, [6], api={"lookahead": "off"})
    assert (result.tally.failed, result.complete) == (1, False)
    assert sandbox.stats.requests < 10
    with JournalReader(path) as reader:
        (visit,) = reader.visits()
        assert (visit.state, visit.error_kind) == ("failed", "changed")
        assert "20 of 20 rows cannot be decoded" in (visit.error or "")
        assert visit.rejects == 20 * visit.pages
    asked = sandbox.stats.requests
    again = await harvest(sandbox, path, [6])
    assert again.tally.failed == 1
    assert sandbox.stats.requests == asked, "a page that cannot be read today is not paid for again"
    mended = await harvest(sandbox, path, [6], most_rejects=1.0)
    assert mended.complete
    assert sandbox.stats.pages_served_twice == 0


async def test_few_rows_say_nothing_about_the_api(tmapi_sandboxes, path):
    """On a page of fewer than ten rows half may be bad without failing the listing."""
    sandbox = await tmapi_sandboxes(categories={6: 9}, drift=Drift(bad_rows=1.0))
    result = await harvest(sandbox, path, [6])
    assert (result.complete, result.tally.rejects) == (True, 9)


async def test_a_listing_cut_by_a_limit_is_capped_until_the_limit_is_raised(tmapi_sandboxes, path):
    """--max-pages says capped where there was more, and a higher one goes on from there."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    short = await harvest(sandbox, path, max_pages=2)
    assert (short.tally.capped, short.tally.complete, short.complete) == (3, 3, True)
    assert (await harvest(sandbox, path, max_pages=2)).requests == 0
    whole = await harvest(sandbox, path)
    assert (whole.tally.capped, whole.tally.complete) == (0, 6)
    assert held(path) == truth(sandbox)
    assert sandbox.stats.pages_served_twice == 0


async def test_distinct_items_are_right_over_several_starts(tmapi_sandboxes, path):
    """Items that a listing repeats across pages are found out across starts too."""
    sandbox = await tmapi_sandboxes(categories=SIZES, repeats=0.5)
    await harvest(sandbox, path, api={"max_requests": 9})
    result = await harvest(sandbox, path)
    assert result.complete
    everything = held(path)
    assert result.tally.items == sum(map(len, everything.values())) > 397
    assert result.tally.unique_items == 397
    with JournalReader(path) as reader:
        assert sum(visit.unique_items for visit in reader.visits()) == 397


async def test_distinct_items_are_right_where_a_kill_left_them_unnoted(tmapi_sandboxes, path):
    """Of listings that a kill left open, reached by the next start or not, they are counted."""
    sandbox = await tmapi_sandboxes(categories=SIZES, repeats=0.5)
    await harvest(sandbox, path, api={"max_requests": 12})
    connection = sqlite3.connect(path)
    unnoted = (
        "UPDATE visit SET pages = NULL, items = NULL, unique_items = NULL WHERE state = 'open'"
    )
    assert connection.execute(unnoted).rowcount > 1
    connection.commit()
    connection.close()
    everything = held(path)
    distinct = sum(len(set(ids)) for ids in everything.values())
    assert distinct < sum(map(len, everything.values()))
    with JournalReader(path) as reader:
        assert sum(visit.unique_items for visit in reader.visits()) == distinct
    async with client(sandbox) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        sandbox.hold()
        running = asyncio.create_task(work.run())
        await sandbox.until(lambda seen: seen.in_flight == 4)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        sandbox.release()
    result = await harvest(sandbox, path, api={"max_requests": 1, "concurrency": 1})
    assert result.tally.unique_items == distinct + sum(
        len(set(found)) - len(set(everything[cat_id])) for cat_id, found in held(path).items()
    )


async def test_an_endless_listing_fails_and_says_why(tmapi_sandboxes, path):
    """A listing that never ends is given up, with its pages kept."""
    sandbox = await tmapi_sandboxes(categories=SIZES, endless={5: "same"})
    result = await harvest(sandbox, path)
    assert (result.tally.failed, result.tally.complete) == (1, 5)
    with JournalReader(path) as reader:
        (visit,) = (visit for visit in reader.visits() if visit.state == "failed")
        assert (visit.listing.cat_id, visit.error_kind) == (5, "endless")
        assert visit.pages == len(list(reader.pages(cat_id=5)))


async def test_pages_of_a_listing_given_up_are_kept_when_they_come(tmapi_sandboxes, path):
    """Pages in flight when a listing is given up are billed, and stored in the journal."""
    sandbox = await tmapi_sandboxes(categories=SIZES, endless={5: "same", 6: "same"})
    result = await harvest(sandbox, path, [5, 6], api={"lookahead": 6, "concurrency": 8})
    assert result.tally.failed == 2
    assert len(stored(path)) == sandbox.stats.billed == result.tally.pages
    with JournalReader(path) as reader:
        assert sum(visit.pages for visit in reader.visits()) == result.tally.pages


async def test_a_damaged_page_fails_its_listing_alone(tmapi_sandboxes, path):
    """A stored body that cannot be read is told with its listing; all others are walked."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    await harvest(sandbox, path, api={"max_requests": 8})
    connection = sqlite3.connect(path)
    (open_one,) = connection.execute(
        "SELECT visit.id FROM visit JOIN page ON page.visit = visit.id WHERE state = 'open' LIMIT 1"
    ).fetchone()
    connection.execute("UPDATE page SET body = x'28b52ffd00' WHERE visit = ?", (open_one,))
    connection.commit()
    connection.close()
    result = await harvest(sandbox, path)
    assert (result.tally.failed, result.tally.complete) == (1, 5)
    with JournalReader(path) as reader:
        (visit,) = (visit for visit in reader.visits() if visit.state == "failed")
        assert (visit.id, visit.error_kind) == (open_one, "body")
        assert visit.pages > 0


async def test_another_host_warns(tmapi_sandboxes, path, caplog):
    """The host is not part of what is asked; that it has changed is said, once."""
    sandbox, other = [await tmapi_sandboxes(categories=SIZES) for _ in range(2)]
    await harvest(sandbox, path, api={"max_requests": 3})
    with caplog.at_level(logging.WARNING, "tmapi_async"):
        result = await harvest(other, path)
    assert result.complete
    assert sum("check the base URL" in record.getMessage() for record in caplog.records) == 1


async def test_the_token_is_in_no_file_of_the_journal(tmapi_sandboxes, path, canary):
    """Neither the journal nor what lies beside it shows the token, while it runs and after."""
    sandbox = await tmapi_sandboxes(
        categories=SIZES, token=canary.token, faults=Faults({"500": 0.1, "cut": 0.1, "html": 0.1})
    )
    async with client(sandbox, token=canary.token) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        running = asyncio.create_task(work.run())
        await until(lambda: work.progress().pages >= 10 or running.done())
        assert all(canary.absent_from(file.read_bytes()) for file in path.parent.iterdir())
        await running
    assert all(canary.absent_from(file.read_bytes()) for file in path.parent.iterdir())


async def test_progress_and_result_tell_the_same(tmapi_sandboxes, path):
    """At the end the snapshot a display reads shows what the result says."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox, max_requests=500) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        before = work.progress()
        result = await work.run()
        after = work.progress()
    assert (before.tally.listings, before.pages, before.eta) == (0, 0, None)
    assert after.tally == result.tally
    assert (after.pages, after.requests, after.budget) == (PAGES, result.requests, 500)
    assert (after.open, after.waiting) == (0, 0)


async def test_a_harvest_runs_once_and_only_with_an_open_client(tmapi_sandboxes, path):
    """Run again, or over a client that is not open, it says so and records nothing."""
    sandbox = await tmapi_sandboxes(categories={4: 1})
    closed = client(sandbox)
    with pytest.raises(ClosedError):
        await Harvest(closed, listings(4), journal=path).run()
    async with client(sandbox) as api:
        work = Harvest(api, listings(4), journal=path)
        assert (await work.run()).complete
        with pytest.raises(ClosedError, match="runs only once"):
            await work.run()
    with JournalReader(path) as reader:
        assert len(reader.starts()) == 1


@pytest.mark.parametrize("options", [{"max_pages": 0}, {"most_rejects": 1.5}])
async def test_options_that_make_no_sense_are_refused(tmapi_sandbox, path, options):
    """A limit of no pages or a share above one is refused before the journal is made."""
    with pytest.raises(InvalidRequestError):
        Harvest(client(tmapi_sandbox), listings(1), journal=path, **options)
    assert not path.exists()


@pytest.mark.slow
async def test_a_listing_that_has_shrunk_does_not_cost_what_it_was_long(tmapi_sandboxes, path):
    """A second run trusts no length of the first: what is gone is not asked for page by page."""
    before = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 41), 400))
    assert (await harvest(before, path)).complete
    after = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 41), 15))
    result = await harvest(after, path, refresh=True)
    assert (result.complete, result.tally.pages) == (True, 40)
    assert result.requests == after.stats.requests <= 40 + 8
