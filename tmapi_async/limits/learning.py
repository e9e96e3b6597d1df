"""How wide the gate stands: a controller that learns the account's limit from the answers."""

from __future__ import annotations

import math

from tmapi_async.errors import InvalidRequestError

from .adaptive import AdaptiveLimit
from .controller import Controller, ControllerStatistics
from .history import HistoryPoint
from .ramp_up import STEPS, RampUp

__all__ = ["Controller", "ControllerStatistics", "HistoryPoint", "LearningController"]

START = 4
"""Width at which `auto` starts."""

MOST = 2_000
"""Widest gate without a ceiling: as many connections, where the system allows them."""

COOL_DOWN_MOST = 10.0
"""Longest cool-down of our own, in seconds."""

RETRY_AFTER_MOST = 120.0
"""Longest `Retry-After` that is honoured, in seconds."""

IDLE_SECONDS = 1.0
"""A gate that sent nothing for this long, and for four round trips, reopens step by step."""

ROUND_TRIP_LEAST = 0.01
"""A reopening is spread over this many seconds at least."""


class LearningController:
    """Keeps exactly as many requests in flight as the server takes.

    `AdaptiveLimit` learns the account's limit from the answers. On top of that, the controller
    closes the gate for a `Retry-After`, or for a cool-down of its own when nothing of ours is
    left at the server, and reopens it step by step, also after a long silence. A closed gate goes
    on learning from the answers that still come.

    Args:
        ceiling: Never open wider than this, and start there. None starts at `start` and learns.
        start: Width to start at; the default is `ceiling`, or 4 without one.

    Raises:
        InvalidRequestError: `ceiling` or `start` is not a positive integer.
    """

    __slots__ = (
        "_abandoned",
        "_answers_then",
        "_ceiling",
        "_last_sent",
        "_learner",
        "_pauses",
        "_reopening",
        "_running",
    )

    def __init__(self, ceiling: int | None = None, *, start: int | None = None) -> None:
        for name, value in (("ceiling", ceiling), ("start", start)):
            if value is not None and (isinstance(value, bool) or value < 1):
                raise InvalidRequestError(f"{name} must be at least 1, not {value!r}")
        self._ceiling = ceiling
        most = MOST if ceiling is None else ceiling
        self._learner = AdaptiveLimit(min(start or ceiling or START, most), most)
        self._reopening = RampUp()
        self._abandoned = 0
        self._pauses = 0  # cool-downs with no answer between
        self._answers_then = 0
        self._running = 0
        self._last_sent = -math.inf

    def width(self, now: float) -> int:
        """Slots open at `now`; 0 while the gate is closed."""
        if self._reopening.active:
            return self._reopening.width(now, self._learner.width, self._running)
        if now - self._last_sent > IDLE_SECONDS and self._idle(now):
            return 1
        return self._learner.width

    def sent(self, now: float, in_flight: int) -> None:
        """An attempt goes on the wire; `in_flight` includes it."""
        if not 0.0 <= now - self._last_sent <= IDLE_SECONDS:
            self._after_gap(now)
        self._last_sent = now
        self._running = in_flight
        if self._reopening.active:
            self._reopening.sent(now, in_flight, self._round_trip)
        if self._learner.watching:
            self._learner.sent(now, in_flight)

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """A reply came that is no refusal; `in_flight` still includes it."""
        self._running = in_flight - 1
        self._learner.answered(now, sent_at, in_flight)

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """A 503 or 429 came; `in_flight` still includes it."""
        learner = self._learner
        self._running = left = max(0, in_flight - 1)
        asked = 0.0
        if retry_after is not None and retry_after > 0:
            asked = min(retry_after, RETRY_AFTER_MOST)
        learner.closed = asked
        learner.refused(now, sent_at, max(1, in_flight))
        if left < learner.width:
            # What the cut leaves open is not filled at once.
            self._reopening.pace()
        # With nothing of ours at the server, no answer can tell when it has room again.
        seconds = asked if left else max(asked, self._cool_down(now))
        if seconds > 0:
            learner.history.add(now, learner.width, "close")
            self._reopening.close(now, seconds)

    def abandoned(self, now: float, sent_at: float) -> None:
        """An attempt ended without a reply: time-out, cut connection, cancellation."""
        # Says nothing about the limit, and its slot stays taken for as long as its ghost lives.
        del now, sent_at
        self._abandoned += 1

    def wake_at(self, now: float) -> float | None:
        """When the width may grow with no further event; None if never."""
        if self._reopening.active:
            return self._reopening.wake_at(now)
        if now - self._last_sent > IDLE_SECONDS and self._idle(now):
            return now + self._round_trip / STEPS
        return None

    def statistics(self) -> ControllerStatistics:
        """A snapshot."""
        learner = self._learner
        state = "growing" if learner.growing else "holding"
        return ControllerStatistics(
            width=learner.width,
            ceiling=self._ceiling,
            state="reopening" if self._reopening.active else state,
            limit=learner.limit,
            latency=learner.timing.latency,
            answered=learner.answers,
            refused=learner.refusals,
            abandoned=self._abandoned,
            cuts=learner.cuts,
            probes=learner.probes,
            history=learner.history.points(),
        )

    @property
    def _round_trip(self) -> float:
        return max(self._learner.timing.round_trip, ROUND_TRIP_LEAST)

    def _cool_down(self, now: float) -> float:
        """Seconds to wait when everything in flight was refused; longer each time in a row."""
        if self._reopening.closed(now):
            return 0.0
        if self._learner.answers != self._answers_then:
            self._answers_then = self._learner.answers
            self._pauses = 0
        self._pauses += 1
        return min(COOL_DOWN_MOST, self._round_trip / 4 * 2.0 ** min(self._pauses, 20))

    def _idle(self, now: float) -> bool:
        """Whether so long nothing was sent that the limit may be another one by now."""
        learner = self._learner
        if self._running > 0 or learner.width == learner.ceiling or self._last_sent == -math.inf:
            return False
        return now - self._last_sent > 4 * learner.timing.latency

    def _after_gap(self, now: float) -> None:
        """The first attempt of all, one after a long silence, or the clock went back."""
        if self._last_sent == -math.inf:
            self._learner.history.add(now, self._learner.width, "start")
        elif now < self._last_sent:
            self._learner.clock_went_back(now)
        elif self._idle(now):
            self._reopening.pace()

    def __repr__(self) -> str:
        state = "closed or reopening" if self._reopening.active else "open"
        return f"<LearningController: {state}, {self._learner!r}>"
