"""Count the processor's instructions per page, with valgrind. Other programs do not disturb it.

    python -m benchmarks.instructions [--quick]
    python -m benchmarks.instructions [--workload pages|harvest] CHECKOUT...

Without a checkout: counts `pages()`, a harvest, the hand-written loop and raw sockets, all on
asyncio's loop, and prints the ratios. CI compares these ratios with the committed ones. A full run
writes `benchmarks/results/instructions.json`.

With checkouts: counts for the package of each and compares with the first. To see the effect of a
change, name a worktree of the commit before it and the present one.

Two counts of the same code differ by less than 1 %. Only instructions of the process count: not
those of the system. The second table counts what makes the processor wait: accesses that miss
simulated caches, and branches predicted wrongly. A count takes about half a minute.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .common import Server, save_ratios, table, write

PAGES_EACH = 20
SIZES = (4, 20)
"""Numbers of listings. The difference between both leaves start-up out."""

QUICK_SIZES = (4, 12)
ROOT = Path(__file__).parent.parent
CACHES = (
    "--cache-sim=yes",
    "--branch-sim=yes",
    *("--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64"),
)
"""Simulated caches: as large as those of one core of many servers, 32 KiB, 32 KiB and 1 MiB."""

EVENTS = {
    "instructions": r"I\s+refs:\s+([\d,]+)",
    "code": r"I1\s+misses:\s+([\d,]+)",
    "data": r"D1\s+misses:\s+([\d,]+)",
    "second": r"LL misses:\s+([\d,]+)",
    "branches": r"Mispredicts:\s+([\d,]+)",
}
"""Name of an event -> pattern of its total in the report of cachegrind."""

CLIENTS = {
    "pages": "pages()",
    "harvest": "harvest",
    "loop": "semaphore loop",
    "raw": "raw sockets",
}
COLUMNS = {
    "client": "client",
    "instructions": "instructions a page|,.0f",
    "ratio": "of the loop|.3f",
    "to_raw": "times the raw sockets|.2f",
}
WAIT_COLUMNS = {
    "client": "client",
    "code": "misses of code|,.0f",
    "data": "misses of data|,.0f",
    "second": "misses of 1 MiB|,.0f",
    "branches": "branches predicted wrongly|,.0f",
}
CHECKOUT_COLUMNS = {
    "checkout": "checkout",
    "instructions": "instructions a page|,.0f",
    "ratio": "of the first|.3f",
}


def count(
    checkout: Path, workloads: Sequence[str], url: str, sizes: tuple[int, int] = SIZES
) -> list[dict[str, float]]:
    """Count the events of a page for each workload, with the package in a checkout.

    Returns:
        For each workload, the number of each of `EVENTS` per page.
    """
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
    client = Path(__file__).with_name("counted_client.py")
    command = [
        *("valgrind", "--tool=cachegrind", "--cachegrind-out-file=/dev/null", *CACHES),
        *(sys.executable, "-P", str(client), url, ",".join(map(str, sizes)), *workloads),
    ]
    done = subprocess.run(  # noqa: S603 - our own module
        command, env=environment, cwd=checkout, capture_output=True, text=True, check=False
    )
    # Each process reports its own totals, those of the forked ones with the start-up before them.
    totals = {
        event: [int(text.replace(",", "")) for text in re.findall(pattern, done.stderr)]
        for event, pattern in EVENTS.items()
    }
    if done.returncode or len(totals["instructions"]) <= len(sizes) * len(workloads):
        raise RuntimeError(f"the workload failed under valgrind:\n{done.stderr[-2000:]}")
    pages = (sizes[1] - sizes[0]) * PAGES_EACH
    return [
        {event: (found[2 * at + 1] - found[2 * at]) / pages for event, found in totals.items()}
        for at in range(len(workloads))
    ]


def compare_clients(url: str, *, quick: bool) -> None:
    """Count every client, print the table, and write the figures or save the ratios."""
    sizes = QUICK_SIZES if quick else SIZES
    counts = dict(zip(CLIENTS, count(ROOT, list(CLIENTS), url, sizes), strict=True))
    rows = [
        {
            "client": name,
            **counts[key],
            "ratio": _ratio(counts, key, "loop"),
            "to_raw": _ratio(counts, key, "raw"),
        }
        for key, name in CLIENTS.items()
    ]
    texts = [table(rows, COLUMNS), table(rows, WAIT_COLUMNS)]
    print("\n\n".join(texts))
    if quick:
        pairs = (("pages", "loop"), ("pages", "raw"), ("harvest", "loop"), ("harvest", "raw"))
        ratios = {f"{CLIENTS[a]}/{CLIENTS[b]}": _ratio(counts, a, b) for a, b in pairs}
        save_ratios("instructions", ratios)
        return
    workload = (
        f"{sizes[1]} listings of {PAGES_EACH} pages, 20 items (12.7 KB) each, less {sizes[0]} such "
        "listings; 32 in flight, the loop of asyncio"
    )
    print(f"written: {write('instructions', workload, {'rows': rows}, texts)}")


def _ratio(counts: Mapping[str, Mapping[str, float]], client: str, to: str) -> float:
    return counts[client]["instructions"] / counts[to]["instructions"]


def compare_checkouts(url: str, checkouts: Sequence[Path], workload: str) -> None:
    """Count one workload for each checkout and print the table."""
    counts = [count(checkout.resolve(), [workload], url)[0] for checkout in checkouts]
    first = counts[0]["instructions"]
    rows = [
        {"checkout": str(checkout), **events, "ratio": events["instructions"] / first}
        for checkout, events in zip(checkouts, counts, strict=True)
    ]
    print(table(rows, CHECKOUT_COLUMNS | WAIT_COLUMNS | {"client": "checkout"}))


def main() -> int:
    """Count, and print a table. Returns 1 without valgrind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkouts", nargs="*", type=Path, metavar="CHECKOUT")
    parser.add_argument("--workload", choices=CLIENTS, default="pages", help="with checkouts")
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("this benchmark needs valgrind: install it with the system's package manager")
        return 1
    with Server("--pages", str(PAGES_EACH)) as server:
        if options.checkouts:
            compare_checkouts(server.url, options.checkouts, options.workload)
        else:
            compare_clients(server.url, quick=options.quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
