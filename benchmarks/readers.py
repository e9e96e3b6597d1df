"""Measure the commands that read a journal: peak memory and processor time of each process.

    python -m benchmarks.readers [--items 1000000] [--quick] [--only NAME] [--keep FILE]
        [--postgres URL]

Makes a journal with two runs of the same listings. In the second run a tenth of the items is
dearer, a tenth has sold more, and one in fifty is new in place of another. Then every command runs
in a fresh process on one processor. No command may need 300 MB. Two commands are also run on all
processors, as users run them: `status` may take 2 seconds, and `changes` 5.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.common import (
    CLIENT_CORE,
    pin,
    promise,
    quartiles,
    report_promises,
    table,
    write,
)
from benchmarks.export import EACH, fill

MOST_MEGABYTES = 300
RUNS, QUICK_RUNS, QUICK_ITEMS = 3, 1, 20_000
DRIFT = 0.02

COMMANDS: dict[str, tuple[str, ...]] = {
    "status": ("status", "{journal}"),
    "export to JSON lines": ("export", "{journal}", "--quiet", "--to", "{folder}/a.jsonl"),
    "export to CSV": ("export", "{journal}", "--quiet", "--to", "{folder}/a.csv"),
    "export to Parquet": ("export", "{journal}", "--quiet", "--to", "{folder}/a.parquet"),
    "export to DuckDB": ("export", "{journal}", "--quiet", "--to", "{folder}/a.duckdb"),
    "export to Excel": ("export", "{journal}", "--quiet", "--to", "{folder}/a.xlsx"),
    "export to SQLite": ("export", "{journal}", "--quiet", "--to", "{folder}/a.sqlite"),
    "export of both runs, unique": (
        "export", "{journal}", "--quiet", "--run", "all", "--unique", "--to", "{folder}/b.parquet",
    ),
    "changes": ("changes", "{journal}", "--to", "{folder}/c.parquet"),
    "report": ("report", "{journal}", "-o", "{folder}/r.html"),
    "verify": ("verify", "{journal}"),
    "details, the plan": ("details", "{journal}", "--dry-run", "--quiet"),
}  # fmt: skip


_POSTGRES = "export to Postgres"

MOST_SECONDS = {"status": 2.0, "changes": 5.0}
"""Longest time that a user waits for a command, on all processors."""


class Usage(NamedTuple):
    """Resources of one process."""

    cpu: float
    seconds: float
    megabytes: float


def change(body: bytes) -> bytes:
    """Return the body of a page as it is in the second run."""
    page = msgspec.json.decode(body)
    for row in page["data"]["items"]:
        number = row["item_id"] if isinstance(row["item_id"], int) else 0
        prices, sold = row.get("price_info"), row.get("sales_count")
        if number % 10 == 0 and isinstance(prices, dict) and prices.get("sale_price"):
            prices["sale_price"] = f"9{prices['sale_price']}"
        elif number % 10 == 1 and isinstance(sold, str) and sold.isdigit():
            row["sales_count"] = f"1{sold}"
        elif number % 50 == 2:
            row["item_id"] = number + 10**12
    return msgspec.json.encode(page)


def run(arguments: tuple[str, ...], core: int | None) -> Usage:
    """Run a command in a fresh process, on one processor or on all of them."""
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "tmapi_async.cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: pin(core),  # noqa: PLW1509 - no thread runs here
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed: {errors.decode()}")
    cpu = usage.ru_utime + usage.ru_stime
    return Usage(cpu, time.perf_counter() - began, usage.ru_maxrss / 1024)


def measure(
    journal: Path, folder: Path, names: Iterable[str], turns: int, core: int | None = CLIENT_CORE
) -> list[dict[str, Any]]:
    """Run each command some times; return a row of medians for each."""
    rows = []
    for name in names:
        arguments = tuple(text.format(journal=journal, folder=folder) for text in COMMANDS[name])
        usages = [run(arguments, core) for _ in range(turns)]
        rows.append(
            {
                "command": name,
                **{
                    field: quartiles([getattr(usage, field) for usage in usages])[1]
                    for field in Usage._fields
                },
            }
        )
        print(f"{name}: {rows[-1]['megabytes']:.0f} MB, {rows[-1]['cpu']:.1f} s", file=sys.stderr)
    return rows


def main() -> int:
    """Write a journal, run the commands, and compare their memory with the promise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000, help="of each of the two runs")
    parser.add_argument("--quick", action="store_true", help="few items, to see that it runs")
    parser.add_argument("--only", choices=COMMANDS, action="append", help="one of the commands")
    parser.add_argument("--turns", type=int, default=RUNS, help="runs of each command")
    parser.add_argument("--keep", type=Path, help="journal to write, or to use if it is there")
    parser.add_argument("--postgres", metavar="URL", help="an empty database to export to, too")
    options = parser.parse_args()
    if options.postgres:
        COMMANDS[_POSTGRES] = ("export", "{journal}", "--quiet", "--to", options.postgres)
    items = QUICK_ITEMS if options.quick else options.items
    with tempfile.TemporaryDirectory() as folder:
        journal = options.keep or Path(folder, "a.journal")
        if not journal.exists():
            asyncio.run(fill(journal, items, DRIFT))
            asyncio.run(fill(journal, items, DRIFT, change=change))
        print(f"journal: {journal.stat().st_size / 2**20:,.0f} MB", file=sys.stderr)
        turns = QUICK_RUNS if options.quick else options.turns
        rows = measure(journal, Path(folder), options.only or list(COMMANDS), turns)
        waits = measure(journal, Path(folder), MOST_SECONDS, turns, core=None)
    heads = {"command": "", "megabytes": "peak MB|,.0f", "cpu": "processor s|,.1f"}
    texts = [table(kept, {**heads, "seconds": "wall s|,.1f"}) for kept in (rows, waits)]
    print("\n\n".join(texts))
    verdicts = [promise(f"{row['command']}: MB", row["megabytes"], MOST_MEGABYTES) for row in rows]
    verdicts += [
        promise(f"{row['command']}: s", row["seconds"], MOST_SECONDS[row["command"]])
        for row in waits
    ]
    if not options.quick and not options.only:
        size = -(-items // EACH) * EACH
        workload = (
            f"two runs of {size:,} items, {DRIFT:.0%} drifted; {turns} run{'s' * (turns > 1)} each"
        )
        result = {"figures": rows, "waits": waits, "musts": verdicts}
        print(f"written: {write('readers', workload, result, texts)}")
    return report_promises(verdicts)


if __name__ == "__main__":
    sys.exit(main())
