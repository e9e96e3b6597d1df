"""A server with a limit and a client that always has work, with a simulated clock."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from tmapi_async.limits.learning import LearningController

LATENCY = 1.0
TRIP = 0.02


class ClosedLoop:
    """Drive a controller against a limit. A refusal takes 0.02 s, an answer about a second."""

    def __init__(
        self,
        controller: LearningController,
        limit: int,
        *,
        random_refusals: float = 0.0,
        retry_after: float | None = None,
        queues: bool = False,
    ) -> None:
        self.controller = controller
        self.limit = limit
        self.random_refusals = random_refusals
        self.retry_after = retry_after
        self.queues = queues
        self.latency = LATENCY
        self.now = 0.0
        self.in_flight = self.running = 0
        self.sent = self.answers = self.refusals = self.most_in_flight = 0
        self._events_seen = 0
        self._random = Random(7)  # noqa: S311 - a test must be repeatable
        self._events: list[tuple[float, int, str, float]] = []
        self._free_at = [0.0] * limit if queues else []

    def run(self, answers: int, watch: Callable[[], None] = lambda: None) -> None:
        """Run until `answers` more answers have come."""
        goal = self.answers + answers
        bound = self._events_seen + 1_000 * answers + 10_000
        self._fill()
        while self.answers < goal:
            self._events_seen += 1
            assert self._events_seen < bound, "the gate does not get anywhere"
            self.now, _, kind, sent_at = heappop(self._events)
            if kind == "answer":
                self.answers += 1
                self.running -= 1
                self.controller.answered(self.now, sent_at, self.in_flight)
                self.in_flight -= 1
            elif kind == "refusal":
                self.refusals += 1
                self.controller.refused(self.now, sent_at, self.in_flight, self.retry_after)
                self.in_flight -= 1
            self._fill()
            watch()

    def idle(self, seconds: float) -> None:
        """Wait for all attempts in flight, then send nothing for a while."""
        for _, _, kind, sent_at in sorted(self._events):
            if kind == "answer":
                self.controller.answered(self.now, sent_at, self.in_flight)
                self.running -= 1
                self.in_flight -= 1
            elif kind == "refusal":
                self.controller.refused(self.now, sent_at, self.in_flight, None)
                self.in_flight -= 1
        self._events.clear()
        self.now += seconds

    def _fill(self) -> None:
        while self.in_flight < self.controller.width(self.now):
            self._send()
        wake = self.controller.wake_at(self.now)
        if wake is not None:
            assert wake > self.now
            heappush(self._events, (wake, self._number(), "wake", 0.0))

    def _send(self) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.controller.sent(self.now, self.in_flight)
        refused = self.running >= self.limit and not self.queues
        if refused or self._random.random() < self.random_refusals:
            self._later(self.now + TRIP, "refusal")
            return
        self.running += 1
        took = self.latency * self._random.uniform(0.5, 1.5)
        if not self.queues:
            self._later(self.now + took, "answer")
            return
        place = min(range(self.limit), key=self._free_at.__getitem__)
        self._free_at[place] = max(self._free_at[place], self.now) + took
        self._later(self._free_at[place], "answer")

    def _later(self, time: float, kind: str) -> None:
        heappush(self._events, (time, self._number(), kind, self.now))

    def _number(self) -> int:
        self.sent += 1
        return self.sent
