"""`tmapi backup`: a whole copy of a journal, also while a harvest writes to it."""

from __future__ import annotations

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
from tmapi_async.errors import (
    CorruptJournalError,
    DiskError,
    InvalidRequestError,
    JournalError,
)
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.maintenance.backup import JournalContents, back_up

app = typer.Typer(add_completion=False)

EXAMPLES = (
    "tmapi backup shop.journal copy.journal",
    "tmapi verify copy.journal",
    "tmapi status copy.journal",
)


@app.command("backup")
@takes_struct
def backup(options: JournalCopyOptions) -> None:
    """Copy a whole journal to a new file, also while a harvest writes to it.

    It works after a kill, too: the copy has the pages in the log beside the journal.
    The copy appears only when it is complete and its structure has been checked.
    """
    set_up_logging()
    raise typer.Exit(run_backup(options))


def run_backup(options: JournalCopyOptions) -> int:
    """Copy a journal, print the contents of the copy and return the exit code."""
    try:
        contents = _copy(options)
    except InvalidRequestError as error:
        print_refusal(str(error))
        return USAGE
    except CorruptJournalError as error:
        print_message(f"{error}; no copy was made")
        return PARTIAL
    except (DiskError, OSError) as error:
        reason = error.message if isinstance(error, DiskError) else error.strerror
        print_message(f"cannot copy to {options.copy}: {reason}; no copy was made")
        return PARTIAL
    except JournalError as error:
        print_refusal(str(error))
        return USAGE
    if options.json:
        summary = {
            "journal": str(options.journal),
            "copy": str(options.copy),
            **msgspec.structs.asdict(contents),
        }
        summary.pop("last_page")
        print_json(msgspec.json.encode(summary).decode())
    elif not options.quiet:
        print_output(f"wrote {options.copy}: {describe_contents(contents)}")
    return OK


def _copy(options: JournalCopyOptions) -> JournalContents:
    with new_journal(options.copy, options.journal) as temporary:
        return run_with_progress(
            lambda report: back_up(options.journal, temporary, report),
            lambda done, total: f"copying: {done / 2**20:,.0f} of {total / 2**20:,.0f} MB",
            shown=not (options.quiet or options.json),
        )


def describe_contents(contents: JournalContents) -> str:
    """Return the contents of a journal as text."""
    return (
        f"{quantity(contents.pages, 'page')} of {quantity(contents.listings, 'listing')} in "
        f"{quantity(contents.runs, 'run')}, {quantity(contents.items, 'item')}, "
        f"{quantity(contents.rejects, 'reject')}"
    )
