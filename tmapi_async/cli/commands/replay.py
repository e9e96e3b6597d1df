"""`tmapi replay`: decode rejects again after an upgrade."""

from __future__ import annotations

from pathlib import Path

import typer

from tmapi_async.cli.console import print_message, print_refusal, set_up_logging
from tmapi_async.cli.exit_codes import OK, USAGE
from tmapi_async.cli.options.output_options import JournalArgument
from tmapi_async.cli.options.path_checks import check_value
from tmapi_async.errors import JournalError
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.maintenance.redecode import replay as replay_journal

app = typer.Typer(add_completion=False)

EXAMPLES = (
    "tmapi replay shop.journal",
    "tmapi status shop.journal",
    "tmapi export shop.journal --to items.csv",
)


@app.command("replay")
def replay(journal: JournalArgument) -> None:
    """Try again to read rows that could not be read before.

    Run it after an upgrade of tmapi-async.
    It reads the pages in the journal and sends nothing.
    """
    set_up_logging()
    check_value("journal", journal)
    raise typer.Exit(run_replay(journal))


def run_replay(path: Path) -> int:
    """Decode the rejects of a journal again and return the exit code."""
    try:
        result = replay_journal(path)
    except JournalError as error:
        print_refusal(str(error))
        return USAGE
    if not result.rejects:
        print_message(f"{path} has no rejects: there is nothing to read again")
    else:
        print_message(
            f"{quantity(result.rejects, 'reject')} on {quantity(result.pages, 'page')}: "
            f"{result.mended:,} can be read now, {result.left:,} still cannot"
        )
    return OK
