"""Measure processor time per page of this package and of other tools, on the same pages.

    python -m benchmarks.peers [--quick] [--turns 5] [--only NAME...]

Every client is a process on one processor; the server has the other. Each that runs on an event
loop is measured on asyncio's and on uvloop. The figure is the processor time that the system counts
for a process over many listings, minus that over a few listings. So start-up and imports cancel
out, and nothing is measured from inside. Each peer follows its own
documentation for such a task and decodes every page; the table says what it stores beyond that.
A peer that cannot be installed is reported as absent. A full run writes
`benchmarks/results/peers.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

from benchmarks.common import (
    CLIENT_CORE,
    Server,
    pin,
    promise,
    quartiles,
    report_promises,
    table,
    take_turns,
    write,
)

from .environments import HERE, python_of, version_of

PAGES_EACH = 20
WIDTH = 32
OURS = {"tmapi-async, harvest": "harvest", "tmapi-async, pages()": "pages"}
KEEPS = {
    "tmapi-async, harvest": "every body, on disk (SQLite, zstd, fsync)",
    "tmapi-async, pages()": "nothing",
    "aiohttp": "nothing",
    "requests": "nothing; one request at a time",
    "httpx": "nothing",
    "crawlee": "its queue of requests, in memory",
    "scrapy": "nothing; each row is an item",
    "dlt": "every row, on disk; one request at a time",
}
WITHOUT_LOOP = ("requests", "dlt")
USUAL_LOOP = "uvloop"
"""Loop of the command line; a peer without a loop is compared with our harvest on this one."""

LONGER = 4
"""Factor of listings for this package, whose cost is too low to measure on few. The others walk
fewer listings, since the cost per page of some of them grows with the number of listings."""

TIMES_LESS = {"scrapy": 30.0, "dlt": 14.0}
"""Promised factor between the cost of a peer and that of our harvest."""

COLUMNS = {
    "client": "client",
    "loop": "loop",
    "version": "version",
    "cpu_us": "CPU a page, us|.0f",
    "from": "1st quartile|.0f",
    "to": "3rd quartile|.0f",
    "times": "times our harvest|.1f",
    "keeps": "keeps",
}


def loops_of(client: str) -> list[str]:
    """Return the event loops on which a client is measured; `[""]` for a client without one."""
    return [""] if client in WITHOUT_LOOP else ["asyncio", "uvloop"]


def command_of(client: str) -> list[str] | None:
    """Return the command of a client without its workload. None if the client is absent."""
    if client in OURS:
        return [sys.executable, "-m", "benchmarks.peers.ours", OURS[client]]
    python = python_of(client)
    return None if python is None else [str(python), str(HERE / f"{client}_peer.py")]


def spent(command: list[str], url: str, listings: int) -> float:
    """Run a client. Returns the processor seconds of its process and its children."""
    more = ["--url", url, "--listings", str(listings), "--width", str(WIDTH)]
    process = subprocess.Popen(  # noqa: S603 - our own programs
        [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        raise RuntimeError(f"{command[-1]} ended with {process.returncode}")
    results = json.loads(lines[-1])
    pages = listings * PAGES_EACH
    assert results == {"pages": pages, "items": pages * 20}, (command, results)
    return usage.ru_utime + usage.ru_stime


def measure(commands: dict[str, list[str]], options: argparse.Namespace) -> dict[str, Any]:
    """Run every client on each of its loops in turns. Returns the CPU per page of each."""
    few = options.few
    runs = {
        f"{client} {loop}".strip(): (client, [*command, *(["--loop", loop] if loop else [])])
        for client, command in commands.items()
        for loop in loops_of(client)
    }
    with Server("--pages", str(PAGES_EACH)) as server:
        pin(CLIENT_CORE)  # inherited by the clients; the server has chosen its own

        def run(name: str) -> dict[str, float]:
            client, command = runs[name]
            many = options.listings * (LONGER if client in OURS else 1)
            start = spent(command, server.url, few)
            whole = spent(command, server.url, many)
            return {"cpu_us": (whole - start) / ((many - few) * PAGES_EACH) * 1e6, "start_s": start}

        return take_turns(list(runs), options.turns, run)


def rows_of(results: dict[str, Any], absent: list[str]) -> list[dict[str, Any]]:
    """Return one row per client and loop: ours first, absent ones last."""
    rows: list[dict[str, Any]] = []
    for name, runs in results.items():
        client, _, loop = name.rpartition(" ")
        if loop not in ("asyncio", "uvloop"):
            client, loop = name, ""
        ours = results[f"tmapi-async, harvest {loop or USUAL_LOOP}"]
        values = [run["cpu_us"] for run in runs]
        low, middle, high = quartiles(values)
        times = [run["cpu_us"] / own["cpu_us"] for run, own in zip(runs, ours, strict=True)]
        row = {"client": client, "loop": loop or "none", "cpu_us": middle, "from": low, "to": high}
        row["version"] = "this one" if client in OURS else version_of(client)
        rows.append({**row, "keeps": KEEPS[client], "times": statistics.median(times)})
    return rows + [{"client": name, "version": "absent", "keeps": None} for name in absent]


def main() -> int:
    """Run the benchmark. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--turns", type=int, default=None, help="(5; with --quick 1)")
    parser.add_argument("--listings", type=int, default=None, help=f"of {PAGES_EACH} pages (100)")
    parser.add_argument("--few", type=int, default=10, help="listings that are taken off again")
    parser.add_argument("--only", nargs="*", choices=list(KEEPS), help="these alone, and ours")
    options = parser.parse_args()
    options.turns = options.turns or (1 if options.quick else 5)
    options.listings = options.listings or (40 if options.quick else 100)
    names = [name for name in KEEPS if name in OURS or not options.only or name in options.only]
    commands = {name: command_of(name) for name in names}
    absent = [name for name, command in commands.items() if command is None]
    workload = (
        f"{options.listings} listings (for ours {options.listings * LONGER}) "
        f"of {PAGES_EACH} pages, 20 items (12.7 KB) each, less {options.few} such listings; "
        f"{WIDTH} in flight unless said otherwise; no latency; {options.turns} turns; the whole "
        "process counts"
    )
    print(workload, flush=True)
    results = measure({name: words for name, words in commands.items() if words}, options)
    rows = rows_of(results, absent)
    print(table(rows, COLUMNS))
    verdicts = [
        promise(
            f"our harvest beside {row['client']}, loop {row['loop']}, CPU a page",
            1 / row["times"],
            1 / TIMES_LESS[row["client"]],
        )
        for row in rows
        # The command line runs our harvest on uvloop, where that is installed.
        if "times" in row and row["client"] in TIMES_LESS and row["loop"] != "asyncio"
    ]
    if not options.quick:
        content = {"rows": rows, "runs": results, "musts": verdicts}
        print(f"written: {write('peers', workload, content, [table(rows, COLUMNS)])}")
    return report_promises(verdicts)


if __name__ == "__main__":
    sys.exit(main())
