"""`tmapi changes`: new, gone and changed items between two visits of each listing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tmapi_async.api.listings import parse_id
from tmapi_async.cli.console import (
    print_error_json,
    print_error_line,
    print_json,
    print_message,
    print_output,
    print_refusal,
    require_output,
    set_up_logging,
    terminal_width,
)
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import (
    CategoriesOption,
    CsvBomOption,
    EndpointOption,
    JobsOption,
    JournalArgument,
    JsonOption,
    QuietOption,
)
from tmapi_async.cli.tables import format_table
from tmapi_async.cli.workbook_lines import workbook_lines
from tmapi_async.errors import ExportError, ExportRefusedError, InvalidRequestError, JournalError
from tmapi_async.errors.escaping import escape_json_controls
from tmapi_async.errors.quantities import quantity
from tmapi_async.export.changes.category_names import find_names
from tmapi_async.export.changes.change_files import (
    format_amount,
    json_lines,
    parse_change_destinations,
    write_changes,
)
from tmapi_async.export.changes.comparison import Comparison, compare_runs
from tmapi_async.export.changes.diff import ChangeCounts
from tmapi_async.export.destinations import XLSX, Destination
from tmapi_async.export.selection import describe_runs
from tmapi_async.journal.reader import JournalReader

app = typer.Typer(add_completion=False)

FIRST_OPTIONS = ("before", "after", "cat", "to", "top", "json")
EXAMPLES = (
    "tmapi changes shop.journal",
    "tmapi changes shop.journal --before 1 --after 2 --top 10",
    "tmapi changes shop.journal --cat 1031910 --to changes.csv",
)

_STDOUT = "-"


class ChangesOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi changes`.

    Attributes:
        journal: Journal to read.
        before: Number of the earlier run; None for the one before the later if that is named.
        after: Number of the later run; None for the latest if the earlier one is named. If neither
            is named, the last two visits of each listing are compared.
        cat: Category IDs; None for all.
        to: Destinations; None for the table alone.
        endpoint: Endpoint of the rows, or None if the journal holds one.
        top: Number of largest changes of each kind to show.
        csv_bom: Begin CSV files with a byte-order mark.
        jobs: Number of processes that read the journal, or None to decide by its size.
        json: Print the summary as JSON at the end.
        quiet: Print no table.
    """

    journal: JournalArgument
    before: Annotated[
        int | None,
        typer.Option(
            "--before",
            metavar="N",
            help="Compare whole runs: the earlier one. Default: the one before the later run.",
        ),
    ] = None
    after: Annotated[
        int | None,
        typer.Option(
            "--after", metavar="N", help="Compare whole runs: the later one. Default: the latest."
        ),
    ] = None
    cat: CategoriesOption = None
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="DEST...",
            help="Also write the changes to .jsonl, .jsonl.zst, .csv, .parquet, .xlsx or .sqlite"
            " files, to objects such as s3://BUCKET/NAME.csv, or to - as JSON lines.",
        ),
    ] = None
    endpoint: EndpointOption = None
    top: Annotated[
        int,
        typer.Option(
            "--top", metavar="N", help="Number of largest changes of each kind to show.", min=0
        ),
    ] = 5
    csv_bom: CsvBomOption = False
    jobs: JobsOption = None
    json: JsonOption = False
    quiet: QuietOption = False


class ChangesSummary(msgspec.Struct):
    """Result of `--json`.

    Attributes:
        before: Number of the earlier run, or null if the earlier visits are of several runs.
        after: Number of the later run, or null if the later visits are of several runs.
        listings: Number of listings compared (in either run, if the runs were named).
        partial: Number of listings that were not read to their end by both visits.
        unsure: Number of items in one visit only, for an unknown reason.
        left_out: Number of listings that were not compared: they have one visit only.
        skipped: Number of listings whose last visit was not walked to its end, and is not compared.
        runs_before: Runs of the earlier visits.
        runs_after: Runs of the later visits.
        total: Number of changes in all.
        categories: Number of changes of each category (of each listing, where it has none).
    """

    before: int | None
    after: int | None
    listings: int
    partial: int
    unsure: int
    left_out: int
    skipped: int
    runs_before: tuple[int, ...]
    runs_after: tuple[int, ...]
    total: ChangeCounts
    categories: dict[str, ChangeCounts]


@app.command("changes")
@takes_struct
def changes(options: ChangesOptions) -> None:
    """Show the differences between visits: new, gone and changed items.

    The last two visits of each listing that were walked to the end are compared, over all runs.
    Changed items are dearer, cheaper, or have sold more or less than before.
    """
    set_up_logging()
    if options.json or not options.quiet or _STDOUT in (options.to or ()):
        require_output()
    raise typer.Exit(run_changes(options))


def run_changes(options: ChangesOptions) -> int:
    """Compare two runs, print the changes and return the exit code."""
    try:
        destinations = _parse_destinations(options)
        comparison = compare_runs(
            options.journal,
            before=options.before,
            after=options.after,
            cats=[parse_id(cat) for cat in options.cat or ()],
            endpoint=options.endpoint,
            jobs=options.jobs,
        )
        names = _category_names(options.journal, comparison, destinations)
    except (InvalidRequestError, ExportRefusedError, JournalError) as error:
        print_refusal(str(error))
        return USAGE
    return _write(options, comparison, destinations, names)


def _category_names(
    journal: Path, comparison: Comparison, destinations: list[Destination]
) -> dict[int, str]:
    """Return the names that the journal has of the compared categories, if a workbook is asked."""
    if all(destination.kind != XLSX for destination in destinations):
        return {}
    with JournalReader(journal) as reader:
        names, _ = find_names(
            reader, {int(name) for name in comparison.change_counts if name.isdigit()}
        )
        return names


def _parse_destinations(options: ChangesOptions) -> list[Destination]:
    texts = [text for text in options.to or () if text != _STDOUT]
    return parse_change_destinations(texts, options.journal, csv_bom=options.csv_bom)


def _write(
    options: ChangesOptions,
    comparison: Comparison,
    destinations: list[Destination],
    names: dict[int, str],
) -> int:
    streams = _STDOUT in (options.to or ())
    try:
        _write_files(comparison, destinations, names)
        if streams:
            _write_lines(comparison)
    except InvalidRequestError as error:
        print_refusal(str(error))
        return USAGE
    except ExportError as error:
        print_message(str(error))
        return PARTIAL
    except BrokenPipeError:
        raise
    except OSError as error:
        print_message(
            f"cannot write the changes: {error.strerror}; files that are not named above are "
            "unchanged"
        )
        return PARTIAL
    _print_comparison(options, comparison, streams=streams)
    return OK


def _write_files(
    comparison: Comparison, destinations: list[Destination], names: dict[int, str]
) -> None:
    for destination in destinations:
        result = write_changes(comparison.store.batches(), destination, names)
        print_message(f"{result.to}: {quantity(result.rows, 'change')}, {result.bytes:,} bytes")
        for line in workbook_lines(result):
            print_message(line)


def _write_lines(comparison: Comparison) -> None:
    for part in json_lines(comparison.store.batches()):
        lines = escape_json_controls(part) if sys.stdout.isatty() else part
        sys.stdout.buffer.write(lines)


def _print_comparison(options: ChangesOptions, comparison: Comparison, *, streams: bool) -> None:
    write = print_error_line if streams else print_output
    if not options.quiet:
        width = terminal_width(sys.stderr if streams else sys.stdout)
        for line in comparison_lines(comparison, options.top, width):
            write(line)
    if options.json:
        write_json = print_error_json if streams else print_json
        write_json(msgspec.json.encode(summarize_changes(comparison)).decode())


def summarize_changes(comparison: Comparison) -> ChangesSummary:
    """Return the comparison as plain data."""
    return ChangesSummary(
        before=comparison.before.id if comparison.before else None,
        after=comparison.after.id if comparison.after else None,
        listings=comparison.listings,
        partial=comparison.partial,
        unsure=comparison.unsure,
        left_out=comparison.left_out,
        skipped=comparison.skipped,
        runs_before=comparison.runs_before,
        runs_after=comparison.runs_after,
        total=comparison.total,
        categories=comparison.change_counts,
    )


def comparison_lines(comparison: Comparison, top: int, width: int | None = None) -> Iterator[str]:
    """Yield the comparison as text.

    Args:
        comparison: The comparison.
        top: Number of largest changes of each kind.
        width: Cells of the terminal; None for any width.
    """
    counts = comparison.change_counts
    by_listing = counts and not any(name.isdigit() for name in counts)
    headings = (
        "listing" if by_listing else "category",
        *(f">{name}" for name in ChangeCounts.__struct_fields__),
    )
    rows = [(name, *_figures(tally)) for name, tally in counts.items()]
    rows.append(("all", *_figures(comparison.total)))
    before, after = (
        describe_runs(runs) for runs in (comparison.runs_before, comparison.runs_after)
    )
    yield f"{before[:1].upper()}{before[1:]} -> {after}"
    yield from format_table(headings, rows, width)
    for kind in ("dearer", "cheaper", "sales"):
        yield from _largest_changes(comparison, kind, top, width)
    yield from _incomplete_lines(comparison)


def _incomplete_lines(comparison: Comparison) -> Iterator[str]:
    """Yield the listings that are not compared, or prove nothing about missing items."""
    if comparison.partial:
        visits = "runs" if comparison.named else "visits"
        yield (
            f"{comparison.partial:,} of {quantity(comparison.listings, 'listing')} not read to the "
            f"end, with every row decoded, by both {visits}: "
            f"{quantity(comparison.unsure, 'item')} in one of them only not counted above"
        )
    if comparison.named:
        return
    yield (
        f"compared: {quantity(comparison.listings, 'listing')}, each with its own visit before; "
        f"left out: {quantity(comparison.left_out, 'listing')} with one visit only"
    )
    if comparison.skipped:
        last = quantity(comparison.skipped, "listing has a last visit", "listings have last visits")
        yield f"{last} not walked to the end: the visits before are compared"


def _figures(counts: ChangeCounts) -> tuple[int, ...]:
    return tuple(getattr(counts, name) for name in ChangeCounts.__struct_fields__)


def _largest_changes(
    comparison: Comparison, kind: str, top: int, width: int | None
) -> Iterator[str]:
    number = getattr(comparison.total, kind)
    if not number or not top:
        return
    yield ""
    yield f"{kind}: {number:,}, the largest first"
    yield from format_table(
        ("item", ">before", ">after", ">change", "title"),
        [_change_row(row, kind) for row in comparison.largest(kind, top)],
        width,
    )


def _change_row(row: dict[str, object], kind: str) -> tuple[object, ...]:
    if kind == "sales":
        figures: tuple[object, ...] = (row["sold_before"], row["sold_after"], row["sold_growth"])
    else:
        percent = row["price_change_percent"]
        change = "" if percent is None else f"{percent:+.1f} %"
        figures = (*(format_amount(row[f"price_{side}"]) for side in ("before", "after")), change)  # type: ignore[arg-type]
    return (str(row["item_id"]), *figures, row["title"])
