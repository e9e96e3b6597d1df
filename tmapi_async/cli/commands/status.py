"""`tmapi status`: the contents of a journal, listing by listing; also during a harvest."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import typer
from typer.core import TyperCommand

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
from tmapi_async.errors import InvalidRequestError, JournalError
from tmapi_async.errors.quantities import quantity
from tmapi_async.errors.shown_value import show_value
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.summaries.verdict import CAPPED_NOTE, SHIFTED_NOTE, Kind
from tmapi_async.journal.views import RunInfo, StartInfo, VisitInfo

app = typer.Typer(add_completion=False)

EXAMPLES = (
    "tmapi status shop.journal",
    "tmapi status shop.journal --watch",
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
_USUAL = "auto"
_LEAST_SECONDS, _MOST_SECONDS = 0.5, 3600.0
_NUMBER = re.compile(r"[0-9.]+")
_NOTES: dict[Kind, str] = {
    "running": "A harvest is running.",
    "incomplete": "Run the same tmapi harvest command again to continue.",
    "capped": CAPPED_NOTE,
    "shifted": SHIFTED_NOTE,
}


class WatchableCommand(TyperCommand):
    """A command whose option `--watch` takes a number or none: Typer knows no such option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Add the usual value to `--watch` where no number follows it."""
        arguments: list[str] = []
        for place, argument in enumerate(args):
            arguments.append(argument)
            following = args[place + 1 : place + 2]
            if argument == "--watch" and not (following and _NUMBER.fullmatch(following[0])):
                arguments.append(_USUAL)
        return super().parse_args(ctx, arguments)


class StatusOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi status`.

    Attributes:
        journal: Journal to read.
        every: Show every listing and every start.
        watch: Seconds between two looks as typed, "auto" for the usual ones, or None for one look.
        json: Print the summary of the latest run as JSON, and nothing else.
    """

    journal: JournalArgument
    every: Annotated[bool, typer.Option("--all", help="Show every listing and every start.")] = (
        False
    )
    watch: Annotated[
        str | None,
        typer.Option(
            "--watch",
            metavar="[SECONDS]",
            help="Show the journal again and again until its harvest ends, which may run in another"
            " terminal or container. Default: each second on a terminal, else a line each 15"
            " seconds.",
            show_default=False,
        ),
    ] = None
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print only the summary of the latest run, as one JSON object; with --watch one"
            " object for each look.",
        ),
    ] = False

    @property
    def watch_seconds(self) -> float | None:
        """Seconds between two looks; None for the usual ones.

        Raises:
            InvalidRequestError: `watch` is not such a number.
        """
        if self.watch in (None, _USUAL):
            return None
        try:
            seconds = float(self.watch)
        except ValueError:
            seconds = 0.0
        if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
            raise InvalidRequestError(
                f"--watch must be a number of seconds from {_LEAST_SECONDS:g} to "
                f"{_MOST_SECONDS:,.0f}, not {show_value(self.watch)}"
            )
        return seconds


@app.command("status", cls=WatchableCommand)
@takes_struct
def status(options: StatusOptions) -> None:
    """Show the contents of a journal, listing by listing.

    It also works while a harvest writes to the journal.
    """
    set_up_logging()
    require_output()
    raise typer.Exit(run_status(options))


def run_status(options: StatusOptions) -> int:
    """Print the contents of a journal and return the exit code.

    Raises:
        InvalidRequestError: An option is invalid.
    """
    seconds = options.watch_seconds
    try:
        if options.watch is None:
            return _print_once(options, {})
        from tmapi_async.cli.progress.status_watch import (  # noqa: PLC0415 - the one look needs no table
            StatusWatch,
        )

        watch = StatusWatch(options.journal, seconds, json=options.json)
        return watch.run(lambda fields: _print_once(options, fields))
    except JournalError as error:
        print_refusal(str(error))
        return USAGE


def _print_once(options: StatusOptions, fields: Mapping[str, Any]) -> int:
    """Print the contents of a journal.

    Args:
        options: The options.
        fields: Keys of the JSON object before those of the summary.
    """
    with JournalReader(options.journal) as journal:
        _print(journal, options, fields)
    return OK


def _print(journal: JournalReader, options: StatusOptions, fields: Mapping[str, Any]) -> None:
    runs, starts = journal.runs(), journal.starts()
    latest = runs[-1].id if runs else 0
    visits = list(journal.listings(latest)) if runs else []
    summary = summarize_run(visits, [start for start in starts if start.run == latest])
    running = journal.writer is not None
    if options.json:
        print_json(msgspec.json.encode({**fields, **summary.fields(running=running)}).decode())
        return
    width = terminal_width(sys.stdout)
    text = [*_journal_lines(journal), *_tree_lines(journal)]
    if not runs:
        text.append("no harvest has begun in this journal yet")
    else:
        text += [
            "",
            *format_table(_RUN_HEADINGS, [_run_row(run) for run in runs], width),
            "",
            *_start_lines(starts, running=running, every=options.every, width=width),
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
    tally = RunTally()
    for visit in visits:
        tally.add_visit(visit)
    ticks = [start.totals for start in starts if start.totals is not None]
    return Summary.from_ticks(tally, ticks, stopped_by=_last_reason(starts))


def _last_reason(starts: list[StartInfo]) -> StoppedBy | None:
    reason = starts[-1].stopped_by if starts else None
    for name in ("balance", "auth", "budget", "signal", "disk", "outage"):
        if reason == name:
            return name
    return None
