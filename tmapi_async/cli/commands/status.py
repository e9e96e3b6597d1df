"""`tmapi status`: the contents of a journal, listing by listing; also during a harvest."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from tmapi_async.cli.console import (
    print_json,
    print_output,
    print_refusal,
    print_verdict,
    require_output,
    set_up_logging,
    terminal_width,
)
from tmapi_async.cli.exit_codes import OK, USAGE
from tmapi_async.cli.listing_table import format_failures, format_listings
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import JournalArgument
from tmapi_async.cli.summary import StoppedBy, Summary
from tmapi_async.cli.tables import format_duration, format_table, format_time
from tmapi_async.errors import JournalError
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.summaries.verdict import CAPPED_NOTE, SHIFTED_NOTE, Kind
from tmapi_async.journal.views import RunInfo, StartInfo, VisitInfo

app = typer.Typer(add_completion=False)

EXAMPLES = (
    "tmapi status shop.journal",
    "tmapi status shop.journal --all",
    "tmapi status shop.journal --json",
)

_RUN_HEADINGS = (
    ">run", "started", "ended", ">complete", ">capped", ">shifted", ">failed", ">unfinished",
)  # fmt: skip
_START_HEADINGS = (
    ">start",
    "started",
    ">took",
    "end",
    ">requests",
    ">retries",
    ">wasted",
    ">pages",
    "codes",
    "host",
)
_MAX_STARTS = 10
_NOTES: dict[Kind, str] = {
    "running": "A harvest is running.",
    "incomplete": "Run the same tmapi harvest command again to continue.",
    "capped": CAPPED_NOTE,
    "shifted": SHIFTED_NOTE,
}


class StatusOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi status`.

    Attributes:
        journal: Journal to read.
        every: Show every listing and every start.
        json: Print the summary of the latest run as JSON, and nothing else.
    """

    journal: JournalArgument
    every: Annotated[bool, typer.Option("--all", help="Show every listing and every start.")] = (
        False
    )
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print only the summary of the latest run, as one JSON object."
        ),
    ] = False


@app.command("status")
@takes_struct
def status(options: StatusOptions) -> None:
    """Show the contents of a journal, listing by listing.

    It also works while a harvest writes to the journal.
    """
    set_up_logging()
    require_output()
    raise typer.Exit(run_status(options))


def run_status(options: StatusOptions) -> int:
    """Print the contents of a journal and return the exit code."""
    try:
        with JournalReader(options.journal) as journal:
            _print(journal, options)
    except JournalError as error:
        print_refusal(str(error))
        return USAGE
    return OK


def _print(journal: JournalReader, options: StatusOptions) -> None:
    runs, starts = journal.runs(), journal.starts()
    latest = runs[-1].id if runs else 0
    visits = list(journal.listings(latest)) if runs else []
    summary = summarize_run(visits, [start for start in starts if start.run == latest])
    running = journal.writer is not None
    if options.json:
        print_json(summary.json(running=running))
        return
    width = terminal_width(sys.stdout)
    text = [
        *_journal_lines(journal),
        *_tree_lines(journal),
        "",
        *format_table(_RUN_HEADINGS, [_run_row(run) for run in runs], width),
        "",
        *_start_lines(starts, running=running, every=options.every, width=width),
    ]
    if runs:
        text += [
            "",
            f"Run {latest}:",
            *format_listings(visits, running=running, every=options.every, width=width),
            *format_failures(visits, journal.failed_pages(latest)),
            *_split_lines(journal, visits),
            "",
            *summary.lines(running=running),
        ]
    for line in text:
        print_output(line)
    if runs:
        verdict = summary.judge(running=running)
        print_verdict(verdict.sentence(_NOTES), verdict.kind, result=True)


def _journal_lines(journal: JournalReader) -> list[str]:
    size = journal.path.stat().st_size / 2**20
    pid = journal.writer
    if pid is None:
        return [f"{journal.path}: {size:.1f} MB, not in use"]
    process = f"process {pid}" if pid else "another process"
    return [f"{journal.path}: {size:.1f} MB, {process} is writing to it now"]


def _tree_lines(journal: JournalReader) -> list[str]:
    tree = journal.tree()
    if tree is None:
        return []
    missing = "; the last update was interrupted" if tree.broken_off else ""
    dates = f"fetched from {format_time(tree.oldest)} to {format_time(tree.latest)}"
    return [f"category tree: {quantity(tree.answers, 'answer')}, {dates}{missing}"]


def _run_row(run: RunInfo) -> tuple[object, ...]:
    count = run.states.get
    return (
        run.id,
        format_time(run.started_at),
        format_time(run.ended_at) if run.ended_at else "",
        count("complete", 0),
        count("capped", 0),
        count("shifted", 0),
        count("failed", 0),
        count("open", 0),
    )


def _start_lines(
    starts: list[StartInfo], *, running: bool, every: bool, width: int | None
) -> list[str]:
    shown = starts if every else starts[-_MAX_STARTS:]
    hosts = {start.host for start in shown}
    rows = [_start_row(start, running=running and start is starts[-1]) for start in shown]
    if len(hosts) > 1:
        lines = format_table(_START_HEADINGS, rows, width)
    else:  # one host needs no column
        lines = [f"host: {host}" for host in hosts]
        lines += format_table(_START_HEADINGS[:-1], [row[:-1] for row in rows], width)
    if len(shown) < len(starts):
        earlier = quantity(len(starts) - len(shown), "earlier start")
        lines.append(f"... and {earlier}: to see all, run tmapi status FILE --all")
    return lines


def _start_row(start: StartInfo, *, running: bool) -> tuple[object, ...]:
    totals = start.totals
    if start.ended_at is not None:
        end, seconds = start.stopped_by or "finished", start.ended_at - start.started_at
    else:
        end, seconds = "running" if running else "killed", totals.elapsed if totals else 0.0
    codes = sorted(totals.codes.items()) if totals else ()
    return (
        start.id,
        format_time(start.started_at),
        format_duration(seconds),
        end,
        totals.requests if totals else 0,
        totals.retries if totals else 0,
        totals.wasted if totals else 0,
        totals.pages if totals else 0,
        ", ".join(f"{code} x {count:,}" for code, count in codes),
        start.host,
    )


def _split_lines(journal: JournalReader, visits: Sequence[VisitInfo]) -> list[str]:
    shown = {visit.id for visit in visits}
    accounts = [division.account for division in journal.divisions() if division.root in shown]
    return [line for account in accounts for line in account.splitlines()]


def summarize_run(visits: list[VisitInfo], starts: list[StartInfo]) -> Summary:
    """Return the summary of a run: its listings, and the requests of all its starts.

    Args:
        visits: The listings of the run.
        starts: The starts of the run.
    """
    totals = [start.totals for start in starts if start.totals is not None]
    codes: dict[str, int] = {}
    for tick in totals:
        for code, count in tick.codes.items():
            codes[code] = codes.get(code, 0) + count
    seconds = sum(tick.elapsed for tick in totals)
    pages = sum(tick.pages for tick in totals)
    tally = RunTally()
    for visit in visits:
        tally.add_visit(visit)
    return Summary.from_tally(
        tally,
        requests=sum(tick.requests for tick in totals),
        retries=sum(tick.retries for tick in totals),
        wasted=sum(tick.wasted for tick in totals),
        codes=codes,
        seconds=round(seconds, 3),
        pages_per_second=round(pages / seconds, 1) if seconds else 0.0,
        stopped_by=_last_reason(starts),
    )


def _last_reason(starts: list[StartInfo]) -> StoppedBy | None:
    reason = starts[-1].stopped_by if starts else None
    for name in ("balance", "auth", "budget", "signal", "disk", "outage"):
        if reason == name:
            return name
    return None
