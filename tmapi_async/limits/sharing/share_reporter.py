"""A gate that holds a share: it reports to the host, and keeps to the shares that come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tmapi_async.limits.clocks import lease_clock
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.rate import RateLimiter
from tmapi_async.limits.shares.adjustable_rate import AdjustableRateLimiter
from tmapi_async.limits.shares.event_merge import EventRecorder
from tmapi_async.limits.shares.slot_share import SlotShare

from .demand import DemandEstimate
from .member_controller import MemberController
from .messages import Report

HEARTBEAT = 0.5
"""Seconds after which a process reports though nothing has happened."""

MIN_DELAY, MAX_DELAY = 0.01, 0.25
"""Seconds for which events wait for others to be reported with: a quarter of a round trip."""

LEASE = 3.0
"""Seconds for which a share may be used after the last report that the host has read."""


def report_delay(latency: float) -> float:
    """Return the seconds for which events wait for others to be reported with.

    Args:
        latency: Mean latency in seconds.
    """
    return min(MAX_DELAY, max(MIN_DELAY, latency / 4))


class ShareReporter:
    """Collects what a gate does, and reports it in batches.

    Args:
        gate: Gate of the client.
        ceiling: Maximum number of slots that the client uses, or None.
        rate: Rate limiter of the client, or None.

    Attributes:
        controller: Controller of the gate while it holds a share.
        send: Sends a report to the host; None while there is none, and events are kept.
    """

    def __init__(
        self,
        gate: Gate,
        ceiling: int | None,
        rate: RateLimiter | None,
    ) -> None:
        self.send: Callable[[Report], None] | None = None
        self._gate = gate
        self._rate = 0.0 if rate is None else rate.rate
        self._events = EventRecorder()
        self._demand = DemandEstimate()
        self._timer: asyncio.TimerHandle | None = None
        self._at_once: asyncio.Handle | None = None
        self._owing = self._prompt = False
        self._reported = 0
        self.controller = MemberController(self._events, self._on_event, ceiling)
        self.controller.gate = gate
        self._pace = None if rate is None else AdjustableRateLimiter(gate.clock)
        if self._pace is not None:
            gate.rate_limiter = self._pace
        gate.change_controller(self.controller)
        self._set_timer(HEARTBEAT, prompt=False)

    def apply_share(self, share: SlotShare) -> None:
        """Keep to a new share from now on, and confirm it."""
        narrower = share.slots < self.controller.share.slots
        self.controller.share = share
        if self._pace is not None:
            self._pace.set_rate(min(share.rate, self._rate))
        self._gate.admit_waiting()
        # Slots that were taken away are others' as soon as this is confirmed.
        if narrower or not share.slots:
            self._owing = self._gate.in_use > share.slots
            self.report_soon()
        elif not self._prompt:
            self._set_timer(self._delay, prompt=True)

    def extend_lease(self, reported_at: float) -> None:
        """Let attempts pass for a lease from a time of the clock of leases."""
        controller = self.controller
        was_over = lease_clock() > controller.lease_end
        controller.lease_end = max(controller.lease_end, reported_at + LEASE)
        if was_over:
            self._gate.admit_waiting()

    def drop_late_share(self) -> None:
        """Give up a share of which the lease is over: others may have its slots by now."""
        controller = self.controller
        if lease_clock() > controller.lease_end:
            controller.share = SlotShare(controller.share.epoch, 0)

    def report_soon(self) -> None:
        """Send a report in this turn of the loop."""
        if self._at_once is None:
            self._at_once = asyncio.get_running_loop().call_soon(self.report)

    def report(self) -> None:
        """Send a report now."""
        self.cancel()
        if self.send is not None:
            self.send(self._make_report())
        busy = self._gate.at_server > 0
        self._set_timer(self._delay if busy else HEARTBEAT, prompt=busy)

    def cancel(self) -> None:
        """Report no more, until something happens."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._at_once is not None:
            self._at_once.cancel()
            self._at_once = None

    def _set_timer(self, delay: float, *, prompt: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._prompt = prompt
        self._timer = asyncio.get_running_loop().call_later(delay, self.report)

    @property
    def _delay(self) -> float:
        return report_delay(self.controller.latency)

    def _on_event(self) -> None:
        controller = self.controller
        unmet = controller.hungry and self._reported <= controller.share.slots
        if self._owing or controller.urgent or unmet:
            self.report_soon()
        elif not self._prompt:
            self._set_timer(self._delay, prompt=True)

    def _make_report(self) -> Report:
        gate, controller = self._gate, self.controller
        now = gate.clock()
        slots = controller.share.slots
        demand = self._demand.update(now, *self._use(), slots, controller.latency)
        controller.most_in_flight = gate.at_server
        controller.hungry = controller.urgent = False
        self._reported = demand
        self._owing = gate.in_use > slots
        return Report(
            now,
            lease_clock(),
            controller.share.epoch,
            gate.in_use,
            gate.at_server,
            demand,
            self._events.drain(),
        )

    def _use(self) -> tuple[int, int]:
        """Return the most slots in use since the last report, and the attempts that wait."""
        gate = self._gate
        at_server = max(self.controller.most_in_flight, gate.at_server)
        if self._pace is None:
            return max(at_server, gate.in_use), gate.waiting
        # Attempts that wait for the rate limiter hold slots, but more slots would not help them.
        return at_server, int(gate.waiting > 0 and gate.in_use == gate.at_server)
