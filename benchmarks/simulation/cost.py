"""Measure the processor time per page in controller and frontier, without simulated time."""

from __future__ import annotations

import time
from collections import deque
from statistics import median

from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.limits.learning import LearningController

from .checks import Check, table
from .scenarios import Runner, ScenarioReport

PAGES = 100_000
WIDTH = 64
REPEATS = 5

LEAST_TIMES = 40
"""Largest promised cost as a multiple of the bare deque. Microseconds depend on the processor, the
ratio hardly does: it was 20 where the deque took 0.11 microseconds."""


def controller_alone() -> float:
    """Measure microseconds per page of the controller: width read twice, one request answered."""
    controller = LearningController(WIDTH)
    now, sent = 0.0, deque([0.0] * (WIDTH - 1))
    began = time.process_time()
    for _ in range(PAGES):
        now += 0.001
        controller.width(now)
        controller.sent(now, WIDTH)
        sent.append(now)
        controller.width(now)
        controller.answered(now, sent.popleft(), WIDTH)
    return (time.process_time() - began) / PAGES * 1e6


def bare_deque(listings: int = 10_000) -> float:
    """Measure microseconds per page of a fixed width and a deque of pages: the minimum."""
    length = max(2, PAGES // listings)
    ready = deque(PageRequest(listing, 1) for listing in _listings(listings))
    in_flight: deque[PageRequest] = deque()
    pages = 0
    began = time.process_time()
    while True:
        while len(in_flight) < WIDTH and ready:
            in_flight.append(ready.popleft())
        if not in_flight:
            break
        request = in_flight.popleft()
        if request.number < length:
            ready.append(PageRequest(request.listing, request.number + 1))
        pages += 1
    return (time.process_time() - began) / pages * 1e6


def _listings(count: int) -> list[Listing]:
    return [Listing(CATEGORY_ITEMS.name, (("cat_id", str(i)),)) for i in range(1, count + 1)]


def controller_and_frontier(listings: int = 10_000) -> float:
    """Measure microseconds per page of controller and frontier, with all listings open."""
    controller, frontier = LearningController(WIDTH), Frontier()
    length = max(2, PAGES // listings)
    for listing in _listings(listings):
        frontier.open(listing)
    in_flight: deque[tuple[float, PageRequest]] = deque()
    now, pages = 0.0, 0
    began = time.process_time()
    while True:
        now += 0.001
        width = controller.width(now)
        while len(in_flight) < width and (request := frontier.take(width)) is not None:
            in_flight.append((now, request))
            controller.sent(now, len(in_flight))
        if not in_flight:
            break
        sent_at, request = in_flight.popleft()
        controller.answered(now, sent_at, len(in_flight) + 1)
        frontier.answered(request, has_next=request.number < length, items=20)
        pages += 1
    return (time.process_time() - began) / pages * 1e6


def cost(_: Runner) -> ScenarioReport:
    """Report microseconds per page, the best of some repeats: the machine has other users."""
    report = ScenarioReport(
        f"Cost a page in microseconds, {PAGES:,} pages, width {WIDTH}, this machine"
    )
    # In turn, so that a machine that is busy for a while slows all of them.
    runs = [(controller_alone(), controller_and_frontier(), bare_deque()) for _ in range(REPEATS)]
    alone, together, least = zip(*runs, strict=True)
    ratio = median(one / other for _, one, other in runs)
    lines = [
        ("controller", min(alone), median(alone)),
        ("controller and frontier, 10,000 listings", min(together), median(together)),
        ("fixed width and a deque", min(least), median(least)),
    ]
    report.tables.append(table(("", "best", "median"), lines))
    report.checks += [
        Check("controller alone, microseconds a page", [min(alone)], 2),
        Check("controller and frontier, microseconds a page", [min(together)], 5),
        Check("controller and frontier, times the deque, median", [ratio], LEAST_TIMES),
    ]
    return report
