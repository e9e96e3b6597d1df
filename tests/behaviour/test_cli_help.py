"""Each help has examples that run, and shows the options that matter most first."""

from __future__ import annotations

import importlib
import shlex

import pytest

from tmapi_async.cli.app import COMMANDS
from tmapi_async.sandbox import Faults
from tmapi_async.sandbox.__main__ import main as serve
from tmapi_async.sandbox.server.process import SandboxThread

RUN_LAST = "details"  # a journal with details needs --endpoint afterwards
NAMES = [name for name in COMMANDS if name not in ("sandbox", RUN_LAST)] + [RUN_LAST]


def module_of(name):
    """Return the module of a command."""
    return importlib.import_module(f"tmapi_async.cli.commands.{name}")


@pytest.mark.slow
def test_the_examples_run_one_after_the_other(tmapi, tmp_path, monkeypatch):
    """A reader can paste them in the order of `tmapi --help`; output files go into one folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cats.txt").write_text("1031910\n2806778\n")
    with SandboxThread() as sandbox:
        for name in NAMES:
            for example in module_of(name).EXAMPLES:
                command, _, file = example.partition(" > ")
                program, *arguments = shlex.split(command)
                done = tmapi(*arguments, url=sandbox.url)
                assert (program, done.code) == ("tmapi", 0), f"{example}\n{done.err}"
                if file and file != "cats.txt":
                    (tmp_path / file).write_bytes(done.out)


@pytest.mark.parametrize("name", NAMES)
def test_each_help_shows_three_examples_whole(tmapi, monkeypatch, name):
    """No line is wider than a terminal of 80 columns, so that examples can be copied."""
    monkeypatch.setenv("COLUMNS", "80")
    done = tmapi(name, "--help", COLUMNS="80")
    lines = [line.rstrip() for line in done.out.decode().splitlines()]
    assert done.code == 0
    assert max(map(len, lines)) <= 80
    examples = module_of(name).EXAMPLES
    assert len(examples) == 3
    assert [line.strip() for line in lines if line.strip()][-3:] == list(examples)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if hasattr(module_of(name), "FIRST_OPTIONS")]
)
def test_the_options_that_matter_most_come_first(tmapi, name):
    """The first group has six of them, in the order of the module, and the help itself."""
    first = [f"--{option.replace('_', '-')}" for option in module_of(name).FIRST_OPTIONS]
    text = tmapi(name, "--help", COLUMNS="100").out.decode()
    group = text[text.index("─ Options ─") :]
    group = group[: group.index("╰")]
    shown = [line.split()[1] for line in group.splitlines() if line.startswith("│ --")]
    assert shown == [*first, "--help"]
    assert len(first) == 6


def test_the_sandbox_has_examples_of_its_own(capsys):
    """Its options are parsed elsewhere, and its help ends like the others."""
    with pytest.raises(SystemExit):
        serve(["--help"], prog="tmapi sandbox")
    examples = capsys.readouterr().out.partition("examples:")[2].split("\n")[1:4]
    assert all(example.strip().startswith("tmapi sandbox --") for example in examples)
    assert Faults.parse(["500=0.05", "html=0.02"]).rates == {"500": 0.05, "html": 0.02}
