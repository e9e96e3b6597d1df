"""Looks at a journal that is being written: right, cheap, and in nobody's way."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.harvesting import begin, listings, record, totals
from tests.support.journals import body, row, write
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.errors import DeadlineError, NoJournalError, TMAPIError
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.live import census, journal_watch
from tmapi_async.journal.live.journal_watch import Glance, JournalWatch
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.records import State, Totals, Visit
from tmapi_async.journal.statements import begin_visit, end_visit
from tmapi_async.journal.summaries.tally import RunTally

NAMES = 100


def look(watch: JournalWatch, now: float | None = None) -> Glance:
    """Return a look, which must find the same file."""
    glance = watch.look(time.time() if now is None else now, NAMES)
    assert glance is not None, watch.change
    return glance


def stored_tally(path: Path) -> RunTally:
    """Return the tally of the latest run as `tmapi status` counts it."""
    tally = RunTally()
    with JournalReader(path) as reader:
        for visit in reader.listings(reader.runs()[-1].id):
            tally.add_visit(visit)
    return tally


_STATES: tuple[State | None, ...] = ("complete", "failed", None)
FIGURES = ("listings", "complete", "capped", "shifted", "failed", "left", "pages", "items")


def figures(tally: RunTally) -> dict[str, int]:
    """Return the figures of a tally that a watch knows at any moment."""
    return {name: getattr(tally, name) for name in FIGURES}


async def open_visit(journal: Journal, visit: Visit, pages: int) -> None:
    """Begin a visit and store some pages of it."""
    journal.apply(begin_visit(visit, time.time()))
    for number in range(1, pages + 1):
        await journal.append(visit, record(number))


def end(journal: Journal, visit: Visit, state: State, pages: int, error: TMAPIError) -> None:
    """End a visit; its error is recorded if it has failed."""
    failure = error if state == "failed" else None
    journal.apply(end_visit(visit, state, totals(pages), now=time.time(), error=failure))


@pytest.mark.parametrize("block", [2, 512])
async def test_every_look_agrees_with_status(
    path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """Whatever has changed since the last look, the counts are those of a whole reading."""
    monkeypatch.setattr(census, "BLOCK", block)
    journal = Journal.open(path)
    start = begin(journal, listings(*range(1, 7)))
    watch = JournalWatch(path)
    error = DeadlineError("no answer")

    async def check() -> None:
        await journal.flush()
        look(watch)
        glance = look(watch)  # each block of a small journal has had its turn by now
        assert figures(glance.tally) == figures(stored_tally(path))
        names = {one.identity for one in glance.reading}
        assert names == {visit.listing.identity for visit in begun}
        for one in glance.reading:
            assert one.pages == pages[one.identity]

    begun: list[Visit] = []
    pages: Counter[str] = Counter()
    await check()
    for step, visit in enumerate(start.visits):
        begun.append(visit)
        await open_visit(journal, visit, pages=step % 4)
        pages[visit.listing.identity] = step % 4
        await check()
        for each in begun:  # several at once, as a harvest does
            await journal.append(each, record(10 + step))
            pages[each.listing.identity] += 1
        await check()
        state: State | None = _STATES[step % 3]
        if state is not None:
            end(journal, visit, state, pages[visit.listing.identity], error)
            begun.remove(visit)
        await check()
    glance = look(watch)
    assert [one.reason for one in glance.failed] == [error.label] * 2
    assert glance.waiting_number == 0
    await journal.close()
    assert look(watch).has_ended


async def test_listings_of_an_earlier_start_are_stopped_until_they_go_on(path: Path) -> None:
    """What is being read, what was left, and what has not begun are told apart."""
    first = Journal.open(path)
    one, *_ = begin(first, listings(1, 2, 3)).visits
    await open_visit(first, one, 2)
    first.apply(end_visit(one, "open", totals(2), now=time.time()))
    await first.close("signal")
    second = Journal.open(path)
    start = begin(second, listings(2, 1, 3))
    watch = JournalWatch(path)
    two, again, _ = start.visits
    second.apply(begin_visit(two, time.time() + 1))
    await second.flush()
    glance = look(watch)
    assert [each.identity for each in glance.reading] == [two.listing.identity]
    assert [(each.identity, each.pages) for each in glance.stopped] == [(one.listing.identity, 2)]
    assert [each.identity for each in glance.waiting] == ["category/items?cat_id=3"]
    await second.append(again, record(3))
    assert len(look(watch).reading) == 2
    assert not look(watch).stopped
    await second.close()


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the steps of SQLite's virtual machine in all looks from now on."""
    steps = [0]
    connect = journal_watch.connect_unchecked

    def counted(path: Path) -> sqlite3.Connection:
        connection = connect(path)

        def step() -> int:
            steps[0] += 1
            return 0

        connection.set_progress_handler(step, 100)
        return connection

    monkeypatch.setattr(journal_watch, "connect_unchecked", counted)
    return steps


async def test_a_look_costs_no_more_where_much_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work of a look follows from what is going on, not from the size of the journal."""
    monkeypatch.setattr(census, "BLOCK", 8)
    steps = count_steps(monkeypatch)
    costs = []
    for ended in (40, 800):
        path = tmp_path / f"{ended}.journal"
        journal = Journal.open(path)
        visits = list(begin(journal, listings(*range(1, ended + 41))).visits)
        small = record(1, last=True, body=body([row(1)]), items=1)
        for visit in visits[:ended]:
            journal.submit((visit, small))
            journal.apply(end_visit(visit, "complete", Totals(1, 1, 1, 0, 1), now=time.time()))
        await open_visit(journal, visits[ended], 2)
        watch = JournalWatch(path)
        look(watch)
        look(watch)
        before = steps[0]
        await journal.append(visits[ended], record(3))
        assert look(watch).reading[0].pages == 3
        costs.append(steps[0] - before)
        await journal.close()
    assert costs[1] <= 1.2 * costs[0] + 5, costs


async def test_a_watch_holds_nothing_between_two_looks(path: Path) -> None:
    """The harvest leaves a single file at its end, however often it was looked at."""
    journal = Journal.open(path)
    visit = next(iter(begin(journal, listings(1)).visits))
    watch = JournalWatch(path)
    for number in range(1, 5):
        await journal.append(visit, record(number))
        look(watch)
    await journal.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("remove", "the file was removed or moved"),
        ("replace", "another file has taken its place"),
        ("restore", "its contents are older than before"),
    ],
)
def test_a_file_that_is_not_the_same_any_more_is_not_shown(
    path: Path, change: str, text: str
) -> None:
    """A journal that was removed, replaced or restored in place would show wrong figures."""
    write(path, {1: [body([row(1)])]})
    backup = path.with_name("backup")
    backup.write_bytes(path.read_bytes())
    write(path, {1: [body([row(1)])], 2: [body([row(2)])]})
    watch = JournalWatch(path)
    look(watch)
    if change == "remove":
        path.unlink()
    elif change == "replace":
        backup.replace(path)
    else:
        path.write_bytes(backup.read_bytes())
    assert watch.look(time.time(), NAMES) is None
    assert watch.change.startswith(text)


def test_a_watch_of_nothing_is_refused(path: Path) -> None:
    """The message is that of `tmapi status`."""
    with pytest.raises(NoJournalError):
        JournalWatch(path)


async def test_the_speed_is_that_of_the_ticks_before_the_first_look(path: Path) -> None:
    """The first look has a speed already, and a harvest that stands still has none."""
    journal = Journal.open(path)
    counts = RequestCounts(requests=7)
    start = begin(journal, listings(1), counts=lambda: counts)
    await open_visit(journal, next(iter(start.visits)), 6)
    watch = JournalWatch(path)
    with JournalReader(path) as reader:
        began = reader.starts()[-1].started_at
    glance = look(watch, began + 10)
    assert glance.rate == pytest.approx(0.6)
    assert glance.start is not None
    assert glance.start.totals is not None
    assert glance.start.totals.requests == 7
    assert look(watch, began + 100).rate == 0.0
    await journal.close()


async def test_a_second_run_is_estimated_from_the_first(path: Path) -> None:
    """The pages that are left are those of the same listings in the run before."""
    ready = {cat_id: [body([row(cat_id)], has_next=True)] * 10 for cat_id in (1, 2)}
    await asyncio.to_thread(write, path, ready)
    journal = Journal.open(path)
    start = begin(journal, listings(1, 2), refresh=True)
    await open_visit(journal, next(iter(start.visits)), 4)
    with JournalReader(path) as reader:
        began = reader.starts()[-1].started_at
    remaining = look(JournalWatch(path), began + 8).remaining
    assert remaining is not None
    assert remaining.mean == pytest.approx(32.0)  # 16 pages at half a page a second
    assert remaining.low < remaining.mean < remaining.high
    await journal.close()


@pytest.mark.skipif(os.name == "nt", reason="the permissions there are others")
async def test_a_lock_that_may_not_be_tried_tells_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a read-only mount a running harvest is not called dead."""
    journal = Journal.open(path)
    begin(journal, listings(1))
    may: Any = os.access
    monkeypatch.setattr(
        os, "access", lambda name, mode: not str(name).endswith("-lock") and may(name, mode)
    )
    watch = JournalWatch(path)
    glance = look(watch)
    assert not glance.certain
    assert not glance.has_ended
    assert not watch.is_free()
    await journal.close()
    assert look(watch).has_ended
