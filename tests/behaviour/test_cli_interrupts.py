"""Signals at any moment of a command: no traceback, no half file, an exit code of the contract."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys

import pytest

from tests.support.commands import environment, finish, spawn
from tests.support.journals import of_catalogue
from tmapi_async.cli import app as cli
from tmapi_async.harvest import JournalReader
from tmapi_async.sandbox.server.process import SandboxThread

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals there are others"),
]

AT_EVERY_MOMENT = """
import os, signal, sys
step, folder = int(sys.argv[1]), sys.argv[2]
del sys.argv[1:3]
moments, busy = 0, False

def hook(event, _):
    global moments, busy
    if busy or event not in ("import", "open") or "tmapi_async.cli.app" not in sys.modules:
        return
    threads = getattr(sys.modules.get("threading"), "_active", ())
    loop = getattr(sys.modules.get("_asyncio"), "_get_running_loop", None)
    if "pyarrow" in sys.modules or len(threads) > 1 or (loop and loop()):
        return  # a copy of the process would lack its threads and its event loop
    moments += 1
    if moments % step:
        return
    busy = True
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.rename(f"{folder}/{moments}", f"{folder}/{moments}={status}")
        busy = False
        return
    os.dup2(os.open(f"{folder}/{moments}", os.O_CREAT | os.O_WRONLY, 0o600), 2)
    os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(hook)
from tmapi_async.cli import main
main()
"""
"""Copies itself at every n-th import and opened file, and presses Ctrl-C in the copy."""


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """A journal of 2,000 pages."""
    path, _ = of_catalogue(
        tmp_path_factory.mktemp("journal") / "j", dict.fromkeys(range(1, 21), 2000)
    )
    return path


COMMANDS = {
    "": ["--help"],
    "check": ["--endpoint", "none"],
    "config": [],
    "items": ["0"],
    "harvest": ["1", "--journal", "FOLDER/new", "--dry-run"],
    "details": ["JOURNAL", "--dry-run"],
    "categories": ["--depth", "0"],
    "status": ["JOURNAL"],
    "runs": ["JOURNAL"],
    "export": ["JOURNAL", "--to", "FOLDER/items.duckdb"],
    "changes": ["JOURNAL"],
    "report": ["JOURNAL", "--output", "FOLDER/page.html"],
    "replay": ["JOURNAL"],
    "verify": ["JOURNAL"],
    "backup": ["JOURNAL", "FOLDER/copy"],
    "repair": ["JOURNAL", "FOLDER/copy"],
    "sandbox": ["--help"],
}
"""Every command, with arguments for which it sends nothing."""


def test_every_command_is_interrupted() -> None:
    """A new command needs arguments here."""
    assert set(COMMANDS) == {"", *cli.COMMANDS}


@pytest.mark.parametrize("command", [*COMMANDS, "(completion)"])
def test_ctrl_c_at_any_moment_ends_a_command_quietly(small_journal, tmp_path, command):
    """While modules and files are read there is one line, no traceback, and exit 130 or 3."""
    folder = tmp_path / "moments"
    for path in (folder, tmp_path / "tmapi"):
        path.mkdir()
    (tmp_path / "tmapi" / "config.toml").write_text("rate = 5\n")
    (tmp_path / "tmapi.toml").write_text("max_pages = 5\n")
    env = environment(XDG_CONFIG_HOME=str(tmp_path))
    arguments = [command, *COMMANDS.get(command, [])] if command else ["--help"]
    if command == "(completion)":
        arguments = []
        env |= {"_TMAPI_COMPLETE": "complete_bash", "COMP_WORDS": "tmapi\nharvest\n--en"}
        env |= {"COMP_CWORD": "2"}
    arguments = [
        text.replace("JOURNAL", str(small_journal)).replace("FOLDER", str(tmp_path))
        for text in arguments
    ]
    program = [sys.executable, "-c", AT_EVERY_MOMENT, "31", str(folder), *arguments]
    subprocess.run(program, env=env, cwd=tmp_path, capture_output=True, check=False)  # noqa: S603 - our own command
    moments = list(folder.iterdir())
    assert len(moments) >= (2 if command in ("", "sandbox") else 15)
    for moment in moments:
        messages, code = moment.read_text(), moment.name.partition("=")[2]
        assert "Traceback" not in messages, moment.name
        assert "unexpected" not in messages, moment.name
        # In the middle of an import the signal waits for a moment, in which a command may end.
        interrupted = code in ("3", "130")
        assert interrupted or code in ("0", "2"), (moment.name, messages)
        shown = interrupted and command != "(completion)"
        assert messages.count("interrupted") == shown, (moment.name, messages)
    ended = [moment.name for moment in moments if moment.name.endswith(("=0", "=2"))]
    assert len(ended) <= len(moments) // 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_while_the_program_loads_end_it_quietly(tmp_path, number):
    """There is nothing to save yet, and nothing to say."""
    for delay in (0.05, 0.1, 0.15):
        process = spawn("config", env=environment(XDG_CONFIG_HOME=str(tmp_path)))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        process.send_signal(number)
        done = finish(process)
        assert done.code in (0, 3, -number)
        assert done.err in ("", "tmapi: interrupted\n")


@pytest.fixture(scope="module")
def small_journal(tmp_path_factory):
    """A journal of one listing."""
    return of_catalogue(tmp_path_factory.mktemp("small") / "j", {1: 30})[0]


STOPPED_AT_AN_IMPORT = """
import os, signal, sys
remaining = int(sys.argv.pop(1))

def hook(event, _):
    global remaining
    if event == "import" and "tmapi_async.cli.app" in sys.modules:
        remaining -= 1
        if not remaining:
            os.kill(os.getpid(), signal.SIGTERM)

sys.addaudithook(hook)
from tmapi_async.cli import main
main()
"""
"""Stops itself, as a container is stopped, at the n-th import after it has begun to load."""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not here")
def test_a_container_that_is_stopped_while_it_starts_ends(tmp_path):
    """The first process of a container gets no signal that it does not handle."""
    harvest = ["harvest", "1", "--sandbox", "--journal", str(tmp_path / "j")]
    for number in ("1", "60"):
        program = [sys.executable, "-c", STOPPED_AT_AN_IMPORT, number, *harvest]
        done = subprocess.run(  # noqa: S603 - our own command
            ["unshare", "--pid", "--fork", *program],  # noqa: S607
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if "unshare:" in done.stderr:
            pytest.skip("only root may start a first process")
        assert (done.returncode, done.stderr) == (143, "tmapi: interrupted\n")


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
