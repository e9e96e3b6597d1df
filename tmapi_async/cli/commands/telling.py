"""The commands that tell what a journal holds: their options. They send nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tmapi_async.cli import console
from tmapi_async.cli.app import app
from tmapi_async.cli.options import connection_options as options

EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="NAME",
        help="Whose rows (category-v2, search, ...); needed where a journal holds several.",
    ),
]


@app.command("status")
def _status(
    journal: Annotated[Path, typer.Argument(metavar="FILE", help="The journal.")],
    every: Annotated[
        bool, typer.Option("--all", help="Show every listing and every start.")
    ] = False,
    json: options.JsonOption = False,
) -> None:
    """Show what a journal holds, listing by listing; also while a harvest writes to it."""
    from .status import status  # noqa: PLC0415 - --help need not load it

    console.set_up(0)
    raise typer.Exit(status(journal, every=every, json=json))


@app.command("replay")
def _replay(
    journal: Annotated[Path, typer.Argument(metavar="FILE", help="The journal.")],
) -> None:
    """Decode the rows that could not be decoded again, after an upgrade; sends nothing."""
    from .replay import replay  # noqa: PLC0415 - --help need not load it

    console.set_up(0)
    raise typer.Exit(replay(journal))


@app.command("export")
def _export(  # noqa: PLR0917 - Typer passes them by name
    journal: Annotated[Path, typer.Argument(metavar="FILE", help="The journal.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="DEST", hidden=True)] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="DEST...",
            help="Where to: .parquet, .csv, .jsonl, .jsonl.zst or .duckdb files, postgresql://...,"
            " or - for JSON lines. Several are written in one reading.",
        ),
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", metavar="NAME", help="Table of a database (items).")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="latest|all|N", help="Which run (the latest)."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Only pages fetched since a date or time (UTC unless it says); of all runs.",
        ),
    ] = None,
    cat: Annotated[
        list[str] | None,
        typer.Option("--cat", metavar="CAT", help="Only this category; may be repeated."),
    ] = None,
    endpoint: EndpointOption = None,
    unique: Annotated[
        bool, typer.Option("--unique", help="Only the latest sighting of each item.")
    ] = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Write what a journal holds to files and databases; also while a harvest writes to it."""
    from .export import Request, export  # noqa: PLC0415 - --help need not load it

    console.set_up(0)
    request = Request(
        journal=journal,
        # `--to A B` is `--to A --to B`: what follows the journal can be nothing else.
        to=[*(to or ()), *((more or ()) if to else ())],
        table=table,
        run=run,
        since=since,
        cats=cat or [],
        unique=unique,
        endpoint=endpoint,
        json=json,
        quiet=quiet,
    )
    raise typer.Exit(export(request))


@app.command("changes")
def _changes(  # noqa: PLR0917 - Typer passes them by name
    journal: Annotated[Path, typer.Argument(metavar="FILE", help="The journal.")],
    before: Annotated[
        int | None,
        typer.Option("--before", metavar="N", help="The earlier run (the last but one)."),
    ] = None,
    after: Annotated[
        int | None, typer.Option("--after", metavar="N", help="The later run (the latest).")
    ] = None,
    cat: Annotated[
        list[str] | None,
        typer.Option("--cat", metavar="CAT", help="Only this category; may be repeated."),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="DEST",
            help="Also to a .jsonl, .csv or .parquet file, or - (JSON lines).",
        ),
    ] = None,
    endpoint: EndpointOption = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", help="How many of the largest are shown.", min=0)
    ] = 5,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Show what changed between two runs: new, gone, dearer, cheaper, selling more."""
    from .changes import Request, changes  # noqa: PLC0415 - --help need not load it

    console.set_up(0)
    request = Request(
        journal=journal,
        before=before,
        after=after,
        cats=cat or [],
        to=to or [],
        top=top,
        endpoint=endpoint,
        json=json,
        quiet=quiet,
    )
    raise typer.Exit(changes(request))


@app.command("report")
def _report(
    journal: Annotated[Path, typer.Argument(metavar="FILE", help="The journal.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="HTML", help="The page to write.")
    ] = Path("report.html"),
    run: Annotated[
        int | None, typer.Option("--run", metavar="N", help="Which run (the latest).")
    ] = None,
    endpoint: EndpointOption = None,
    quiet: options.QuietOption = False,
) -> None:
    """Write one self-contained page with charts: what was harvested, and how sure that is."""
    from .report import report  # noqa: PLC0415 - --help need not load it

    console.set_up(0)
    raise typer.Exit(report(journal, output, run, endpoint, quiet=quiet))
