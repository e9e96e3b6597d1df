"""The event loop: a client with a gate, a network with a delay, a server with a limit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Protocol

from tmapi_async.limits.abandoned import AbandonedRequests
from tmapi_async.limits.controller import Controller

from .latency import sampler
from .phases import Phase, UtilisationMeter

ARRIVES, DONE, ANSWER, REFUSAL, WAKE, LIMIT, GIVE_UP, RELEASED, OFFER = range(9)


class WorkSource(Protocol):
    """Interface of the sources of work."""

    def take(self, width: int, now: float) -> Hashable | None:
        """Return the next page to request. None if there is none now."""
        ...

    def answered(self, work: Hashable, now: float) -> None:
        """Record an answered page."""
        ...

    def again(self, work: Hashable, now: float) -> None:
        """Put back a page that was refused, failed or abandoned."""
        ...

    def next_at(self) -> float | None:
        """Return the time of the next new work. None if it depends on answers only."""
        ...


@dataclass(frozen=True)
class World:
    """Properties of server and network.

    Attributes:
        limits: (time, limit) in order of time, the first at 0. Seconds.
        latency: Mean time in seconds that the server takes for a page.
        rtt: Time in seconds for the way there and back; a refusal takes this and nothing else.
        sigma: Spread of the log-normal latency.
        tail: Share of the latencies with a heavier tail.
        spurious: Share of requests refused for no reason.
        failures: Share of requests answered with an error that must be asked again.
        retry_after: Value of Retry-After in a refusal, or None.
        closed: (from, until) during which the server refuses everything, or None.
        queues: True if the server queues requests above its limit instead of refusing them.
        patience: Seconds after which the client abandons a request.
        cancelled: Share of requests that the client abandons somewhere within one mean latency.
    """

    limits: Sequence[tuple[float, int]]
    latency: float = 2.5
    rtt: float = 0.05
    sigma: float = 0.8
    tail: float = 0.01
    spurious: float = 0.0
    failures: float = 0.0
    retry_after: float | None = None
    closed: tuple[float, float] | None = None
    queues: bool = False
    patience: float = 60.0
    cancelled: float = 0.0


@dataclass
class Result:
    """Result of a simulated run. Times in seconds.

    Attributes:
        requests: Number of requests sent.
        answers: Number of replies that were no refusals.
        refusals: Number of refusals.
        abandoned: Number of requests given up by the client.
        seconds: Time of the last reply.
        worked: Time that the server worked on all requests.
        longest: Time that the server worked on the slowest request.
        phases: One for each limit.
        trace: (time, at work, width, limit) if tracing is on.
        refused_at: Times of the refusals.
    """

    requests: int = 0
    answers: int = 0
    refusals: int = 0
    abandoned: int = 0
    seconds: float = 0.0
    worked: float = 0.0
    longest: float = 0.0
    phases: list[Phase] = field(default_factory=list)
    trace: list[tuple[float, int, int, int]] = field(default_factory=list)
    refused_at: list[float] = field(default_factory=list)


class Simulation:
    """One simulated run. Nothing sleeps: time jumps to the next event."""

    def __init__(
        self,
        world: World,
        controller: Controller,
        source: WorkSource,
        seed: int,
        *,
        trace: bool = False,
    ) -> None:
        self.world, self.controller, self.source = world, controller, source
        self.random = Random(seed)  # noqa: S311 - a simulation must be repeatable
        self.draw = sampler(self.random, world.latency, world.sigma, world.tail)
        self.result = Result()
        self.now = 0.0
        self.in_flight = 0
        self.abandoned = AbandonedRequests()
        self.keep_trace = trace
        self.meter = UtilisationMeter(world.limits[0][1])
        self._heap: list[tuple[float, int, int, float, Hashable]] = []
        self._seq = 0
        self._wake_set = float("inf")
        self._half = world.rtt / 2
        self._faulty = bool(world.spurious or world.closed)
        self._queue: deque[tuple[float, Hashable]] = deque()
        self._handlers: list[Callable[[float, Hashable], None]] = [
            self._arrives,
            self._done,
            self._answer,
            self._refusal,
            self._wake,
            self._limit,
            self._give_up,
            self._released,
            self._offer,
        ]

    def run(self, until: float = float("inf")) -> Result:
        """Run until no work is left, or until a time."""
        for time, limit in self.world.limits[1:]:
            self._at(time, LIMIT, 0.0, limit)
        self._pump()
        heap, handlers = self._heap, self._handlers
        while heap and (self.in_flight or self.source.next_at() is not None or self._waiting):
            time, _, kind, sent_at, work = heappop(heap)
            if time > until:
                break
            self.now = time
            handlers[kind](sent_at, work)
        self.result.seconds = self.now
        self.meter.close(self.now)
        self.result.phases = self.meter.phases
        return self.result

    # -- client ---------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Send as many requests as the gate admits."""
        now = self.now
        width = self.controller.width(now)
        while self.in_flight < width:
            work = self.source.take(width, now)
            if work is None:
                self._waiting = False
                self.meter.idle(now)
                self._await_offer()
                return
            self._send(work)
            width = self.controller.width(now)
        self._waiting = True
        wake = self.controller.wake_at(now)
        if wake is not None and (wake < self._wake_set or self._wake_set <= now):
            self._wake_set = wake
            self._at(wake, WAKE, 0.0, None)

    _waiting = True

    def _send(self, work: Hashable) -> None:
        now = self.now
        self.in_flight += 1
        self.result.requests += 1
        self.meter.busy(now)
        self.controller.sent(now, self.in_flight)
        self._at(now + self._half, ARRIVES, now, work)

    def _answer(self, sent_at: float, work: Hashable) -> None:
        now = self.now
        self.result.answers += 1
        self.controller.answered(now, sent_at, self.in_flight)
        self.abandoned.answered(now - sent_at)
        self.in_flight -= 1
        if self.world.failures and self.random.random() < self.world.failures:
            self.source.again(work, now)
        else:
            self.source.answered(work, now)
        self._pump()

    def _refusal(self, sent_at: float, work: Hashable) -> None:
        now = self.now
        self.result.refusals += 1
        self.result.refused_at.append(now)
        self.controller.refused(now, sent_at, self.in_flight, self.world.retry_after)
        self.in_flight -= 1
        self.source.again(work, now)
        self._pump()

    def _give_up(self, sent_at: float, work: Hashable) -> None:
        """Abandon a request. The server continues to work on it."""
        now = self.now
        self.result.abandoned += 1
        self.controller.abandoned(now, sent_at)
        self.source.again(work, now)
        until = self.abandoned.done_at(sent_at, now)
        if until > now:
            self._at(until, RELEASED, 0.0, None)
        else:
            self.in_flight -= 1
        self._pump()

    def _released(self, _: float, __: Hashable) -> None:
        self.in_flight -= 1
        self._pump()

    def _wake(self, _: float, __: Hashable) -> None:
        self._wake_set = float("inf")
        self._pump()

    def _await_offer(self) -> None:
        offer = self.source.next_at()
        if offer is not None:
            self._at(max(offer, self.now), OFFER, 0.0, None)

    def _offer(self, _: float, __: Hashable) -> None:
        self._pump()

    # -- server ---------------------------------------------------------------------------------

    def _arrives(self, sent_at: float, work: Hashable) -> None:
        now = self.now
        if self.world.queues and self.meter.running >= self.meter.limit:
            self._queue.append((sent_at, work))
            return
        if self.meter.running >= self.meter.limit or (self._faulty and self._fault()):
            self._at(now + self._half, REFUSAL, sent_at, work)
            return
        self.meter.change(now, 1)
        took = self.draw()
        self.result.worked += took
        self.result.longest = max(self.result.longest, took)
        latency = now - sent_at + self._half + took
        patience = self.world.patience
        if self.world.cancelled and self.random.random() < self.world.cancelled:
            patience = self.world.latency * self.random.random() + self.world.rtt
        if latency <= patience:
            self._at(now + took, DONE, sent_at, work)
        else:
            self._at(now + took, DONE, -1.0, None)
            self._at(sent_at + patience, GIVE_UP, sent_at, work)

    def _done(self, sent_at: float, work: Hashable) -> None:
        self.meter.change(self.now, -1)
        if self._queue:
            self._arrives(*self._queue.popleft())
        if sent_at >= 0:
            self._at(self.now + self._half, ANSWER, sent_at, work)
        if self.keep_trace:
            width = self.controller.width(self.now)
            self.result.trace.append((self.now, self.meter.running, width, self.meter.limit))

    def _fault(self) -> bool:
        closed = self.world.closed
        if closed is not None and closed[0] <= self.now < closed[1]:
            return True
        return self.random.random() < self.world.spurious

    def _limit(self, _: float, limit: Hashable) -> None:
        assert isinstance(limit, int)
        self.meter.new_limit(self.now, limit)

    def _at(self, time: float, kind: int, sent_at: float, work: Hashable) -> None:
        self._seq += 1
        heappush(self._heap, (time, self._seq, kind, sent_at, work))
