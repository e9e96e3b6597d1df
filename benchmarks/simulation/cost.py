"""What a page costs in controller and frontier: the one scenario that takes real time."""

from __future__ import annotations

import time
from collections import deque
from statistics import median

from tmapi_async.frontier import Frontier
from tmapi_async.limits.controller import LearningController
from tmapi_async.listings import CATEGORY_ITEMS, Listing, PageRequest

from .checks import Check, table
from .scenarios import Report, Runner

PAGES = 100_000
WIDTH = 64
REPEATS = 5


def controller_alone() -> float:
    """Microseconds a page: two looks at the width, one attempt sent, one answered."""
    controller = LearningController(WIDTH)
    now, sent = 0.0, deque([0.0] * (WIDTH - 1))
    began = time.perf_counter()
    for _ in range(PAGES):
        now += 0.001
        controller.width(now)
        controller.sent(now, WIDTH)
        sent.append(now)
        controller.width(now)
        controller.answered(now, sent.popleft(), WIDTH)
    return (time.perf_counter() - began) / PAGES * 1e6


def both(listings: int = 10_000) -> float:
    """Microseconds a page of controller and frontier, with all listings open at once."""
    controller, frontier = LearningController(WIDTH), Frontier()
    length = max(2, PAGES // listings)
    for i in range(1, listings + 1):
        frontier.open(Listing(CATEGORY_ITEMS.name, (("cat_id", str(i)),)))
    flying: deque[tuple[float, PageRequest]] = deque()
    now, pages = 0.0, 0
    began = time.perf_counter()
    while True:
        now += 0.001
        width = controller.width(now)
        while len(flying) < width and (request := frontier.take(width)) is not None:
            flying.append((now, request))
            controller.sent(now, len(flying))
        if not flying:
            break
        sent_at, request = flying.popleft()
        controller.answered(now, sent_at, len(flying) + 1)
        frontier.answered(request, has_next=request.number < length, items=20)
        pages += 1
    return (time.perf_counter() - began) / pages * 1e6


def cost(_: Runner) -> Report:
    """Microseconds a page, the best of some repeats (others use the machine, too)."""
    report = Report(f"Cost a page in microseconds, {PAGES:,} pages, width {WIDTH}, this machine")
    alone = [controller_alone() for _ in range(REPEATS)]
    together = [both() for _ in range(REPEATS)]
    lines = [
        ("controller", min(alone), median(alone)),
        ("controller and frontier, 10,000 listings", min(together), median(together)),
    ]
    report.tables.append(table(("", "best", "median"), lines))
    report.checks += [
        Check("controller alone, microseconds a page", [min(alone)], 2),
        Check("controller and frontier, microseconds a page", [min(together)], 5),
    ]
    return report
