"""Account whose limits are divided among several gates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tmapi_async.limits.abandoned import UNKNOWN_SECONDS, AbandonedRequests
from tmapi_async.limits.controller import Controller

from .event_merge import EventReplay
from .slot_allocator import SlotAllocator
from .slot_share import SlotShare


class SharedAccount:
    """Limits of one account. Its controller learns from the reports of all holders.

    Args:
        controller: Controller that decides the account's width.
        rate: Attempts a second of the account, or None without a rate limit.
        abandoned: Estimates how long the requests of a lost holder run on at the server.
        patience: Seconds for which events wait for those of a holder that reports late.

    Attributes:
        abandoned: Estimates how long the requests of a lost holder run on at the server.
        controller: Controller that decides the account's width.
        allocator: Division of the slots and the rate.
    """

    def __init__(
        self,
        controller: Controller,
        rate: float | None,
        abandoned: AbandonedRequests | None = None,
        *,
        patience: float = math.inf,
    ) -> None:
        self.controller = controller
        self.allocator = SlotAllocator(rate)
        # A lost holder may have had any number of requests there.
        self.abandoned = abandoned or AbandonedRequests(UNKNOWN_SECONDS)
        self._replay = EventReplay(controller, self.abandoned.answered, patience=patience)
        self._allocated_width = -1
        self._unconfirmed = False

    @property
    def learned_width(self) -> int:
        """Number of slots, without regard to a gate that is closed for a moment."""
        return self.controller.statistics().width

    def remove_holder(self, name: str, now: float, *, in_use: int | None) -> None:
        """Remove a holder.

        Args:
            name: Name of the holder.
            now: Clock time.
            in_use: Slots that it had in use when it ended in order; None if it was lost.
        """
        self.allocator.remove_holder(name, self.abandoned.done_at(now, now), in_use=in_use)
        self._replay.forget(name)

    def apply_events(
        self, name: str, events: bytes, *, offset: float, clock: float, at_server: int, now: float
    ) -> None:
        """Replay the events that a holder reports.

        Args:
            name: Name of the holder.
            events: Events of its gate, from `EventRecorder.drain`.
            offset: Seconds to add to the holder's clock to get this process's.
            clock: Time of the report on the holder's clock.
            at_server: Attempts that it had at the server at that time.
            now: Clock time.
        """
        self._replay.report(name, events, offset=offset, clock=clock, in_flight=at_server)
        self._replay.play(now)

    def needs_allocation(self, now: float) -> bool:
        """Return True if slots should be divided at once, and not at the next tick."""
        return self._unconfirmed or self.controller.width(now) != self._allocated_width

    def allocate(
        self, now: float, demand: Mapping[str, int], order: Sequence[str] | None = None
    ) -> dict[str, SlotShare]:
        """Divide slots and rate anew.

        Args:
            now: Clock time.
            demand: Name of each holder to the slots that it is certain to use.
            order: See `SlotAllocator.allocate`.

        Returns:
            The shares to send, by name of the holder.
        """
        self._replay.play(now)
        self.allocator.expire(now)
        self._allocated_width = self.controller.width(now)
        shares = self.allocator.allocate(self._allocated_width, demand, order)
        self._unconfirmed = self.allocator.unconfirmed
        return shares
