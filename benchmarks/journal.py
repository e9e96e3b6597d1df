"""Measure the journal alone: cost per page, speed of commits, size of the file.

    python -m benchmarks.journal commits [--pages 40000] [--width 32]
    python -m benchmarks.journal plan [--listings 10000] [--pages-each 100]

Bodies are pages of the sandbox's catalogue, 20 items each. `commits` writes pages as a harvest
does, with at most `--width` pages waiting for their commit. It reports pages a second, and CPU and
disk per page (size of the closed file, dictionary and tables included). `plan` writes a journal of
a million pages and reports the time to open and plan it, in a fresh process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tmapi_async.api.listings import Listing, category_items
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.records import PageRecord, Totals, Visit
from tmapi_async.journal.statements import begin_visit, end_visit
from tmapi_async.sandbox import Catalogue, Config
from tmapi_async.sandbox import Listing as Wire
from tmapi_async.sandbox.responses.pages import PageBuilder

MEGABYTE = 2**20


def bodies(count: int) -> list[bytes]:
    """Return bodies of full pages, all different."""
    per_category = 50
    sizes = {1000 + n: per_category * 20 for n in range(-(-count // per_category))}
    config = Config(categories=sizes)
    pages = PageBuilder(config, Catalogue(config.seed, sizes))
    path = "/1688/category/items"
    return [
        pages.body(Wire(path, (("cat_id", str(cat_id)),)), number)
        for cat_id in sizes
        for number in range(1, per_category + 1)
    ][:count]


def record(number: int, body: bytes, *, last: bool) -> PageRecord:
    """Return a page record as a harvest writes it."""
    return PageRecord(number, body, time.time(), 1, 0.05, 200, 20, not last, None, 20)


def begin(journal: Journal, listings: list[Listing], wake: asyncio.Event) -> list[Visit]:
    """Begin a start over these listings. Returns its visits."""
    plan = journal.plan(listings)
    start = journal.begin(
        plan,
        host="http://127.0.0.1",
        version="benchmark",
        counts=lambda: RequestCounts(requests=1, codes={"200": 1}),
        width=lambda: 8,
        on_durable=wake.set,
    )
    return list(start.visits)


async def fill(journal: Journal, texts: list[bytes], listings: int, each: int, width: int) -> None:
    """Write `each` pages of every listing, eight listings side by side."""
    room = asyncio.Event()
    visits = begin(journal, [category_items(n) for n in range(1, listings + 1)], room)
    written = 0
    for group in range(0, listings, 8):
        side_by_side = visits[group : group + 8]
        journal.apply(*(begin_visit(visit, time.time()) for visit in side_by_side))
        for number in range(1, each + 1):
            for visit in side_by_side:
                while journal.waiting >= width and journal.error is None:
                    room.clear()
                    await room.wait()
                body = texts[written % len(texts)]
                journal.submit((visit, record(number, body, last=number == each)))
                written += 1
        totals = Totals(each, 20 * each, 20 * each, 0, each)
        ended = (end_visit(visit, "complete", totals, now=time.time()) for visit in side_by_side)
        journal.apply(*ended)
    await journal.close()


def commits(folder: Path, pages: int, width: int) -> None:
    """Print the cost of commits."""
    texts = bodies(min(pages, 4000))
    path = folder / "commits.journal"
    journal = Journal.open(path)
    began, cpu = time.perf_counter(), time.process_time()
    asyncio.run(fill(journal, texts, pages // 100, 100, width))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    done = journal.statistics()
    size = path.stat().st_size
    print(
        f"pages                {done.durable:>10,}  of {sum(map(len, texts)) // len(texts):,} bytes"
    )
    print(f"pages a second       {done.durable / seconds:>10,.0f}")
    print(f"CPU a page           {cpu / done.durable * 1e6:>10.1f} us")
    print(f"pages a commit       {done.durable / done.commits:>10.1f}")
    print(f"body as stored       {done.stored_bytes / done.durable:>10,.0f} bytes")
    print(f"disk a page          {size / done.durable:>10,.0f} bytes")


PLAN = """
import sys, time, json
from pathlib import Path
from tmapi_async.api.listings import category_items
listings = [category_items(n) for n in range(1, int(sys.argv[2]) + 1)]
from tmapi_async.journal.journal import Journal
began = time.perf_counter()
journal = Journal.open(sys.argv[1])
plan = journal.plan(listings)
held = sum(visit.totals.pages for visit in plan.unfinished)
seconds = time.perf_counter() - began
# Not ru_maxrss: a child inherits its parent's.
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([seconds, peak, len(plan.finished), len(plan.unfinished), held]))
"""


def plan(folder: Path, listings: int, each: int) -> None:
    """Print the cost of opening and planning, with more and more listings unfinished."""
    path = folder / "plan.journal"
    asyncio.run(fill(Journal.open(path), bodies(400), listings, each, 256))
    print(f"journal              {path.stat().st_size / MEGABYTE:>10,.0f} MB")
    for title, change in (
        ("all complete", ""),
        ("a tenth unfinished", "UPDATE visit SET state = 'open' WHERE id % 10 = 0"),
        ("all unfinished", "UPDATE visit SET state = 'open'"),
    ):
        if change:
            import sqlite3  # noqa: PLC0415 - the journal's own way in offers no such change

            with sqlite3.connect(path) as connection:
                connection.execute(change)
        command = [sys.executable, "-c", PLAN, str(path), str(listings)]
        output = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        seconds, peak, finished, unfinished, pages_held = json.loads(output.stdout)
        print(
            f"{title:20} {seconds:>10.2f} s, peak {peak:.0f} MB "
            f"({finished:,} finished, {unfinished:,} unfinished with {pages_held:,} pages held)"
        )


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("commits", "plan"))
    parser.add_argument("--pages", type=int, default=40_000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--listings", type=int, default=10_000)
    parser.add_argument("--pages-each", type=int, default=100)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to write (a temporary one)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.what == "commits":
            commits(Path(folder), options.pages, options.width)
        else:
            plan(Path(folder), options.listings, options.pages_each)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory          {peak:>10,.0f} MB, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
