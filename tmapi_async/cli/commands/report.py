"""`tmapi report`: a web page with charts, in one file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tmapi_async.cli.console import print_message, print_output, print_refusal, set_up_logging
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import EndpointOption, JournalArgument, QuietOption
from tmapi_async.errors import InvalidRequestError, JournalError
from tmapi_async.export.atomic_file import overwrites_journal

app = typer.Typer(add_completion=False)

EXAMPLES = (
    "tmapi report shop.journal",
    "tmapi report shop.journal --output shop.html",
    "tmapi report shop.journal --run 1",
)


class ReportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi report`.

    Attributes:
        journal: Journal to read.
        output: Page to write.
        run: Number of the run, or None for the latest finished visit of each listing.
        endpoint: Endpoint whose rows are shown, or None if the journal holds one.
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
    quiet: QuietOption = False


@app.command("report")
@takes_struct
def report(options: ReportOptions) -> None:
    """Write a web page with charts about a journal.

    The page is one file.
    It shows the items, the requests and their cost, and how complete the data is.
    """
    set_up_logging()
    raise typer.Exit(run_report(options))


def run_report(options: ReportOptions) -> int:
    """Write a report and return the exit code."""
    journal, output = options.journal, options.output
    try:
        _check(output, journal)
        from tmapi_async.report import write_report  # noqa: PLC0415 - an extra, checked above

        size = write_report(journal, output, run=options.run, endpoint=options.endpoint)
    except (InvalidRequestError, JournalError) as error:
        print_refusal(str(error))
        return USAGE
    except OSError as error:
        print_message(f"cannot write {output}: {error.strerror}; an earlier file is unchanged")
        return PARTIAL
    if not options.quiet:
        print_output(f"wrote {output} ({size / 1e6:.1f} MB): open it in a web browser")
    return OK


def _check(output: Path, journal: Path) -> None:
    missing = [name for name in ("pyarrow", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidRequestError(
            f"a report needs {' and '.join(missing)}, not installed here: "
            'run pip install "tmapi-async[report]"'
        )
    folder = output.expanduser().resolve().parent
    if not folder.is_dir():
        raise InvalidRequestError(f"{output}: there is no folder {folder}: create it first")
    if output.expanduser().exists() and not output.expanduser().is_file():
        raise InvalidRequestError(f"{output} is not a plain file: use a name such as report.html")
    if overwrites_journal(output.expanduser(), journal.expanduser()):
        raise InvalidRequestError(f"{output} is the journal itself: use another file name")
