"""Options of commands about their output, and those of commands that read a journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import typer

from tmapi_async.cli.completion.completed_values import (
    complete_exported_endpoints,
    complete_journals,
    complete_words,
)
from tmapi_async.cli.console import set_up_logging
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value

_PANEL = "Output"

JournalArgument: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Journal file.",
        show_default=False,
        autocompletion=complete_journals,
    ),
]
EndpointOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="NAME",
        help="Only rows of this endpoint (category-v2, search, item-detail, ...). Required if the"
        " journal holds listings of several endpoints.",
        autocompletion=complete_exported_endpoints,
    ),
]
CategoriesOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--cat", metavar="CAT", help="Only this category. Can be repeated."),
]
JobsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        help="Number of processes that read and decode the journal, at most 64. Default: 2 for a"
        " journal of 5,000 pages or more, where there are two processors, else 1.",
        min=1,
    ),
]
HistoryOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--history/--no-history",
        help="Also write each change of a price, over all visits: to NAME.history.ENDING beside a"
        " file, to the table NAME_history in a database. Not for -, --run and --since.",
    ),
]
JsonOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the summary as one JSON object at the end.", rich_help_panel=_PANEL
    ),
]
QuietOption: TypeAlias = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print no progress and no summary.", rich_help_panel=_PANEL),
]
VerboseOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        help="Log retries. Use -vv to log every attempt.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


CsvBomOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--csv-bom/--no-csv-bom",
        help="Begin CSV files with a byte-order mark (BOM). Excel on Windows needs it to read"
        " UTF-8: without it, Chinese becomes other characters. Most other programs want none.",
    ),
]


LogOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--log",
        metavar="text|json",
        help="Form of log records. With json, standard error has one JSON object a line and no"
        " display; with --log-file, the file has them.",
        rich_help_panel=_PANEL,
        autocompletion=complete_words("text", "json"),
    ),
]
LogFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--log-file",
        metavar="FILE",
        help="Also append log records, messages, progress and summary to this file.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
DEFAULT_LOG = "text"


class OutputOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Output options of every command that sends requests.

    Attributes:
        json: Print the summary as JSON at the end.
        quiet: Print no progress and no summary.
        verbose: 0 to log warnings alone, 1 for retries, 2 or more for every attempt.
        log: Form of log records: "text" or "json".
        log_file: File that gets the log, or None.
    """

    json: JsonOption = False
    quiet: QuietOption = False
    verbose: VerboseOption = 0
    log: LogOption = DEFAULT_LOG
    log_file: LogFileOption = None

    def set_up_logging(self) -> None:
        """Log as the options say.

        Raises:
            InvalidRequestError: `log` is no such form, or the file cannot be written.
        """
        if self.log not in (DEFAULT_LOG, "json"):
            raise InvalidRequestError(f"--log must be text or json, not {show_value(self.log)}")
        set_up_logging(self.verbose, json=self.log == "json", file=self.log_file)


class JournalCopyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a command that makes a new journal of another one.

    Attributes:
        journal: Journal to read.
        copy: File to create.
        json: Print the result as JSON, and nothing else.
        quiet: Print no progress and no result.
    """

    journal: JournalArgument
    copy: Annotated[
        Path,
        typer.Argument(
            metavar="COPY", help="File to create. It must not exist.", show_default=False
        ),
    ]
    json: JsonOption = False
    quiet: QuietOption = False


class DestinationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of an export at the end of another command.

    Attributes:
        to: Destinations, or None.
        history: Also write the price history to these destinations.
        csv_bom: Begin CSV files among them with a byte-order mark.
    """

    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="DEST...",
            help="Export the listings to these destinations at the end, as tmapi export does.",
        ),
    ] = None
    history: HistoryOption = False
    csv_bom: CsvBomOption = False

    def check(self) -> None:
        """Check that no option needs a destination that was not given.

        Raises:
            InvalidRequestError: An option needs a destination.
        """
        if self.history and not self.to:
            raise InvalidRequestError("--history works only together with --to")
        if self.csv_bom and not self.to:
            raise InvalidRequestError("--csv-bom needs a .csv file: add --to FILE.csv")
