"""`--notify`: the user's command gets the summary at the end, and nothing else."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.commands import SUMMARY_KEYS, environment, finish, spawn
from tmapi_async.cli.endings.notification import Notification, secret_variables, split_command
from tmapi_async.errors import InvalidRequestError
from tmapi_async.sandbox.server.process import SandboxThread

if TYPE_CHECKING:
    from tests.support.canary import Canary
    from tests.support.commands import InProcess

COMMAND = """
import json, os, sys
told = {"input": sys.stdin.read(), "arguments": sys.argv[2:], "environment": dict(os.environ)}
open(sys.argv[1], "w").write(json.dumps(told))
print("said by the command")
sys.exit(int(os.environ.get("WANTED", "0")))
"""


@pytest.fixture
def teller(tmp_path: Path) -> tuple[str, Path]:
    """A command that writes down what it gets, and the file that it writes to."""
    script, told = tmp_path / "tell it.py", tmp_path / "told.json"
    script.write_text(COMMAND, encoding="utf-8")
    return f'"{sys.executable}" "{script}" "{told}"', told


def read(told: Path) -> dict[str, Any]:
    """Return what the command got, and forget it."""
    content: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    told.unlink()
    return content


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    """It is split into words: what a shell would obey is a part of an argument."""
    program = tmp_path / "a program"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    words = split_command(f"'{program}' ; rm -rf / && $(reboot) 'two words' > x")
    assert words == [
        str(program), ";", "rm", "-rf", "/", "&&", "$(reboot)", "two words", ">", "x",
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="that is the other case")
def test_a_backslash_of_windows_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of Windows is one word, with or without quotation marks."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("shutil.which", lambda name: name)
    words = split_command(r'"C:\Program Files\tell.exe" C:\x.json')
    assert words == [r"C:\Program Files\tell.exe", r"C:\x.json"]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("", "--notify needs a command"),
        ("'open", "cannot be split into words: no closing quotation"),
        ("no-such-program --x", "there is no program 'no-such-program'"),
        ("/dev/null", "there is no program '/dev/null'"),
    ],
)
def test_a_command_that_cannot_run_is_refused(tmapi: InProcess, command: str, text: str) -> None:
    """Before the first request, with exit code 2."""
    with pytest.raises(InvalidRequestError, match=text):
        split_command(command)
    with SandboxThread(categories={7: 5}) as sandbox:
        done = tmapi("harvest", "7", "--journal", "j", "--notify", command, url=sandbox.url)
        assert sandbox.sandbox.stats.requests == 0
    assert done.code == 2
    assert text in done.err
    assert not Path("j").exists()


def test_variables_that_hold_a_token_are_found() -> None:
    """The usual one, copies of the token under any name, and the one of the workers."""
    variables = {"TMAPI_TOKEN": "x", "COPY": "a secret-token b", "W": "other", "HOME": "/"}
    assert secret_variables(variables, ["secret-token"], "env:W") == {"TMAPI_TOKEN", "COPY", "W"}
    assert secret_variables(variables, ["x"], "file:W") == {"TMAPI_TOKEN"}


def is_running(number: int) -> bool:
    """Return True if a process runs; one that has ended may wait for its parent."""
    try:
        status = Path(f"/proc/{number}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_command_that_does_not_end_is_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all processes that it has started."""
    pid = tmp_path / "pid"
    words = split_command(f"sh -c 'sleep 60 & echo $! > {pid}; wait'")
    began = time.monotonic()
    Notification(words, seconds=0.5).send("{}", 0)
    assert time.monotonic() - began < 30
    assert "--notify sh: it was ended after" in capsys.readouterr().err
    number = int(pid.read_text(encoding="ascii"))
    while is_running(number) and time.monotonic() - began < 30:
        time.sleep(0.01)
    assert not is_running(number)


@pytest.mark.slow
def test_however_it_ends_the_command_gets_the_summary_and_no_token(
    tmapi: InProcess, tmp_path: Path, canary: Canary, teller: tuple[str, Path]
) -> None:
    """Complete, budget spent, token refused, journal in the way, and a failing command."""
    command, told = teller
    harvest = ("harvest", "7", "--journal", str(tmp_path / "a.journal"), "--json")
    notify = ("--notify", f"{command} ';' '$HOME'")
    for options, code, verdict in (
        (("--max-requests", "1"), 3, "incomplete"),
        (("--to", str(tmp_path / "x.csv")), 0, "complete"),
        (("--refresh",), 4, "incomplete"),
        (("--journal", str(tmp_path / "tell it.py")), 2, "incomplete"),
    ):
        token = "another" if code == 4 else canary.token
        with SandboxThread(categories={7: 60}, token=token) as sandbox:
            more = {"token": canary.token, "COPY": f"x{canary.token}", "WANTED": "5"}
            done = tmapi(*harvest, *options, *notify, url=sandbox.url, **more)
        assert done.code == code
        assert "--notify " in done.err
        assert (
            "it has ended with exit code 5; the result of the harvest is not affected" in done.err
        )
        assert "said by the command" not in done.out.decode()
        content = read(told)
        summary = json.loads(content["input"])
        assert list(summary) == SUMMARY_KEYS
        assert summary["verdict"] == verdict
        if done.out:
            assert done.out.decode() == content["input"]
        assert content["arguments"] == [";", "$HOME"]
        assert content["environment"]["TMAPI_EXIT_CODE"] == str(code)
        assert canary.absent_from(json.dumps(content))
        assert canary.absent_from(done.err)
    tmapi(*harvest, "--dry-run", *notify, url=sandbox.url)
    assert not told.exists()


@pytest.mark.slow
def test_details_and_job_files_know_it(
    tmapi: InProcess, tmp_path: Path, teller: tuple[str, Path]
) -> None:
    """The key of a job file, and a run of details, with and without anything to send."""
    command, told = teller
    job = tmp_path / "job.toml"
    lines = ["journal = 'a.journal'", f"notify = '''{command}'''", "[[listings]]", "cat_ids = [7]"]
    job.write_text("\n".join(lines), encoding="utf-8")
    with SandboxThread(categories={7: 3}) as sandbox:
        assert tmapi("harvest", "--job", str(job), url=sandbox.url).code == 0
        assert json.loads(read(told)["input"])["items"] == 3
        details = ("details", str(tmp_path / "a.journal"), "--notify", command)
        for wanted in ((), ("--min-sales", "999999999")):
            assert tmapi(*details, *wanted, url=sandbox.url).code == 0
            assert json.loads(read(told)["input"])["listings"] == (0 if wanted else 3)
        assert tmapi(*details, "--dry-run", url=sandbox.url).code == 0
    assert not told.exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals there are others")
def test_ctrl_c_ends_the_harvest_and_not_the_command(
    tmp_path: Path, teller: tuple[str, Path]
) -> None:
    """The command is run after the last page was stored."""
    command, told = teller
    journal = tmp_path / "a.journal"
    with SandboxThread(categories={7: 4000}, latency=0.05) as sandbox:
        process = spawn(
            *("harvest", "7", "--journal", str(journal), "--notify", command),
            env=environment(sandbox.url),
        )
        while sandbox.sandbox.stats.pages_served < 5:
            time.sleep(0.01)
        process.terminate()
        done = finish(process)
    assert done.code == 3
    assert json.loads(read(told)["input"])["stopped_by"] == "signal"
