"""Completion by the shell: the values that it gets, and a real shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import environment
from tmapi_async.cli.app import COMMANDS

TMAPI = """\
#!/bin/sh
exec {python} -c 'from tmapi_async.cli import main; main()' "$@"
"""

IN_BASH = """
source <(tmapi --show-completion)
complete -p tmapi
try() {
    COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
    _tmapi_completion tmapi
    echo "${COMPREPLY[@]}"
}
try tmapi har
try tmapi harvest 1031910 --endpoint category
try tmapi status ""
"""

IN_ZSH = """
autoload -Uz compinit && compinit -u
eval "$(tmapi --show-completion)"
words=(tmapi harvest 1031910 --endpoint category); CURRENT=5
_arguments() { print -r -- "$@" }
_tmapi_completion
"""

IN_FISH = """
tmapi --show-completion | source
complete -C "tmapi harvest 1031910 --endpoint category"
"""


def complete(tmapi, *words: str, shell: str = "bash", **more: str):
    """Return what a shell gets for words of a command line, the last of which is incomplete."""
    line = " ".join(["tmapi", *words])
    return tmapi(
        _TMAPI_COMPLETE=f"complete_{shell}",
        COMP_WORDS="\n".join(["tmapi", *words]),
        COMP_CWORD=str(len(words)),
        _TYPER_COMPLETE_ARGS=line,
        **more,
    )


def offered(tmapi, *words: str) -> list[str]:
    """Return the values that Bash offers."""
    done = complete(tmapi, *words)
    assert (done.code, done.err) == (0, "")
    return done.out.decode().split()


def test_commands_and_options_are_offered(tmapi):
    """Every command, and every option of a command."""
    assert offered(tmapi, "") == list(COMMANDS)
    assert offered(tmapi, "--ins") == ["--install-completion"]
    assert offered(tmapi, "--version", "st") == ["status"]
    assert offered(tmapi, "harvest", "--max") == ["--max-requests", "--max-pages"]
    assert offered(tmapi, "harvest", "7", "--no-sp") == ["--no-split"]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["items", "7", "--endpoint", "item-d"], ["item-detail", "item-description"]),
        (["details", "x", "--endpoint", "item-sa"], ["item-sales"]),
        (["export", "x", "--endpoint", "item-sk"], ["item-skus"]),
        (["check", "--endpoint", "global"], ["global-search"]),
        (["harvest", "--sort", "price"], ["price_up", "price_down"]),
        (["harvest", "--sort=tim"], ["time_up", "time_down"]),
        (["items", "--language", "z"], ["zh"]),
        (["items", "--auth", ""], ["query", "header"]),
        (["items", "--concurrency", ""], ["auto"]),
        (["items", "--lookahead", "o"], ["off"]),
        (["export", "x", "--run", ""], ["latest", "all"]),
        (["items", "--log", ""], ["text", "json"]),
    ],
)
def test_values_of_options_are_offered(tmapi, words, values):
    """Names of endpoints, sort orders, and words."""
    assert offered(tmapi, *words) == values


READERS = ("status", "runs", "export", "changes", "report", "replay", "verify", "backup", "details")


@pytest.mark.parametrize("command", [*READERS, "harvest --journal", "check --journal"])
def test_journals_are_offered(tmapi, tmp_path, monkeypatch, command):
    """Files that end in .journal, wherever a command takes a journal."""
    monkeypatch.chdir(tmp_path)
    for name in ("shop.journal", "shop.csv", "job.toml"):
        Path(name).touch()
    assert offered(tmapi, *command.split(), "sh") == ["shop.journal"]
    assert offered(tmapi, "harvest", "--job", "") == ["job.toml"]


def test_a_completion_prints_no_message(tmapi, tmp_path, monkeypatch):
    """A mistake in the line, in a settings file or in a variable does not break what is typed."""
    monkeypatch.chdir(tmp_path)
    Path("tmapi.toml").write_text("rate = \n")
    for words in (
        ["nocommand", ""],
        ["harvest", "--nooption", "x", ""],
        ["items", "--rate", "a", ""],
    ):
        done = complete(tmapi, *words, TMAPI_RATE="fast")
        assert done.err == ""
        assert b"Traceback" not in done.out


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_values_with_their_meaning(tmapi, shell):
    """Where the shell itself is not there, its form is."""
    action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    text = complete(tmapi, "st", shell=shell, **action).out.decode()
    meaning = COMMANDS["status"]
    expected = {"zsh": f'"status":"{meaning}"', "fish": f"status\t{meaning}"}
    assert expected[shell] in text


@pytest.fixture
def shell_environment(tmp_path, monkeypatch):
    """An environment with a command `tmapi`, a home and a journal in the working folder."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "tmapi"
    program.write_text(TMAPI.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "shop.journal").touch()
    monkeypatch.chdir(tmp_path)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    root = str(Path(__file__).parents[2])
    return environment(PATH=path, HOME=str(tmp_path), PYTHONPATH=root)


def run_shell(name: str, script: str, env: dict[str, str]) -> list[str]:
    """Run a script in a shell, in a file of its own, and return its lines."""
    Path("script").write_text(script)
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    done = subprocess.run(  # noqa: S603 - our own script
        [shutil.which(name) or name, *options, "script"],
        env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes(shell_environment):
    """The script that is shown works in a real shell: commands, values, journals."""
    assert run_shell("bash", IN_BASH, shell_environment) == [
        "complete -o default -F _tmapi_completion tmapi",
        "harvest",
        "category-v1 category-v2",
        "bin/ shop.journal",
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_completes(shell_environment):
    """The script that is shown works in a real shell."""
    assert "category-v1" in " ".join(run_shell("zsh", IN_ZSH, shell_environment))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_fish_completes(shell_environment):
    """The script that is shown works in a real shell."""
    lines = run_shell("fish", IN_FISH, shell_environment)
    assert [line.split("\t")[0] for line in lines] == ["category-v1", "category-v2"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_the_completion_is_installed_for_the_shell_that_asks(shell_environment, tmp_path):
    """Twice is as good as once; a home that cannot be written is named."""
    script = "tmapi --install-completion\ntmapi --install-completion\n"
    assert "bash completion installed in" in run_shell("bash", script, shell_environment)[0]
    assert (tmp_path / ".bashrc").read_text().count("source") == 1
    (tmp_path / "file").touch()
    script = "HOME=$PWD/file tmapi --install-completion 2>&1\necho $?\n"
    message, code = run_shell("bash", script, shell_environment)
    assert code == "2"
    assert message.startswith("tmapi: cannot install the completion: ")
    assert "tmapi --show-completion" in message


def test_a_shell_without_completion_is_named(tmapi, monkeypatch):
    """A job of cron has no shell that could be found."""
    shellingham = pytest.importorskip("shellingham")

    def fail() -> tuple[str, str]:
        raise shellingham.ShellDetectionFailure

    monkeypatch.setattr(shellingham, "detect_shell", fail)
    for option in ("--show-completion", "--install-completion"):
        done = tmapi(option, SHELL="/bin/tcsh")
        assert done.code == 2
        assert "there is no completion for the shell tcsh: run this in bash" in done.messages[0]
