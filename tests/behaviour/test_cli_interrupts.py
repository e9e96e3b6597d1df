"""Signals at any moment of a command: no traceback, no half file, an exit code of the contract."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.support.commands import environment, finish, spawn
from tests.support.journals import of_catalogue
from tmapi_async.harvest import JournalReader
from tmapi_async.sandbox.server.process import SandboxThread

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals there are others"),
]

AT_AN_IMPORT = """
import os, signal, sys
remaining = int(sys.argv.pop(1))
def hook(event, _):
    global remaining
    if event == "import" and "tmapi_async.cli.app" in sys.modules:
        remaining -= 1
        if not remaining:
            os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hook)
from tmapi_async.cli import main
main()
"""
"""Presses Ctrl-C at the n-th import after the program has begun to load."""


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """A journal of 2,000 pages."""
    path, _ = of_catalogue(
        tmp_path_factory.mktemp("journal") / "j", dict.fromkeys(range(1, 21), 2000)
    )
    return path


@pytest.mark.parametrize("command", ["--help", "status", "export", "harvest"])
def test_ctrl_c_while_the_program_loads_ends_it_quietly(journal, tmp_path, command):
    """Whatever is imported at that moment, there is one line, no traceback, and exit 130 or 3."""
    arguments = {
        "--help": [],
        "status": [str(journal)],
        "export": [str(journal), "--to", str(tmp_path / "x.duckdb")],
        "harvest": ["1", "--sandbox", "--journal", str(tmp_path / "j")],
    }[command]
    for number in (1, 3, 10, 40, 100, 160, 220, 280, 340, 400, 500, 600, 700, 800, 1000):
        code, *argv = ["-c", AT_AN_IMPORT, str(number), command, *arguments]
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, code, *argv], env=environment(), capture_output=True, check=False
        )
        messages = done.stderr.decode()
        if done.returncode == 0:
            assert number > 1, "it was not interrupted"
            break
        assert done.returncode in (3, 130), (number, messages)
        assert "interrupted" in messages
        assert "Traceback" not in messages, (number, messages)
        assert "unexpected" not in messages, (number, messages)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("ending", ["duckdb", "parquet", "jsonl"])
def test_a_signal_during_an_export_leaves_no_file(journal, tmp_path, number, ending):
    """The export ends with exit 3 and its message, and its folder is as empty as before."""
    target = tmp_path / f"items.{ending}"
    for _ in range(5):  # on a busy machine the signal may come when the export has ended
        process = spawn("export", str(journal), "--to", str(target), env=environment())
        while process.poll() is None and not list(tmp_path.glob(f".{target.name}.*.tmapi-part/*")):
            pass
        process.send_signal(number)
        done = finish(process)
        if done.code:
            break
        target.unlink()
    assert done.code == 3
    assert "interrupted: destinations that are not listed below are unchanged" in done.err
    assert "Traceback" not in done.err
    assert "COMPLETE" not in done.err, "no row was written"
    assert list(tmp_path.iterdir()) == []


def test_a_closed_terminal_is_a_clean_stop(tmp_path):
    """SIGHUP and a terminal that is gone: what was paid for is kept, with exit 3."""
    path = tmp_path / "j"
    with SandboxThread(categories={1: 4000, 2: 4000}, latency=0.05) as sandbox:
        main, terminal = pty.openpty()
        process = spawn(
            *("harvest", "1", "2", "--journal", str(path)),
            env=environment(sandbox.url, TERM="xterm"),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        while b"pages/s" not in os.read(main, 65536):
            pass
        os.close(main)  # every write to the terminal fails from now on
        for _ in range(2):  # a shell repeats the signal
            process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 3
        with JournalReader(path) as reader:
            (start,) = reader.starts()
            assert start.stopped_by == "signal"
            assert sum(1 for _ in reader.pages()) == sandbox.sandbox.stats.pages_served


def test_nohup_keeps_a_harvest_running(tmp_path):
    """SIGHUP that was ignored at the start stays ignored."""
    with SandboxThread(categories={1: 2000}, latency=0.02) as sandbox:
        process = spawn(
            *("harvest", "1", "--journal", str(tmp_path / "j")),
            env=environment(sandbox.url),
            before=("sh", "-c", 'trap "" HUP; exec "$@"', "sh"),
        )
        while not sandbox.sandbox.stats.requests:
            assert process.poll() is None
        process.send_signal(signal.SIGHUP)
        assert finish(process).code == 0
