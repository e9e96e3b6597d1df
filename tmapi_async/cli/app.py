"""The Typer application that the commands are added to."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

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
