"""`tmapi changes`: new, gone and changed items between two runs of a journal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tmapi_async.api.listings import parse_id
from tmapi_async.cli import console, tables
from tmapi_async.cli.summary import OK, PARTIAL, USAGE
from tmapi_async.errors import ExportRefusedError, InvalidRequestError, JournalError
from tmapi_async.export.changes.change_files import (
    check_file,
    format_amount,
    json_lines,
    write_file,
)
from tmapi_async.export.changes.comparison import Comparison, compare_runs, largest_changes
from tmapi_async.export.changes.diff import ChangeCounts

_STDOUT = "-"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What `tmapi changes` is asked to do, as typed.

    Attributes:
        journal: The journal.
        before: Number of the earlier run, or None for the one before the later.
        after: Number of the later run, or None for the latest.
        cats: Category IDs; empty for all.
        to: Destinations; empty for the table alone.
        top: How many of the largest changes of each kind are shown.
        json: End with the summary as JSON.
        endpoint: Short or full name of the endpoint whose rows are meant, or None.
        quiet: No table.
    """

    journal: Path
    before: int | None
    after: int | None
    cats: list[str]
    to: list[str]
    top: int
    json: bool
    quiet: bool
    endpoint: str | None = None


class Summary(msgspec.Struct):
    """What `--json` prints.

    Attributes:
        before: Number of the earlier run.
        after: Number of the later run.
        listings: Listings that either run has.
        partial: Those that not both runs walked to their end.
        unsure: Items that one run alone has, without its being known why.
        total: How much changed in all.
        categories: How much changed, category by category (by listing, where it has none).
    """

    before: int
    after: int
    listings: int
    partial: int
    unsure: int
    total: ChangeCounts
    categories: dict[str, ChangeCounts]


def changes(request: Request) -> int:
    """Tell what changed; returns the exit code."""
    try:
        files = [check_file(text, request.journal) for text in request.to if text != _STDOUT]
        found = compare_runs(
            request.journal,
            before=request.before,
            after=request.after,
            cats=[parse_id(cat) for cat in request.cats],
            endpoint=request.endpoint,
        )
    except (InvalidRequestError, ExportRefusedError, JournalError) as error:
        console.tell(str(error))
        return USAGE
    return _give(request, found, files)


def _give(request: Request, found: Comparison, files: list[Path]) -> int:
    streams = _STDOUT in request.to
    try:
        for path in files:
            size = write_file(found.changes, path)
            console.tell(f"{path}: {found.changes.num_rows:,} changes, {size:,} bytes")
        if streams:
            for part in json_lines(found.changes):
                sys.stdout.buffer.write(part)
    except BrokenPipeError:
        raise
    except OSError as error:
        console.tell(f"cannot write the changes: {error.strerror}; the file is as it was before")
        return PARTIAL
    tell = console.tell_plainly if streams else print
    if not request.quiet:
        for line in lines(found, request.top):
            tell(line)
    if request.json:
        tell(msgspec.json.encode(summary(found)).decode())
    return OK


def summary(found: Comparison) -> Summary:
    """The comparison as plain data."""
    return Summary(
        before=found.before.id,
        after=found.after.id,
        listings=found.listings,
        partial=found.partial,
        unsure=found.unsure,
        total=found.total,
        categories=found.change_counts,
    )


def lines(found: Comparison, top: int) -> Iterator[str]:
    """The comparison for a person."""
    listed = found.change_counts and not any(name.isdigit() for name in found.change_counts)
    by = "listing" if listed else "category"
    heads = (by, *(f">{name}" for name in ChangeCounts.__struct_fields__))
    rows = [(name, *_figures(tally)) for name, tally in found.change_counts.items()]
    rows.append(("all", *_figures(found.total)))
    yield f"Run {found.before.id} -> run {found.after.id}"
    yield from tables.lines(heads, rows)
    for kind in ("dearer", "cheaper", "sales"):
        yield from _largest(found, kind, top)
    if found.partial:
        yield (
            f"{found.partial} of {found.listings} listings were not walked to their end, with "
            f"every row read, by both runs: {found.unsure:,} items that only one run has are in "
            "none of these figures"
        )


def _figures(tally: ChangeCounts) -> tuple[int, ...]:
    return tuple(getattr(tally, name) for name in ChangeCounts.__struct_fields__)


def _largest(found: Comparison, kind: str, top: int) -> Iterator[str]:
    """The largest changes of a kind."""
    number = getattr(found.total, kind)
    if not number or not top:
        return
    yield ""
    yield f"{kind}: {number:,}, the largest first"
    yield from tables.lines(
        ("item", ">before", ">after", ">change", "title"),
        [_cells(row, kind) for row in largest_changes(found.changes, kind, top)],
    )


def _cells(row: dict[str, object], kind: str) -> tuple[object, ...]:
    if kind == "sales":
        figures: tuple[object, ...] = (row["sold_before"], row["sold_after"], row["sold_growth"])
    else:
        percent = row["price_change_percent"]
        change = "" if percent is None else f"{percent:+.1f} %"
        figures = (*(format_amount(row[f"price_{side}"]) for side in ("before", "after")), change)  # type: ignore[arg-type]
    return (str(row["item_id"]), *figures, row["title"])
