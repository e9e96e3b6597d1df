"""Submitted pages, commits and failures: the meaning of durable."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading

import pytest

from tests.support.harvesting import (
    begin,
    body,
    hold_commits,
    listings,
    open_with,
    record,
    reject,
    stored,
    totals,
    until,
)
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.errors import ClosedError, DiskFullError, JournalError
from tmapi_async.harvest import JournalReader
from tmapi_async.journal.compression import Encoder
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.schema import connect, finish
from tmapi_async.journal.statements import begin_visit, end_visit
from tmapi_async.journal.writer import TickRecorder

NOISE = random.Random(1).randbytes(500_000)  # noqa: S311 - no secret
"""Bytes that do not compress."""

pytestmark = pytest.mark.usefixtures("tidy")


async def test_a_page_is_in_the_file_when_its_append_returns(path):
    """When the append of a page returns, this page and every page before it are committed."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    for number in range(1, 6):
        await journal.append(visit, record(number))
        assert stored(path) == [(visit.id, n) for n in range(1, number + 1)]
    assert journal.waiting == 0
    await journal.close()


async def test_pages_of_one_turn_are_committed_together(path):
    """Ten pages of one turn of the loop need one commit, and none waits for more pages."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    for number in range(1, 11):
        journal.submit((visit, record(number)))
    assert journal.waiting == 10
    await journal.flush()
    assert (journal.statistics().commits, journal.statistics().durable) == (1, 10)
    await journal.close()


async def test_pages_gather_for_a_commit_until_as_many_came_as_the_gate_is_wide(path):
    """A coordinator's pages of several turns share a commit; `flush` does not wait for more."""
    journal = Journal.open(path)
    journal.gather = 3600.0
    (visit,) = begin(journal, listings(7), width=lambda: 4).visits
    for number in range(1, 4):
        journal.submit((visit, record(number)))
        await asyncio.sleep(0)
    await asyncio.to_thread(lambda: None)
    assert (journal.statistics().commits, journal.waiting) == (0, 3)
    await journal.wait_durable(journal.submit((visit, record(4))))
    assert journal.statistics().commits == 1
    journal.submit((visit, record(5)), (visit, record(6)))
    await journal.flush()
    assert (journal.statistics().commits, len(stored(path))) == (2, 6)
    journal.submit((visit, record(7)))
    await journal.close()
    assert len(stored(path)) == 7


async def test_pages_that_gathered_for_long_enough_are_committed(path):
    """Without further pages, the time ends the gathering."""
    journal = Journal.open(path)
    journal.gather = 0.001
    (visit,) = begin(journal, listings(7), width=lambda: 4).visits
    await journal.wait_durable(journal.submit((visit, record(1))))
    assert stored(path) == [(visit.id, 1)]
    await journal.close()


async def test_pages_that_come_during_a_commit_are_the_next_group(path, monkeypatch):
    """Pages submitted during a commit form the next group, which is committed as a whole."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    slow, inside = threading.Event(), threading.Event()
    hold_commits(monkeypatch, until=slow, inside=inside)
    first = asyncio.ensure_future(journal.append(visit, record(1)))
    await asyncio.to_thread(inside.wait, 20)
    for number in range(2, 9):
        journal.submit((visit, record(number)))
        await asyncio.sleep(0)
    assert not first.done()
    slow.set()
    await journal.flush()
    assert first.done()
    assert journal.statistics().commits == 2
    await journal.close()


async def test_a_cancelled_append_still_stores_its_page(path):
    """The page of a cancelled append is stored, because it was paid for."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    waiting = [asyncio.create_task(journal.append(visit, record(n))) for n in range(1, 5)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    assert all(
        isinstance(error, asyncio.CancelledError)
        for error in await asyncio.gather(*waiting, return_exceptions=True)
    )
    await journal.flush()
    assert [number for _, number in stored(path)] == [1, 2, 3, 4]
    await journal.close()


async def test_a_page_that_shows_more_replaces_the_stored_one(path):
    """A page that denied its total is requested again. A worse reply never replaces a better."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    await journal.append(visit, record(1))
    await journal.append(visit, record(2, last=True, items=0, rejects=(reject(0),)))
    better = record(2, rejects=(reject(20),))
    await journal.append(visit, better)
    await journal.append(visit, record(2, last=True))
    await journal.append(visit, record(3, last=True))
    await journal.close()
    with JournalReader(path) as reader:
        pages = [(page.number, page.items, page.has_next_page) for page in reader.pages()]
        assert pages == [(1, 20, True), (2, 20, True), (3, 20, False)]
        assert [row.position for row in reader.rejects()] == [20]


async def test_a_stored_page_is_not_stored_again(path):
    """A page submitted twice is stored and counted once, and so are its rejects."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7), counts=lambda: RequestCounts(requests=1)).visits
    await journal.append(visit, record(1, rejects=[reject(3)]))
    await journal.append(visit, record(1, rejects=[reject(3)], body=body(99)))
    await journal.append(visit, record(2))
    await journal.close()
    with JournalReader(path) as reader:
        pages = list(reader.pages())
        assert [(page.number, page.body) for page in pages] == [(1, body(1)), (2, body(2))]
        assert [row.position for row in reader.rejects()] == [3]
        last = reader.starts()[-1].totals
        assert last is not None
        assert (last.pages, last.items) == (2, 40)


async def test_all_fields_of_a_page_are_read_as_written(path):
    """Body, time, attempts, latency, counts and rejects are read as they were written."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    page_record = record(
        3, fetched_at=1_767_605_400.123, attempts=4, latency=1.25, items=18,
        rejects=[reject(0), reject(19)], last=True,
    )  # fmt: skip
    await journal.append(visit, page_record)
    await journal.close()
    with JournalReader(path) as reader:
        (page,) = reader.pages()
        assert (page.listing, page.number, page.body) == (visit.listing, 3, page_record.body)
        assert (page.fetched_at, page.attempts, page.latency) == (1_767_605_400.123, 4, 1.25)
        assert (page.items, page.rejects, page.has_next_page) == (18, 2, False)
        assert [(r.position, r.reason, r.raw) for r in reader.rejects()] == [
            (r.position, r.reason, r.raw) for r in page_record.rejects
        ]


async def test_counts_are_in_the_transaction_of_the_pages_they_paid_for(path):
    """A page and the count of its requests are committed in one transaction."""
    journal = Journal.open(path)
    sent = itertools.count(1)
    (visit,) = begin(
        journal, listings(7), counts=lambda: RequestCounts(requests=next(sent), codes={"200": 1})
    ).visits
    for number in range(1, 4):
        await journal.append(visit, record(number))
        with JournalReader(path) as reader:
            last = reader.starts()[-1].totals
            assert last is not None
            assert (last.requests, last.pages, last.codes) == (number, number, {"200": 1})
    await journal.close()


async def test_a_listing_is_never_complete_before_its_pages_are_there(path):
    """The end of a listing is committed with its pages, or after them."""
    journal = Journal.open(path)
    visits = begin(journal, listings(*range(1, 21))).visits
    missing: list[int] = []
    for visit in visits:
        journal.apply(begin_visit(visit, 1.0))
        for number in range(1, 4):
            journal.submit((visit, record(number, last=number == 3)))
        journal.apply(end_visit(visit, "complete", totals(3), now=2.0))
        await asyncio.sleep(0)
        with JournalReader(path) as reader:
            complete = [visit.id for visit in reader.visits() if visit.state == "complete"]
        stored_pages = stored(path)
        missing += [done for done in complete for n in (1, 2, 3) if (done, n) not in stored_pages]
    await journal.close()
    assert missing == []


async def test_a_full_disk_fails_the_append_and_loses_no_durable_page(path):
    """On a full disk the append fails. The file has exactly the pages whose append returned."""
    journal = open_with(path, "max_page_count = 18")
    errors = []
    plan = journal.plan(listings(7))
    (visit,) = journal.begin(
        plan,
        host="api.example",
        version="test",
        counts=RequestCounts,
        on_durable=lambda: errors.append(journal.error),
    ).visits
    acknowledged: list[tuple[int, int]] = []

    async def fill() -> None:
        for number in range(1, 2000):
            await journal.append(visit, record(number, body=NOISE[:3000]))
            acknowledged.append((visit.id, number))

    with pytest.raises(DiskFullError, match="Free some space, then run the same command again"):
        await fill()
    assert acknowledged
    assert isinstance(journal.error, DiskFullError)
    assert errors[-1] is journal.error
    with pytest.raises(DiskFullError):
        journal.submit((visit, record(5000)))
    with pytest.raises(DiskFullError):
        await journal.flush()
    await journal.close()
    assert stored(path) == acknowledged
    with JournalReader(path) as reader:
        reader.verify()


async def test_a_journal_works_again_when_the_disk_has_space(path):
    """After a full disk the same file takes pages again, and still has the earlier ones."""
    journal = open_with(path, "max_page_count = 15")
    (visit,) = begin(journal, listings(7)).visits
    await journal.append(visit, record(1))
    with pytest.raises(DiskFullError):
        await journal.append(visit, record(2, body=NOISE))
    await journal.close()
    journal = Journal.open(path)
    (again,) = begin(journal, listings(7)).visits
    assert again.id == visit.id
    await journal.append(again, record(2))
    await journal.close()
    assert stored(path) == [(visit.id, 1), (visit.id, 2)]


async def test_an_unexpected_error_in_the_thread_reaches_the_callers(path, monkeypatch):
    """An unexpected error ends the writer, and every waiting caller gets a `JournalError`."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits

    def broken(*_):
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(Encoder, "encode", broken)
    waiting = [asyncio.create_task(journal.append(visit, record(n))) for n in range(1, 4)]
    for task in waiting:
        with pytest.raises(JournalError, match="nobody foresaw this"):
            await task
    await journal.close()
    assert stored(path) == []


async def test_a_page_is_refused_in_the_very_turn_that_learns_of_a_failure(path, monkeypatch):
    """No page is taken after a failure, even if the same turn of the loop took one before it."""
    journal, learned = Journal.open(path), threading.Event()
    plan, refused = journal.plan(listings(7)), []

    def submit_again():
        learned.set()
        with pytest.raises(JournalError, match="nobody foresaw this"):
            journal.submit((visit, record(99)))
        refused.append(journal.waiting)

    def broken(*_):
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(Encoder, "encode", broken)
    start = journal.begin(
        plan, host="api.example", version="test", counts=RequestCounts, on_durable=submit_again
    )
    (visit,) = start.visits
    for number in itertools.count(1):  # each turn submits a page: one of them is the last
        journal.submit((visit, record(number)))
        await asyncio.sleep(0)
        if learned.is_set():
            break
    assert refused == [number]
    await journal.close()


async def test_close_raises_if_the_last_commit_fails(path):
    """`close` raises if pages that nobody waited for could not be committed."""
    journal = open_with(path, "max_page_count = 15")
    (visit,) = begin(journal, listings(7)).visits
    journal.submit((visit, record(1, body=NOISE)))
    with pytest.raises(DiskFullError):
        await journal.close()
    assert Journal.open(path).error is None


async def test_close_commits_all_pages_and_can_be_repeated(path):
    """Closing loses no submitted page, and no page can be submitted after it."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    for number in range(1, 31):
        journal.submit((visit, record(number)))
    await journal.close()
    await journal.close()
    assert len(stored(path)) == 30
    with pytest.raises(ClosedError):
        journal.submit((visit, record(31)))


async def test_a_cancelled_close_still_closes(path):
    """A cancelled `close` still commits, and frees the journal for the next start."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    journal.submit((visit, record(1)))
    closing = asyncio.create_task(journal.close("signal"))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await until(lambda: not any(t.name == "tmapi-journal" for t in threading.enumerate()))
    assert stored(path) == [(visit.id, 1)]
    with JournalReader(path) as reader:
        assert reader.starts()[-1].stopped_by == "signal"
    await Journal.open(path).close()


async def test_a_finished_journal_is_one_file(path):
    """After closing, no file lies beside the journal: a single file can be copied or sent."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    await journal.append(visit, record(1))
    assert {file.name for file in path.parent.iterdir()} > {path.name}
    await journal.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_clock_that_goes_backwards_does_not_change_the_order(path):
    """Pages are in the order of their commits, independent of the clock."""
    for number, fetched_at in enumerate((2_000_000_000.0, 1_000_000_000.0, 1.0), start=1):
        journal = Journal.open(path)
        plan = journal.plan(listings(7))
        (visit,) = journal.begin(
            plan, host="api.example", version="test", counts=RequestCounts, now=fetched_at
        ).visits
        await journal.append(visit, record(number, fetched_at=fetched_at))
        await journal.close()
    with JournalReader(path) as reader:
        assert [page.number for page in reader.pages()] == [1, 2, 3]
        assert [page.fetched_at for page in reader.pages()] == [2e9, 1e9, 1.0]
        assert [start.id for start in reader.starts()] == [1, 2, 3]


def test_ticks_stay_few_however_long_a_start_runs(path):
    """A start of ten days has some hundreds of ticks; they only grow, and the last one is now."""
    connection = connect(path, writing=True)
    connection.execute("INSERT INTO run VALUES (1, 0, 'test')")
    connection.execute("INSERT INTO start VALUES (1, 1, 0, NULL, NULL, 'api.example', 'test', 1)")
    clock = itertools.count(0.0, 601.0)
    ticks = TickRecorder(1, lambda: next(clock))
    for number in range(1, 1501):
        ticks.add(1, 20)
        ticks.store(connection, RequestCounts(requests=number), 8)
    finish(connection)
    with JournalReader(path) as reader:
        ticks = reader.ticks(1)
        assert len(ticks) <= 730
        assert [tick.pages for tick in ticks] == sorted(tick.pages for tick in ticks)
        assert ticks[-1].pages == 1500
