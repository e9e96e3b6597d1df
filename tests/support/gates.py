"""Helpers for tests of the gate: a controller that records its calls, gates in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.virtual_time import virtual_loop
from tmapi_async.limits.controller import ControllerStatistics
from tmapi_async.limits.gate import Gate

NO_STATISTICS = ControllerStatistics(
    width=0,
    ceiling=None,
    state="holding",
    limit=None,
    latency=0.0,
    answered=0,
    refused=0,
    abandoned=0,
    cuts=0,
    probes=0,
    history=(),
)


class FixedController:
    """A controller of a fixed width that records its calls."""

    def __init__(self, width: int = 2) -> None:
        self.open = width
        self.calls: list[tuple[Any, ...]] = []
        self.at_server = 0

    def width(self, now: float) -> int:
        """Return the fixed width."""
        del now
        return self.open

    def wake_at(self, now: float) -> float | None:
        """Return None: the test changes the width."""
        del now

    def sent(self, now: float, in_flight: int) -> None:
        """Record one attempt more at the server."""
        self.at_server += 1
        assert in_flight == self.at_server <= self.open
        self.calls.append(("sent", now, in_flight))

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Record one attempt less at the server."""
        self.calls.append(("answered", now, sent_at, in_flight))
        self.at_server -= 1

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Record one attempt less at the server."""
        self.calls.append(("refused", now, sent_at, in_flight, retry_after))
        self.at_server -= 1

    def abandoned(self, now: float, sent_at: float) -> None:
        """Record an attempt that may still be at the server."""
        self.calls.append(("abandoned", now, sent_at))

    def statistics(self) -> ControllerStatistics:
        """Return empty statistics."""
        return NO_STATISTICS


def make_gate(controller: Any, **parts: Any) -> Gate:
    """Return a gate in virtual time."""
    return Gate(controller, clock=virtual_loop().time, **parts)


def no_check() -> None:
    """Allow the attempt."""


def enter_tasks(gate: Gate, count: int) -> list[asyncio.Task[float]]:
    """Start tasks that enter a gate."""
    return [asyncio.ensure_future(gate.enter(no_check)) for _ in range(count)]


def balance(gate: Gate) -> tuple[int, int, int, int]:
    """Return slots in use, slots held for abandoned requests, waiting attempts and requests."""
    snapshot = gate.statistics()
    return snapshot.in_flight, snapshot.ghosts, snapshot.waiting, snapshot.requests
