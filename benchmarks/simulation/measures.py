"""One simulated run as a row of numbers; functions of the module, so that workers find them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tmapi_async.limits.controller import Controller
from tmapi_async.limits.learning import LearningController

from .backlog import BurstBacklog, PageBacklog
from .baselines import AimdController, FixedRateController, FixedWidthController
from .engine import Result, Simulation, World

LATENCY = 2.5
"""Mean latency in seconds, as measured on the API."""

RTT = 0.02
"""Network round trip, as a share of the latency."""

Row = dict[str, float]


@dataclass(frozen=True)
class Case:
    """One case: a client against a limit.

    Attributes:
        client: Name of the client, see `CLIENTS`.
        limit: The server's limit at the beginning.
        then: (seconds in round trips, limit) of later limits.
        requests: Number of pages for each slot of the widest limit.
        latency: Mean latency in seconds.
        rtt: Network round trip, as a share of the latency.
        world: Further options of the world.
        bursts: (round trip, pages) of new work. None if all work is there at once.
    """

    client: str
    limit: int
    then: tuple[tuple[float, int], ...] = ()
    requests: int = 100
    latency: float = LATENCY
    rtt: float = RTT
    world: dict[str, Any] = field(default_factory=dict)
    bursts: tuple[tuple[float, int], ...] | None = None


CLIENTS: dict[str, Callable[[Case], Controller]] = {
    "auto": lambda _: LearningController(),
    "ceiling C": lambda case: LearningController(case.limit),
    "ceiling 4C": lambda case: LearningController(4 * case.limit),
    "semaphore C": lambda case: FixedWidthController(case.limit),
    "semaphore C+1": lambda case: FixedWidthController(case.limit + 1),
    "semaphore 2C": lambda case: FixedWidthController(2 * case.limit),
    "fixed rate 90 %": lambda case: FixedRateController(0.9 * case.limit / case.latency),
    "AIMD": lambda _: AimdController(),
}


def simulate(case: Case, seed: int, *, trace: bool = False) -> tuple[Simulation, Result]:
    """Simulate a case."""
    limits = [(0.0, case.limit), *((at * case.latency, limit) for at, limit in case.then)]
    world = World(limits, latency=case.latency, rtt=case.latency * case.rtt, **case.world)
    widest = max(limit for _, limit in limits)
    work = PageBacklog(case.requests * widest)
    if case.bursts is not None:
        work = BurstBacklog([(at * case.latency, pages) for at, pages in case.bursts])
    simulation = Simulation(world, CLIENTS[case.client](case), work, seed, trace=trace)
    return simulation, simulation.run()


def measure(case: Case, seed: int) -> Row:
    """Simulate a case. Returns its figures, times in mean latencies."""
    _, result = simulate(case, seed)
    return _row(case, result)


def _row(case: Case, result: Result) -> Row:
    last = result.phases[-1]
    return {
        "utilisation": last.utilisation,
        "overall": last.overall,
        "rise": last.rise / case.latency,
        "refusals": result.refusals,
        "after": sum(at >= last.start for at in result.refused_at),
        "requests": result.requests,
        "share": result.refusals / result.requests,
        "a page": result.refusals / max(1, result.answers),
        "round trips": result.seconds / case.latency,
    }


def shared(case: Case, seed: int, rounds: float, *, alone: float = 30, rest: float = 100) -> Row:
    """Simulate a case whose limit is shared for some round trips with others, who then leave.

    Meanwhile between one slot and half of the limit is left, another number each 0.7 round trips.

    Args:
        case: The case.
        seed: Seed of the run.
        rounds: Round trips for which the limit is shared.
        alone: Round trips before.
        rest: Round trips after, at least.
    """
    random = Random(f"{seed}/{case.limit}/shared")  # noqa: S311 - a simulation must be repeatable
    limits: list[tuple[float, int]] = []
    at, end = alone, alone + rounds
    while at < end:
        limits.append((at, random.randint(1, max(2, case.limit // 2))))
        at += random.expovariate(1 / 0.7)
    requests = int(alone + rounds / 4 + rest + 60)
    moved = replace(case, then=(*limits, (end, case.limit)), requests=requests)
    _, result = simulate(moved, seed)
    return _row(moved, result)


def changing(
    case: Case, seed: int, factor: float, span: tuple[float, float], rest: float = 60
) -> Row:
    """Simulate a case whose limit is multiplied once, within a span of round trips.

    The work after the change lasts for at least `rest` round trips of the new limit.
    """
    at = Random(f"{seed}/{case.limit}/{factor}").uniform(*span)  # noqa: S311
    limit = int(case.limit * factor)
    widest = max(limit, case.limit)
    needed = (at * case.limit + rest * limit) / widest
    moved = Case(
        case.client,
        case.limit,
        ((at, limit),),
        max(case.requests, int(needed) + 1),
        case.latency,
        case.rtt,
        case.world,
    )
    row = measure(moved, seed)
    row["changed at"] = at
    return row
