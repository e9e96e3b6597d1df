"""`tmapi verify`: read a whole journal and check that everything in it agrees."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import msgspec
import typer

from tmapi_async.cli.console import (
    print_json,
    print_output,
    print_refusal,
    set_up_logging,
    terminal_width,
)
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import JournalArgument, JsonOption, QuietOption
from tmapi_async.cli.progress.progress_line import show_progress
from tmapi_async.cli.signals import run_in_loop
from tmapi_async.cli.tables import format_table
from tmapi_async.errors import (
    JournalError,
    NewerJournalError,
    NoJournalError,
    NotAJournalError,
    OlderJournalError,
)
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.maintenance.verify import Verification, Verifier

app = typer.Typer(add_completion=False)

EXAMPLES = (
    "tmapi verify shop.journal",
    "tmapi verify shop.journal --json",
    "tmapi repair shop.journal saved.journal",
)

_UNUSABLE = (NoJournalError, NotAJournalError, NewerJournalError, OlderJournalError)


class VerifyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi verify`.

    Attributes:
        journal: Journal to read.
        json: Print the result as JSON, and nothing else.
        quiet: Print no progress and no result.
    """

    journal: JournalArgument
    json: JsonOption = False
    quiet: QuietOption = False


@app.command("verify")
@takes_struct
def verify(options: VerifyOptions) -> None:
    """Read a whole journal and check that nothing in it is damaged.

    It writes nothing, and works while a harvest writes to the journal.
    The exit code is 0 if everything is fine, and 3 if something is damaged.
    """
    set_up_logging()
    raise typer.Exit(run_verify(options))


def run_verify(options: VerifyOptions) -> int:
    """Verify a journal, print the result and return the exit code."""
    try:
        verifier = Verifier(options.journal)
        result = run_in_loop(_read(verifier, shown=not (options.quiet or options.json)))
    except _UNUSABLE as error:
        print_refusal(str(error))
        return USAGE
    except JournalError as error:
        result = Verification(problems=1, texts=[str(error)])
    if options.json:
        print_json(_as_json(options, result))
    elif not options.quiet:
        for line in result_lines(options, result):
            print_output(line)
    return OK if result.ok else PARTIAL


async def _read(verifier: Verifier, *, shown: bool) -> Verification:
    def progress() -> str:
        pages = f"{verifier.result.pages:,} of {quantity(verifier.total_pages, 'page')}"
        return f"verifying: {pages}, {quantity(verifier.result.problems, 'problem')}"

    try:
        async with show_progress(progress, shown=shown):
            return await asyncio.to_thread(verifier.run)
    finally:
        verifier.interrupt()  # after Ctrl-C; the process waits for the thread


def _as_json(options: VerifyOptions, result: Verification) -> str:
    checks = {check.name: not check.problems for check in result.checks}
    summary = {
        "journal": str(options.journal),
        "ok": result.ok,
        "checks": checks,
        "listings": result.listings,
        "pages": result.pages,
        "items": result.items,
        "rejects": result.rejects,
        "problems": result.problems,
        "problem_texts": result.texts,
    }
    return msgspec.json.encode(summary).decode()


def result_lines(options: VerifyOptions, result: Verification) -> Iterator[str]:
    """Yield the result as text: one line for each check, the problems, and the conclusion."""
    rows = [
        (check.name, quantity(check.problems, "problem") if check.problems else "fine",
         check.subject)
        for check in result.checks
    ]  # fmt: skip
    if rows:
        yield from format_table(("check", "result", "read"), rows, terminal_width(sys.stdout))
        yield ""
    yield from result.texts
    if result.problems > len(result.texts):
        yield f"and {quantity(result.problems - len(result.texts), 'more problem')}"
    if result.ok:
        yield f"{options.journal}: everything in the journal is fine"
    else:
        yield (
            f"{options.journal}: {quantity(result.problems, 'problem')}: restore a backup, or run "
            f"`tmapi repair {options.journal} NEW_FILE` to save every page that can be read"
        )
