"""Measure the report of a journal: processor seconds, peak memory, size of the page.

Makes a journal of the sandbox's catalogue (full pages of 20 items; 2 % of the rows drift) and
writes its report in fresh processes on one processor. The baseline, in the same run, is the minimum
for any reader of the journal: decode every page and drop it.

    python -m benchmarks.report [--items 1000000] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import CLIENT_CORE, MEGABYTE, pin, quartiles, run_alone, table, write
from benchmarks.export import fill

RUNS, QUICK_RUNS, QUICK_ITEMS = 5, 1, 20_000
DRIFT = 0.02
TARGET_BYTES = 3_000_000
TARGET_SECONDS = 60


def one(journal: str, target: str, what: str) -> None:
    """Read or report once in this process and print the figures as JSON."""
    pin(CLIENT_CORE)
    from tmapi_async.export.chunks import read_chunks  # noqa: PLC0415 - not counted
    from tmapi_async.export.selection import Selection, resolve  # noqa: PLC0415 - as above
    from tmapi_async.harvest import JournalReader  # noqa: PLC0415 - as above
    from tmapi_async.report import write_report  # noqa: PLC0415 - as above

    began, size = time.process_time(), 0
    if what == "report":
        size = write_report(journal, target)
    else:
        with JournalReader(journal) as reader:
            size = sum(chunk.rows for chunk in read_chunks(reader, resolve(reader, Selection())))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": time.process_time() - began, "peak_mb": used, "size": size}))


def main() -> None:
    """Write a journal and its report, and check the size of the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="few items, to see that it runs")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(*options.one)
        return
    items = QUICK_ITEMS if options.quick else options.items
    runs: dict[str, list[dict[str, float]]] = {"read": [], "report": []}
    with tempfile.TemporaryDirectory() as folder:
        journal, target = Path(folder, "a.journal"), Path(folder, "report.html")
        made = asyncio.run(fill(journal, items, DRIFT))
        print(f"journal: {made.items:,} items", file=sys.stderr)
        for _ in range(QUICK_RUNS if options.quick else RUNS):
            for what, results in runs.items():
                arguments = ("benchmarks.report", "--one", str(journal), str(target), what)
                results.append(run_alone(*arguments))
    rows = [
        {
            "what": what,
            "cpu": quartiles([run["cpu"] for run in results])[1],
            "peak": quartiles([run["peak_mb"] for run in results])[1],
            "size": results[0]["size"] / MEGABYTE if what == "report" else None,
        }
        for what, results in runs.items()
    ]
    heads = {"what": "", "cpu": "processor s|,.2f", "peak": "peak MB|,.0f", "size": "page MiB|.2f"}
    text = table(rows, heads)
    print(text)
    met = "pass" if max(run["size"] for run in runs["report"]) < TARGET_BYTES else "FAIL"
    print(f"page under {TARGET_BYTES / 1e6:.0f} MB: {met}")
    seconds = quartiles([run["cpu"] for run in runs["report"]])[1]
    print(f"under {TARGET_SECONDS} s: {'pass' if seconds < TARGET_SECONDS else 'FAIL'}")
    if not options.quick:
        workload = f"{made.items:,} items, {DRIFT:.0%} drifted, journal to report, one processor"
        print(f"written: {write('report', workload, {'figures': rows, 'runs': runs}, [text])}")


if __name__ == "__main__":
    main()
