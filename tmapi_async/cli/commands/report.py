"""`tmapi report`: a web page with charts, in one file."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from tmapi_async.cli.console import print_message, print_output, print_refusal, set_up_logging
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import EndpointOption, JournalArgument, QuietOption
from tmapi_async.cli.options.settings_in_force import with_settings
from tmapi_async.errors import InvalidRequestError, JournalError
from tmapi_async.errors.extras import install_command
from tmapi_async.errors.quantities import quantity
from tmapi_async.export.atomic_file import overwrites_journal

if TYPE_CHECKING:
    from tmapi_async.report import ReportFacts

app = typer.Typer(add_completion=False)

FIRST_OPTIONS = ("output", "names", "pictures", "run", "endpoint", "max_requests")
EXAMPLES = (
    "tmapi report shop.journal",
    "tmapi report shop.journal --output shop.html --pictures",
    "tmapi report shop.journal --run 1",
)


class ReportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi report`.

    Attributes:
        journal: Journal to read.
        output: Page to write.
        run: Number of the run, or None for the latest finished visit of each listing.
        endpoint: Endpoint whose rows are shown, or None if the journal holds one.
        pictures: Show pictures of items, which the browser loads from their hosts.
        names: Ask the API for the names of categories that the journal does not hold.
        connection: Account, server and limits, for `names`.
        quiet: Print nothing about the result.
    """

    journal: JournalArgument
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="HTML", help="Page to write.")
    ] = Path("report.html")
    run: Annotated[
        int | None,
        typer.Option(
            "--run",
            metavar="N",
            help="Number of the run. Default: the latest finished visit of each listing.",
        ),
    ] = None
    endpoint: EndpointOption = None
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures",
            help="Show pictures of the items. Who opens the page loads them from the hosts of the"
            " items, and from nowhere else. Without this option the page sends no request.",
        ),
    ] = False
    names: Annotated[
        bool,
        typer.Option(
            "--names",
            help="Ask the API for the names of the shown categories that the journal does not hold,"
            " and store them: one request for each. Without this option the number is printed, and"
            " nothing is sent.",
        ),
    ] = False
    connection: ConnectionOptions = ConnectionOptions()
    quiet: QuietOption = False

    def check(self) -> None:
        """Check the options before the journal is read.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        if self.names:
            self.connection.check()
        elif self.connection != ConnectionOptions():
            raise InvalidRequestError(
                "tmapi report sends requests only with --names: add it, or remove the options of "
                "account, server and limits"
            )


@app.command("report")
@takes_struct
def report(context: typer.Context, options: ReportOptions) -> None:
    """Write a web page about a journal: what was found, what sells, what changed.

    The page is one file.
    It says if the data is complete and what to do, and has tables to sort, search and filter.
    """
    set_up_logging()
    if options.names:  # else nothing is sent
        options = with_settings(context, options, "report")
    options.check()
    raise typer.Exit(run_report(options))


def run_report(options: ReportOptions) -> int:
    """Write a report and return the exit code."""
    journal, output, code = options.journal, options.output, OK
    try:
        _check(output, journal)
        from tmapi_async import report  # noqa: PLC0415 - an extra, checked above

        facts = report.gather(journal, run=options.run, endpoint=options.endpoint)
        if options.names and facts.unnamed:
            code = _request_names(options, facts)
            facts = report.add_names(facts, journal)
        size = report.write_page(facts, output, pictures=options.pictures)
        hint = report.names_hint(facts, _command_for_names(options, facts))
    except (InvalidRequestError, JournalError) as error:
        print_refusal(str(error))
        return USAGE
    except OSError as error:
        print_message(f"cannot write {output}: {error.strerror}; an earlier file is unchanged")
        return PARTIAL
    if not options.quiet:
        print_output(f"wrote {output} ({size / 1e6:.1f} MB): open it in a web browser")
        if hint:
            print_message(hint)
    return code


def _command_for_names(options: ReportOptions, facts: ReportFacts) -> str:
    """Return the command that writes the same page with the names of categories."""
    words = ["tmapi", "report", str(options.journal)]
    for name, value, usual in (
        ("--output", options.output, Path("report.html")),
        ("--run", options.run, None),
        ("--endpoint", options.endpoint, None),
    ):
        words += [] if value == usual else [name, str(value)]
    words += ["--pictures"] if options.pictures else []
    words += ["--names", "--sandbox"] if facts.from_sandbox else ["--names"]
    return shlex.join(words)


def _request_names(options: ReportOptions, facts: ReportFacts) -> int:
    """Store the names of categories in the journal and return the exit code.

    Raises:
        JournalError: The journal cannot be written; nothing was sent.
    """
    from tmapi_async.cli.category_requests import (  # noqa: PLC0415 - loads HTTP, only for this
        request_categories,
    )

    count = len(facts.unnamed)
    if not options.quiet:
        print_message(
            f"asking for the names of {quantity(count, 'category', 'categories')}: "
            f"{quantity(count, 'request')}, more if some are retried"
        )
    return request_categories(options.journal, facts.unnamed, options.connection)


def _check(output: Path, journal: Path) -> None:
    missing = [name for name in ("pyarrow", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidRequestError(
            f"a report needs {' and '.join(missing)}, not installed here: "
            f"run {install_command('report')}"
        )
    folder = output.expanduser().resolve().parent
    if not folder.is_dir():
        raise InvalidRequestError(f"{output}: there is no folder {folder}: create it first")
    if output.expanduser().exists() and not output.expanduser().is_file():
        raise InvalidRequestError(f"{output} is not a plain file: use a name such as report.html")
    if overwrites_journal(output.expanduser(), journal.expanduser()):
        raise InvalidRequestError(f"{output} is the journal itself: use another file name")
