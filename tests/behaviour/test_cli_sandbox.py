"""`tmapi sandbox` prints its URL first, serves until a signal, and ends cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import environment, finish, run, spawn


@pytest.fixture
def served():
    """Start sandboxes by the command; end each of them with the test."""
    started = []

    def start(*arguments):
        process = spawn("sandbox", *arguments, env=environment())
        started.append(process)
        return process, process.stdout.readline().decode().strip()

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            finish(process)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_url_first_and_ends_on_a_signal(served, tmapi, number):
    """The first line is the URL; SIGTERM or Ctrl-C ends the command with exit 0, quietly."""
    process, url = served("--categories", "5", "--latency", "0.001")
    assert url.startswith("http://127.0.0.1:")
    assert tmapi("items", "1031910", url=url).code == 0
    process.send_signal(number)
    done = finish(process)
    assert (done.code, done.out) == (0, b"")
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_what_it_is_told_it_does(served, tmapi):
    """Options reach the server: limit, faults, quota, token."""
    process, url = served(
        "--token", "mine", "--quota", "3", "--fault", "500=0.2", "--page-size", "10", "--seed", "5"
    )
    done = tmapi("items", "1031910", "--json", url=url, token="mine")  # noqa: S106 - the test's own
    assert (done.code, done.summary["stopped_by"], len(done.rows)) == (4, "balance", 30)
    assert tmapi("items", "1031910", url=url).code == 4
    process.terminate()
    assert finish(process).code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--limit", "-1"],
        ["--latency", "slow"],
        ["--fault", "500"],
        ["--fault", "nonsense=0.1"],
        ["--fault", "500=2"],
        ["--bodies", "/missing"],
        ["--port", "70000"],
        ["--no-such-option"],
        ["--endless", "7=never"],
    ],
    ids=" ".join,
)
def test_bad_options_are_refused(tmapi, arguments):
    """Options that the sandbox cannot honour are exit 2 with one line, without a traceback."""
    done = tmapi("sandbox", *arguments)
    assert (done.code, done.out) == (2, b"")
    assert "Traceback" not in done.err
    assert done.err.strip()


@pytest.mark.slow
def test_a_port_that_is_taken_is_told(served):
    """A second sandbox on a port in use ends with a message."""
    _, url = served()
    done = run("sandbox", "--port", url.rpartition(":")[2], env=environment())
    assert done.code != 0
    assert done.out == b""
    assert "Traceback" not in done.err
    assert "is in use" in done.err


def test_help_is_offered(tmapi):
    """`tmapi --help` lists the commands, and the help of a command its options."""
    done = tmapi("--help")
    assert (done.code, b"items" in done.out, b"sandbox" in done.out) == (0, True, True)
    done = tmapi("sandbox", "--help")
    assert (done.code, b"--limit" in done.out) == (0, True)
    done = tmapi("items", "--help", COLUMNS="200")
    assert (done.code, b"--max-requests" in done.out) == (0, True)


@pytest.mark.slow
def test_the_installed_command_runs():
    """The installed command prints its version."""
    installed = Path(sys.executable).parent / "tmapi"
    if not installed.exists():
        pytest.skip("the distribution is not installed here")
    done = subprocess.run(  # noqa: S603 - our own command
        [installed, "--version"], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0
    assert done.stdout.startswith("tmapi-async ")
