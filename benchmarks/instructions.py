"""Count the processor's instructions per page, with valgrind. Other programs do not disturb it.

    python -m benchmarks.instructions [--quick]
    python -m benchmarks.instructions [--workload pages|harvest] CHECKOUT...

Without a checkout: counts `pages()`, a harvest, the hand-written loop and raw sockets, all on
asyncio's loop, and prints the ratios. CI compares these ratios with the committed ones. A full run
writes `benchmarks/results/instructions.json`.

With checkouts: counts for the package of each and compares with the first. To see the effect of a
change, name a worktree of the commit before it and the present one.

Two counts of the same code differ by less than 1 %. Only instructions of the process count: neither
those of the system nor the waiting for memory. A count takes about ten seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .common import Server, save_ratios, table, write

PAGES_EACH = 20
SIZES = (4, 20)
"""Numbers of listings. The difference between both leaves start-up out."""

QUICK_SIZES = (4, 12)
ROOT = Path(__file__).parent.parent
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
CHECKOUT_COLUMNS = {
    "checkout": "checkout",
    "instructions": "instructions a page|,.0f",
    "ratio": "of the first|.3f",
}


def count(
    checkout: Path, workloads: Sequence[str], url: str, sizes: tuple[int, int] = SIZES
) -> list[float]:
    """Return the instructions per page of each workload, with the package in a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
    client = Path(__file__).with_name("counted_client.py")
    command = [
        *("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"),
        *(sys.executable, "-P", str(client), url, ",".join(map(str, sizes)), *workloads),
    ]
    done = subprocess.run(  # noqa: S603 - our own module
        command, env=environment, cwd=checkout, capture_output=True, text=True, check=False
    )
    # Each process reports its own total, those of the forked ones with the start-up before them.
    totals = [
        int(text.replace(",", "")) for text in re.findall(r"I\s+refs:\s+([\d,]+)", done.stderr)
    ]
    if done.returncode or len(totals) <= len(sizes) * len(workloads):
        raise RuntimeError(f"the workload failed under valgrind:\n{done.stderr[-2000:]}")
    pages = (sizes[1] - sizes[0]) * PAGES_EACH
    pairs = zip(totals[::2], totals[1::2], strict=False)
    return [(many - few) / pages for _, (few, many) in zip(workloads, pairs, strict=False)]


def compare_clients(url: str, *, quick: bool) -> None:
    """Count every client, print the table, and write the figures or save the ratios."""
    sizes = QUICK_SIZES if quick else SIZES
    counts = dict(zip(CLIENTS, count(ROOT, list(CLIENTS), url, sizes), strict=True))
    rows = [
        {
            "client": name,
            "instructions": counts[key],
            "ratio": counts[key] / counts["loop"],
            "to_raw": counts[key] / counts["raw"],
        }
        for key, name in CLIENTS.items()
    ]
    print(table(rows, COLUMNS))
    if quick:
        pairs = (("pages", "loop"), ("pages", "raw"), ("harvest", "loop"), ("harvest", "raw"))
        ratios = {f"{CLIENTS[a]}/{CLIENTS[b]}": counts[a] / counts[b] for a, b in pairs}
        save_ratios("instructions", ratios)
        return
    workload = (
        f"{sizes[1]} listings of {PAGES_EACH} pages, 20 items (12.7 KB) each, less {sizes[0]} such "
        "listings; 32 in flight, the loop of asyncio"
    )
    print(f"written: {write('instructions', workload, {'rows': rows}, [table(rows, COLUMNS)])}")


def compare_checkouts(url: str, checkouts: Sequence[Path], workload: str) -> None:
    """Count one workload for each checkout and print the table."""
    counts = [count(checkout.resolve(), [workload], url)[0] for checkout in checkouts]
    rows = [
        {"checkout": str(checkout), "instructions": number, "ratio": number / counts[0]}
        for checkout, number in zip(checkouts, counts, strict=True)
    ]
    print(table(rows, CHECKOUT_COLUMNS))


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
