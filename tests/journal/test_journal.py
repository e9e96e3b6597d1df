"""Pages handed over, commits, failures: what durable means."""

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


async def test_what_is_handed_over_in_one_turn_is_committed_at_once(path):
    """Ten pages of one turn of the loop cost one commit, and none waits for more to come."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    for number in range(1, 11):
        journal.submit(visit, record(number))
    assert journal.waiting == 10
    await journal.flush()
    assert (journal.statistics().commits, journal.statistics().durable) == (1, 10)
    await journal.close()


async def test_pages_that_come_during_a_commit_are_the_next_group(path, monkeypatch):
    """While one commit is on the disk the next group gathers, and goes as a whole."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    slow, inside = threading.Event(), threading.Event()
    hold_commits(monkeypatch, until=slow, inside=inside)
    first = asyncio.ensure_future(journal.append(visit, record(1)))
    await asyncio.to_thread(inside.wait, 20)
    for number in range(2, 9):
        journal.submit(visit, record(number))
        await asyncio.sleep(0)
    assert not first.done()
    slow.set()
    await journal.flush()
    assert first.done()
    assert journal.statistics().commits == 2
    await journal.close()


async def test_an_append_that_is_cancelled_stores_its_page_all_the_same(path):
    """A page was paid for: nobody waiting for it any more is no reason to lose it."""
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


async def test_a_page_that_is_held_already_changes_nothing(path):
    """A page handed over twice is stored once, its rejects too, and is not counted twice."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7), counts=lambda: RequestCounts(requests=1)).visits
    await journal.append(visit, record(1, rejects=[reject(3)]))
    await journal.append(visit, record(1, rejects=[reject(3)], body=body(99)))
    await journal.append(visit, record(2))
    await journal.close()
    with JournalReader(path) as reader:
        pages = list(reader.pages())
        assert [(page.number, page.body) for page in pages] == [(1, body(1)), (2, body(2))]
        assert [found.position for found in reader.rejects()] == [3]
        last = reader.starts()[-1].totals
        assert last is not None
        assert (last.pages, last.items) == (2, 40)


async def test_everything_a_page_is_kept_with_comes_back(path):
    """Body, time, attempts, latency, counts and rejects are read as they were written."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    given = record(
        3, fetched_at=1_767_605_400.123, attempts=4, latency=1.25, items=18,
        rejects=[reject(0), reject(19)], last=True,
    )  # fmt: skip
    await journal.append(visit, given)
    await journal.close()
    with JournalReader(path) as reader:
        (page,) = reader.pages()
        assert (page.listing, page.number, page.body) == (visit.listing, 3, given.body)
        assert (page.fetched_at, page.attempts, page.latency) == (1_767_605_400.123, 4, 1.25)
        assert (page.items, page.rejects, page.has_next_page) == (18, 2, False)
        assert [(r.position, r.reason, r.raw) for r in reader.rejects()] == [
            (r.position, r.reason, r.raw) for r in given.rejects
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
    """Pages and the ending handed over after them go together, or the pages first."""
    journal = Journal.open(path)
    visits = begin(journal, listings(*range(1, 21))).visits
    missing: list[int] = []
    for visit in visits:
        journal.apply(begin_visit(visit, 1.0))
        for number in range(1, 4):
            journal.submit(visit, record(number, last=number == 3))
        journal.apply(end_visit(visit, "complete", totals(3), now=2.0))
        await asyncio.sleep(0)
        with JournalReader(path) as reader:
            complete = [found.id for found in reader.visits() if found.state == "complete"]
        held = stored(path)
        missing += [done for done in complete for n in (1, 2, 3) if (done, n) not in held]
    await journal.close()
    assert missing == []


async def test_a_full_disk_is_told_and_nothing_is_called_durable_that_is_not(path):
    """With no room left the append fails; all that was acknowledged is there, and no more."""
    journal = open_with(path, "max_page_count = 18")
    told = []
    plan = journal.plan(listings(7))
    (visit,) = journal.begin(
        plan,
        host="api.example",
        version="test",
        counts=RequestCounts,
        on_durable=lambda: told.append(journal.error),
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
    assert told[-1] is journal.error
    with pytest.raises(DiskFullError):
        journal.submit(visit, record(5000))
    with pytest.raises(DiskFullError):
        await journal.flush()
    await journal.close()
    assert stored(path) == acknowledged
    with JournalReader(path) as reader:
        reader.verify()


async def test_a_journal_that_was_full_goes_on_when_there_is_room(path):
    """After a full disk the same file takes pages again, and still holds the earlier ones."""
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


async def test_whatever_fails_in_the_thread_reaches_those_who_wait(path, monkeypatch):
    """An error nobody foresaw ends the writing, typed, and keeps nobody waiting."""
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


async def test_the_last_commit_failing_is_told_by_close(path):
    """Pages handed over and not waited for do not vanish in silence when the journal closes."""
    journal = open_with(path, "max_page_count = 15")
    (visit,) = begin(journal, listings(7)).visits
    journal.submit(visit, record(1, body=NOISE))
    with pytest.raises(DiskFullError):
        await journal.close()
    assert Journal.open(path).error is None


async def test_close_commits_what_was_handed_over_and_can_be_repeated(path):
    """Nothing handed over is lost by closing, and nothing can be handed over after it."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    for number in range(1, 31):
        journal.submit(visit, record(number))
    await journal.close()
    await journal.close()
    assert len(stored(path)) == 30
    with pytest.raises(ClosedError):
        journal.submit(visit, record(31))


async def test_a_close_that_is_cancelled_closes_all_the_same(path):
    """Stopped in the middle of closing, the journal is committed and free for the next start."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    journal.submit(visit, record(1))
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
    """After closing nothing lies beside the journal: it can be copied, mailed, read on a CD."""
    journal = Journal.open(path)
    (visit,) = begin(journal, listings(7)).visits
    await journal.append(visit, record(1))
    assert {file.name for file in path.parent.iterdir()} > {path.name}
    await journal.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_clock_that_goes_backwards_hurts_nothing(path):
    """The order of pages is that of their commits, whatever the clock says."""
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
    clock = itertools.count(0.0, 601.0)
    ticks = TickRecorder(1, lambda: next(clock))
    for number in range(1, 1501):
        ticks.add(1, 20)
        ticks.store(connection, RequestCounts(requests=number), 8)
    finish(connection)
    with JournalReader(path) as reader:
        found = reader.ticks(1)
        assert len(found) <= 730
        assert [tick.pages for tick in found] == sorted(tick.pages for tick in found)
        assert found[-1].pages == 1500
