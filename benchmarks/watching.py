"""Measure what `tmapi status --watch` costs: the harvest beside it, and a look at a large journal.

    python -m benchmarks.watching [--quick] [--pairs 9] [--pages 1000000]

A harvest walks listings without latency, alone and while another process looks at its journal each
second. The harvest and the watch have one processor together, so that the watch takes from the
harvest all that it needs: the server has the other one. The second table has the processor time of
one look at a journal, by its size. A full run writes `benchmarks/results/watching.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tmapi_async import TMAPI
from tmapi_async.api.listings import category_items
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.harvest import Harvest
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.live.journal_watch import JournalWatch
from tmapi_async.journal.schema import connect, transaction
from tmapi_async.journal.statements import begin_visit

from .baselines import TOKEN
from .common import (
    CLIENT_CORE,
    Server,
    compare,
    pin,
    promise,
    report_promises,
    run_alone,
    runner,
    save_ratios,
    table,
    take_turns,
    write,
)

PAGES_EACH, WIDTH = 20, 32
BASELINE, WATCHED = "harvest alone", "status --watch beside it"
MOST = 1.02
"""Largest promised duration of a harvest that is watched, as a multiple of one that is not."""

COLUMNS = {
    "client": "harvest",
    "us": "time a page, us|.1f",
    "from": "1st quartile|.1f",
    "to": "3rd quartile|.1f",
    "ratio": "of alone|.3f",
    "pages_per_second": "pages/s|.0f",
}
LOOK_COLUMNS = {
    "pages": "pages in the journal|,",
    "listings": "listings|,",
    "first_ms": "first look, ms|.1f",
    "look_ms": "each later look, ms|.1f",
}
WATCH = "from tmapi_async.cli import main; main()"


async def harvest(url: str, listings: int, path: Path) -> int:
    """Walk listings into a journal."""
    targets = [category_items(number) for number in range(1, listings + 1)]
    async with TMAPI(TOKEN, base_url=url, concurrency=WIDTH) as api:
        return (await Harvest(api, targets, journal=path).run()).pages


def watch(path: Path) -> subprocess.Popen[bytes]:
    """Start the watch of a journal, on the processor of this process."""
    command = [sys.executable, "-c", WATCH, "status", str(path), "--watch", "1", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - our own command


async def measure(options: argparse.Namespace, path: Path) -> tuple[int, float, int]:
    """Harvest, and watch it from its first seconds on. Return pages, seconds and looks.

    The time until the watch has begun, which starts an interpreter, is not counted.
    """
    task = asyncio.create_task(harvest(options.url, options.listings, path))
    while not path.exists() or path.stat().st_size < 10_000:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)
    process = watch(path) if options.alone == WATCHED else None
    await asyncio.sleep(options.warm_up)
    stored = _stored(path)
    began = time.perf_counter()
    await task
    seconds = time.perf_counter() - began
    looks = len(process.communicate()[0].splitlines()) if process else 0
    return options.listings * PAGES_EACH - stored, seconds, looks


def _stored(path: Path) -> int:
    glance = JournalWatch(path).look(time.time(), 1)
    assert glance is not None
    return glance.tally.pages


def alone(options: argparse.Namespace) -> None:
    """Run one harvest in this process and print the figures as JSON."""
    pin(CLIENT_CORE)
    with tempfile.TemporaryDirectory() as folder, runner(uvloop=True) as run:
        pages, seconds, looks = run.run(measure(options, Path(folder) / "a.journal"))
    if options.alone == WATCHED:
        assert looks >= seconds - 1, f"{looks} looks in {seconds:.1f} s"
    print(json.dumps({"us": seconds / pages * 1e6, "pages_per_second": pages / seconds}))


async def large_journal(path: Path, pages: int) -> None:
    """Write a journal with very short pages, of which the last listing is still being read."""
    listings = [category_items(number) for number in range(1, pages // PAGES_EACH + 2)]
    journal = Journal.open(path)
    start = journal.begin(journal.plan(listings), host="h", version="1", counts=RequestCounts)
    journal.apply(begin_visit(start.visits[-1], time.time()))
    await journal.close()
    connection = connect(path, writing=True)
    with transaction(connection):
        connection.executemany(
            "INSERT INTO page VALUES (?, ?, ?, 1, 0, 1, 0, 200, 20, 1, NULL, 20, 0, NULL, x'00')",
            (
                (number, 1 + (number - 1) // PAGES_EACH, 1 + (number - 1) % PAGES_EACH)
                for number in range(1, pages + 1)
            ),
        )
        connection.execute(
            "UPDATE visit SET state = 'complete', began_at = 0, ended_at = 0, pages = ?, "
            "items = ?, unique_items = ?, rejects = 0, last_page = ? WHERE id <= ?",
            (PAGES_EACH, 400, 400, PAGES_EACH, pages // PAGES_EACH),
        )
    connection.close()


async def looks(pages: int) -> dict[str, float]:
    """Return the processor time of looks at a journal into which a page comes before each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.journal"
        await large_journal(path, pages)
        connection, listings = connect(path, writing=True), pages // PAGES_EACH + 1
        watch, costs = JournalWatch(path), []
        for number in range(1, 22):
            connection.execute(
                "INSERT INTO page VALUES (?, ?, ?, 1, 0, 1, 0, 200, 20, 1, NULL, 20, 0, NULL, x'')",
                (pages + number, listings, number),
            )
            began = time.process_time()
            watch.look(time.time(), 100)
            costs.append(1e3 * (time.process_time() - began))
        connection.close()
    later = statistics.median(costs[1:])
    return {"pages": pages, "listings": listings, "first_ms": costs[0], "look_ms": later}


def main() -> int:
    """Run the benchmark, or one of its runs. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--pairs", type=int, default=None, help="turns (9; with --quick 3)")
    parser.add_argument("--listings", type=int, default=None, help=f"of {PAGES_EACH} pages")
    parser.add_argument("--pages", type=int, default=1_000_000, help="of the largest journal")
    parser.add_argument("--warm-up", type=float, default=2.0, help="seconds that are not counted")
    parser.add_argument("--alone", choices=(BASELINE, WATCHED), help="one run, in this process")
    parser.add_argument("--url", help="with --alone: the server to use")
    options = parser.parse_args()
    options.pairs = options.pairs or (3 if options.quick else 9)
    options.listings = options.listings or (1000 if options.quick else 3000)
    if options.alone:
        alone(options)
        return 0
    workload = (
        f"{options.listings} listings of {PAGES_EACH} pages, 20 items (12.7 KB) each, {WIDTH} in "
        f"flight, no latency, a look each second, {options.pairs} turns; uvloop where installed"
    )
    print(workload)
    with Server("--pages", str(PAGES_EACH)) as server:

        def run(name: str) -> dict[str, float]:
            sizes = ("--listings", str(options.listings), "--warm-up", str(options.warm_up))
            return run_alone("benchmarks.watching", "--alone", name, "--url", server.url, *sizes)

        results = take_turns([BASELINE, WATCHED], options.pairs, run)
    rows = compare(results, "us", BASELINE)
    sizes = [options.pages // 100] if options.quick else [options.pages // 100, options.pages]
    costs = [asyncio.run(looks(size)) for size in sizes]
    tables = [table(rows, COLUMNS), table(costs, LOOK_COLUMNS)]
    print("\n\n".join(tables))
    ratio = rows[-1]["ratio"]
    if options.quick:
        save_ratios("watching", {"watched/alone": ratio})
        return 0
    verdicts = [promise("a harvest that is watched, time", ratio, MOST)]
    content = {"rows": rows, "runs": results, "looks": costs, "musts": verdicts}
    print(f"written: {write('watching', workload, content, tables)}")
    return report_promises(verdicts)


if __name__ == "__main__":
    sys.exit(main())
