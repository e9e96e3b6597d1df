"""Options of commands about their output, and those of commands that read a journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import typer

_PANEL = "Output"

JournalArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="Journal file.", show_default=False)
]
EndpointOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="NAME",
        help="Only rows of this endpoint (category-v2, search, ...). Required if the journal holds"
        " several endpoints.",
    ),
]
CategoriesOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--cat", metavar="CAT", help="Only this category. Can be repeated."),
]
HistoryOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--history",
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


class OutputOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Output options of every command that sends requests.

    Attributes:
        json: Print the summary as JSON at the end.
        quiet: Print no progress and no summary.
        verbose: 0 to log warnings alone, 1 for retries, 2 or more for every attempt.
    """

    json: JsonOption = False
    quiet: QuietOption = False
    verbose: VerboseOption = 0
