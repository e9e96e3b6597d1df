"""`tmapi status --watch`: a harvest in another process, seen until its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import SUMMARY_KEYS, environment, finish, spawn
from tests.support.harvesting import begin, listings, record
from tests.support.journals import body, row, write
from tmapi_async.harvest import JournalError
from tmapi_async.journal import schema
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.lock import WriteLock
from tmapi_async.journal.statements import begin_visit
from tmapi_async.sandbox.server.process import SandboxThread

if TYPE_CHECKING:
    import subprocess

    from tests.support.commands import Done, InProcess

WATCH_KEYS = ["at", "running", "run", "start", "open", "waiting", "pages_per_minute", "eta"]


@pytest.mark.parametrize("order", [("--watch", "FILE"), ("FILE", "--watch"), ("FILE", "--watch=2")])
def test_a_journal_without_a_harvest_is_shown_once(
    tmapi: InProcess, path: Path, order: tuple[str, ...]
) -> None:
    """The command says that there is nothing to watch, and ends as plain status does."""
    write(path, {7: [body([row(1)])]})
    done = tmapi("status", *(part.replace("FILE", str(path)) for part in order))
    assert done.code == 0
    assert done.err == f"tmapi: {path}: no process is writing, so there is nothing to watch\n"
    assert done.out == tmapi("status", str(path)).out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("FILE", "--watch", "0.1"), "--watch must be a number of seconds from 0.5 to 3,600"),
        (("FILE", "--watch=x"), "--watch must be a number of seconds from 0.5 to 3,600"),
        (("FILE", "--watch", "1.2.3"), "--watch must be a number of seconds"),
        (("missing", "--watch"), "there is no such journal"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    tmapi: InProcess, path: Path, arguments: tuple[str, ...], text: str
) -> None:
    """With exit code 2, as by plain status."""
    write(path, {7: [body([row(1)])]})
    done = tmapi("status", *(part.replace("FILE", str(path)) for part in arguments))
    assert done.code == 2
    assert text in done.err


def change_soon(monkeypatch: pytest.MonkeyPatch, change: object) -> None:
    """Run `change` in place of the first wait between two looks, and wait for nothing later."""
    pending = [change]

    def sleep(_: float) -> None:
        while pending:
            pending.pop()()  # type: ignore[operator]

    clock = SimpleNamespace(sleep=sleep, time=time.time, monotonic=time.monotonic)
    monkeypatch.setattr("tmapi_async.cli.progress.status_watch.time", clock)


@pytest.mark.parametrize("kind", ["removed", "killed", "interrupted", "closed"])
def test_whatever_happens_meanwhile_is_said(
    tmapi: InProcess, path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A file that was removed, a harvest that was killed, Ctrl-C, and an end of the usual kind."""
    loop = asyncio.new_event_loop()

    lock = WriteLock(path)
    lock.acquire()

    async def harvest() -> Journal:
        journal = Journal(path, schema.connect(path, writing=True), lock)
        visit = next(iter(begin(journal, listings(1)).visits))
        journal.apply(begin_visit(visit, time.time()))
        await journal.append(visit, record(1))
        return journal

    journal = loop.run_until_complete(harvest())

    def change() -> None:
        if kind == "removed":
            path.unlink()
        elif kind == "killed":
            lock.release()  # as the system does for a process that is gone
        elif kind == "interrupted":
            raise KeyboardInterrupt
        else:
            loop.run_until_complete(journal.close())

    change_soon(monkeypatch, change)
    done = tmapi("status", str(path), "--watch", "1")
    texts = {
        "removed": (3, "is not watched any more: the file was removed or moved"),
        "killed": (0, "the harvest was killed: it has ended without recording an end"),
        "interrupted": (3, "no longer watching: the harvest is not affected"),
        "closed": (0, ""),
    }
    code, text = texts[kind]
    assert done.code == code
    assert text in done.err
    assert "Traceback" not in done.err
    assert b"1 page, 20 items" in done.out
    assert (b"NOT COMPLETE" in done.out) == (code == 0)
    if kind != "closed":
        path.touch()
        loop.run_until_complete(_close(journal))
    loop.close()


async def _close(journal: Journal) -> None:
    with contextlib.suppress(JournalError):  # its file is gone
        await journal.close()


def start_harvest(url: str, path: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a harvest of some seconds, and wait until its journal can be read."""
    cats = [str(cat_id) for cat_id in range(1, 31)]
    process = spawn("harvest", *cats, "--journal", str(path), "-q", *options, env=environment(url))
    while not path.is_file() or path.stat().st_size < 1000:
        time.sleep(0.01)
    time.sleep(0.2)
    return process


def watch(path: Path, *options: str) -> Done:
    """Watch a harvest in another process, until it ends."""
    return finish(spawn("status", str(path), "--watch", "0.5", *options, env=environment()))


@pytest.mark.slow
def test_a_watch_follows_a_harvest_to_its_verdict(path: Path) -> None:
    """One object a look, the last one with the summary of plain status; figures only grow."""
    with SandboxThread(categories=dict.fromkeys(range(1, 31), 100), latency=0.15) as sandbox:
        process = start_harvest(sandbox.url, path, "--concurrency", "8")
        done = watch(path, "--json")
        assert finish(process).code == 0
    assert done.code == 0
    rows = done.rows
    assert len(rows) >= 3
    running = [key for key in SUMMARY_KEYS if key not in ("empty", "contradicted", "suspects")]
    assert all([*row] == [*WATCH_KEYS, *running] for row in rows[:-1])
    assert [*rows[-1]] == [*WATCH_KEYS, *SUMMARY_KEYS]
    assert [row["running"] for row in rows] == [True] * (len(rows) - 1) + [False]
    assert rows[-1]["verdict"] == "complete"
    assert rows[-1]["pages"] == 150
    for key in ("pages", "requests", "complete"):
        assert [row[key] for row in rows] == sorted(row[key] for row in rows)
    assert any(row["pages_per_minute"] > 0 for row in rows)
    for line in rows:
        assert datetime.fromisoformat(line["at"]).tzinfo is not None


@pytest.mark.slow
def test_a_terminal_shows_a_table_and_ctrl_c_ends_it(path: Path) -> None:
    """The table is drawn anew, also in GBK; the interrupted command says so, and exits with 3."""
    with SandboxThread(categories=dict.fromkeys(range(1, 31), 400), latency=0.2) as sandbox:
        harvest = start_harvest(sandbox.url, path, "--concurrency", "4")
        main, terminal = pty.openpty()
        process = spawn(
            *("status", str(path), "--watch", "0.5"),
            env=environment(TERM="xterm", COLUMNS="60", LINES="20", PYTHONIOENCODING="gbk"),
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        shown = b""
        while shown.count(b"pages/min") < 2:
            shown += os.read(main, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 3
        while b"no longer watching" not in shown:
            shown += os.read(main, 65536)
        os.close(main)
        assert harvest.poll() is None, "the harvest goes on"
        harvest.kill()
        finish(harvest)
    assert b"Traceback" not in shown
    assert b"being read" in shown
    assert b"category/items?cat_id=" in shown
    assert shown.isascii(), "no character that a terminal may lack"
