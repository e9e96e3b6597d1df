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


@app.command("harvest", context_settings={"ignore_unknown_options": True})
def _harvest(  # noqa: PLR0917 - Typer passes them by name
    cats: options.CatArgument,
    journal: Annotated[
        Path,
        typer.Option(
            "--journal", metavar="FILE", help="Where every page is kept; made if there is none."
        ),
    ],
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="DEST",
            help="Export the run when it has ended, as tmapi export does; may be repeated.",
        ),
    ] = None,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            help="Go on with an unfinished run; start a new one, keeping the old, if all is done.",
        ),
    ] = False,
    super_factory: options.SuperFactoryOption = False,
    support_dropshipping: options.DropshippingOption = False,
    free_shipping: options.FreeShippingOption = False,
    max_pages: options.MaxPagesOption = None,
    max_requests: options.MaxRequestsOption = None,
    most_rejects: Annotated[
        float,
        typer.Option(
            "--most-rejects",
            metavar="SHARE",
            help="Share of a page's rows that may be undecodable before its listing fails.",
        ),
    ] = 0.5,
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
    """Walk the categories into a journal that no interruption can hurt.

    The same command again goes on where the journal stands; when all is complete it sends nothing.
    """
    from .harvest import Job, harvest  # noqa: PLC0415 - --help need not load it
    from .ids import read_ids  # noqa: PLC0415 - as above

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
    if not 0 <= most_rejects <= 1:
        raise InvalidRequestError(f"--most-rejects is a share from 0 to 1, not {most_rejects:g}")
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
        journal=journal,
        refresh=refresh,
        max_pages=max_pages,
        most_rejects=most_rejects,
        to=to or [],
        connection=connection,
        json=json,
        quiet=quiet,
        arguments=sys.argv[1:],
    )
    raise typer.Exit(harvest(job))


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
    quiet: options.QuietOption = False,
) -> None:
    """Write one self-contained page with charts: what was harvested, and how sure that is."""
    from .report import report  # noqa: PLC0415 - --help need not load it

    console.set_up(0)
    raise typer.Exit(report(journal, output, run, quiet=quiet))


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
