"""The command line. Commands parse options and show results; the logic is elsewhere."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InvalidRequestError
from . import console, options
from .summary import PARTIAL, UNEXPECTED, USAGE

_TYPER_INTERRUPTED = 130

app = typer.Typer(
    name="tmapi",
    help="Walk 1688.com categories through TMAPI, to their end.",
    no_args_is_help=True,
    add_completion=False,
    # Rich's tracebacks print local variables, and some of those hold the token.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tmapi-async {version('tmapi-async')}")
        raise typer.Exit


@app.callback()
def _main(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Walk 1688.com categories through TMAPI, to their end."""


# An ID below 0 looks like an option; `read_ids` tells the two apart.
@app.command("items", context_settings={"ignore_unknown_options": True})
def _items(  # noqa: PLR0917 - Typer passes them by name
    cats: options.CatArgument,
    super_factory: options.SuperFactoryOption = False,
    support_dropshipping: options.DropshippingOption = False,
    free_shipping: options.FreeShippingOption = False,
    unique: Annotated[
        bool, typer.Option("--unique", help="Drop items that their listing has shown before.")
    ] = False,
    max_pages: options.MaxPagesOption = None,
    max_requests: options.MaxRequestsOption = None,
    concurrency: options.ConcurrencyOption = "auto",
    rate: options.RateOption = None,
    timeout: options.TimeoutOption = options.DEFAULT_SECONDS,
    lookahead: options.LookaheadOption = "auto",
    token: options.TokenOption = None,
    token_file: options.TokenFileOption = None,
    auth: options.AuthOption = options.DEFAULT_AUTH,
    base_url: options.BaseUrlOption = None,
    sandbox: options.SandboxOption = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = 0,
) -> None:
    """Stream every item of the categories as JSON lines to standard output.

    Keeps no state: for long jobs that must survive an interruption, use harvest.
    """
    from .ids import read_ids  # noqa: PLC0415 - --help need not load it
    from .items import Job, items  # noqa: PLC0415 - as above

    console.set_up(verbose)
    connection = options.Connection(
        token=token,
        token_file=token_file,
        auth=auth,
        base_url=base_url,
        sandbox=sandbox,
        concurrency=concurrency,
        rate=rate,
        timeout=timeout,
        lookahead=lookahead,
        max_requests=max_requests,
    )
    given = read_ids(cats, sys.stdin.buffer)
    connection.check()
    if max_pages is not None and max_pages < 1:
        raise InvalidRequestError(f"--max-pages must be at least 1, not {max_pages}")
    if given.repeated and not quiet:
        console.tell(f"{given.repeated} repeated IDs are left out: each is walked once")
    filters = {
        "super_factory": super_factory,
        "support_dropshipping": support_dropshipping,
        "free_shipping": free_shipping,
    }
    job = Job(
        ids=given.ids,
        filters={name: True for name, wanted in filters.items() if wanted},
        max_pages=max_pages,
        unique=unique,
        connection=connection,
        json=json,
        quiet=quiet,
    )
    raise typer.Exit(items(job))


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
        json=json,
        quiet=quiet,
    )
    raise typer.Exit(export(request))


@app.command(
    "sandbox",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def _sandbox(context: typer.Context) -> None:
    """Serve a sandbox that behaves as the API does, faults included; prints its URL first."""
    from ..sandbox.__main__ import main as serve  # noqa: PLC0415 - only where it is used

    raise typer.Exit(serve(context.args))


def main() -> None:
    """Run the command line; the process ends with an exit code of the contract."""
    _keep_closed_streams()
    try:
        app()
    except SystemExit as end:
        if end.code != _TYPER_INTERRUPTED:
            raise
        console.tell("interrupted")
        sys.exit(PARTIAL)
    except InvalidRequestError as error:
        console.tell(f"{error}; nothing was sent")
        sys.exit(USAGE)
    except KeyboardInterrupt:
        console.tell("interrupted")
        sys.exit(PARTIAL)
    except Exception as error:  # noqa: BLE001 - the last line of defence
        # Only the class and where it was raised: a message from below may hold a URL.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace else "unknown"
        console.tell(f"unexpected failure: {type(error).__name__} in {where}; please report it")
        sys.exit(UNEXPECTED)


def _keep_closed_streams() -> None:
    """Put nothing where a standard stream was closed.

    Else the next socket would get its number, and what is written to the stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            if name != "stdout":  # what writes rows must know that it cannot
                setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for as long as the process lives
