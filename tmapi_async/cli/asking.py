"""The commands that ask the API: their options. What they do is in a module of their own each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InvalidRequestError
from . import console, options
from .app import app


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


@app.command(
    "sandbox",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def _sandbox(context: typer.Context) -> None:
    """Serve a sandbox that behaves as the API does, faults included; prints its URL first."""
    from ..sandbox.__main__ import main as serve  # noqa: PLC0415 - only where it is used

    raise typer.Exit(serve(context.args))
