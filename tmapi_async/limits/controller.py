"""How wide the gate stands: a controller that learns the account's limit from the answers."""

from __future__ import annotations

import math
from typing import Protocol

import msgspec

from tmapi_async.errors import InvalidRequestError
from .history import History, HistoryPoint
from .reopening import Reopening

START = 4
"""Width at which `auto` starts."""

PROBE_ROUNDS = 10
"""Round trips between two probes of the last refused width."""

ALLOWANCE = 3.0
"""Refusals that learning may cost before any request was answered."""

ALLOWANCE_SHARE = 0.002
"""Refusals that learning may cost for each answer."""

SHRINK = (0.0, 0.0, 1 / 16, 1 / 8, 1 / 4)
"""Share of the refused level taken off by the first, second, ... cut with no success between."""

COOL_DOWN_MOST = 10.0
"""Longest cool-down of our own, in seconds."""

RETRY_AFTER_MOST = 120.0
"""Longest `Retry-After` that is honoured, in seconds."""

IDLE_SECONDS = 1.0
"""A gate that sent nothing for this long, and for four round trips, reopens step by step."""

UNBOUNDED = 1 << 30
GAIN = 1 / 32


class ControllerStatistics(msgspec.Struct, frozen=True):
    """A snapshot of a controller.

    Attributes:
        width: Slots it would open with no pause in force.
        ceiling: Widest it may ever open, or None.
        state: `"growing"`, `"holding"` or `"reopening"` (closed, or opening step by step).
        limit: The account's limit as far as it was learned: one below the last refused level;
            None while nothing was refused.
        latency: Mean latency in seconds, recent answers counting most; 0.0 before the first.
        answered: Replies that were no refusals.
        refused: Replies that said 503 or 429.
        abandoned: Attempts that ended without a reply.
        cuts: Times the width was cut.
        probes: Times a wider gate was tried.
        history: Changes of the width, oldest first, at most a few hundred.
    """

    width: int
    ceiling: int | None
    state: str
    limit: int | None
    latency: float
    answered: int
    refused: int
    abandoned: int
    cuts: int
    probes: int
    history: tuple[HistoryPoint, ...]


class Controller(Protocol):
    """What the gate asks of a controller. Times are seconds of a monotonic clock.

    `in_flight` counts the attempts the server is working on as far as we know: those on the wire
    and the ghosts, not those that still wait for pace or budget.
    """

    def width(self, now: float) -> int:
        """Slots open at `now`; 0 while the gate is closed."""
        ...

    def sent(self, now: float, in_flight: int) -> None:
        """An attempt goes on the wire; `in_flight` includes it."""
        ...

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """A reply came that is no refusal; `in_flight` still includes it."""
        ...

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """A 503 or 429 came; `in_flight` still includes it."""
        ...

    def abandoned(self, now: float, sent_at: float) -> None:
        """An attempt ended without a reply: time-out, cut connection, cancellation."""
        ...

    def wake_at(self, now: float) -> float | None:
        """When the width may grow with no further event; None if never."""
        ...

    def statistics(self) -> ControllerStatistics:
        """A snapshot."""
        ...


class LearningController:
    """Learns how many requests the server takes at once, and keeps exactly that many in flight.

    Args:
        ceiling: Never open wider than this, and start there. None starts at `start` and learns.
        start: Width to start at; the default is `ceiling`, or 4 without one.

    Raises:
        InvalidRequestError: `ceiling` or `start` is not a positive integer.
    """

    __slots__ = (
        "_abandoned",
        "_answers",
        "_arming",
        "_cap",
        "_ceiling",
        "_cut_at",
        "_cuts",
        "_floor",
        "_goal",
        "_granted",
        "_growing",
        "_history",
        "_last_sent",
        "_latency",
        "_near",
        "_probes",
        "_refusals",
        "_reopening",
        "_running",
        "_since",
        "_strikes",
        "_wait",
        "_wall",
        "_width",
    )

    def __init__(self, ceiling: int | None = None, *, start: int | None = None) -> None:
        for name, value in (("ceiling", ceiling), ("start", start)):
            if value is not None and (isinstance(value, bool) or value < 1):
                raise InvalidRequestError(f"{name} must be at least 1, not {value!r}")
        self._ceiling = UNBOUNDED if ceiling is None else ceiling
        width = start or ceiling or START
        self._answers = self._refusals = self._abandoned = self._cuts = self._probes = 0
        self._granted = 0.0
        self._latency = 0.0
        self._running = 0
        self._last_sent = math.inf
        self._wall: int | None = None
        self._cut_at = -math.inf
        self._strikes = 0
        self._floor = 1
        self._reopening = Reopening()
        self._history = History()
        self._set(min(width, self._ceiling))
        self._grow(self._ceiling)
        self._arming = False
        self._since = -math.inf
        self._history.add(0.0, self._width, "start")

    # -- what the gate asks ---------------------------------------------------------------------

    def width(self, now: float) -> int:
        """Slots open at `now`; 0 while the gate is closed."""
        if self._reopening.active:
            return self._reopening.width(now, self._width, self._running)
        if now - self._last_sent > IDLE_SECONDS and self._idle(now):
            return min(self._width, self._running + 1)
        return self._width

    def sent(self, now: float, in_flight: int) -> None:
        """An attempt goes on the wire; `in_flight` includes it."""
        if now - self._last_sent > IDLE_SECONDS and self._idle(now):
            self._reopening.pace()
        self._last_sent = now
        self._running = in_flight
        if self._reopening.active:
            self._reopening.sent(now, in_flight, self._round_trip)
        if self._arming and in_flight >= self._width:
            self._arming = False
            self._since = now

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """A reply came that is no refusal; `in_flight` still includes it."""
        self._answers += 1
        self._running = in_flight - 1
        latency = now - sent_at
        self._latency += (latency - self._latency) * (GAIN if self._latency else 1.0)
        # An attempt sent before the last change of the width says nothing about that width, and
        # a gate that is not full says nothing about its last slot.
        if sent_at < self._since or in_flight < self._near:
            return
        self._strikes = 0
        self._wait -= 1
        if self._wait <= 0:
            self._step(now)

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """A 503 or 429 came; `in_flight` still includes it."""
        self._refusals += 1
        self._running = left = max(0, in_flight - 1)
        if sent_at > self._cut_at:
            self._cut(now, in_flight)
        elif left < self._width:
            # The same burst: no new cut, but what is left in flight is what the server took.
            self._set(max(left, self._floor))
        if left < self._width:
            self._reopening.pace()
        seconds = self._pause(left, retry_after)
        if seconds > 0:
            self._history.add(now, self._width, "close")
            self._reopening.close(now, seconds)

    def abandoned(self, now: float, sent_at: float) -> None:
        """An attempt ended without a reply: time-out, cut connection, cancellation."""
        del now, sent_at
        self._abandoned += 1

    def wake_at(self, now: float) -> float | None:
        """When the width may grow with no further event; None if never."""
        if self._reopening.active:
            return self._reopening.wake_at(now)
        if now - self._last_sent > IDLE_SECONDS and self._idle(now):
            return now + self._round_trip / 16
        return None

    def statistics(self) -> ControllerStatistics:
        """A snapshot."""
        state = "growing" if self._growing else "holding"
        return ControllerStatistics(
            width=self._width,
            ceiling=None if self._ceiling == UNBOUNDED else self._ceiling,
            state="reopening" if self._reopening.active else state,
            limit=None if self._wall is None else self._wall - 1,
            latency=self._latency,
            answered=self._answers,
            refused=self._refusals,
            abandoned=self._abandoned,
            cuts=self._cuts,
            probes=self._probes,
            history=self._history.points(),
        )

    # -- widening -------------------------------------------------------------------------------

    def _set(self, width: int) -> None:
        self._width = width
        # Several answers read in one turn of the loop find their slots not yet filled again.
        self._near = width - width // 8

    def _grow(self, goal: int) -> None:
        """Widen by one for each answer of an attempt sent at full width from now on."""
        self._growing = True
        self._goal = goal
        self._wait = 0
        self._new_epoch()

    def _new_epoch(self) -> None:
        self._cap = self._width + max(1, self._width // 2)
        self._arming = True
        self._since = math.inf

    def _hold(self, rounds: int) -> None:
        self._growing = False
        self._wait = rounds * self._width

    def _step(self, now: float) -> None:
        if not self._growing:
            self._probe(now)
        elif self._width >= self._goal:
            self._history.add(now, self._width, "hold")
            self._hold(PROBE_ROUNDS)
        else:
            self._set(self._width + 1)
            if self._width >= self._cap:
                self._history.add(now, self._width, "grow")
                self._new_epoch()

    def _probe(self, now: float) -> None:
        if self._width >= self._ceiling or self._credit < 1:
            self._wait = self._width
            return
        self._probes += 1
        goal = self._goal if self._goal > self._width else self._ceiling
        self._set(self._width + 1)
        self._grow(goal)
        self._history.add(now, self._width, "probe")

    @property
    def _credit(self) -> float:
        earned = ALLOWANCE + ALLOWANCE_SHARE * self._answers + self._granted
        return earned - self._refusals

    # -- narrowing ------------------------------------------------------------------------------

    def _cut(self, now: float, level: int) -> None:
        self._cuts += 1
        self._strikes += 1
        old, self._cut_at = self._width, now
        share = SHRINK[min(self._strikes, len(SHRINK)) - 1]
        target = min(old, level - max(1, int(level * share)))
        self._floor = max(1, old // 2)
        self._wall = level
        surprised = not self._growing
        self._set(max(target, self._floor))
        self._history.add(now, self._width, "cut")
        if self._strikes > len(SHRINK) - 3:
            self._granted += old - self._width
            self._grow(self._ceiling)
        elif surprised:
            self._granted += old - self._width
            self._hold(1)
            self._goal = old
        else:
            self._hold(PROBE_ROUNDS)
            self._goal = self._ceiling
        self._arming = False
        self._since = now

    def _pause(self, left: int, retry_after: float | None) -> float:
        """Seconds to close the gate for after a refusal, with `left` attempts still in flight."""
        asked = 0.0
        if retry_after is not None and retry_after > 0:
            asked = min(retry_after, RETRY_AFTER_MOST)
        if left > 0:
            return asked
        # Nothing of ours is at the server, so no answer of ours can tell when it has room again.
        longer = 2.0 ** min(max(0, self._strikes - 1), 20)
        return max(asked, min(COOL_DOWN_MOST, self._round_trip / 2 * longer))

    @property
    def _round_trip(self) -> float:
        return max(self._latency, 0.01) if self._latency else 0.5

    def _idle(self, now: float) -> bool:
        return self._width < self._ceiling and now - self._last_sent > 4 * self._latency

    def __repr__(self) -> str:
        mode = "growing" if self._growing else "holding"
        return f"<LearningController: width {self._width}, {mode}, {self._refusals} refused>"
