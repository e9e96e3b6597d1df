"""`tmapi items` ends cleanly in every case, with a true summary and exit code."""

from __future__ import annotations

import os
import pty
import select
import signal
from pathlib import Path

import pytest

from tests.support.commands import Done, environment, finish, run, spawn
from tmapi_async.sandbox import Faults
from tmapi_async.sandbox.server.process import SandboxThread

MANY = dict.fromkeys(range(1, 60), 200)
ALL = [str(cat_id) for cat_id in MANY]


@pytest.fixture
def sandbox():
    """A sandbox with more than a pipe holds."""
    with SandboxThread(categories=MANY, latency=0.002) as running:
        yield running


def after_the_first_row(process):
    """Wait for the first bytes of output and return them; the rest stays in the pipe."""
    return os.read(process.stdout.fileno(), 100)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_summary(sandbox, number):
    """Ctrl-C and SIGTERM end with exit 3, whole lines, and a summary that agrees with the rows."""
    process = spawn("items", *ALL, "--json", env=environment(sandbox.url))
    first = after_the_first_row(process)
    process.send_signal(number)
    remainder = finish(process)
    done = Done(remainder.code, first + remainder.out, remainder.err)
    assert done.code == 3
    summary = done.summary
    assert (summary["stopped_by"], summary["listings"]) == ("signal", len(ALL))
    assert summary["complete"] + summary["stopped"] == len(ALL)
    assert summary["stopped"] > 0
    assert summary["items"] == len(done.rows)
    row_counts = {}
    for row in done.rows:
        row_counts[row["cat_id"]] = row_counts.get(row["cat_id"], 0) + 1
    assert summary["complete"] == sum(count == 200 for count in row_counts.values())
    assert sum("interrupted" in line for line in done.messages) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_although_nobody_reads(sandbox, number):
    """With a reader that has stopped reading, a signal still ends the command at once."""
    process = spawn("items", *ALL, "--json", env=environment(sandbox.url))
    after_the_first_row(process)
    _until_the_pipe_is_full(process, sandbox)
    process.send_signal(number)
    try:
        assert process.wait(timeout=20) == 3
    finally:
        process.kill()
        done = finish(process)
    assert done.summary["stopped_by"] == "signal"


def _until_the_pipe_is_full(process, sandbox):
    """Wait until the writer is blocked and requests have stopped."""
    before = -1
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    while (now := sandbox.sandbox.stats.requests) != before or sandbox.sandbox.stats.in_flight:
        before = now
        select.select([], [], [], 0.3)
    assert poll.poll(0)


@pytest.mark.slow
def test_a_second_interrupt_kills_what_hangs(sandbox):
    """If the clean end hangs, the next Ctrl-C ends the process as usual."""
    sandbox.call(sandbox.sandbox.hold)
    process = spawn("items", "1", env=environment(sandbox.url))
    while sandbox.sandbox.stats.in_flight == 0:
        select.select([], [], [], 0.01)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.code in (3, -signal.SIGINT)
    assert done.out == b""
    sandbox.call(sandbox.sandbox.release)


@pytest.mark.slow
def test_an_interrupt_while_waiting_to_retry_ends_at_once():
    """A back-off, a full gate or a cool-down does not delay the end."""
    with SandboxThread(categories={1: 20}, faults=Faults({"503": 1.0})) as sandbox:
        process = spawn("items", "1", "--json", env=environment(sandbox.url))
        while sandbox.sandbox.stats.requests < 3:
            select.select([], [], [], 0.01)
        process.send_signal(signal.SIGINT)
        done = finish(process)
        assert (done.code, done.summary["stopped_by"], done.summary["stopped"]) == (3, "signal", 1)
        assert done.summary["requests"] == sandbox.sandbox.stats.requests


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly(sandbox):
    """A closed pipe (`| head`) ends requests, without traceback, message or summary."""
    process = spawn("items", *ALL, env=environment(sandbox.url))
    after_the_first_row(process)
    process.stdout.close()
    process.wait(timeout=30)
    err = process.stderr.read()
    process.stderr.close()
    assert (process.returncode, err) == (3, b"")
    assert sandbox.sandbox.stats.requests < 500


@pytest.mark.slow
def test_head_ends_it_quietly(sandbox):
    """The same through a shell, as people do it."""
    before = ["/bin/sh", "-c", '"$@" | head -n 1', "sh"]
    done = run("items", *ALL, "--json", env=environment(sandbox.url), before=before)
    assert done.code == 0
    assert len(done.rows) == 1  # of the category that was answered first
    assert len(done.messages) == 1
    assert done.summary["stopped"] > 0


@pytest.mark.slow
def test_a_full_disk_is_exit_3_and_told(sandbox):
    """A full disk ends with exit 3, "disk" and a clear message, and requests stop."""
    with Path("/dev/full").open("wb") as full:
        done = run("items", *ALL, "--json", env=environment(sandbox.url), stdout=full)
    assert (done.code, done.summary["stopped_by"]) == (3, "disk")
    assert done.summary["stopped"] > 0
    (line,) = [line for line in done.messages if "cannot write" in line]
    assert "No space left on device" in line
    assert "run the same command again" in line
    assert sandbox.sandbox.stats.requests < 100


@pytest.mark.slow
def test_a_full_disk_is_told_for_a_single_page_too():
    """A last page that cannot be written is exit 3 too, although its listing is complete."""
    with SandboxThread(categories={7: 5}) as sandbox, Path("/dev/full").open("wb") as full:
        done = run("items", "7", "--json", env=environment(sandbox.url), stdout=full)
    assert (done.code, done.summary["stopped_by"]) == (3, "disk")


@pytest.mark.slow
def test_rows_go_to_a_file(sandbox, tmp_path):
    """Written to a plain file, rows are whole and complete."""
    target = tmp_path / "items.jsonl"
    with target.open("wb") as file:
        done = run("items", *ALL, "--json", env=environment(sandbox.url), stdout=file)
    assert done.code == 0
    rows = Done(0, target.read_bytes(), "").rows
    assert len(rows) == done.summary["items"] == sum(MANY.values())
    assert len({row["item_id"] for row in rows}) == len(rows)


@pytest.mark.slow
def test_a_slow_reader_gets_everything(sandbox):
    """Back-pressure of the pipe loses nothing and times nothing out."""
    process = spawn(
        "items", *ALL[:20], "--json", "--timeout", "2", env=environment(sandbox.url), bufsize=0
    )
    pieces = []
    while piece := os.read(process.stdout.fileno(), 200_000):
        pieces.append(piece)
        select.select([], [], [], 0.01)
    done = finish(process)
    assert done.code == 0
    assert len(Done(0, b"".join(pieces), "").rows) == done.summary["items"] == 20 * 200
    assert done.summary["retries"] == 0


@pytest.mark.slow
def test_progress_on_a_terminal_does_not_mix_with_rows(sandbox):
    """With standard error on a terminal, a pipe on standard output gets rows alone."""
    master, slave = pty.openpty()
    process = spawn("items", *ALL[:20], env=environment(sandbox.url, TERM="xterm"), stderr=slave)
    os.close(slave)
    drawn = []
    out = []
    readers = [master, process.stdout.fileno()]
    while readers:
        for ready in select.select(readers, [], [], 30)[0]:
            try:
                piece = os.read(ready, 65536)
            except OSError:  # the terminal's way to say that its other end is closed
                piece = b""
            if not piece:
                readers.remove(ready)
            (drawn if ready == master else out).append(piece)
    assert process.wait(timeout=30) == 0
    process.stdout.close()
    os.close(master)
    assert len(Done(0, b"".join(out), "").rows) == 20 * 200
    assert b"20 complete" in b"".join(drawn)


@pytest.mark.slow
def test_without_a_terminal_nothing_is_redrawn(sandbox):
    """In a log file there is no carriage return and no escape sequence."""
    done = run("items", *ALL[:10], "-v", env=environment(sandbox.url, TERM="xterm"))
    assert done.code == 0
    assert "\r" not in done.err
    assert "\x1b" not in done.err
    assert done.messages
