"""Measure the learning gate and look-ahead over real sockets, beside hand-written clients.

    python -m benchmarks.gate [--quick] [gate] [listing] [set]

Each run starts a fresh sandbox process and a fresh client process. The sandbox works on at most C
requests at a time, with log-normal latency of mean L, so that no client can get more than C / L
pages a second. A full run takes about four minutes, writes `benchmarks/results/gate.json` and
checks the promises; they may be missed on a machine with other users.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

from . import gate_clients
from .common import CLIENT_CORE, Server, pin, run_alone, runner, table, write
from .gate_measures import Bench, figures, promises, skewed

LATENCY, SIGMA = 0.05, 0.5

GATE_COLUMNS = {
    "limit": "C",
    "client": "client",
    "share": "of C / L|.1%",
    "steady": "once at 90 %|.1%",
    "to_90": "to 90 %, in L|.1f",
    "refusals": "503s",
    "refused": "503s a page|.3f",
    "wasted": "wasted",
}
LISTING_COLUMNS = {
    "client": "client",
    "seconds": "seconds|.2f",
    "times": "times faster|.1f",
    "wasted": "wasted|.0f",
    "refused": "503s a page|.3f",
}
SET_COLUMNS = {
    "client": "client",
    "seconds": "seconds|.2f",
    "times": "of the bound|.3f",
    "waste": "wasted of requests|.2%",
    "refused": "503s a page|.3f",
}


def run(client: str, bench: Bench) -> dict[str, Any]:
    """Run one client once, with server and client in fresh processes."""
    with Server("--sandbox", json.dumps(bench.sandbox())) as server:
        return run_alone(
            "benchmarks.gate", "--alone", client, "--url", server.url, "--bench", bench.text()
        )


def alone(options: argparse.Namespace) -> None:
    """Run one client in this process and print its trace as JSON."""
    pin(CLIENT_CORE)
    bench = Bench.read(options.bench)
    client = (gate_clients.CLIENTS | gate_clients.LOOKAHEADS)[options.alone]
    with runner(uvloop=False) as loop:
        print(json.dumps(loop.run(client(options.url, bench.sizes, bench.limit, bench.latency))))


def gates(limits: list[int], per_slot: int) -> list[dict[str, Any]]:
    """Run each client against each limit, with many listings."""
    rows = []
    for limit in limits:
        sizes = dict.fromkeys(range(1, 4 * limit + 1), max(1, per_slot // 4))
        bench = Bench(sizes, limit, LATENCY, SIGMA)
        for client in gate_clients.CLIENTS:
            results = figures(run(client, bench), bench)
            rows.append({"limit": limit, "client": client, **results})
    return rows


def one_listing(seeds: int, pages: int, limit: int) -> list[dict[str, Any]]:
    """Walk one long listing, page by page and with look-ahead. Returns medians over seeds."""
    results: dict[str, list[dict[str, Any]]] = {}
    for seed in range(1, seeds + 1):
        bench = Bench({1: pages}, limit, LATENCY, SIGMA, seed)
        for client in gate_clients.LOOKAHEADS:
            results.setdefault(client, []).append(run(client, bench))
    base = [trace["seconds"] for trace in results["look-ahead off"]]
    return [
        {
            "client": client,
            "seconds": statistics.median(trace["seconds"] for trace in traces),
            "times": statistics.median(
                slow / trace["seconds"] for slow, trace in zip(base, traces, strict=True)
            ),
            "wasted": statistics.median(trace["wasted"] for trace in traces),
            "refused": statistics.mean(trace["refused"] / pages for trace in traces),
        }
        for client, traces in results.items()
    ]


def skewed_set(seeds: int, listings: int, pages: int, limit: int) -> list[dict[str, Any]]:
    """Measure the time to walk many listings of which one is a giant."""
    rows = []
    plan = {"look-ahead off": 1, "look-ahead auto": seeds, "auto": seeds}
    for client, runs in plan.items():
        benches = [
            Bench(skewed(listings, pages, seed), limit, LATENCY, SIGMA, seed)
            for seed in range(1, runs + 1)
        ]
        traces = [run(client, bench) for bench in benches]
        pairs = list(zip(traces, benches, strict=True))
        rows.append(
            {
                "client": {"auto": "look-ahead auto, limit learned"}.get(client, client),
                "seconds": statistics.median(trace["seconds"] for trace in traces),
                "times": statistics.median(t["seconds"] / b.bound for t, b in pairs),
                "waste": statistics.median(t["wasted"] / t["requests"] for t in traces),
                "refused": statistics.median(t["refused"] / b.pages for t, b in pairs),
            }
        )
    return rows


def measure(options: argparse.Namespace) -> bool:
    """Run what is asked for, print the tables, keep the figures of a full run.

    Returns:
        True if every measure met what it must promise, or nothing was measured in full.
    """
    quick, result, tables = options.quick, {}, []
    start = time.perf_counter()
    workload = f"log-normal latency, mean L {LATENCY:g} s, sigma {SIGMA:g}; pages of 20 items"
    print(workload)
    if "gate" in options.parts:
        rows = gates([8] if quick else [8, 16, 64], 24 if quick else 100)
        result["gate"] = rows
        print(f"\nMany listings, {24 if quick else 100} pages for each of C slots")
        tables.append(table(rows, GATE_COLUMNS))
        print(tables[-1])
    if "listing" in options.parts:
        rows = one_listing(1 if quick else 3, 40 if quick else 100, 16)
        result["listing"] = rows
        print(f"\nOne listing of {40 if quick else 100} pages, C = 16, known; medians")
        tables.append(table(rows, LISTING_COLUMNS))
        print(tables[-1])
    if "set" in options.parts:
        sizes = (60, 200) if quick else (300, 1500)
        rows = skewed_set(1 if quick else 3, *sizes, limit=16)
        result["set"] = rows
        print(f"\n{sizes[0]} listings, {sizes[1]} pages, one listing with 30 % of them, C = 16")
        tables.append(table(rows, SET_COLUMNS))
        print(tables[-1])
    print(f"\n{time.perf_counter() - start:.0f} s")
    if quick:
        return True
    if len(options.parts) == 3:
        print(f"written: {write('gate', workload, result, tables)}")
    checks = promises(result)
    print("\n" + "\n".join(check.line() for check in checks))
    return all(check.passed for check in checks)


def main() -> None:
    """Run the benchmark, or one of its runs."""
    parts = ("gate", "listing", "set")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; or all")
    parser.add_argument("--quick", action="store_true", help="smaller, and nothing is written")
    parser.add_argument("--alone", help="one client, in this process")
    parser.add_argument("--url", help="with --alone: the server")
    parser.add_argument("--bench", help="with --alone: what it serves")
    options = parser.parse_args()
    options.parts = options.parts or parts
    if unknown := set(options.parts) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if options.alone:
        alone(options)
    elif not measure(options):
        sys.exit(1)


if __name__ == "__main__":
    main()
