"""`tmapi sandbox`: a local server that imitates the API."""

from __future__ import annotations

import typer

from tmapi_async.sandbox.__main__ import main as serve

app = typer.Typer(add_completion=False)

EXAMPLES = ()
"""The sandbox has examples in its own help."""


@app.command(
    "sandbox",
    # The sandbox parses its own options, `--help` included.
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def sandbox(context: typer.Context) -> None:
    """Start a local server that imitates the API, errors included.

    The first line of the output is the server's address.
    """
    raise typer.Exit(serve(context.args, prog="tmapi sandbox"))
