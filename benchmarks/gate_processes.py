"""Measure several processes that share the gate of one account, at a server with a limit.

    python -m benchmarks.gate_processes [--quick] [four] [late] [leaves] [killed]

The server works on 16 requests at a time, 60 ms each on average. Every process walks categories
without end, with `concurrency="auto"`, until its time is over. A full run takes three minutes,
writes `benchmarks/results/gate-processes.json` and checks the promises; they may be missed on a
machine with other users.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tmapi_async import TMAPI

from .common import promise, report_promises, table, write

LIMIT, LATENCY = 16, 0.06
WARM_UP = 2.0
"""Seconds left out at the beginning, in which the limit is learned."""

CASES = {
    "one": "one process",
    "four": "four processes",
    "late": "two, one of them 4 s late, while both run",
}
COLUMNS = {
    "case": "case",
    "filled": "of the slots|.3f",
    "refused": "503s a request|.4f",
    "poorest": "poorest to richest|.2f",
    "peak": "peak",
}

Seen = dict[str, Any]


async def walk(url: str, seconds: float, first: int) -> None:
    """Walk categories for some seconds, then leave in order."""
    async with TMAPI("token", base_url=url, shared=True) as api:
        pages = api.category_items(itertools.count(first)).pages()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), contextlib.aclosing(pages):
                async for _ in pages:
                    pass


class Bench:
    """A server with a limit, and the processes that use it."""

    def __init__(self, folder: str) -> None:
        self.environment = os.environ | {"TMAPI_RUNTIME_DIR": folder, "TMAPI_CACHE_DIR": folder}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.url = ""

    def start(self, seconds: float, **options: Any) -> subprocess.Popen[bytes]:
        """Start a process that walks for some seconds."""
        number = len(self.processes)
        url, first = f"{self.url}/p{number}", number * 1_000_000 + 1
        command = [sys.executable, "-m", "benchmarks.gate_processes", "--walk", url]
        command += ["--seconds", str(seconds), "--first", str(first)]
        options.setdefault("stdout", subprocess.DEVNULL)
        process = subprocess.Popen(command, env=self.environment, **options)  # noqa: S603 - our own module
        self.processes.append(process)
        return process

    def seen(self) -> Seen:
        """Return what the server has seen."""
        with urllib.request.urlopen(f"{self.url}/seen") as answer:  # noqa: S310 - our own server
            content: Seen = json.load(answer)
        return content

    def wait(self) -> None:
        """Wait until every process has ended."""
        for process in self.processes:
            process.wait(60)


@contextlib.contextmanager
def bench(pages: int = 20) -> Iterator[Bench]:
    """Run a server with categories of so many pages, and a folder of sockets of its own."""
    command = [sys.executable, "-m", "benchmarks.limited_server"]
    command += ["--limit", str(LIMIT), "--latency", str(LATENCY), "--pages", str(pages)]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryDirectory(prefix="tmapi-") as folder,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server,  # noqa: S603 - our own module
    ):
        assert server.stdout is not None
        assert server.stdin is not None
        made = Bench(folder)
        made.url = server.stdout.readline().strip()
        try:
            yield made
        finally:
            for process in made.processes:
                if process.poll() is None:
                    process.kill()
                process.wait()
            server.stdin.close()
            server.wait(10)


def window(seen: Seen, start: float, end: float) -> dict[str, Any]:
    """Return the figures of the samples between two times of the monotonic clock."""
    samples = [sample for sample in seen["samples"] if start <= sample["t"] <= end]
    names = sorted({name for sample in samples for name in sample["at_work"]})
    slots = {
        name: statistics.fmean(sample["at_work"].get(name, 0) for sample in samples)
        for name in names
    }
    first, last = samples[0], samples[-1]
    answered = {
        name: last["answered"].get(name, 0) - first["answered"].get(name, 0) for name in names
    }
    refused = sum(last["refused"].values()) - sum(first["refused"].values())
    total = sum(answered.values())
    return {
        "filled": sum(slots.values()) / LIMIT,
        "refused": refused / (total + refused),
        "poorest": min(answered.values()) / max(answered.values()),
        "slots": slots,
        "peak": seen["arrivals_peak"],
    }


def begun(seen: Seen, process: str) -> float:
    """Return when the first request of a process was answered."""
    return next(float(sample["t"]) for sample in seen["samples"] if sample["answered"].get(process))


def together(count: int, seconds: float, late: float = 0.0) -> dict[str, Any]:
    """Let processes run side by side, the last of them late."""
    with bench() as made:
        for _ in range(count - (late > 0)):
            made.start(seconds)
        if late:
            time.sleep(late)
            made.start(seconds - late)
        made.wait()
        seen = made.seen()
    start = max(begun(seen, f"p{number}") for number in range(count)) + WARM_UP * (not late)
    end = max(
        sample["t"] for sample in seen["samples"] if sum(sample["at_work"].values()) > LIMIT / 2
    )
    return window(seen, start, end - 1.0)


def leaving(seconds: float) -> dict[str, Any]:
    """Let the first of two processes end, and look when the other has 14 of 16 slots."""
    with bench() as made:
        first = made.start(seconds)
        made.start(seconds + 6.0)
        first.wait(60)
        left_at = time.monotonic()
        made.wait()
        seen = made.seen()
    samples = [sample for sample in seen["samples"] if sample["t"] >= left_at - 0.5]
    full = [sample["t"] for sample in samples if sample["at_work"].get("p1", 0) >= 14]
    return {"seconds": max(0.0, full[0] - left_at) if full else float("inf")}


def host_of(folder: str) -> int:
    """Return the number of the process that hosts the gate."""
    (path,) = Path(folder).glob("tmapi-async-*/*.[0-9]")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        packed = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    number: int = struct.unpack("3i", packed)[0]
    return number


def killing(times: int) -> dict[str, Any]:
    """Kill the hosting process again and again, and start another each time."""
    with bench() as made:
        alive = {process.pid: process for process in (made.start(3600.0) for _ in range(3))}
        wait_for(made, len(alive))
        killed_slots = [0]
        for number in range(times):
            time.sleep(1.0)
            host = host_of(made.environment["TMAPI_RUNTIME_DIR"])
            name = f"p{made.processes.index(alive[host])}"
            seen = made.seen()
            killed_slots.append(seen["samples"][-1]["at_work"].get(name, 0))
            alive.pop(host).send_signal(signal.SIGKILL)
            another = made.start(3600.0)
            alive[another.pid] = another
            wait_for(made, 4 + number)
        time.sleep(1.0)
        seen = made.seen()
    twice = sum(sum(who.values()) > 1 for who in seen["pages"].values())
    return {
        "kills": times,
        "peak": seen["arrivals_peak"],
        "killed_slots": max(killed_slots),
        "paid_twice": twice,
        "refused": sum(seen["refused"].values()) / sum(seen["answered"].values()),
    }


def wait_for(made: Bench, processes: int) -> None:
    """Wait until so many processes have had answers."""
    until = time.monotonic() + 60.0
    while len(made.seen()["answered"]) < processes:
        if time.monotonic() > until:
            raise TimeoutError("a process does not start")
        time.sleep(0.1)


def measure(names: list[str], *, quick: bool) -> dict[str, list[dict[str, Any]]]:
    """Run the chosen cases in turns."""
    seconds, repeats = (10.0, 1) if quick else (25.0, 3)
    cases: dict[str, Callable[[], dict[str, Any]]] = {
        "one": lambda: together(1, seconds),
        "four": lambda: together(4, seconds),
        "late": lambda: together(2, seconds, late=4.0),
        "leaves": lambda: leaving(8.0),
        "killed": lambda: killing(5 if quick else 20),
    }
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in cases if name in names}
    for _ in range(repeats):
        for name, found in rows.items():
            if name != "killed" or not found:
                found.append({"case": name, **cases[name]()})
                print(found[-1], flush=True)
    return rows


def medians(rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the median of each figure, for the cases of processes that run side by side."""
    return [
        {
            "case": CASES[name],
            **{
                figure: statistics.median(run[figure] for run in rows[name])
                for figure in ("filled", "refused", "poorest", "peak")
            },
        }
        for name in CASES
        if rows.get(name)
    ]


def promises(rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Compare the medians with what is promised."""

    def median(case: str, figure: str) -> float:
        value: float = statistics.median(row[figure] for row in rows[case])
        return value

    verdicts = []
    for case in ("four", "late"):
        if rows.get(case) and rows.get("one"):
            filled: float = statistics.median(
                one["filled"] / row["filled"]
                for one, row in zip(rows["one"], rows[case], strict=True)
            )
            verdicts += [
                promise(f"{case}: slots that one process fills to those filled", filled, 1 / 0.95),
                promise(f"{case}: 503s a request", median(case, "refused"), 0.004),
                promise(f"{case}: richest to poorest", 1 / median(case, "poorest"), 1 / 0.8),
            ]
    if rows.get("leaves"):
        seconds = median("leaves", "seconds")
        verdicts.append(promise("seconds until the other has 14 of 16 slots", seconds, 2.0))
    for row in rows.get("killed", ()):
        most = LIMIT + row["killed_slots"] + 1  # one attempt more looks for a wider limit
        verdicts += [
            promise(f"pages paid twice in {row['kills']} kills of the host", row["paid_twice"], 0),
            promise("requests at the server at once", row["peak"], most),
        ]
    return verdicts


def main() -> int:
    """Run the chosen cases. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=["one", "four", "late", "leaves", "killed"])
    parser.add_argument("--quick", action="store_true", help="shorter; writes no results")
    parser.add_argument("--walk", metavar="URL", help="be one of the processes")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    if options.walk:
        asyncio.run(walk(options.walk, options.seconds, options.first))
        return 0
    rows = measure(options.cases, quick=options.quick)
    shown = table(medians(rows), COLUMNS)
    print(shown)
    verdicts = promises(rows)
    if not options.quick:
        workload = (
            f"processes that share a gate, at a server that works on {LIMIT} requests at a time, "
            f"{LATENCY} s each; medians of {max(map(len, rows.values()))} runs"
        )
        write("gate-processes", workload, {"runs": rows, "promises": verdicts}, [shown])
    return report_promises(verdicts)


if __name__ == "__main__":
    sys.exit(main())
