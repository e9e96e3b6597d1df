"""Measure the cost of an observer: `pages()` with none, an empty one, and OpenTelemetry.

    python -m benchmarks.observing [--quick] [--pairs 9]

The workload is that of `benchmarks.client`. A full run writes `benchmarks/results/observing.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from tmapi_async import TMAPI, Observer

from .baselines import TOKEN
from .common import (
    CLIENT_CORE,
    CpuMeter,
    Server,
    compare,
    pin,
    run_alone,
    runner,
    table,
    take_turns,
    write,
)

PAGES_EACH, WIDTH = 20, 32
BASELINE = "no observer"
COLUMNS = {
    "client": "observer",
    "cpu_us": "CPU a page, us|.1f",
    "from": "1st quartile|.1f",
    "to": "3rd quartile|.1f",
    "ratio": "of none|.3f",
}


def api_alone() -> Observer:
    """Return an observer of OpenTelemetry's API without an SDK, which records nothing."""
    from tmapi_async.otel import OpenTelemetryObserver  # noqa: PLC0415 - only where it is measured

    return OpenTelemetryObserver()


def with_sdk() -> Observer:
    """Return an observer that makes all spans and metrics by the SDK, without exporting spans."""
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    from tmapi_async.otel import OpenTelemetryObserver  # noqa: PLC0415

    return OpenTelemetryObserver(TracerProvider(), MeterProvider([InMemoryMetricReader()]))


OBSERVERS: dict[str, Callable[[], Observer | None]] = {
    BASELINE: lambda: None,
    "one that does nothing": Observer,
    "OpenTelemetry's API alone": api_alone,
    "OpenTelemetry's SDK": with_sdk,
}


async def pages(url: str, listings: int, observer: Observer | None) -> int:
    """Walk every listing to its end."""
    seen = 0
    async with (
        TMAPI(TOKEN, base_url=url, concurrency=WIDTH, observer=observer) as api,
        api.category_items(range(1, listings + 1)) as walk,
    ):
        async for _ in walk.pages():
            seen += 1
    return seen


def alone(options: argparse.Namespace) -> None:
    """Run with one observer in this process and print the figures as JSON."""
    pin(CLIENT_CORE)
    meter, observer = CpuMeter(), OBSERVERS[options.alone]()
    with runner(uvloop=True) as run:
        run.run(pages(options.url, WIDTH, observer))
        meter.start()
        seen = run.run(pages(options.url, options.listings, observer))
        figures = meter.stop(seen)
    assert seen == options.listings * PAGES_EACH
    print(json.dumps(figures))


def main() -> int:
    """Run the benchmark, or one of its runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--pairs", type=int, default=None, help="turns (9; with --quick 3)")
    parser.add_argument("--listings", type=int, default=None, help=f"of {PAGES_EACH} pages")
    parser.add_argument("--alone", choices=OBSERVERS, help="one run, in this process")
    parser.add_argument("--url", help="with --alone: the server to use")
    options = parser.parse_args()
    options.pairs = options.pairs or (3 if options.quick else 9)
    options.listings = options.listings or (80 if options.quick else 250)
    if options.alone:
        alone(options)
        return 0
    workload = (
        f"{options.listings} listings of {PAGES_EACH} pages, 20 items (12.7 KB) each, {WIDTH} in "
        f"flight, no latency, {options.pairs} turns; uvloop where it is installed"
    )
    print(workload)
    with Server("--pages", str(PAGES_EACH)) as server:

        def run(name: str) -> dict[str, float]:
            size = ("--listings", str(options.listings))
            return run_alone("benchmarks.observing", "--alone", name, "--url", server.url, *size)

        results = take_turns(list(OBSERVERS), options.pairs, run)
    rows = compare(results, "cpu_us", BASELINE)
    print(table(rows, COLUMNS))
    if not options.quick:
        content = {"rows": rows, "runs": results}
        print(f"written: {write('observing', workload, content, [table(rows, COLUMNS)])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
