"""The `tmapi` command: its list of commands, loaded when they run."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer

from tmapi_async.cli.app import COMMANDS, app

HEAVY = (
    *("aiohttp", "asyncio", "distributed", "pyarrow", "ssl", "tmapi_async.api"),
    *("importlib.metadata", "logging.handlers", "shellingham.posix", "tomllib", "zipfile"),
)


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


@pytest.mark.parametrize("name", ["", *(name for name in COMMANDS if name != "sandbox")])
def test_a_narrow_help_cuts_no_option(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On 40 columns each option has a line of its own, and no line is longer."""
    monkeypatch.setenv("COLUMNS", "40")
    command: Any = typer.main.get_command(app)
    with pytest.raises(SystemExit) as end:
        command.main([*([name] if name else []), "--help"], prog_name="tmapi")
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert not any("…" in line for line in lines)
    assert any(line.strip().startswith("-h, --help") for line in lines)
