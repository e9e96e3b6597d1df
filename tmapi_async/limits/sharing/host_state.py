"""State of an account's gate in the process that hosts it for others. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from tmapi_async.limits.abandoned import AbandonedRequests
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.shares.shared_account import SharedAccount
from tmapi_async.limits.shares.slot_share import SlotShare
from tmapi_async.limits.shares.turns import Turns

from .messages import Hello, LearnedLimit, Report
from .share_reporter import report_delay

PATIENCE = 0.5
"""Seconds for which the events of one process wait for those of another that reports late."""


class _Member:
    """A process that shares the gate, the host included."""

    __slots__ = ("ceiling", "demand", "rate", "reported_at")

    def __init__(self, hello: Hello) -> None:
        self.ceiling = hello.ceiling
        self.rate = hello.rate
        self.demand = 0
        self.reported_at = hello.clock


class HostState:
    """Division of one account's limits among the processes of a machine.

    Times called `now` are of the gates' monotonic clock, those called `lease_now` of the clock of
    leases.

    Args:
        controller: Controller that learns from all members.
        lease: Seconds for which a member may use its share after its last report.
        abandoned: Estimates how long the requests of a lost member run on at the server, if
            latencies are known already.

    Attributes:
        account: Limits of the account.
    """

    def __init__(
        self,
        controller: LearningController,
        lease: float,
        abandoned: AbandonedRequests | None = None,
    ) -> None:
        self.account = SharedAccount(controller, None, abandoned, patience=PATIENCE)
        self._controller = controller
        self._lease = lease
        self._members: dict[str, _Member] = {}
        self._turns = Turns()
        self._expected: set[str] = set()  # members of an earlier host that have not joined yet
        self._expected_until = -math.inf

    def __repr__(self) -> str:
        return f"<HostState: {len(self._members)} members, {len(self._expected)} expected>"

    @property
    def members(self) -> list[str]:
        """Names of the members, the host included."""
        return list(self._members)

    def reported_at(self, name: str) -> float:
        """Return the member's own time of leases in its last report."""
        return self._members[name].reported_at

    def learned(self) -> LearnedLimit:
        """Return what the controller has learned."""
        return learned_limit(self._controller)

    def expect(
        self, slots: Mapping[str, int], gone: Iterable[str], now: float, lease_now: float
    ) -> None:
        """Reserve the slots of an earlier host's members until they join or their leases are over.

        Args:
            slots: Name of each member to the slots that it may be using.
            gone: Names of those that are known to have ended: they send nothing any more.
            now: Clock time.
            lease_now: Time of the clock of leases.
        """
        done_at = self.account.abandoned.done_at(now, now)
        ended = set(gone)
        for name, many in slots.items():
            if name in self._members:
                continue
            self.account.allocator.reserve(
                name, many, done_at if name in ended else done_at + self._lease
            )
            if name not in ended:
                self._expected.add(name)
        self._expected_until = lease_now + self._lease

    def wait(self, seconds: float, lease_now: float) -> None:
        """Divide nothing for some seconds: members of an earlier host may be about to join."""
        self._expected.add("")
        self._expected_until = lease_now + seconds

    def all_slots(self) -> dict[str, int]:
        """Return the name of each process and the slots that it may be using, for the next host.

        Members of an earlier host that have not joined yet may still use the slots of then: a host
        may end soon after the one before it.
        """
        allocator = self.account.allocator
        return allocator.reserved_slots(self._expected) | allocator.all_slots()

    def join(self, hello: Hello) -> None:
        """Add a member. One that has joined before begins anew."""
        if hello.name in self._members:
            self.leave(hello.name, 0, 0.0)
        self._expected.discard(hello.name)
        self._members[hello.name] = _Member(hello)
        self.account.allocator.add_holder(
            hello.name,
            hello.in_use,
            hello.share,
            ceiling=hello.ceiling,
            paced=hello.rate is not None,
        )
        self._set_limits()

    def report(self, name: str, report: Report, now: float) -> None:
        """Note the state of a member, and learn from its events."""
        member = self._members[name]
        member.demand = report.demand
        member.reported_at = report.lease_clock
        self.account.allocator.confirm(name, report.epoch, report.in_use)
        self.account.apply_events(
            name,
            report.events,
            offset=0.0,
            clock=report.clock,
            at_server=report.at_server,
            now=now,
        )

    def leave(self, name: str, in_use: int, now: float) -> None:
        """Remove a member that has ended in order, with slots that its requests still take."""
        self._remove(name, now, in_use)

    def lose(self, name: str, now: float) -> None:
        """Remove a member that was killed, or whose lease is over."""
        self._remove(name, now, None)

    def expired(self, lease_now: float) -> list[str]:
        """Return the members whose leases are over."""
        return [
            name
            for name, member in self._members.items()
            if lease_now > member.reported_at + self._lease
        ]

    @property
    def alone(self) -> bool:
        """True if the host is the only member, and no slot is reserved for any other."""
        return (
            len(self._members) <= 1 and not self._expected and not self.account.allocator.reserved
        )

    def allocate(self, now: float, lease_now: float) -> dict[str, SlotShare]:
        """Return the shares to send, by member."""
        if self._expected:
            if lease_now <= self._expected_until:
                return {}
            self._expected.clear()
        self._controller.set_hearing_delay(report_delay(self._controller.latency))
        slots = self.account.allocator.all_slots()
        demand = {name: member.demand for name, member in self._members.items()}
        return self.account.allocate(now, demand, self._turns.order(now, slots, demand))

    def wake_at(self, now: float) -> float | None:
        """Return when the width may grow without a report, or None."""
        return self._controller.wake_at(now)

    def _remove(self, name: str, now: float, in_use: int | None) -> None:
        del self._members[name]
        self.account.remove_holder(name, now, in_use=in_use)
        self._set_limits()

    def _set_limits(self) -> None:
        """Set the ceiling and the rate of the account from those of the members."""
        members = self._members.values()
        ceilings = [member.ceiling for member in members if member.ceiling is not None]
        rates = [member.rate for member in members if member.rate is not None]
        if ceilings:
            all_have = len(ceilings) == len(self._members)
            self._controller.set_max_width(sum(ceilings) if all_have else None)
        else:
            self._controller.set_max_width(None)
        self.account.allocator.set_rate(max(rates, default=None))


def learned_limit(controller: LearningController) -> LearnedLimit:
    """Return what a controller has learned."""
    statistics = controller.statistics()
    return LearnedLimit(statistics.width, statistics.limit, statistics.latency)
