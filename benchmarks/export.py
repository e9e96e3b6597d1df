"""Measure an export from journal to Parquet: items per processor second and peak memory.

    python -m benchmarks.export [--items 1000000] [--drift 0] [--quick] [--folder FOLDER]

Makes a journal of the sandbox's catalogue (full pages of 20 items, none like another; `--drift`
makes some rows drift), then exports it in fresh processes with one thread, pinned to one
processor. The measured time includes SQLite, zstd, JSON, conversion, Parquet with zstd and fsync,
but not the start of the interpreter and imports. The file is then compared with the catalogue:
number of rows, IDs, sum of prices. The targets are 300,000 items a second and less than 400 MB.
The speed is per second of processor time, since other programs may use the processor.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.common import CLIENT_CORE, MEGABYTE, pin, quartiles, run_alone, table, write
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.api.listings import category_items
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.records import PageRecord, Totals, Visit
from tmapi_async.journal.statements import begin_visit, end_visit
from tmapi_async.sandbox import Catalogue, Config
from tmapi_async.sandbox import Listing as Wire
from tmapi_async.sandbox.responses.drift import Drift
from tmapi_async.sandbox.responses.pages import PageBuilder

PAGE, EACH = 20, 2000
TARGET_SPEED, TARGET_MEMORY = 300_000, 400
RUNS, QUICK_RUNS, QUICK_ITEMS = 5, 2, 40_000
CHILD = "--one"


class JournalContents(msgspec.Struct):
    """Contents of a journal: number of rows, and the sum of their selling prices as text."""

    items: int
    prices: str


async def fill(
    path: Path, items: int, drift: float, change: Callable[[bytes], bytes] | None = None
) -> JournalContents:
    """Write a run with 2,000 items in each category.

    Args:
        path: The journal.
        items: Number of items.
        drift: Share of rows that drift.
        change: Changes the body of each page; for another run of a journal that has one.
    """
    sizes = {1000 + n: EACH for n in range(-(-items // EACH))}
    config = Config(categories=sizes, drift=Drift(rows=drift))
    catalogue = Catalogue(config.seed, sizes)
    pages = PageBuilder(config, catalogue)
    journal = Journal.open(path)
    plan = journal.plan([category_items(cat_id) for cat_id in sizes], refresh=True)
    start = journal.begin(plan, host="http://127.0.0.1", version="benchmark", counts=RequestCounts)
    prices = Decimal(0)
    for visit in start.visits:
        prices += await walk(journal, visit, pages, change or bytes)
    await journal.close()
    return JournalContents(len(sizes) * EACH, str(prices))


async def walk(
    journal: Journal, visit: Visit, pages: PageBuilder, change: Callable[[bytes], bytes]
) -> Decimal:
    """Record one category. Returns the sum of its prices as sent."""
    listing = Wire("/1688/category/items", (("cat_id", str(visit.listing.cat_id)),))
    last, prices = EACH // PAGE, Decimal(0)
    journal.apply(begin_visit(visit, time.time()))
    for number in range(1, last + 1):
        body = change(pages.body(listing, number))
        for row in msgspec.json.decode(body)["data"]["items"]:
            prices += Decimal((row.get("price_info") or {}).get("sale_price") or 0)
        more = number < last
        journal.submit(
            (visit, PageRecord(number, body, time.time(), 1, 0.05, 200, PAGE, more, None, PAGE))
        )
    await journal.flush()
    totals = Totals(last, EACH, EACH, 0, last)
    journal.apply(end_visit(visit, "complete", totals, now=time.time()))
    return prices


def one(journal: str, target: str) -> None:
    """Export once in this process and print the figures as JSON."""
    pin(CLIENT_CORE)
    import pyarrow as pa  # noqa: PLC0415 - counted in the memory of this process alone

    from tmapi_async.export import arrow as tables  # noqa: PLC0415 - as above
    from tmapi_async.export import export_journal, files  # noqa: PLC0415 - as above

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    assert files.FILES, tables.item_schema(CATEGORY_ITEMS)  # imported before the clock starts
    import pyarrow.parquet  # noqa: F401, PLC0415 - as above

    wall, cpu = time.perf_counter(), time.process_time()
    done = export_journal(journal, [target])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        msgspec.json.encode(
            {
                "items": done.rows,
                "unread": sum(done.unread.values()),
                "per_second": done.rows / wall,
                "per_cpu_second": done.rows / cpu,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "bytes": done.destinations[0].bytes,
            }
        ).decode()
    )


def check(target: Path, made: JournalContents) -> None:
    """Compare the file with the catalogue by DuckDB."""
    import duckdb  # noqa: PLC0415 - only here

    query = f"SELECT count(*), count(DISTINCT item_id), sum(price_info_sale_price) FROM '{target}'"  # noqa: S608
    result = duckdb.sql(query)
    assert result is not None
    rows, ids, prices = result.fetchall()[0]
    assert rows == ids == made.items, (rows, ids, made)
    assert prices == Decimal(made.prices), (prices, made)


def main() -> None:
    """Write a journal, export it and compare the figures with the targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--drift", type=float, default=0.0, help="share of rows that drift (0)")
    parser.add_argument("--quick", action="store_true", help="few items, to see that it runs")
    parser.add_argument("--folder", type=Path, help="where to write (a temporary one)")
    parser.add_argument(CHILD, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(*options.one)
        return
    items = QUICK_ITEMS if options.quick else options.items
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        journal, target = Path(folder, "a.journal"), Path(folder, "a.parquet")
        made = asyncio.run(fill(journal, items, options.drift))
        size = journal.stat().st_size
        print(f"journal: {made.items:,} items, {size / MEGABYTE:,.0f} MB", file=sys.stderr)
        arguments = ("benchmarks.export", CHILD, str(journal), str(target))
        runs = [run_alone(*arguments) for _ in range(QUICK_RUNS if options.quick else RUNS)]
        check(target, made)
    judge(made.items, runs, save=not options.quick)


def judge(items: int, runs: list[dict[str, Any]], *, save: bool) -> None:
    """Print the figures and the verdict on each target."""
    rows = []
    for figure, name, target, least in (
        ("per_second", "items a second of wall time", None, True),
        ("per_cpu_second", "items a second of processor time", TARGET_SPEED, True),
        ("peak_mb", "peak memory, MB", TARGET_MEMORY, False),
        ("bytes", "Parquet, bytes an item", None, False),
    ):
        low, middle, high = quartiles(
            [run[figure] / (items if figure == "bytes" else 1) for run in runs]
        )
        met = None if target is None else "pass" if (middle >= target) is least else "FAIL"
        rows.append(
            {"what": name, "median": middle, "from": low, "to": high, "target": target, "met": met}
        )
    columns = {"what": "", "median": "median|,.0f", "from": "from|,.0f", "to": "to|,.0f"}
    text = table(rows, {**columns, "target": "target|,", "met": "met"})
    print(text)
    print(f"{items:,} items, {len(runs)} runs, load {os.getloadavg()[0]:.1f}")
    if save:
        workload = f"{items:,} items, journal to Parquet (zstd), one processor, one thread"
        result = {"figures": rows, "runs": runs}
        print(f"written: {write('export', workload, result, [text])}")


if __name__ == "__main__":
    main()
