"""Harvests against a sandbox: resume, stop, failures, and the figures at the end."""

from __future__ import annotations

import asyncio
import contextlib
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
    locked,
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
    LockedJournalError,
)
from tmapi_async.harvest import Harvest, JournalReader
from tmapi_async.journal import schema, writer
from tmapi_async.journal.journal import Journal
from tmapi_async.sandbox import Drift, Faults

pytestmark = pytest.mark.usefixtures("tidy")

SIZES = {1: 95, 2: 0, 3: 40, 4: 1, 5: 61, 6: 200}
PAGES = 5 + 1 + 2 + 1 + 4 + 10


def stored_items(path):
    """The items of each category in the journal, each as often as it is there."""
    item_ids = {cat_id: [] for cat_id in SIZES}
    with JournalReader(path) as reader:
        for page in reader.pages():
            item_ids[page.listing.cat_id] += _ids(page.body)
    return {cat_id: sorted(ids) for cat_id, ids in item_ids.items()}


def _ids(body):
    return [int(item["item_id"]) for item in msgspec.json.decode(body)["data"]["items"]]


def truth(sandbox):
    """The items of each category in the catalogue."""
    catalogue = sandbox.catalogue
    return {cat_id: sorted(catalogue.item_ids(cat_id)) for cat_id in SIZES}


async def test_a_second_harvest_of_the_same_listings_sends_nothing(tmapi_sandboxes, path):
    """A harvest stores every item once. A second one sends no request and has the same result."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    first = await harvest(sandbox, path)
    assert (first.complete, first.stopped_by, first.error) == (True, None, None)
    assert (first.tally.complete, first.tally.pages, first.tally.items) == (6, PAGES, 397)
    assert stored_items(path) == truth(sandbox)
    requests_before = sandbox.stats.requests
    again = await harvest(sandbox, path)
    assert (again.start, again.requests, again.pages) == (None, 0, 0)
    assert again.tally == first.tally
    assert sandbox.stats.requests == requests_before


async def test_starts_continue_after_a_spent_budget(tmapi_sandboxes, path):
    """Starts with a small budget walk all listings; only looks at seams are paid for twice."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    results = []
    while not results or results[-1].stopped_by == "budget":
        results.append(await harvest(sandbox, path, api={"max_requests": 4, "lookahead": "off"}))
        assert results[-1].requests <= 4
    looks = sum(result.second_looks for result in results)
    assert 0 < looks < PAGES
    assert len(results) == -(-(PAGES + looks) // 4)
    assert isinstance(results[0].error, BudgetSpentError)
    assert results[0].tally.left
    assert results[-1].complete
    assert stored_items(path) == truth(sandbox)
    assert sandbox.stats.extra_servings == looks
    assert sandbox.stats.requests == PAGES + looks


async def test_a_start_may_have_another_speed_and_more_categories(tmapi_sandboxes, path):
    """A start with another concurrency and more categories continues with all of them."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    await harvest(sandbox, path, [1, 6], api={"max_requests": 3})
    result = await harvest(sandbox, path, api={"concurrency": 2})
    assert result.complete
    assert stored_items(path) == truth(sandbox)
    assert sandbox.stats.extra_servings == result.second_looks == 2


async def test_a_refresh_walks_all_listings_into_a_new_run(tmapi_sandboxes, path):
    """The old run stays unchanged, and the new run has the current pages."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    await harvest(sandbox, path)
    result = await harvest(sandbox, path, refresh=True)
    assert (result.run, result.requests) == (2, PAGES)
    assert result.wasted == 0  # the length of each listing is known
    with JournalReader(path) as reader:
        assert [run.states for run in reader.runs()] == [{"complete": 6}] * 2
        assert [len(list(reader.pages(run=run))) for run in (1, 2)] == [PAGES, PAGES]


async def test_a_refresh_of_an_unfinished_run_says_that_no_new_run_begins(
    tmapi_sandboxes, path, caplog
):
    """Its listings are continued, so that there is nothing to compare them with afterwards."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    await harvest(sandbox, path, api={"max_requests": 3})
    assert "no new run begins" not in caplog.text
    result = await harvest(sandbox, path, refresh=True)
    assert (result.run, result.complete) == (1, True)
    assert "run 1 is not finished: it is continued, and no new run begins" in caplog.text
    caplog.clear()
    assert (await harvest(sandbox, path, refresh=True)).run == 2
    assert "no new run begins" not in caplog.text


async def test_a_failed_page_is_named_and_requested_again(tmapi_sandboxes, path):
    """A failed page fails its listing alone. The next start requests it, and looks at the seam."""
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
    requests_before = sandbox.stats.requests
    again = await harvest(sandbox, path)
    assert again.complete
    assert (sandbox.stats.requests, again.second_looks) == (requests_before + 2, 1)
    with JournalReader(path) as reader:
        assert reader.failed_pages() == []
        assert len(list(reader.pages(run=2))) == PAGES


async def test_a_listing_whose_next_page_fails_goes_on_from_there(tmapi_sandboxes, path):
    """If no page after the failed one is stored, the next start continues with the failed page."""
    sandbox = await tmapi_sandboxes(categories=SIZES, faults=Faults(script={(6, 4): "500"}))
    result = await harvest(sandbox, path, api={"lookahead": "off"})
    assert (result.tally.failed, result.tally.pages) == (1, PAGES - 7)
    sandbox.faults = Faults()
    again = await harvest(sandbox, path)
    assert again.complete
    assert stored_items(path) == truth(sandbox)
    assert sandbox.stats.extra_servings == again.second_looks == 1


async def test_a_parameter_the_server_refuses_fails_its_listing_alone(tmapi_sandboxes, path):
    """Code 422 fails the listing without retries, and all other listings are walked."""
    sandbox = await tmapi_sandboxes(categories=SIZES, faults=Faults(script={3: "422"}))
    result = await harvest(sandbox, path)
    assert (result.tally.failed, result.tally.complete) == (1, 5)
    assert result.codes["422"] == 1


@pytest.mark.parametrize(("fault", "why"), [("439", "balance"), ("401", "auth")])
async def test_a_refused_account_ends_the_harvest_which_can_be_resumed(
    tmapi_sandboxes, path, fault, why
):
    """After a refused balance or token, pages are kept and the result names the reason."""
    sandbox = await tmapi_sandboxes(categories=SIZES, faults=Faults(script={(6, 6): fault}))
    result = await harvest(sandbox, path, api={"lookahead": "off", "concurrency": 2})
    assert result.stopped_by == why
    assert result.tally.left
    assert len(stored(path)) == sandbox.stats.billed
    with JournalReader(path) as reader:
        assert reader.starts()[-1].stopped_by == why
    sandbox.faults = Faults()
    again = await harvest(sandbox, path)
    assert again.complete
    assert stored_items(path) == truth(sandbox)
    assert sandbox.stats.extra_servings == again.second_looks == 1


async def test_a_stop_drains_what_is_on_the_wire(tmapi_sandboxes, path):
    """A stop waits for the pages in flight, stores them and requests no more: they are billed."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        sandbox.hold()
        running = asyncio.create_task(work.run())
        await sandbox.until(lambda statistics: statistics.in_flight == 4)
        work.stop()
        assert work.progress().stopping
        sandbox.release()
        result = await running
    assert (result.stopped_by, result.requests, result.pages) == ("signal", 4, 4)
    assert len(stored(path)) == sandbox.stats.requests == 4
    again = await harvest(sandbox, path)
    assert again.complete
    assert sandbox.stats.extra_servings == again.second_looks


async def test_a_cancelled_harvest_stores_every_page_it_has_read(tmapi_sandboxes, path):
    """A cancelled harvest commits every page that was read; the rest is requested again."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        running = asyncio.create_task(work.run())
        await until(lambda: work.progress().pages >= 5)
        sandbox.hold()
        await sandbox.until(lambda statistics: statistics.in_flight == 4)
        received = work.progress().pages
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert work.result().stopped_by == "signal"
        sandbox.release()
    assert len(stored(path)) == received
    again = await harvest(sandbox, path)
    assert again.complete
    assert stored_items(path) == truth(sandbox)
    assert sandbox.stats.extra_servings - again.second_looks <= 4


async def test_a_stop_before_it_runs_sends_nothing(tmapi_sandboxes, path):
    """A harvest stopped before its first request changes nothing for the next start."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    async with client(sandbox) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        work.stop()
        result = await work.run()
    assert (result.stopped_by, result.tally.left, sandbox.stats.requests) == ("signal", 6, 0)


async def test_a_kill_can_cost_at_most_two_widths(tmapi_sandboxes, path, monkeypatch):
    """While the disk does not answer, at most two widths of pages are requested."""
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


@pytest.mark.parametrize("accounts", [1, 2])
async def test_a_locked_journal_is_waited_for(tmapi_sandboxes, path, monkeypatch, caplog, accounts):
    """While the journal is locked nothing more is requested; then the harvest goes on, whole."""
    monkeypatch.setattr(writer, "BUSY_SECONDS", 0.0)
    sandbox = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 40), 60))
    async with contextlib.AsyncExitStack() as stack:
        tokens = ["sandbox", "other"][:accounts]
        clients = [
            await stack.enter_async_context(client(sandbox, token=token, wait=1800))
            for token in tokens
        ]
        work = Harvest(clients, listings(*range(1, 40)), journal=path)
        running = asyncio.create_task(work.run())
        await until(lambda: work.progress().pages > 4)
        with locked(path):
            await until(lambda: work.progress().waiting_for)
            assert work.progress().waiting_for == "another program has locked the journal"
            await until(lambda: not work.progress().in_flight)
            requests = sandbox.stats.requests
            for _ in range(200):
                await asyncio.sleep(0)
            assert sandbox.stats.requests == requests
        result = await running
    assert result.complete
    assert (result.tally.pages, result.error) == (117, None)
    assert sandbox.stats.pages_served_twice == 0
    assert "nothing is requested until that has ended, for at most 30 min" in caplog.text
    assert "the journal can be written again" in caplog.text


async def test_a_harvest_that_waits_for_its_journal_can_be_ended(
    tmapi_sandboxes, path, monkeypatch
):
    """Cancelled while the journal is locked, a harvest ends at once, and can be continued."""
    monkeypatch.setattr(writer, "BUSY_SECONDS", 0.0)
    sandbox = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 40), 60))
    async with client(sandbox, wait=1800) as api:
        work = Harvest(api, listings(*range(1, 40)), journal=path)
        running = asyncio.create_task(work.run())
        await until(lambda: work.progress().pages > 4)
        with locked(path):
            await until(lambda: work.progress().waiting_for)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
    assert isinstance(work.result().error, LockedJournalError)
    assert (await harvest(sandbox, path, range(1, 40))).complete


async def test_a_journal_that_is_locked_at_the_start_is_waited_for(
    tmapi_sandboxes, path, monkeypatch
):
    """Nothing is sent before the journal can be written; `stop` ends the wait."""
    monkeypatch.setattr(schema, "LOCK_SECONDS", 0.0)
    sandbox = await tmapi_sandboxes(categories=SIZES)
    await harvest(sandbox, path, [1])
    requests = sandbox.stats.requests
    async with client(sandbox, wait=1800) as api:
        for ending in ("stop", "unlock"):
            work = Harvest(api, listings(1, 3), journal=path)
            with locked(path):
                running = asyncio.create_task(work.run())
                await until(lambda work=work: work.progress().waiting_for)
                assert sandbox.stats.requests == requests
                if ending == "stop":
                    work.stop()
                    with pytest.raises(LockedJournalError):
                        await running
        assert (await running).complete


async def test_a_full_disk_stops_the_harvest_and_loses_nothing(tmapi_sandboxes, path, monkeypatch):
    """The error names the full disk. Committed pages stay; with free space a start continues."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "open", partial(open_with, pragma="max_page_count = 14"))
        result = await harvest(sandbox, path, api={"wait": 0})
    assert result.stopped_by == "disk"
    assert isinstance(result.error, DiskFullError)
    assert result.tally.left
    with JournalReader(path) as reader:
        reader.verify()
    assert (await harvest(sandbox, path)).complete
    assert stored_items(path) == truth(sandbox)


async def test_a_journal_in_use_is_refused_before_any_request(tmapi_sandboxes, path):
    """A second harvest into the same journal raises an error and sends no request."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    other = Journal.open(path)
    with pytest.raises(JournalInUseError):
        await harvest(sandbox, path)
    assert sandbox.stats.requests == 0
    await other.close()


async def test_rejects_are_stored_and_counted(tmapi_sandboxes, path):
    """Undecodable rows are in the journal with their bytes, place and reason."""
    sandbox = await tmapi_sandboxes(categories=SIZES, drift=Drift(bad_rows=0.1))
    result = await harvest(sandbox, path)
    assert result.complete
    assert result.tally.rejects > 10
    assert result.tally.items + result.tally.rejects == 397
    with JournalReader(path) as reader:
        rejects = list(reader.rejects())
        pages = {(page.listing, page.number): page.body for page in reader.pages()}
    assert len(rejects) == result.tally.rejects
    assert all(reject.raw in pages[reject.listing, reject.number] for reject in rejects)
    assert all(reject.reason for reject in rejects)


async def test_a_page_of_rejects_fails_its_listing(tmapi_sandboxes, path):
    """A page of mostly undecodable rows (a changed API) is stored, and its listing fails."""
    sandbox = await tmapi_sandboxes(categories={6: 200}, drift=Drift(bad_rows=1.0))
    result = await harvest(sandbox, path, [6], api={"lookahead": "off"})
    assert (result.tally.failed, result.complete) == (1, False)
    assert sandbox.stats.requests < 10
    with JournalReader(path) as reader:
        (visit,) = reader.visits()
        assert (visit.state, visit.error_kind) == ("failed", "changed")
        assert "20 of 20 rows cannot be decoded" in (visit.error or "")
        assert visit.rejects == 20 * visit.pages
    requests_before = sandbox.stats.requests
    again = await harvest(sandbox, path, [6])
    assert again.tally.failed == 1
    assert sandbox.stats.requests == requests_before, (
        "a page that cannot be read today is not paid for again"
    )
    walked = await harvest(sandbox, path, [6], most_rejects=1.0)
    assert (walked.tally.failed, walked.tally.pages) == (1, 10), "no row of it is readable"
    assert sandbox.stats.extra_servings == walked.second_looks == 1


async def test_a_listing_without_a_readable_row_is_not_complete(tmapi_sandboxes, path):
    """Pages of fewer than ten rows prove no change of the API; a listing of rejects is no result.

    Source of the kind: lexiforest/curl_cffi#757 (text in another charset than it states).
    """
    sandbox = await tmapi_sandboxes(categories={6: 9}, drift=Drift(bad_rows=1.0))
    result = await harvest(sandbox, path, [6])
    assert (result.complete, result.tally.failed, result.tally.rejects) == (False, 1, 9)
    with JournalReader(path) as reader:
        (visit,) = reader.visits()
        assert visit.error_kind == "changed"
        assert "none of the 9 rows" in (visit.error or "")


async def test_a_listing_cut_by_a_limit_is_capped_until_the_limit_is_raised(tmapi_sandboxes, path):
    """A listing cut by max_pages is capped, and a start with a higher limit continues it."""
    sandbox = await tmapi_sandboxes(categories=SIZES)
    short = await harvest(sandbox, path, max_pages=2)
    assert (short.tally.capped, short.tally.complete, short.complete) == (3, 3, True)
    assert (await harvest(sandbox, path, max_pages=2)).requests == 0
    whole = await harvest(sandbox, path)
    assert (whole.tally.capped, whole.tally.complete) == (0, 6)
    assert stored_items(path) == truth(sandbox)
    assert sandbox.stats.extra_servings == whole.second_looks == 3


async def test_distinct_items_are_right_over_several_starts(tmapi_sandboxes, path):
    """An item that a listing repeats on another page is counted once, also across starts."""
    sandbox = await tmapi_sandboxes(categories=SIZES, repeats=0.5)
    await harvest(sandbox, path, api={"max_requests": 9})
    result = await harvest(sandbox, path)
    assert result.complete
    everything = stored_items(path)
    assert result.tally.items == sum(map(len, everything.values())) > 397
    assert result.tally.unique_items == 397
    with JournalReader(path) as reader:
        assert sum(visit.unique_items for visit in reader.visits()) == 397


async def test_distinct_items_are_right_after_a_kill(tmapi_sandboxes, path):
    """Distinct items of listings that a kill left open are counted, reached or not."""
    sandbox = await tmapi_sandboxes(categories=SIZES, repeats=0.5)
    await harvest(sandbox, path, api={"max_requests": 12})
    connection = sqlite3.connect(path)
    unnoted = (
        "UPDATE visit SET pages = NULL, items = NULL, unique_items = NULL WHERE state = 'open'"
    )
    assert connection.execute(unnoted).rowcount > 1
    connection.commit()
    connection.close()
    everything = stored_items(path)
    distinct = sum(len(set(ids)) for ids in everything.values())
    assert distinct < sum(map(len, everything.values()))
    with JournalReader(path) as reader:
        assert sum(visit.unique_items for visit in reader.visits()) == distinct
    async with client(sandbox) as api:
        work = Harvest(api, listings(*SIZES), journal=path)
        sandbox.hold()
        running = asyncio.create_task(work.run())
        await sandbox.until(lambda statistics: statistics.in_flight == 3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        sandbox.release()
    result = await harvest(sandbox, path, api={"max_requests": 1, "concurrency": 1})
    assert result.tally.unique_items == distinct + sum(
        len(set(item_ids)) - len(set(everything[cat_id]))
        for cat_id, item_ids in stored_items(path).items()
    )


async def test_an_endless_listing_fails_and_says_why(tmapi_sandboxes, path):
    """A listing that never ends fails, and its pages are kept."""
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
    """A stored body that cannot be read fails its listing. All other listings are walked."""
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
    """A changed host is logged once, and the harvest continues."""
    sandbox, other = [await tmapi_sandboxes(categories=SIZES) for _ in range(2)]
    await harvest(sandbox, path, api={"max_requests": 3})
    with caplog.at_level(logging.WARNING, "tmapi_async"):
        result = await harvest(other, path)
    assert result.complete
    assert sum("check the base URL" in record.getMessage() for record in caplog.records) == 1


async def test_the_token_is_in_no_file_of_the_journal(tmapi_sandboxes, path, canary):
    """No file of the journal has the token, during a harvest and after it."""
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


async def test_progress_and_result_agree(tmapi_sandboxes, path):
    """At the end, progress and result have the same figures."""
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
    """A second run, or a closed client, raises an error, and nothing is recorded."""
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
async def test_invalid_options_are_refused(tmapi_sandbox, path, options):
    """A limit of no pages or a share above one is refused before the journal is created."""
    with pytest.raises(InvalidRequestError):
        Harvest(client(tmapi_sandbox), listings(1), journal=path, **options)
    assert not path.exists()


@pytest.mark.slow
async def test_a_listing_that_has_shrunk_costs_only_its_new_length(tmapi_sandboxes, path):
    """A second run does not request all pages that the first run found."""
    before = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 41), 400))
    assert (await harvest(before, path)).complete
    after = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 41), 15))
    result = await harvest(after, path, refresh=True)
    assert (result.complete, result.tally.pages) == (True, 40)
    assert result.requests == after.stats.requests <= 40 + 8
