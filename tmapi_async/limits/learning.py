"""Controller of the gate's width that learns the account's limit from the answers."""

from __future__ import annotations

import math
from collections.abc import Callable

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value

from .bounded_limit import BoundedLimit
from .controller import Controller, ControllerStatistics
from .history import HistoryPoint
from .opening.ramp_up import STEPS, RampUp

__all__ = ["Controller", "ControllerStatistics", "HistoryPoint", "LearningController"]

START = 4
"""Width at which `--concurrency auto` starts."""

MAX_WIDTH = 2_000
"""Maximum width if none is given: as many connections as the system may allow."""

MAX_COOL_DOWN = 10.0
"""Longest cool-down of our own, in seconds."""

MAX_RETRY_AFTER = 120.0
"""Longest `Retry-After` that is respected, in seconds."""

IDLE_SECONDS = 1.0
"""A gate that sent nothing for this long, and for four round trips, reopens step by step."""

MIN_ROUND_TRIP = 0.01
"""A reopening is spread over this many seconds at least."""


class LearningController:
    """Keeps exactly as many requests in flight as the server takes.

    `BoundedLimit` learns the account's limit from the answers. In addition, the controller
    closes the gate for a `Retry-After`, or for a cool-down of its own when none of our requests is
    left at the server, and reopens it step by step, also after a long silence. A closed gate goes
    on learning from the answers that still come.

    Args:
        max_width: Maximum width, and the width to start at. None starts at `start` and learns.
        start: Width to start at; the default is `max_width`, or 4 without one.
        latency: Mean latency in seconds as far as known, or 0.0.
        holding: True if the server is known to take `start` requests and no more.
        stepwise: True to open the gate step by step, as after a pause: the width may be wrong.

    Attributes:
        may_send: Called before the first attempt after a silence: False keeps the gate closed. A
            process that stood still may have lost its rights meanwhile.

    Raises:
        InvalidRequestError: `max_width` or `start` is not a positive integer.
    """

    __slots__ = (
        "_abandoned",
        "_answers_at_cool_down",
        "_cool_downs",
        "_in_flight",
        "_last_sent_at",
        "_limit",
        "_max_width",
        "_ramp_up",
        "may_send",
    )

    def __init__(
        self,
        max_width: int | None = None,
        *,
        start: int | None = None,
        latency: float = 0.0,
        holding: bool = False,
        stepwise: bool = False,
    ) -> None:
        for name, value in (("max_width", max_width), ("start", start)):
            if value is not None and (isinstance(value, bool) or value < 1):
                raise InvalidRequestError(f"{name} must be at least 1, not {show_value(value)}")
        self._max_width = max_width
        maximum = MAX_WIDTH if max_width is None else max_width
        first = min(start or max_width or START, maximum)
        self._limit = BoundedLimit(first, maximum, holding=holding and first < maximum)
        self._limit.estimate.latency = latency
        self._ramp_up = RampUp()
        if stepwise:
            self._ramp_up.restart()
        self.may_send: Callable[[], bool] | None = None
        self._abandoned = 0
        self._cool_downs = 0  # cool-downs in a row, with no answer between
        self._answers_at_cool_down = 0
        self._in_flight = 0
        self._last_sent_at = -math.inf

    def width(self, now: float) -> int:
        """Return the number of slots open at `now`; 0 while the gate is closed."""
        if now - self._last_sent_at > IDLE_SECONDS:
            if self.may_send is not None and not self.may_send():
                return 0
            if not self._ramp_up.active and self._idle(now):
                return 1
        if self._ramp_up.active:
            return self._ramp_up.width(now, self._limit.width, self._in_flight)
        limit = self._limit
        if limit.climb.active:
            limit.widen_by_clock(now, self._in_flight)
        return limit.width

    @property
    def latency(self) -> float:
        """Mean latency in seconds, 0.0 before the first answer."""
        return self._limit.estimate.latency

    def set_hearing_delay(self, seconds: float) -> None:
        """Widen no faster than refusals are heard from other processes; 0 without others."""
        self._limit.estimate.hearing_delay = seconds

    def set_max_width(self, maximum: int | None) -> None:
        """Change the maximum width; None for no maximum."""
        if maximum != self._max_width:
            self._max_width = maximum
            self._limit.set_max_width(MAX_WIDTH if maximum is None else maximum)

    def sent(self, now: float, in_flight: int) -> None:
        """Record that an attempt goes on the wire; `in_flight` includes it."""
        if not 0.0 <= now - self._last_sent_at <= IDLE_SECONDS:
            self._after_gap(now)
        self._last_sent_at = now
        self._in_flight = in_flight
        if self._ramp_up.active:
            self._ramp_up.sent(now, in_flight, self._round_trip)
        if self._limit.watching:
            self._limit.sent(now, in_flight)

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Record a reply that is not a refusal; `in_flight` still includes the attempt."""
        self._in_flight = in_flight - 1
        self._limit.answered(now, sent_at, in_flight)

    def refused(
        self, now: float, sent_at: float, in_flight: int, retry_after: float | None
    ) -> None:
        """Record a 503 or 429; `in_flight` still includes the attempt."""
        limit = self._limit
        self._in_flight = remaining = max(0, in_flight - 1)
        pause = 0.0
        if retry_after is not None and retry_after > 0:
            pause = min(retry_after, MAX_RETRY_AFTER)
        limit.retry_after = pause
        limit.refused(now, sent_at, max(1, in_flight))
        if remaining < limit.width:
            # The slots that the cut leaves open are not filled at once.
            self._ramp_up.restart()
        # With none of our requests at the server, no answer can show when it has room again.
        seconds = pause if remaining else max(pause, self._cool_down(now))
        if seconds > 0:
            limit.history.add(now, limit.width, "close")
            self._ramp_up.close(now, seconds)

    def abandoned(self, now: float, sent_at: float) -> None:
        """Record an attempt without a reply: time-out, cut connection, cancellation."""
        # Says nothing about the limit. Its slot stays taken while the server may work on it.
        del now, sent_at
        self._abandoned += 1

    def wake_at(self, now: float) -> float | None:
        """Return when the width may grow without a further event; None if never."""
        if self._ramp_up.active:
            return self._ramp_up.wake_at(now)
        if now - self._last_sent_at > IDLE_SECONDS and self._idle(now):
            return now + self._round_trip / STEPS
        limit = self._limit
        if limit.climb.active:
            due = limit.climb.due_at(
                now, limit.width, self._in_flight, limit.answers, limit.estimate
            )
            return due if due is None or due > now else now + self._round_trip / STEPS
        return None

    def statistics(self) -> ControllerStatistics:
        """Return a snapshot of the controller."""
        limit = self._limit
        state = "growing" if limit.growing else "holding"
        return ControllerStatistics(
            width=limit.width,
            ceiling=self._max_width,
            state="reopening" if self._ramp_up.active else state,
            limit=limit.limit,
            latency=limit.estimate.latency,
            answered=limit.answers,
            refused=limit.refusals,
            abandoned=self._abandoned,
            cuts=limit.cuts,
            probes=limit.probes,
            history=limit.history.points(),
        )

    @property
    def _round_trip(self) -> float:
        return max(self._limit.estimate.round_trip, MIN_ROUND_TRIP)

    def _cool_down(self, now: float) -> float:
        """Return the pause, in seconds, after a refusal of all in flight; longer each time."""
        if self._ramp_up.is_closed(now):
            return 0.0
        if self._limit.answers != self._answers_at_cool_down:
            self._answers_at_cool_down = self._limit.answers
            self._cool_downs = 0
        self._cool_downs += 1
        return min(MAX_COOL_DOWN, self._round_trip / 4 * 2.0 ** min(self._cool_downs, 20))

    def _idle(self, now: float) -> bool:
        """Return True if nothing was sent for so long that the limit may have changed."""
        limit = self._limit
        if self._in_flight > 0 or limit.width == limit.max_width or self._last_sent_at == -math.inf:
            return False
        return now - self._last_sent_at > 4 * limit.estimate.latency

    def _after_gap(self, now: float) -> None:
        """Handle the first attempt of all, one after a long silence, or a clock set back."""
        if self._last_sent_at == -math.inf:
            self._limit.history.add(now, self._limit.width, "start")
        elif now < self._last_sent_at:
            self._limit.clock_went_back(now)
        elif self._idle(now):
            self._ramp_up.restart()

    def __repr__(self) -> str:
        state = "closed or reopening" if self._ramp_up.active else "open"
        return f"<LearningController: {state}, {self._limit!r}>"
