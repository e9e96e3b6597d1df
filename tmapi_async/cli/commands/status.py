"""`tmapi status`: what a journal holds, listing by listing; also while a harvest writes to it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from tmapi_async.cli import console, tables
from tmapi_async.cli import listing_table as listings
from tmapi_async.cli.summary import OK, USAGE, StoppedBy, Summary
from tmapi_async.errors import JournalError
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import RunInfo, StartInfo, VisitInfo

_RUN_HEADS = (">run", "begun", "ended", ">complete", ">capped", ">failed", ">unfinished")
_START_HEADS = (
    ">start",
    "begun",
    "ended",
    "host",
    ">requests",
    ">retries",
    ">wasted",
    ">pages",
    "codes",
)
_MOST_STARTS = 10


def status(path: Path, *, every: bool, json: bool) -> int:
    """Print what a journal holds; returns the exit code."""
    try:
        with JournalReader(path) as journal:
            _print(journal, every=every, json=json)
    except JournalError as error:
        console.tell(str(error))
        return USAGE
    return OK


def _print(journal: JournalReader, *, every: bool, json: bool) -> None:
    runs, starts = journal.runs(), journal.starts()
    latest = runs[-1].id if runs else 0
    visits = list(journal.listings(latest)) if runs else []
    summary = summarise(visits, [start for start in starts if start.run == latest])
    if json:
        sys.stdout.write(f"{summary.json()}\n")
        return
    running = journal.writer is not None
    text = [
        *_head(journal),
        *_tree(journal),
        "",
        *tables.lines(_RUN_HEADS, [_run(run) for run in runs]),
    ]
    text += ["", *_starts(starts, running=running, every=every)]
    if runs:
        text += ["", f"Run {latest}:", *listings.table(visits, running=running, every=every)]
        text += listings.failures(visits, journal.failed_pages(latest))
        asked = {visit.id for visit in visits}
        text += [one.account for one in journal.divisions() if one.root in asked]
        text += ["", *summary.lines(), _verdict(summary, running=running)]
    sys.stdout.write("\n".join(text) + "\n")


def _head(journal: JournalReader) -> list[str]:
    size = journal.path.stat().st_size / 2**20
    pid = journal.writer
    if pid is None:
        return [f"{journal.path}: {size:.1f} MB, nobody writes to it"]
    by = f"process {pid} writes" if pid else "a process writes"
    return [f"{journal.path}: {size:.1f} MB, {by} to it now"]


def _tree(journal: JournalReader) -> list[str]:
    tree = journal.tree()
    if tree is None:
        return []
    missing = "; the last look was broken off" if tree.broken_off else ""
    when = f"fetched from {_time(tree.oldest)} to {_time(tree.latest)}"
    return [f"category tree: {tree.answers:,} answers, {when}{missing}"]


def _run(run: RunInfo) -> tuple[object, ...]:
    count = run.states.get
    return (
        run.id,
        _time(run.started_at),
        _time(run.ended_at) if run.ended_at else "",
        count("complete", 0),
        count("capped", 0),
        count("failed", 0),
        count("open", 0),
    )


def _starts(starts: list[StartInfo], *, running: bool, every: bool) -> list[str]:
    shown = starts if every else starts[-_MOST_STARTS:]
    rows = [_start(start, running=running and start is starts[-1]) for start in shown]
    found = tables.lines(_START_HEADS, rows)
    if len(shown) < len(starts):
        found.append(f"... and {len(starts) - len(shown):,} earlier ones: tmapi status FILE --all")
    return found


def _start(start: StartInfo, *, running: bool) -> tuple[object, ...]:
    last = start.totals
    if start.ended_at is not None:
        ended = _time(start.ended_at) + (f" ({start.stopped_by})" if start.stopped_by else "")
    else:
        ended = "running" if running else "killed"
    codes = sorted(last.codes.items()) if last else ()
    return (
        start.id,
        _time(start.started_at),
        ended,
        start.host,
        last.requests if last else 0,
        last.retries if last else 0,
        last.wasted if last else 0,
        last.pages if last else 0,
        ", ".join(f"{code} x {count:,}" for code, count in codes),
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def summarise(visits: list[VisitInfo], starts: list[StartInfo]) -> Summary:
    """The summary of the contract: listings of a run, requests of all its starts."""
    totals = [start.totals for start in starts if start.totals is not None]
    codes: dict[str, int] = {}
    for tick in totals:
        for code, count in tick.codes.items():
            codes[code] = codes.get(code, 0) + count
    states = [visit.state for visit in visits]
    seconds = sum(tick.elapsed for tick in totals)
    pages = sum(tick.pages for tick in totals)
    return Summary(
        listings=len(visits),
        complete=states.count("complete"),
        capped=states.count("capped"),
        failed=states.count("failed"),
        stopped=states.count("open"),
        pages=sum(visit.pages for visit in visits),
        items=sum(visit.items for visit in visits),
        unique_items=sum(visit.unique_items for visit in visits),
        rejects=sum(visit.rejects for visit in visits),
        requests=sum(tick.requests for tick in totals),
        retries=sum(tick.retries for tick in totals),
        wasted=sum(tick.wasted for tick in totals),
        codes=codes,
        seconds=round(seconds, 3),
        pages_per_second=round(pages / seconds, 1) if seconds else 0.0,
        stopped_by=_stopped_by(starts),
    )


def _stopped_by(starts: list[StartInfo]) -> StoppedBy | None:
    found = starts[-1].stopped_by if starts else None
    for name in ("balance", "auth", "budget", "signal", "disk"):
        if found == name:
            return name
    return None


def _verdict(summary: Summary, *, running: bool) -> str:
    if running:
        return "A harvest is running."
    if summary.failed or summary.stopped:
        return (
            f"NOT COMPLETE: {summary.failed:,} listings failed, {summary.stopped:,} are left. "
            "The same tmapi harvest command again goes on."
        )
    return "COMPLETE."
