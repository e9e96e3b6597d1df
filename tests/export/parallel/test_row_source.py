"""Reading by several processes: the same rows in the same order, whatever becomes of a process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.journals import of_catalogue
from tmapi_async.errors import JournalError
from tmapi_async.export import Export, ExportRefusedError, Selection, export_journal
from tmapi_async.export.chunks import read_chunks
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.parallel import row_source
from tmapi_async.export.parallel.jobs import default_jobs
from tmapi_async.export.parallel.page_ranges import RANGE_PAGES, RangePlan
from tmapi_async.export.parallel.part_workers import PartWorkers
from tmapi_async.export.parallel.row_source import RowSource
from tmapi_async.export.selection import resolve
from tmapi_async.journal.reader import JournalReader
from tmapi_async.sandbox.responses.drift import Drift

SIZES = {7: 3000, 8: 2500, 9: 40}


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of three ranges, with rows that drift."""
    path = tmp_path_factory.mktemp("journal") / "a.journal"
    return of_catalogue(path, SIZES, Drift(rows=0.1))[0]


@pytest.fixture
def reader(journal: Path) -> Iterator[JournalReader]:
    """Open the journal."""
    with JournalReader(journal) as opened:
        yield opened


def test_ranges_hold_every_row_once(reader: JournalReader) -> None:
    """The ranges together are the chunks of one reading, rejects and figures included."""
    scope = resolve(reader, Selection(cats=frozenset({7, 9})))
    plan = RangePlan(reader.path, scope, reader.last_page(), batches=False, lines=True)
    assert plan.parts == 3
    assert reader.last_page() > 2 * RANGE_PAGES
    decoded = [part for n in range(plan.parts) for part in plan.read(reader, n)]
    chunks = list(read_chunks(reader, scope))
    assert sum(part.count for part in decoded) == sum(chunk.rows for chunk in chunks) > 2900
    assert sum(part.pages for part in decoded) == scope.figures.pages
    assert sum(part.ended.rows for part in decoded) == scope.figures.rows
    assert sum(part.rejects for part in decoded) == sum(chunk.rejects for chunk in chunks)


@pytest.mark.slow
def test_several_processes_write_the_same_files(journal: Path, tmp_path: Path) -> None:
    """Files are equal, byte by byte, and so is what the summary counts."""
    summaries = []
    for jobs in (1, 2):
        to = [str(tmp_path / f"{jobs}{ending}") for ending in (".jsonl", ".parquet")]
        summaries.append(export_journal(journal, to, jobs=jobs))
    first, second = summaries
    for ending in (".jsonl", ".parquet"):
        contents = {(tmp_path / f"{jobs}{ending}").read_bytes() for jobs in (1, 2)}
        assert len(contents) == 1, ending
    for name in ("rows", "pages", "rejects", "unread", "bounds"):
        assert getattr(second, name) == getattr(first, name), name
    assert first.rows > 0
    assert first.bounds


@pytest.mark.slow
def test_a_killed_worker_costs_no_row(
    reader: JournalReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that exports reads the ranges of a worker that is gone."""
    pools: list[PartWorkers] = []

    class Watched(PartWorkers):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            pools.append(self)

    monkeypatch.setattr(row_source, "PartWorkers", Watched)
    scope = resolve(reader, Selection())
    conversions = Conversions({}, {})
    source = RowSource(reader, scope, conversions, batches=True, lines=False)
    rows = source.rows(2, lambda _: None)
    counts = [next(rows).count]
    for worker in pools[0].workers:
        worker.kill()
    counts += [part.count for part in rows]
    assert sum(counts) + sum(chunk.rejects for chunk in read_chunks(reader, scope)) == sum(
        SIZES.values()
    )
    rows = source.rows(2, lambda _: None)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert all(worker.returncode is not None for pool in pools for worker in pool.workers)


@pytest.mark.slow
def test_a_worker_ends_when_nobody_reads_its_rows(reader: JournalReader) -> None:
    """A worker does not outlive a process that was killed."""
    scope = resolve(reader, Selection())
    plan = RangePlan(reader.path, scope, reader.last_page(), batches=True, lines=False)
    pool = PartWorkers(reader, plan, 1)
    (worker,) = pool.workers
    assert worker.stdout is not None
    worker.stdout.close()
    assert worker.wait(60) == 0
    pool.close()


@pytest.mark.slow
def test_a_damaged_page_fails_as_in_one_process(journal: Path, tmp_path: Path) -> None:
    """The error names the page, and a file of before stays."""
    damaged, target = tmp_path / "b.journal", tmp_path / "a.jsonl"
    damaged.write_bytes(journal.read_bytes())
    with closing(sqlite3.connect(damaged)) as database, database:
        database.execute("UPDATE page SET body = x'00' WHERE seq = 200")
    target.write_text("old")
    messages = []
    for jobs in (1, 2):
        with pytest.raises(JournalError) as raised:
            export_journal(damaged, [str(target)], jobs=jobs)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert target.read_text() == "old"


def test_small_journals_are_read_by_one_process() -> None:
    """Starting a process takes longer than to read a few thousand pages."""
    assert default_jobs(100) == 1
    assert default_jobs(1_000_000) in (1, 2)
    for jobs in (0, 65):
        with pytest.raises(ExportRefusedError, match="jobs must be"):
            Export("a.journal", ["a.jsonl"], jobs=jobs)
