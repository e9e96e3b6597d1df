"""`tmapi repair`: a new journal with every page of a damaged one that can be read."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import typer

from tmapi_async.cli.console import (
    print_json,
    print_message,
    print_output,
    print_refusal,
    set_up_logging,
)
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE
from tmapi_async.cli.new_journal import new_journal, run_with_progress
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import JournalCopyOptions
from tmapi_async.errors import DiskError, InvalidRequestError, JournalError
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.maintenance.repair import RepairResult
from tmapi_async.journal.maintenance.repair import repair as repair_journal

app = typer.Typer(add_completion=False)

EXAMPLES = (
    "tmapi repair shop.journal mended.journal",
    "tmapi verify mended.journal",
    "tmapi harvest 1031910 2806778 --journal mended.journal",
)


@app.command("repair")
@takes_struct
def repair(options: JournalCopyOptions) -> None:
    """Save every page that can be read from a damaged journal into a new one.

    The damaged journal is not changed.
    Listings that lost pages are unfinished in the new journal.
    A harvest with the new journal requests only these pages again.
    The exit code is 0 if nothing was lost, else 3.
    """
    set_up_logging()
    raise typer.Exit(run_repair(options))


def run_repair(options: JournalCopyOptions) -> int:
    """Repair a journal, print the result and return the exit code."""
    try:
        result = _save(options)
    except InvalidRequestError as error:
        print_refusal(str(error))
        return USAGE
    except (DiskError, OSError) as error:
        reason = error.message if isinstance(error, DiskError) else error.strerror
        print_message(f"cannot write {options.copy}: {reason}; no file was made")
        return PARTIAL
    except JournalError as error:
        print_refusal(str(error))
        return USAGE
    if options.json:
        summary = {
            "journal": str(options.journal),
            "copy": str(options.copy),
            "lossless": result.lossless,
            **msgspec.structs.asdict(result),
        }
        print_json(msgspec.json.encode(summary).decode())
    elif not options.quiet:
        for line in result_lines(options, result):
            print_output(line)
    return OK if result.lossless else PARTIAL


def _save(options: JournalCopyOptions) -> RepairResult:
    with new_journal(options.copy, options.journal) as temporary:
        return run_with_progress(
            lambda report: repair_journal(options.journal, temporary, report),
            lambda done, total: f"saving: {done:,} of {quantity(total, 'page')}",
            shown=not (options.quiet or options.json),
        )


def result_lines(options: JournalCopyOptions, result: RepairResult) -> Iterator[str]:
    """Yield the result as text: what was saved, then what was lost, and what to do next."""
    yield (
        f"wrote {options.copy}: {quantity(result.pages, 'page')} of "
        f"{quantity(result.listings, 'listing')}, {quantity(result.items, 'item')}, "
        f"{quantity(result.rejects, 'reject')}"
    )
    if result.unreadable:
        yield f"{quantity(result.unreadable, 'place')} of {options.journal} cannot be read"
    if result.lossless:
        yield "no page is known to be lost"
        return
    yield (
        f"lost: {quantity(result.lost_pages, 'page')}; "
        f"{quantity(result.lost_listings, 'listing')} with all pages; "
        f"{quantity(result.lost_categories, 'answer')} of the category tree"
    )
    yield from result.names
    if result.incomplete > len(result.names):
        yield f"and {quantity(result.incomplete - len(result.names), 'more listing')}"
    yield (f"to request the lost pages again, run the same harvest with --journal {options.copy}")
