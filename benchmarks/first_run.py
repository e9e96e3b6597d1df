"""Measure the slots in use over whole runs: the limit known, unknown, and remembered.

    python -m benchmarks.first_run [--quick] [--listings 600] [--pages 10] [--turns 3]

The server works on 40 requests at a time, a quarter of a second each on average. A run walks all
listings. What counts is the time that the server was at work, from its first request to its last
reply, so that neither the search for the limit nor the last pages are left out. The first run knows
nothing of the account; the second one is another process, which finds what the first has
remembered. A full run takes six minutes, writes `benchmarks/results/first-run.json` and checks the
promises; they may be missed on a machine with other users.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from typing import Any

from tmapi_async import TMAPI

from .common import CLIENT_CORE, pin, promise, quartiles, report_promises, runner, table, write

LIMIT, LATENCY = 40, 0.25

LEAST = {"first": 0.93, "second": 0.96, "known": 0.97}
"""Share of the slots that is promised for each run."""

COLUMNS = {
    "run": "run",
    "busy": "slots busy|.1%",
    "from": "1st quartile|.1%",
    "to": "3rd quartile|.1%",
    "refused": "503s|.0f",
    "allowed": "allowed|.0f",
    "seconds": "seconds|.1f",
}


async def walk(url: str, listings: int, concurrency: int | None) -> None:
    """Walk all listings to their end."""
    async with TMAPI("token", base_url=url, concurrency=concurrency or "auto") as api:
        count = 0
        async with contextlib.aclosing(api.category_items(range(1, listings + 1)).pages()) as pages:
            async for _ in pages:
                count += 1
    print(json.dumps({"pages": count}))


@contextlib.contextmanager
def server(pages: int, latency: float) -> Iterator[str]:
    """Run a server with categories of so many pages; yield its URL."""
    command = [sys.executable, "-m", "benchmarks.limited_server", "--limit", str(LIMIT)]
    command += ["--latency", str(latency), "--pages", str(pages)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 - our own module
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate(timeout=10)  # closes its standard input, which ends it


def run(name: str, url: str, folder: str, listings: int) -> None:
    """Walk all listings in a fresh process, known to the server by the name of the run."""
    environment = os.environ | {"TMAPI_RUNTIME_DIR": folder, "TMAPI_CACHE_DIR": folder}
    command = [sys.executable, "-m", "benchmarks.first_run", "--walk", f"{url}/{name}"]
    command += ["--listings", str(listings), *(["--known"] if name == "known" else [])]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own module


def figures(seen: dict[str, Any], name: str, pages: int) -> dict[str, float]:
    """Compute the figures of a run from what the server has seen.

    Args:
        seen: The report of the server.
        name: Name of the run.
        pages: Pages of all listings.
    """
    use, refused = seen["uses"][name], seen["refused"].get(name, 0)
    requests = seen["answered"][name] + refused
    assert len([page for page in seen["pages"].values() if name in page]) >= pages
    seconds = use["last"] - use["first"]
    return {
        "busy": use["busy"] / (LIMIT * seconds),
        "refused": refused,
        "allowed": 3 + 0.002 * requests,
        "seconds": seconds,
    }


def measure(
    listings: int, pages: int, turns: int, latency: float
) -> dict[str, list[dict[str, float]]]:
    """Make each of the three runs some times, in turns. Returns the figures of each run."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in LEAST}
    for _ in range(turns):
        with tempfile.TemporaryDirectory(prefix="tmapi-") as folder, server(pages, latency) as url:
            for name in results:
                run(name, url, folder, listings)
            with urllib.request.urlopen(f"{url}/seen") as answer:  # noqa: S310 - our own server
                seen = json.load(answer)
        for name, rows in results.items():
            rows.append(figures(seen, name, listings * pages))
            print(name, rows[-1], file=sys.stderr)
    return results


def summarize(results: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Return medians of the runs of each name, and the most refusals."""
    rows = []
    for name, runs in results.items():
        low, middle, high = quartiles([run["busy"] for run in runs])
        rows.append(
            {
                "run": name,
                "busy": middle,
                "from": low,
                "to": high,
                "refused": max(run["refused"] for run in runs),
                "allowed": min(run["allowed"] for run in runs),
                "seconds": quartiles([run["seconds"] for run in runs])[1],
            }
        )
    return rows


def promises(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the figures with what is promised."""
    verdicts = []
    for row in rows:
        name = row["run"]
        verdicts += [
            promise(f"{name}: share of the slots idle", 1 - row["busy"], 1 - LEAST[name]),
            promise(f"{name}: 503s", row["refused"], row["allowed"]),
        ]
    return verdicts


def main() -> int:
    """Make the runs, or one of them. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listings", type=int, default=600)
    parser.add_argument("--pages", type=int, default=10, help="of each listing")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--latency", type=float, default=LATENCY, help="mean seconds of a request")
    parser.add_argument("--quick", action="store_true", help="one turn; writes no results")
    parser.add_argument("--walk", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--known", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.walk:
        pin(CLIENT_CORE)
        with runner(uvloop=True) as loop:
            loop.run(walk(options.walk, options.listings, LIMIT if options.known else None))
        return 0
    turns = 1 if options.quick else options.turns
    rows = summarize(measure(options.listings, options.pages, turns, options.latency))
    text = table(rows, COLUMNS)
    print(text)
    verdicts = promises(rows)
    if not options.quick:
        workload = (
            f"{options.listings} listings of {options.pages} pages, at a server that works on "
            f"{LIMIT} requests at a time, {options.latency} s each on average; {turns} turns"
        )
        write("first-run", workload, {"figures": rows, "promises": verdicts}, [text])
    return report_promises(verdicts)


if __name__ == "__main__":
    sys.exit(main())
