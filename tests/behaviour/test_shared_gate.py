"""Several processes of one account share its limit, whatever ends or stands still."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.commands import environment
from tests.support.paths import ROOT
from tmapi_async.sandbox import Sandbox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="finds the host by SO_PEERCRED"),
]

LIMIT = 8
PROBES = 8  # refusals that learning the limit may cost, see docs/gate-measurements.md
EACH = 1_000  # categories of a process
SCRIPT = str(ROOT / "tests" / "support" / "sharing_process.py")


class Processes:
    """Processes that walk categories of their own on one sandbox."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.running = []
        self.started = 0

    async def start(self):
        """Start a process. Returns it when its first page has been served."""
        first = self.started * EACH + 1
        self.started += 1
        arguments = [sys.executable, SCRIPT, self.sandbox.url, str(first), str(first + EACH)]
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own code
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment(PYTHONPATH=str(ROOT)),
        )
        self.running.append((process, first))
        await until(lambda: self.pages(process) > 0)
        return process

    def pages(self, process):
        """Return the number of pages that a process was served."""
        first = next(first for other, first in self.running if other is process)
        return sum(
            sum(pages.values())
            for listing, pages in self.sandbox.stats.served.items()
            if first <= listing.cat_id < first + EACH
        )

    @property
    def refusals(self):
        """Number of 503s so far."""
        return self.sandbox.stats.codes["503"]

    def host(self):
        """Return the process that hosts the gate."""
        (path,) = Path(os.environ["TMAPI_RUNTIME_DIR"]).glob("tmapi-async-*/*.1")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            packed = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid = struct.unpack("3i", packed)[0]
        return next(process for process, _ in self.running if process.pid == pid)

    async def end(self, process):
        """Let a process end in order."""
        process.stdin.close()
        await asyncio.to_thread(process.wait, 30)


@asynccontextmanager
async def processes():
    """Run a sandbox with a limit that goes on working on requests of killed processes."""
    options = {"limit": LIMIT, "latency": 0.05, "ghosts": True, "token": "sandbox"}
    async with Sandbox(categories=dict.fromkeys(range(1, 20 * EACH), 100), **options) as sandbox:
        made = Processes(sandbox)
        try:
            yield made
        finally:
            for process, _ in made.running:
                process.kill()
                process.stdin.close()
                process.wait()


async def until(condition, seconds=40):
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what other processes do sets no event
            await asyncio.sleep(0.02)


async def grows(made, process, pages=40):
    """Wait until a process was served some more pages."""
    before = made.pages(process)
    await until(lambda: made.pages(process) >= before + pages)


async def test_two_processes_share_the_limit_evenly_and_the_survivor_has_all():
    """Their shares are compared while both run; then one ends in order."""
    async with processes() as made:
        first = await made.start()
        await grows(made, first)
        second = await made.start()
        await grows(made, second)
        before = made.pages(first), made.pages(second)
        await grows(made, second, 150)
        gained = made.pages(first) - before[0], made.pages(second) - before[1]
        assert min(gained) >= 0.6 * max(gained)
        assert made.refusals <= PROBES
        await made.end(first)
        assert first.returncode == 0
        await until(lambda: made.sandbox.stats.in_flight >= LIMIT - 1)
        assert made.sandbox.stats.extra_servings == 0


async def test_the_host_may_be_killed_again_and_again():
    """Another process takes over: nothing is paid for twice, and no burst is refused."""
    async with processes() as made:
        alive = [await made.start() for _ in range(3)]
        for _ in range(4):
            await grows(made, alive[-1])
            before, host = made.refusals, made.host()
            host.kill()
            alive.remove(host)
            for process in alive:
                await grows(made, process)
            # Attempts that look for a wider limit, and requests of the killed one that outlast it.
            assert made.refusals - before <= PROBES
            assert made.host() in alive
            alive.append(await made.start())
        assert made.sandbox.stats.extra_servings == 0


@pytest.mark.parametrize("role", ["member", "host"])
async def test_a_process_that_stands_still_gives_its_slots_back_after_a_lease(role):
    """The other one has them all; when it wakes, it joins again and sends no burst."""
    async with processes() as made:
        first, second = await made.start(), await made.start()
        await grows(made, first)
        await grows(made, second)
        assert made.host() is first
        stopped, other = (first, second) if role == "host" else (second, first)
        stopped.send_signal(signal.SIGSTOP)
        await asyncio.sleep(4.0)
        await until(lambda: made.sandbox.stats.in_flight >= LIMIT - 1)
        assert made.host() is other
        before = made.refusals
        stopped.send_signal(signal.SIGCONT)
        await grows(made, stopped, 10)
        assert made.refusals - before <= 3  # a burst would be of the four slots that it had
        await grows(made, stopped)
        await grows(made, other)
        assert made.refusals - before <= PROBES
        assert made.sandbox.stats.extra_servings == 0


async def test_a_lone_host_that_stood_still_finds_its_place_taken():
    """It sends nothing at the width that it had, and shares with the newcomer."""
    async with processes() as made:
        first = await made.start()
        await grows(made, first)
        first.send_signal(signal.SIGSTOP)
        second = await made.start()
        await grows(made, second, 100)
        assert made.host() is second
        before = made.refusals
        first.send_signal(signal.SIGCONT)
        await grows(made, first, 10)
        assert made.refusals - before <= 4  # a burst would be of the eight slots that it had
        await grows(made, second)
