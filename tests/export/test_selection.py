from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.journals import BEGAN, body, row, write
from tmapi_async.api.listings import category_items
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.errors import InvalidRequestError, JournalError
from tmapi_async.export import ExportRefusedError, Selection, chunks, compare_runs, export_journal
from tmapi_async.export.chunks import read_chunks
from tmapi_async.export.selection import LATEST_RUN, resolve
from tmapi_async.export.sinks import Conversions, Rows
from tmapi_async.journal import schema
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.records import PageRecord, State
from tmapi_async.report import gather


def selected(path: Path, **selection: Any) -> list[tuple[int, int, str]]:
    """Return run, item ID and title of each selected row."""
    with JournalReader(path) as reader:
        scope = resolve(reader, Selection(**selection))
        selected_rows = Rows(scope.endpoint, Conversions(), batches=False, lines=True)
        for chunk in read_chunks(reader, scope):
            selected_rows.add(chunk)
    rows = map(json.loads, selected_rows.lines.splitlines())
    return [(one["run"], one["item_id"], one["title"]) for one in rows]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Two runs of two categories, an hour apart."""
    path = tmp_path / "a.journal"
    write(path, {7: [body([row(1, title="a"), row(2, title="b")])], 8: [body([row(1, title="c")])]})
    later = {7: [body([row(1, title="d"), row(1, title="e")])], 8: [body([row(3, title="f")])]}
    return write(path, later, refresh=True, fetched_at=BEGAN + 3600)


def test_the_latest_visits_are_the_default(journal: Path) -> None:
    """By default the latest visit of each listing is exported, in the order of the commits."""
    assert selected(journal) == [(2, 1, "d"), (2, 1, "e"), (2, 3, "f")]
    write(journal, {8: [body([row(4, title="g")])]}, refresh=True)
    assert selected(journal) == [(2, 1, "d"), (2, 1, "e"), (3, 4, "g")]
    assert selected(journal, run=LATEST_RUN) == [(3, 4, "g")]
    assert selected(journal, cats=frozenset({7})) == [(2, 1, "d"), (2, 1, "e")]
    assert selected(journal, unique=True) == [(2, 1, "e"), (3, 4, "g")]


@pytest.mark.parametrize("state", ["open", "failed"])
def test_an_unfinished_visit_does_not_replace_a_finished_one(journal: Path, state: State) -> None:
    """Rows of a finished visit stay the default until a later visit is finished, and it is said."""
    write(journal, {7: [body([row(9, title="new")])], 8: []}, refresh=True, state=state)
    assert selected(journal) == [(2, 1, "d"), (2, 1, "e"), (2, 3, "f")]
    with JournalReader(journal) as reader:
        scope = resolve(reader, Selection())
    assert (scope.runs, scope.superseded, scope.tally.left, scope.tally.failed) == ((2,), 2, 0, 0)
    assert selected(journal, run=LATEST_RUN) == [(3, 9, "new")]


def test_of_unfinished_visits_the_latest_with_pages_is_exported(tmp_path: Path) -> None:
    """A failed visit without pages does not hide the pages of an earlier visit."""
    path = write(tmp_path / "a.journal", {7: [body([row(1, title="a")])]}, state="capped")
    write(path, {7: []}, refresh=True, state="failed")
    assert selected(path) == [(1, 1, "a")]


def test_visits_select_their_listings(journal: Path) -> None:
    """`visits` selects listings, not runs: the latest finished visit of each is exported."""
    write(journal, {8: [body([row(4, title="g")])]}, refresh=True)
    assert selected(journal, visits=frozenset({1})) == [(2, 1, "d"), (2, 1, "e")]
    assert selected(journal, visits=frozenset({2})) == [(3, 4, "g")]
    with JournalReader(journal) as reader:
        assert resolve(reader, Selection(visits=frozenset({1}))).left_out == 1
        assert resolve(reader, Selection(run=LATEST_RUN)).left_out == 1
        assert resolve(reader, Selection()).left_out == 0
    with pytest.raises(ExportRefusedError, match="visits cannot be combined"):
        Selection(visits=frozenset({1}), run=1)


def test_a_listing_with_many_runs_has_one_best_visit(tmp_path: Path) -> None:
    """The choice does not depend on how many runs and listings the journal has."""
    path = tmp_path / "a.journal"
    for number in range(1, 8):
        write(path, {cat_id: [body([row(number)])] for cat_id in range(1, 60)}, refresh=True)
    with JournalReader(path) as reader:
        listings = list(reader.listing_visits())
    assert len(listings) == 59
    assert all(len(one.visits) == 7 and one.best == one.visits[-1] for one in listings)
    assert {run for run, _, _ in selected(path)} == {7}


def test_a_run_can_be_named(journal: Path) -> None:
    """A number selects one run, and 0 selects all runs."""
    assert selected(journal, run=1) == [(1, 1, "a"), (1, 2, "b"), (1, 1, "c")]
    assert selected(journal, run=0) == [*selected(journal, run=1), *selected(journal, run=2)]


def test_since_looks_at_all_runs(journal: Path) -> None:
    """`since` selects pages of all runs, including the given moment; `run` limits it to one run."""
    first = datetime.fromtimestamp(BEGAN, UTC)
    assert selected(journal, since=first) == selected(journal, run=0)
    assert selected(journal, since=first + timedelta(seconds=1)) == selected(journal, run=2)
    assert selected(journal, since=first + timedelta(hours=2)) == []
    assert selected(journal, since=first, run=1) == selected(journal, run=1)


def test_categories_can_be_named(journal: Path) -> None:
    """`cats` limits an export to one or several categories."""
    assert selected(journal, cats=frozenset({8})) == [(2, 3, "f")]
    assert selected(journal, cats=frozenset({7, 8})) == selected(journal)


@pytest.mark.parametrize("pages", [1, 2, 128])
def test_unique_keeps_the_latest_sighting(
    journal: Path, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    """Of several sightings, over pages, listings and runs, only the last one is kept."""
    monkeypatch.setattr(chunks, "CHUNK_PAGES", pages)
    assert selected(journal, unique=True) == [(2, 1, "e"), (2, 3, "f")]
    assert selected(journal, unique=True, run=0) == [(1, 2, "b"), (2, 1, "e"), (2, 3, "f")]
    assert selected(journal, unique=True, run=1) == [(1, 2, "b"), (1, 1, "c")]


def test_unique_tells_positions_and_rejects_right(tmp_path: Path) -> None:
    """Omitted rows do not change the positions of the other rows."""
    path = tmp_path / "a.journal"
    write(path, {7: [body([row(1), None, row(2), row(1)])]})
    with JournalReader(path) as reader:
        (chunk,) = read_chunks(reader, resolve(reader, Selection(unique=True)))
    assert [list(positions) for positions in chunk.positions] == [[2, 3]]
    assert (chunk.rows, chunk.rejects) == (2, 1)


def test_unique_ignores_what_is_committed_meanwhile(tmp_path: Path) -> None:
    """Pages that a harvest adds between the two readings are left for the next export."""
    path = tmp_path / "a.journal"
    write(path, {7: [body([row(1, title="a")])]}, state="open")

    def add(_: int) -> None:
        with_more = [body([row(1, title="a")]), body([row(1, title="late"), row(2)])]
        write(path, {7: with_more})

    with JournalReader(path) as reader:
        scope = resolve(reader, Selection(unique=True))
        batches = list(read_chunks(reader, scope, on_pages=add))
    assert [item.title for part in batches for items in part.items for item in items] == ["a"]
    assert selected(path, unique=True) == [(1, 1, "late"), (1, 2, None)]


def test_what_is_not_there_is_refused(journal: Path, tmp_path: Path) -> None:
    """A run or a category that the journal does not have is refused, before anything is written."""
    target = tmp_path / "a.jsonl"
    for selection, message in (
        (Selection(run=3), "has no run 3: its latest runs are 1, 2"),
        (Selection(cats=frozenset({7, 9})), "the journal has no listing of category 9"),
        (Selection(cats=frozenset({9}), run=0), "the journal has no listing of category 9"),
    ):
        with pytest.raises(ExportRefusedError, match=message):
            export_journal(journal, [str(target)], selection)
    with pytest.raises(InvalidRequestError, match="time zone"):
        Selection(since=datetime(2026, 1, 5))  # noqa: DTZ001 - that is the mistake
    assert not target.exists()


def test_an_unfinished_run_is_told(tmp_path: Path) -> None:
    """The summary counts unfinished and failed listings."""
    path = write(tmp_path / "a.journal", {7: [body([row(1)])]}, state="open")
    write(path, {8: [body([row(2)])]}, state="failed")
    summary = export_journal(path, [str(tmp_path / "a.jsonl")])
    assert (summary.rows, summary.listings_unfinished, summary.listings_failed) == (2, 1, 1)


async def test_a_harvest_may_be_writing(tmp_path: Path) -> None:
    """While a harvest writes, an export contains every committed page."""
    path = tmp_path / "a.journal"
    writing = Journal.open(path)
    plan = writing.plan([category_items(7)])
    start = writing.begin(plan, host="http://127.0.0.1", version="test", counts=RequestCounts)
    for number in (1, 2, 3):
        text = body([row(number)], has_next=True)
        page = PageRecord(number, text, BEGAN, 1, 0.1, 200, 20, True, None, 1)
        await writing.append(next(iter(start.visits)), page)
        target = tmp_path / f"{number}.jsonl"
        summary = await asyncio.to_thread(export_journal, path, [str(target)])
        assert (summary.rows, summary.listings_unfinished) == (number, 1)
    await writing.close()


DAMAGE = {
    "a page is not found": "DELETE FROM page WHERE number = 2",
    "a page belongs to another run": "UPDATE page SET visit = visit + 2 WHERE number = 2",
    "a page is there twice": (
        "INSERT INTO page SELECT seq + 100, visit, number + 7, start, fetched_at, attempts, "
        "latency_us, code, page_size, has_next_page, total_count, items, rejects, dictionary, body "
        "FROM page WHERE number = 2"
    ),
    "a body belongs to another page": (
        "UPDATE page SET body = (SELECT body FROM page WHERE number = 1) WHERE number = 2"
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("unique", [False, True])
def test_an_export_agrees_with_the_figures_of_the_journal(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch, *, unique: bool
) -> None:
    """Rows and rejects that differ from the recorded figures fail the export; the file stays."""
    # As in a journal that is too large for opening to read all of it.
    monkeypatch.setattr(schema, "content_problems", lambda *_: [])
    path, target = tmp_path / "a.journal", tmp_path / "a.jsonl"
    target.write_text("as before")
    write(path, {7: [body([row(1), None, row(2)]), body([row(3)])]})
    write(path, {7: [body([row(1)])]}, refresh=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(damage)
    with pytest.raises(JournalError, match="is damaged"):
        export_journal(path, [str(target)], Selection(run=1, unique=unique))
    assert target.read_text() == "as before"


def test_a_report_and_changes_agree_with_the_figures_of_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report and a comparison of runs fail where an export would."""
    monkeypatch.setattr(schema, "content_problems", lambda *_: [])
    path = tmp_path / "a.journal"
    write(path, {7: [body([row(1)]), body([row(2)])]})
    write(path, {7: [body([row(1)]), body([row(3)])]}, refresh=True)
    assert compare_runs(path).total.new == 1
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(DAMAGE["a page is not found"])
    with pytest.raises(JournalError, match="2 rows on 2 pages"):
        compare_runs(path)
    with pytest.raises(JournalError, match="2 rows on 2 pages"):
        gather(path)


def test_a_listing_that_goes_on_while_it_is_exported_is_no_damage(tmp_path: Path) -> None:
    """A harvest with more pages may continue a capped listing while an export reads."""
    path = write(tmp_path / "a.journal", {7: [body([row(1)])]}, state="capped")
    with JournalReader(path) as reader:
        scope = resolve(reader, Selection())
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(
                "INSERT INTO page SELECT seq + 1, visit, 2, start, fetched_at, attempts, "
                "latency_us, code, page_size, has_next_page, total_count, items, rejects, "
                "dictionary, body FROM page"
            )
            database.execute("UPDATE visit SET state = 'open'")
        assert sum(chunk.rows for chunk in read_chunks(reader, scope)) == 2
