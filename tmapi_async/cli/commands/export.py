"""`tmapi export`: writes the items of a journal to files and databases."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from tmapi_async.api.listings import parse_id
from tmapi_async.cli.completion.completed_values import complete_exported_endpoints, complete_words
from tmapi_async.cli.console import (
    discard_output,
    display_console,
    print_error_json,
    print_json,
    print_message,
    print_refusal,
    print_verdict,
    require_output,
    set_up_logging,
    spinner_name,
)
from tmapi_async.cli.exit_codes import OK, PARTIAL, UNEXPECTED, USAGE
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import (
    CategoriesOption,
    CsvBomOption,
    HistoryOption,
    JobsOption,
    JournalArgument,
    JsonOption,
    QuietOption,
)
from tmapi_async.cli.options.settings_in_force import with_settings
from tmapi_async.cli.progress.progress_line import INTERVAL_SECONDS
from tmapi_async.cli.signals import Interrupts
from tmapi_async.cli.workbook_lines import workbook_lines
from tmapi_async.errors import (
    ExportError,
    InvalidRequestError,
    JournalError,
    NewerJournalError,
    NoJournalError,
    NotAJournalError,
    OlderJournalError,
)
from tmapi_async.errors.escaping import escape_controls
from tmapi_async.errors.quantities import quantity
from tmapi_async.errors.shown_value import show_value
from tmapi_async.export import Export, ExportProgress, ExportSummary, Selection
from tmapi_async.export.conversions import split_bounds
from tmapi_async.export.endpoint_choice import ALL
from tmapi_async.export.selection import ALL_RUNS, LATEST_RUN, describe_runs
from tmapi_async.export.sinks import DestinationResult
from tmapi_async.journal.summaries.verdict import CAPPED_NOTE, SHIFTED_NOTE, Kind

_UNCHANGED = "interrupted: destinations that are not listed below are unchanged"
_NOTES: dict[Kind, str] = {
    "running": "A harvest is running: export again when it has ended.",
    "incomplete": "Continue the harvest, then export again.",
    "capped": CAPPED_NOTE,
    "shifted": SHIFTED_NOTE,
}
_UNUSABLE = (NoJournalError, NotAJournalError, NewerJournalError, OlderJournalError)


app = typer.Typer(add_completion=False)

FIRST_OPTIONS = ("to", "run", "since", "cat", "unique", "table")
EXAMPLES = (
    "tmapi export shop.journal --to items.parquet items.csv",
    "tmapi export shop.journal --to shop.duckdb --unique",
    "tmapi export shop.journal --to shop.xlsx --endpoint all",
)


class ExportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi export`.

    Attributes:
        journal: Journal to read.
        more: Destinations after the journal: `--to A B` is the same as `--to A --to B`.
        to: Destinations.
        table: Table of every database among the destinations, or None.
        run: `latest`, `all` or the number of a run; None for the latest visit of each listing.
        since: Date or time of the oldest page, or None.
        cat: Category IDs; None for all.
        endpoint: Endpoints of the rows, or None if the journal holds one.
        unique: Only the latest row of each item.
        history: Also write the price history.
        csv_bom: Begin CSV files with a byte-order mark.
        jobs: Number of processes that read the journal, or None to decide by its size.
        json: Print the summary as JSON at the end.
        quiet: Print no progress and no summary.
    """

    journal: JournalArgument
    more: Annotated[list[str] | None, typer.Argument(metavar="DEST", hidden=True)] = None
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="DEST...",
            help="Destinations: files that end in .parquet, .csv, .jsonl, .jsonl.zst, .xlsx,"
            " .sqlite or .duckdb, a postgresql://... address, an object of a store such as"
            " s3://BUCKET/NAME.parquet, or - for JSON lines on standard output.",
        ),
    ] = None
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="NAME",
            help="Table in a database. Default: items; for anything but products of listings the"
            " name of the endpoint, such as item_skus.",
        ),
    ] = None
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="latest|all|N",
            help="Run to export. Default: the latest finished visit of each listing.",
            autocompletion=complete_words("latest", "all"),
        ),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Only pages fetched since this date or time, of all runs. Without a time zone the"
            " time is UTC.",
        ),
    ] = None
    cat: CategoriesOption = None
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="NAME",
            help="Only rows of this endpoint (category-v2, item-detail, item-skus, ...). Required"
            " if the journal holds listings of several endpoints. Repeat it, or write all for every"
            " endpoint, to fill a workbook or a database with a sheet or a table for each.",
            autocompletion=complete_exported_endpoints,
        ),
    ] = None
    unique: Annotated[bool, typer.Option("--unique", help="Only the latest row of each item.")] = (
        False
    )
    history: HistoryOption = False
    csv_bom: CsvBomOption = False
    jobs: JobsOption = None
    json: JsonOption = False
    quiet: QuietOption = False

    @property
    def destinations(self) -> list[str]:
        """Every destination; those after the journal count only together with `--to`."""
        return [*self.to, *(self.more or ())] if self.to else []

    def export(self, visits: frozenset[int] = frozenset()) -> Export:
        """Return the export after checking it.

        Args:
            visits: Only the listings of these visits; empty for all.

        Raises:
            InvalidRequestError: An option or a destination is invalid.
        """
        if "-" in self.destinations:
            require_output()
        names = tuple(dict.fromkeys(self.endpoint or ()))
        only = names[0] if len(names) == 1 and names[0] != ALL else None
        selection = Selection(
            run=_read_run(self.run),
            since=_read_time(self.since) if self.since else None,
            cats=frozenset(parse_id(cat) for cat in self.cat or ()),
            unique=self.unique,
            endpoint=only,
            visits=visits,
        )
        return Export(
            self.journal,
            self.destinations,
            selection,
            table=self.table,
            csv_bom=self.csv_bom,
            history=self.history,
            jobs=self.jobs,
            endpoints=() if only else names,
        )


@app.command("export")
@takes_struct
def export(context: typer.Context, options: ExportOptions) -> None:
    """Write the items of a journal to files and databases.

    It also works while a harvest writes to the journal.
    Several destinations are written in one pass.
    """
    set_up_logging()
    raise typer.Exit(run_export(with_settings(context, options, "export")))


def _read_run(text: str | None) -> int | None:
    if text is None:
        return None
    if text == "latest":
        return LATEST_RUN
    if text == "all":
        return ALL_RUNS
    if text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text):  # noqa: PLR2004 - fits 64 bits
        return int(text)
    raise InvalidRequestError(
        f"--run must be latest, all or the number of a run, not {show_value(text)}"
    )


def _read_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError(
            f"--since must be a date or a time such as 2026-01-05 or 2026-01-05T09:30:00Z, "
            f"not {show_value(text)}"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def run_export(options: ExportOptions, visits: frozenset[int] = frozenset()) -> int:
    """Run an export and return the exit code.

    Args:
        options: Options of the export.
        visits: Only the listings of these visits; empty for all. They are those of a harvest,
            which says itself how complete they are.
    """
    try:
        job = options.export(visits)
    except InvalidRequestError as error:
        print_refusal(f"{error}; nothing was read")
        return USAGE
    try:
        code = _run_job(job, quiet=options.quiet)
    except BrokenPipeError:
        discard_output()
        return PARTIAL
    if not options.quiet and (code == OK or job.summary.destinations):
        for line in summary_lines(job.summary):
            print_message(line)
        if not visits:  # else the harvest says the verdict
            print_verdict(job.verdict.sentence(_NOTES), job.verdict.kind)
    if options.json:
        write = print_error_json if "-" in options.destinations else print_json
        write(msgspec.json.encode(job.summary).decode())
    return code


def _run_job(job: Export, *, quiet: bool) -> int:
    interrupts = Interrupts()
    try:
        with interrupts, _show_progress(shown=not quiet) as show:
            job.run(show)
    except KeyboardInterrupt:
        print_message(_UNCHANGED)
    except InvalidRequestError as error:
        print_refusal(str(error))
        return USAGE
    except ExportError as error:
        print_message(str(error))
    except JournalError as error:
        print_refusal(str(error))
        return USAGE if isinstance(error, _UNUSABLE) else UNEXPECTED
    except RuntimeError:
        if not interrupts.happened:
            raise
        print_message(_UNCHANGED)  # DuckDB puts its own error in the place of the interrupt
    else:
        return OK
    return PARTIAL


def summary_lines(summary: ExportSummary) -> Iterator[str]:
    """Yield the summary as text: destinations, speed, then missing and odd values."""
    for result in summary.destinations:
        yield _destination_line(result)
        if result.tables:
            tables = ", ".join(f"{name} {rows:,}" for name, rows in result.tables.items())
            yield f"  rows: {tables}"
        yield from workbook_lines(result)
    runs = describe_runs(summary.runs)
    yield (
        f"{quantity(summary.rows, 'row')} from {quantity(summary.pages, 'page')} of {runs} in "
        f"{summary.seconds:.1f} s, {summary.rows_per_second:,.0f} rows per second"
    )
    yield from _value_lines(summary)
    if summary.rejects:
        yield (
            f"{quantity(summary.rejects, 'row')} could not be decoded and {_be(summary.rejects)} "
            "not exported: after an upgrade, run tmapi replay"
        )
    yield from _listing_lines(summary)


def _listing_lines(summary: ExportSummary) -> Iterator[str]:
    """Yield a line for listings that have later rows, and one for those that are left out."""
    superseded = summary.listings_superseded
    if superseded:
        visits = quantity(superseded, "listing has a later visit", "listings have later visits")
        yield (
            f"warning: {visits} not finished: the rows of the last finished visit are exported. "
            "Continue the harvest, then export again"
        )
    if summary.listings_left_out:
        others = quantity(summary.listings_left_out, "other listing")
        yield (
            f"{others} of the journal {_be(summary.listings_left_out)} not exported: tmapi export "
            "without --run exports the latest finished visit of every listing"
        )


def _destination_line(result: DestinationResult) -> str:
    name = "standard output" if result.to == "-" else result.to
    history = f", {result.history:,} new in the history" if result.history is not None else ""
    if result.inserted is not None:
        others = f"{result.updated:,} changed, {result.unchanged:,} unchanged, {result.gone:,} gone"
        return f"{name}: {result.inserted:,} new, {others}{history}"
    more = f" in {len(result.more_files) + 1} files" if result.more_files else ""
    size = f", {result.bytes:,} bytes" if result.bytes is not None else ""
    gone = f", {result.gone:,} gone" if result.gone else ""
    return f"{name}: {quantity(result.rows, 'row')}{more}{gone}{history}{size}"


def _value_lines(summary: ExportSummary) -> Iterator[str]:
    if summary.unread:
        total = sum(summary.unread.values())
        yield (
            f"{quantity(total, 'value')} could not be read and {_be(total)} null; the original "
            f"text is in the ..._text columns ({_columns(summary.unread)})"
        )
    not_plain, rates = split_bounds(summary.bounds)
    if not_plain:
        total = sum(not_plain.values())
        values = quantity(total, "value is not a plain number", "values are not plain numbers")
        yield (
            f'{values} (for example "100000+"); the original text is in the ..._text columns '
            f"({_columns(not_plain)})"
        )
    if rates:
        total = sum(rates.values())
        below = quantity(total, "rate is below 1", "rates are below 1")
        yield (
            f"{below} and may be percent or a fraction (0.63 may mean 0.63 % or 63 %); only these "
            f"rows have a text in the ..._text columns ({_columns(rates)})"
        )


def _columns(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} x {number:,}" for name, number in counts.items())


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


@contextmanager
def _show_progress(*, shown: bool) -> Iterator[Callable[[ExportProgress], None]]:
    """Yield a function that shows progress: redrawn on a terminal, else a line per interval."""
    if not shown:
        yield lambda _: None
    elif sys.stderr.isatty():
        with display_console().status("reading", spinner=spinner_name()) as status:
            yield lambda progress: status.update(Text(escape_controls(str(progress))))
    else:
        last = time.monotonic()

        def append(progress: ExportProgress) -> None:
            nonlocal last
            if time.monotonic() - last >= INTERVAL_SECONDS:
                last = time.monotonic()
                print_message(str(progress))

        yield append
