"""Measure the cost of going past the ceiling, and the share of a listing that is found.

    python -m benchmarks.split [--quick] [--seeds N]

A category of 15,000 products, 3,000 of them at exactly 9.90, in a sandbox that shows 2,000 rows of
a question, is divided by `category_items_v2(split=True)`. Beside what is found and asked for stands
what it needs at least: the pages that promise so many rows. Counts, not times: the machine does not
matter, though what comes of a ranking that moves depends on the order of the replies.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from tmapi_async import TMAPI
from tmapi_async.sandbox import Prices
from tmapi_async.sandbox.server.process import SandboxThread

from .common import promise, report_promises, table, write

CATEGORY, PRODUCTS, WIDTH = 7, 15_000, 16
NEEDED = PRODUCTS // 20
MOST = 1.25
"""Requests over what is needed, where rows stand still."""
LOST = 0.005
"""Share of the rows that one run may miss where they move."""

STILL: dict[str, dict[str, Any]] = {
    "bounds inclusive": {"price_bounds": "inclusive"},
    "bounds exclusive": {"price_bounds": "exclusive"},
    "bounds half-open": {"price_bounds": "half-open"},
    "false filters": {"false_excludes": True},
}
MOVING: dict[str, dict[str, Any]] = {
    f"ranking moves, shift={shift}": {"shift": float(shift), "shift_ties": True}
    for shift in (0.05, 2, 5, 10)
}
ADVERTS: dict[str, dict[str, Any]] = {"an advert a page": {"adverts": 1}}


async def divide(url: str) -> dict[str, Any]:
    """Divide the category. Returns the figures of the walk."""
    async with (
        TMAPI("sandbox", base_url=url, concurrency=WIDTH) as api,
        api.category_items_v2(CATEGORY, split=True) as walk,
    ):
        item_ids = {item.item_id async for item in walk}
        (account,) = walk.reconciliations
    return {"found": len(item_ids), "requests": account.requests, "complete": account.complete}


def case(name: str, world: dict[str, Any], seeds: int) -> dict[str, Any]:
    """Return one row with the ranges over some seeds."""
    runs = []
    for seed in range(1, seeds + 1):
        prices = {CATEGORY: Prices.parse("20,1.0,9.90:3000")}
        sizes = {CATEGORY: PRODUCTS}
        with SandboxThread(
            categories=sizes, prices=prices, limit=WIDTH, seed=seed, **world
        ) as sandbox:
            runs.append(asyncio.run(divide(sandbox.url)))
    requests = [run["requests"] for run in runs]
    return {
        "case": name,
        "found": min(run["found"] for run in runs),
        "least": min(requests),
        "most": max(requests),
        "ratio": max(requests) / NEEDED,
        "complete": sum(run["complete"] for run in runs),
        "runs": seeds,
    }


def promises(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Check the promises. There is none about the cost where rows move."""
    verdicts = []
    for row in rows:
        lost = 1 - row["found"] / PRODUCTS
        verdicts.append(
            promise(f"{row['case']}: share lost", lost, LOST if row["case"] in MOVING else 0)
        )
        if row["case"] not in MOVING:
            verdicts.append(promise(f"{row['case']}: requests over pages", row["ratio"], MOST))
            verdicts.append(
                promise(f"{row['case']}: runs not complete", row["runs"] - row["complete"], 0)
            )
    return verdicts


def main() -> int:
    """Run every case. Returns 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed; writes no file")
    parser.add_argument("--seeds", type=int, default=None, help="(10; with --quick 1)")
    options = parser.parse_args()
    seeds = options.seeds or (1 if options.quick else 10)
    workload = (
        f"{PRODUCTS:,} products in pages of 20 ({NEEDED} pages), 3,000 of them at 9.90, a ceiling "
        f"of 2,000 rows, {WIDTH} in flight, {seeds} seeds"
    )
    print(workload)
    rows = [case(name, world, seeds) for name, world in (STILL | MOVING | ADVERTS).items()]
    columns = {
        "case": "the listing",
        "found": "found at worst|,",
        "least": "requests, least|,",
        "most": "most|,",
        "ratio": "most, of the pages|.3f",
        "complete": "called complete",
        "runs": "of runs",
    }
    text = table(rows, columns)
    print(text)
    verdicts = promises(rows)
    if not options.quick:
        print(f"written: {write('split', workload, {'rows': rows, 'musts': verdicts}, [text])}")
    return report_promises(verdicts)


if __name__ == "__main__":
    raise SystemExit(main())
