"""The `tmapi` command: its list of commands, loaded when they run."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer

from tmapi_async.cli.app import COMMANDS, app

HEAVY = ("aiohttp", "asyncio", "distributed", "pyarrow", "ssl", "tmapi_async.api")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_described_in_the_same_words_everywhere(name: str) -> None:
    """The line in `tmapi --help` is the first line of `tmapi COMMAND --help`."""
    group: Any = typer.main.get_command(app)
    command = group.commands[name].load()
    assert command.name == name
    assert command.help.splitlines()[0] == COMMANDS[name]


@pytest.mark.slow
def test_the_help_loads_no_client() -> None:
    """`tmapi --help` imports Typer and nothing that takes long to import."""
    code = (
        "import sys, tmapi_async.cli.app, typer; typer.main.get_command(tmapi_async.cli.app.app); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_status_loads_no_http_client() -> None:
    """A command that only reads a journal starts without aiohttp."""
    code = "import sys, tmapi_async.cli.commands.status; print('aiohttp' in sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
