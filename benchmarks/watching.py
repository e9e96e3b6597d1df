"""Measure what `tmapi status --watch` costs: the harvest beside it, and a look at a large journal.

    python -m benchmarks.watching [--quick] [--pairs 9] [--pages 1000000]

A harvest walks listings without latency, alone and while another process looks at its journal each
second. Harvest and watch have one processor together, so that the watch takes from the harvest all
that it needs: its processor time is added to that of the harvest. The second table has the
processor time of one look at a journal, by its size. A full run writes
`benchmarks/results/watching.json`.
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
FIRST_SHARE = 0.4
"""Share of the pages that is not counted."""
POLL = 0.05
BASELINE, WATCHED = "harvest alone", "status --watch beside it"
MOST = 1.02
"""Largest promised processor time of harvest and watch, as a multiple of the harvest alone."""

COLUMNS = {
    "client": "harvest",
    "us": "CPU a page, us|.1f",
    "from": "1st quartile|.1f",
    "to": "3rd quartile|.1f",
    "ratio": "of alone|.3f",
}
LOOK_COLUMNS = {
    "pages": "pages in the journal|,",
    "listings": "listings|,",
    "first_ms": "first look, ms|.1f",
    "look_ms": "each later look, ms|.1f",
}
WATCH = "from tmapi_async.cli import main; main()"


def watch(path: Path) -> subprocess.Popen[bytes]:
    """Start the watch of a journal, on the processor of this process."""
    command = [sys.executable, "-c", WATCH, "status", str(path), "--watch", "1", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - our own command


def cpu_of(process: subprocess.Popen[bytes] | None) -> float:
    """Return the processor seconds that a process has used; 0.0 without one."""
    if process is None:
        return 0.0
    text = Path(f"/proc/{process.pid}/schedstat").read_text(encoding="ascii")
    return int(text.split()[0]) / 1e9


async def measure(options: argparse.Namespace, path: Path) -> dict[str, float]:
    """Harvest, and watch it if asked. Return the figures of all pages but the first ones.

    Meanwhile the watch starts an interpreter, and the journal learns how to compress.
    """
    targets = [category_items(number) for number in range(1, options.listings + 1)]
    pages = options.listings * PAGES_EACH
    async with TMAPI(TOKEN, base_url=options.url, concurrency=WIDTH) as api:
        job = Harvest(api, targets, journal=path)
        task = asyncio.create_task(job.run())
        while not job.progress().pages:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(POLL)
        process = watch(path) if options.alone == WATCHED else None
        while job.progress().pages < FIRST_SHARE * pages:  # noqa: ASYNC110 - as above
            await asyncio.sleep(POLL)
        first, own, began = job.progress().pages, time.process_time(), time.perf_counter()
        watched = cpu_of(process)
        await task
        cpu = time.process_time() - own + cpu_of(process) - watched
        seconds = time.perf_counter() - began
    if process is not None:
        looks = len(process.communicate()[0].splitlines())
        assert looks >= seconds / 2, f"{looks} looks in {seconds:.1f} s"
    return {"us": cpu / (pages - first) * 1e6, "pages_per_second": (pages - first) / seconds}


def alone(options: argparse.Namespace) -> None:
    """Run one harvest in this process and print the figures as JSON."""
    pin(CLIENT_CORE)
    with tempfile.TemporaryDirectory() as folder, runner(uvloop=True) as run:
        figures = run.run(measure(options, Path(folder) / "a.journal"))
    print(json.dumps(figures))


async def large_journal(path: Path, pages: int) -> None:
    """Write a journal with very short pages, of which the last listing is still being read."""
    listings = [category_items(number) for number in range(1, pages // PAGES_EACH + 2)]
    journal = Journal.open(path)
    start = journal.begin(journal.plan(listings), host="h", version="1", counts=RequestCounts)
    *_, last = start.visits
    journal.apply(begin_visit(last, time.time()))
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
            sizes = ("--listings", str(options.listings))
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
    verdicts = [promise("a harvest that is watched, CPU", ratio, MOST)]
    content = {"rows": rows, "runs": results, "looks": costs, "musts": verdicts}
    print(f"written: {write('watching', workload, content, tables)}")
    return report_promises(verdicts)


if __name__ == "__main__":
    sys.exit(main())
