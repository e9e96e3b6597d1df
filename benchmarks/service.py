"""Measure the web service of `examples/` with four workers, beside a harvest of the same account.

    python -m benchmarks.service [--quick] [one] [service] [uneven] [leaves]

The server works on 16 requests at a time, 60 ms each on average. `service`: 64 callers stream
categories from `uvicorn --workers 4` without end, two more ask for first pages, and `tmapi harvest`
runs beside it; the figures are those of all five processes. Each worker has 16 of the callers, who
keep their connections: all five processes have more to do than they have slots. `uneven`: each call
opens a connection, and uvicorn gives most of them to one or two workers; what the others do not use
is the harvest's. `one`: a single process, to compare with. `leaves`: a caller leaves in the middle
of a stream. A full run takes four minutes, writes `benchmarks/results/service.json` and checks the
promises; they may be missed on a machine with other users.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from .common import promise, report_promises, table, write
from .gate_processes import LATENCY, LIMIT, WARM_UP, Bench, Seen, bench, together, wait_for, window

WORKERS, CALLERS, ASKERS = 4, 64, 2
COLUMNS = {
    "case": "case",
    "filled": "of the slots|.3f",
    "refused": "503s a request|.4f",
    "poorest": "poorest to richest|.2f",
    "peak": "peak",
}
CASES = {
    "one": "one process",
    "service": "a service of four workers, and a harvest",
    "uneven": "the same, callers spread unevenly",
}


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def service(made: Bench) -> Iterator[str]:
    """Run the service. Yields its address."""
    port = free_port()
    environment = made.environment | {"TMAPI_BASE_URL": made.url, "TMAPI_TOKEN": "token"}
    command = [sys.executable, "-m", "uvicorn", "benchmarks.service_worker:app"]
    command += ["--workers", str(WORKERS), "--port", str(port), "--log-level", "warning"]
    command += ["--timeout-graceful-shutdown", "2"]
    process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own module
    try:
        until = time.monotonic() + 60.0
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
            if time.monotonic() > until:
                raise TimeoutError("the service does not start")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextlib.contextmanager
def harvest(made: Bench, folder: Path) -> Iterator[None]:
    """Run a harvest of more categories than it can walk meanwhile."""
    ids = folder / "ids.txt"
    ids.write_text("\n".join(map(str, range(5_000_001, 5_003_001))), encoding="ascii")
    environment = made.environment | {
        "TMAPI_BASE_URL": f"{made.url}/harvest",
        "TMAPI_TOKEN": "token",
    }
    command = [sys.executable, "-m", "tmapi_async.cli", "harvest", f"@{ids}", "--quiet"]
    command += ["--journal", str(folder / "bench.journal")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own module
    try:
        wait_for(made, 1)
        yield
    finally:
        process.kill()
        process.wait()


async def stream(session: aiohttp.ClientSession, categories: Iterator[int]) -> None:
    """Stream one category after the other."""
    for cat_id in categories:
        async with session.get(f"/categories/{cat_id}/items") as reply:
            assert (await reply.read()).splitlines()[-1].startswith(b'{"end":"complete"')


async def ask(session: aiohttp.ClientSession, categories: Iterator[int]) -> None:
    """Ask for the first page of one category after the other."""
    for cat_id in categories:
        async with session.get(f"/categories/{cat_id}") as reply:
            assert reply.status == 200
            await reply.read()


async def call(url: str, seconds: float, *, evenly: bool) -> None:
    """Call the service without end, for some seconds."""
    categories = itertools.count(1)
    async with contextlib.AsyncExitStack() as stack:
        sessions = await (even_sessions if evenly else any_sessions)(stack, url)
        tasks = [asyncio.create_task(stream(session, categories)) for session in sessions]
        tasks += [asyncio.create_task(ask(session, categories)) for session in sessions[:ASKERS]]
        done, pending = await asyncio.wait(tasks, timeout=seconds)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()


async def any_sessions(stack: contextlib.AsyncExitStack, url: str) -> list[aiohttp.ClientSession]:
    """Return a session for each caller; every call opens a connection and may meet any worker."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    session = await stack.enter_async_context(aiohttp.ClientSession(url, connector=connector))
    return [session] * CALLERS


async def even_sessions(stack: contextlib.AsyncExitStack, url: str) -> list[aiohttp.ClientSession]:
    """Return a session for each caller, which keeps its connections: as many to each worker."""
    met: dict[int, list[aiohttp.ClientSession]] = {}
    while sum(map(len, met.values())) < CALLERS:
        session = await stack.enter_async_context(aiohttp.ClientSession(url))
        async with session.get("/worker") as reply:
            sessions = met.setdefault(await reply.json(), [])
        if len(sessions) < CALLERS // WORKERS:
            sessions.append(session)
        else:
            await session.close()
    return list(itertools.chain.from_iterable(zip(*met.values(), strict=True)))


def beside_a_harvest(seconds: float, *, evenly: bool) -> dict[str, Any]:
    """Measure the service and the harvest, from when all of them had answers."""
    with (
        bench() as made,
        tempfile.TemporaryDirectory() as folder,
        service(made) as url,
        harvest(made, Path(folder)),
    ):
        asyncio.run(call(url, seconds, evenly=evenly))
        end = time.monotonic()
        seen = made.seen()
    if len(seen["answered"]) != WORKERS + 1:
        raise RuntimeError(f"not every process had an answer: {seen['answered']}")
    return window(seen, all_begun(seen) + WARM_UP, end - 0.5)


def all_begun(seen: Seen) -> float:
    """Return when every process had had an answer."""
    return next(
        float(sample["t"])
        for sample in seen["samples"]
        if len([count for count in sample["answered"].values() if count]) == WORKERS + 1
    )


def requests(seen: Seen) -> int:
    """Return the number of requests that the server has begun to work on."""
    return sum(sum(counts.values()) for counts in seen["pages"].values())


async def leave(url: str, made: Bench) -> tuple[int, int]:
    """Leave a stream after some lines. Returns the requests at that time, and on the wire."""
    async with aiohttp.ClientSession(url) as session, session.get("/categories/1/items") as reply:
        for _ in range(100):
            await reply.content.readline()
        seen = await asyncio.to_thread(made.seen)
        reply.close()
        return requests(seen), sum(seen["samples"][-1]["at_work"].values())


def leaving() -> dict[str, Any]:
    """Let a caller leave in the middle, and count the requests that are sent afterwards."""
    with bench(pages=2000) as made, service(made) as url:
        before, on_wire = asyncio.run(leave(url, made))
        time.sleep(2.0)
        after = requests(made.seen())
        time.sleep(2.0)
        late = requests(made.seen()) - after
    return {"on_wire": on_wire, "after": after - before, "late": late}


def measure(names: list[str], *, quick: bool) -> dict[str, list[dict[str, Any]]]:
    """Run the chosen cases in turns."""
    seconds, repeats = (12.0, 1) if quick else (25.0, 3)
    cases: dict[str, Callable[[], dict[str, Any]]] = {
        "one": lambda: together(1, seconds),
        "service": lambda: beside_a_harvest(seconds, evenly=True),
        "uneven": lambda: beside_a_harvest(seconds, evenly=False),
        "leaves": leaving,
    }
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in cases if name in names}
    for _ in range(repeats):
        for name, found in rows.items():
            found.append({"case": name, **cases[name]()})
            print(json.dumps(found[-1]), flush=True)
    return rows


def medians(rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the median of each figure of the cases that fill the slots."""
    figures = [figure for figure in COLUMNS if figure != "case"]
    return [
        {"case": CASES[name]}
        | {figure: statistics.median(run[figure] for run in rows[name]) for figure in figures}
        for name in CASES
        if rows.get(name)
    ]


def promises(rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Compare the medians with what is promised."""
    verdicts = []
    shown = {row["case"]: row for row in medians(rows)}
    one = shown.get(CASES["one"])
    # Where callers come and go unevenly, each slot that changes hands is idle for a moment.
    for case, least in (("service", 0.95), ("uneven", 0.9)):
        many = shown.get(CASES[case])
        if one and many:
            filled = one["filled"] / many["filled"]
            verdicts += [
                promise(f"{case}: slots that one process fills to those filled", filled, 1 / least),
                promise(f"{case}: 503s a request", many["refused"], 0.004),
            ]
    if even := shown.get(CASES["service"]):  # otherwise the processes do not need as much
        verdicts.append(promise("service: richest to poorest", 1 / even["poorest"], 1 / 0.8))
    for row in rows.get("leaves", ()):
        verdicts += [
            promise("requests sent after a caller has left", row["after"], LIMIT // WORKERS),
            promise("requests sent two seconds after it has left", row["late"], 0),
        ]
    return verdicts


def main() -> int:
    """Run the chosen cases. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=["one", "service", "uneven", "leaves"])
    parser.add_argument("--quick", action="store_true", help="shorter; writes no results")
    options = parser.parse_args()
    rows = measure(options.cases, quick=options.quick)
    shown = table(medians(rows), COLUMNS)
    print(shown)
    verdicts = promises(rows)
    if not options.quick:
        workload = (
            f"{CALLERS} callers stream categories from uvicorn with {WORKERS} workers, {ASKERS} "
            f"ask for first pages, beside tmapi harvest, at a server that works on {LIMIT} "
            f"requests at a time, {LATENCY} s each; medians of {max(map(len, rows.values()))} runs"
        )
        write("service", workload, {"runs": rows, "promises": verdicts}, [shown])
    return report_promises(verdicts)


if __name__ == "__main__":
    sys.exit(main())
