"""Attempts that wait while the API does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.errors import ClosedError, OutageError

from .circuit_breaker import CircuitBreaker, Permit, Trouble

_UNATTENDED = 5.0
"""Seconds without an attempt that waits, after which an outage is waited for anew."""

OutageState: TypeAlias = Literal["waiting", "over", "given-up"]


class OutageReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Report of a time in which the API did not answer, or nothing that could be understood.

    Attributes:
        state: "waiting", "over" or "given-up".
        reason: Last failure, in words.
        since: Time since which nothing was understood, in seconds since 1970.
        gives_up_at: Time at which the work is given up, in seconds since 1970.
        interval: Seconds between two probes.
        probes: Number of probes so far.
        seconds: Seconds waited so far.
    """

    state: OutageState
    reason: str
    since: float
    gives_up_at: float
    interval: float
    probes: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"the API has not answered since {_time_of_day(self.since)} ({self.reason}); it is "
            f"tried again every {self.interval:g} s until {_time_of_day(self.gives_up_at)}"
        )


def _time_of_day(at: float) -> str:
    """Return a local time, with its date unless that is today."""
    local = time.localtime(at)
    is_today = local[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M", local)


class OutageQueue:
    """Attempts that wait for a circuit breaker to let them pass, first come, first served.

    The breaker's probes are attempts that wait, in turn, so that a single bad page is not the only
    one that is tried.

    Args:
        breaker: Decides who may pass.
        clock: Returns seconds, monotonic.
        on_change: Called when an outage begins and when it ends.

    Attributes:
        breaker: Decides who may pass.
    """

    def __init__(
        self,
        breaker: CircuitBreaker,
        clock: Callable[[], float],
        on_change: Callable[[OutageReport], None],
    ) -> None:
        self.breaker = breaker
        self._clock = clock
        self._on_change = on_change
        self._waiters: deque[asyncio.Future[Permit]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._shown = False  # True if the beginning of the present outage was reported
        self._left_at = -math.inf  # time at which the last attempt that had waited went away

    @property
    def waited(self) -> float:
        """Seconds of all outages so far."""
        return self.breaker.waited(self._clock())

    def report(self) -> OutageReport | None:
        """Return a report of the present outage, or None."""
        return self._report("waiting") if self.breaker.is_open else None

    def _report(self, state: OutageState) -> OutageReport:
        breaker, now, wall = self.breaker, self._clock(), time.time()
        return OutageReport(
            state=state,
            reason=breaker.reason,
            since=wall - (now - breaker.since),
            gives_up_at=wall - (now - breaker.gives_up_at),
            interval=breaker.interval,
            probes=breaker.probes,
            seconds=now - breaker.opened_at,
        )

    # -- outcomes of attempts

    def understood(self, listing: Hashable, permit: Permit | None, *, is_page: bool) -> None:
        """Record a reply that the API gave. Needed only while the breaker is on the alert."""
        report = self.report()
        self.breaker.understood(self._clock(), listing, permit, is_page=is_page)
        if report is not None:
            self._change(msgspec.structs.replace(report, state="over"))
        if self.breaker.holding:
            self._serve()

    def failed(self, trouble: Trouble, permit: Permit | None) -> None:
        """Record a trouble that may be the fault of the line or of the whole service."""
        self.breaker.failed(self._clock(), trouble, permit)
        self._opened()

    def page_gives_up(self) -> bool:
        """Return True if a page with no attempt left must not fail, since others fail, too."""
        holds = self.breaker.page_gives_up(self._clock())
        self._opened()
        return holds

    def _opened(self) -> None:
        if self.breaker.is_open and not self._shown:
            self._change(self._report("waiting"))
        if self.breaker.holding:
            self._serve()

    def _change(self, report: OutageReport) -> None:
        self._shown = report.state == "waiting"
        self._on_change(report)

    # -- attempts that wait

    async def wait(self) -> Permit:
        """Wait for a permit; report the outcome of its attempt, and call `leave` in any case.

        Raises:
            OutageError: The outage lasts for too long.
            ClosedError: The client was closed.
        """
        now = self._clock()
        if not self._waiters and now - self._left_at > _UNATTENDED:
            self.breaker.renew(now)
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._serve()
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give_back(waiter.result())
            else:
                self._left_at = self._clock()
                with contextlib.suppress(ValueError):  # it may have been taken out before
                    self._waiters.remove(waiter)
            raise

    def leave(self, permit: Permit) -> None:
        """End the use of a permit: another attempt has it if no outcome was reported."""
        self._left_at = self._clock()
        self._give_back(permit)

    def _give_back(self, permit: Permit) -> None:
        if not permit.used:
            self.breaker.give_back(self._clock(), permit)
            self._serve()

    def close(self) -> None:
        """Let every attempt that waits fail, and cancel the timer."""
        if self.breaker.is_open:
            self.breaker.give_up(self._clock())  # an attempt from now on need not wait to fail
        self._fail_all(lambda: ClosedError("the client was closed before the page came"))
        self._set_timer(None)

    def _serve(self) -> None:
        """Hand out the permits that are due, or give the outage up."""
        breaker, now = self.breaker, self._clock()
        if breaker.is_open and now >= breaker.gives_up_at and self._waiters:
            self._give_up(now)
        while self._waiters:
            if self._waiters[0].done():
                self._waiters.popleft()
                continue
            permit = breaker.next_permit(now)
            if permit is None:
                break
            self._waiters.popleft().set_result(permit)
        if not self._waiters:
            breaker.none_waits()
        self._set_timer(breaker.wake_at if self._waiters else None)

    def _give_up(self, now: float) -> None:
        report = self._report("given-up")
        self.breaker.give_up(now)
        self._fail_all(lambda: OutageError(_last_words(report)))
        self._change(report)

    def _fail_all(self, make_error: Callable[[], Exception]) -> None:
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(make_error())

    def _set_timer(self, at: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            # Not sooner than a millisecond: a timer that comes a little too early would spin.
            delay = max(at - self._clock(), 0.001)
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._serve()

    def __repr__(self) -> str:
        return f"<OutageQueue: {self.breaker!r}, {len(self._waiters)} attempts wait>"


def _last_words(report: OutageReport) -> str:
    return f"for {duration(report.seconds)}; the last failure: {report.reason}"


def duration(seconds: float) -> str:
    """Return a duration in words, such as "4 s" or "30 min"."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
