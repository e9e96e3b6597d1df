"""Count the processor's instructions per page, with valgrind. Other programs do not disturb it.

    python -m benchmarks.instructions [--workload pages|harvest] [CHECKOUT...]

Counts for the package of each checkout (by default this one) and compares with the first: to see
the effect of a change, name a worktree of the commit before it and the present one. Two counts of
the same code differ by 0.2 % (1 % for a harvest). Only instructions of the process count: neither
those of the system nor the waiting for memory. A count takes about half a minute.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .common import Server, table

PAGES_EACH = 20
SIZES = (4, 20)
"""Numbers of listings. The difference between both leaves start-up out."""

ROOT = Path(__file__).parent.parent
COLUMNS = {
    "checkout": "checkout",
    "instructions": "instructions a page|,.0f",
    "ratio": "of the first|.3f",
}


def count(checkout: Path, workload: str, url: str) -> float:
    """Return the instructions per page of the package in a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
    client = Path(__file__).with_name("counted_client.py")
    command = [
        *("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"),
        *(sys.executable, "-P", str(client), workload, url, *map(str, SIZES)),
    ]
    done = subprocess.run(  # noqa: S603 - our own module
        command, env=environment, cwd=checkout, capture_output=True, text=True, check=False
    )
    # Each process reports its own total, those of the forked ones with the start-up before them.
    totals = [
        int(text.replace(",", "")) for text in re.findall(r"I\s+refs:\s+([\d,]+)", done.stderr)
    ]
    if done.returncode or len(totals) <= len(SIZES):
        raise RuntimeError(f"the workload failed under valgrind:\n{done.stderr[-2000:]}")
    few, many = totals[:2]
    return (many - few) / (SIZES[1] - SIZES[0]) / PAGES_EACH


def main() -> int:
    """Count for each checkout and print a table. Returns 1 without valgrind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[ROOT], metavar="CHECKOUT")
    parser.add_argument("--workload", choices=("pages", "harvest"), default="pages")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("this benchmark needs valgrind: install it with the system's package manager")
        return 1
    with Server("--pages", str(PAGES_EACH)) as server:
        counts = [
            count(checkout.resolve(), options.workload, server.url)
            for checkout in options.checkouts
        ]
    rows = [
        {"checkout": str(checkout), "instructions": number, "ratio": number / counts[0]}
        for checkout, number in zip(options.checkouts, counts, strict=True)
    ]
    print(table(rows, COLUMNS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
