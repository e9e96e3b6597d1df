"""Division of an account's slots and rate among its holders, each slot once. No I/O.

A share is sent to a holder under an epoch, and the holder confirms the epoch once it keeps to
the share. Until then the holder may still use an earlier, larger share, so a slot taken from it
is not given to another holder.

Invariant: the slots that all holders may be using, under any share that was sent and not
superseded by a confirmed one, plus the slots reserved for lost holders, are never raised above
the width. A width that falls takes effect as fast as holders confirm; requests that are on the
wire by then stay there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from .slot_share import SlotShare

_RATE_CHANGE = 0.01


class _ShareState:
    """Shares sent to one holder, and the largest that it may be using."""

    __slots__ = ("ceiling", "confirmed", "in_use", "paced", "pending", "share")

    def __init__(self, in_use: int, share: SlotShare, ceiling: int | None, *, paced: bool) -> None:
        self.ceiling = ceiling
        self.share = share
        self.pending: deque[SlotShare] = deque()  # sent, and not confirmed yet
        self.confirmed = share
        self.in_use = in_use
        self.paced = paced

    @property
    def slots(self) -> int:
        """Maximum number of slots that the holder may use before it confirms the last share."""
        return max(self.in_use, self.confirmed.slots, *(share.slots for share in self.pending), 0)

    @property
    def rate(self) -> float:
        """Highest rate that the holder may use before it confirms the last share."""
        return max(self.confirmed.rate, *(share.rate for share in self.pending), 0.0)


class SlotAllocator:
    """Slots and rate of one account, divided among its holders.

    Args:
        rate: Attempts a second of the account, or None without a rate limit.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._holders: dict[str, _ShareState] = {}
        self._reserved: dict[str, tuple[float, int, float]] = {}  # until, slots, rate

    @property
    def committed(self) -> int:
        """Slots that may be in use, and those reserved for lost holders."""
        return sum(holder.slots for holder in self._holders.values()) + self.reserved

    @property
    def unconfirmed(self) -> bool:
        """True if slots are on their way back, to be allocated as soon as a holder confirms."""
        return any(holder.slots > holder.share.slots for holder in self._holders.values())

    def slots(self, name: str) -> int:
        """Return the slots of the share that was sent to a holder last."""
        return self._holders[name].share.slots

    def slots_at_risk(self, name: str) -> int:
        """Return the maximum number of slots in use by a holder, under any share sent to it."""
        return self._holders[name].slots

    def set_rate(self, rate: float | None) -> None:
        """Change the rate of the account; None for no limit."""
        self._rate = rate

    def add_holder(
        self,
        name: str,
        in_use: int = 0,
        share: SlotShare | None = None,
        *,
        ceiling: int | None = None,
        paced: bool = True,
    ) -> None:
        """Register a holder.

        Args:
            name: Name of the holder; slots reserved under this name are its own again.
            in_use: Slots that it has in use already.
            share: Share that it holds already, from an allocator before this one.
            ceiling: Maximum number of slots that it gets, or None.
            paced: True if the rate of the account concerns it.
        """
        self._reserved.pop(name, None)
        self._holders[name] = _ShareState(in_use, share or SlotShare(0, 0), ceiling, paced=paced)

    def reserve(self, name: str, slots: int, until: float) -> None:
        """Give slots to nobody until a clock time; the server may be at work on their requests."""
        if slots:
            self._reserved[name] = (until, slots, 0.0)

    def confirm(self, name: str, epoch: int, in_use: int) -> None:
        """Note that a holder keeps to the share of an epoch, with `in_use` slots in use."""
        holder = self._holders[name]
        holder.in_use = in_use
        while holder.pending and holder.pending[0].epoch <= epoch:
            holder.confirmed = holder.pending.popleft()

    def remove_holder(self, name: str, until: float, *, in_use: int | None = None) -> None:
        """Remove a holder, and reserve its slots until the server is done with its requests.

        Args:
            name: Name of the holder.
            until: Time when the server can be expected to be done with its requests.
            in_use: Slots that it had in use when it ended in order; None if it was lost.
        """
        holder = self._holders.pop(name)
        slots = holder.slots if in_use is None else in_use
        if slots:
            self._reserved[name] = (until, slots, holder.rate if in_use is None else 0.0)

    def expire(self, now: float) -> float | None:
        """Free the slots reserved until `now`. Returns the next such time, or None."""
        for name, (until, _, _) in list(self._reserved.items()):
            if until <= now:
                del self._reserved[name]
        return min((until for until, _, _ in self._reserved.values()), default=None)

    @property
    def reserved(self) -> int:
        """Slots reserved for lost holders."""
        return sum(slots for _, slots, _ in self._reserved.values())

    def reserved_slots(self, names: Iterable[str]) -> dict[str, int]:
        """Return the slots reserved under some names; names without any are left out."""
        return {name: self._reserved[name][1] for name in names if name in self._reserved}

    def all_slots(self) -> dict[str, int]:
        """Return the name of each holder and the maximum number of slots that it may be using."""
        return {name: holder.slots for name, holder in self._holders.items()}

    def allocate(
        self, width: int, demand: Mapping[str, int], order: Sequence[str] | None = None
    ) -> dict[str, SlotShare]:
        """Divide the slots anew.

        Args:
            width: Slots of the account now.
            demand: Name of each holder that takes part to the slots that it is certain to use.
                The rest goes to the holders with any demand: look-ahead may use it.
            order: Names in the order in which they get the slots that do not divide evenly; by
                default those with the most slots come first, so that no slot moves in vain.

        Returns:
            The shares to send: one for each holder whose share changes.
        """
        demand = {name: demand.get(name, 0) for name in self._holders}
        current = {name: holder.share.slots for name, holder in self._holders.items()}
        if order is None:
            order = sorted(demand, key=lambda name: -current[name])
        ceilings = {name: holder.ceiling for name, holder in self._holders.items()}
        targets = distribute_slots(max(0, width - self.reserved), demand, order, ceilings)
        slots = self._granted(targets, current, width)
        shares = dict[str, SlotShare]()
        total = sum(targets[name] for name, holder in self._holders.items() if holder.paced)
        # The rate goes with the slots. Holders that lose come first: this frees rate for others.
        for name in sorted(slots, key=lambda name: slots[name] - current[name]):
            holder = self._holders[name]
            rate = self._rate_of(holder, slots[name], total)
            changed = abs(rate - holder.share.rate) > _RATE_CHANGE * (self._rate or 0)
            if changed or slots[name] != current[name]:
                shares[name] = self._next_share(holder, slots[name], rate)
        return shares

    def _granted(
        self, targets: Mapping[str, int], current: Mapping[str, int], width: int
    ) -> dict[str, int]:
        """Return the slots that each holder can have now, on the way to its target."""
        slots = {name: min(current[name], target) for name, target in targets.items()}
        free = width - self.committed
        for name, target in targets.items():
            if target <= slots[name]:
                continue
            # Slots that it may be using anyway cost nothing; beyond them, only free slots.
            usable = self._holders[name].slots
            granted = min(target, usable + max(0, free))
            free -= max(0, granted - usable)
            slots[name] = max(slots[name], granted)
        return slots

    def repeat(self, name: str) -> SlotShare:
        """Return the share of a holder under a new epoch, to send it with a new budget."""
        holder = self._holders[name]
        return self._next_share(holder, holder.share.slots, holder.share.rate)

    def _next_share(self, holder: _ShareState, slots: int, rate: float) -> SlotShare:
        holder.share = SlotShare(holder.share.epoch + 1, slots, rate)
        holder.pending.append(holder.share)
        return holder.share

    def _rate_of(self, holder: _ShareState, slots: int, total: int) -> float:
        if self._rate is None or not slots or not holder.paced:
            return 0.0
        reserved = sum(rate for _, _, rate in self._reserved.values())
        others = sum(other.rate for other in self._holders.values() if other is not holder)
        return max(0.0, min(self._rate * slots / total, self._rate - reserved - others))


def distribute_slots(
    width: int,
    demand: Mapping[str, int],
    order: Iterable[str],
    ceilings: Mapping[str, int | None] | None = None,
) -> dict[str, int]:
    """Divide slots evenly by demand.

    Args:
        width: Slots to divide.
        demand: Name of each holder to the slots that it is certain to use.
        order: Names in the order in which they get the slots that do not divide evenly.
        ceilings: Name of each holder to its maximum number of slots, or None.

    Returns:
        Name of each holder to its slots; 0 without demand.
    """
    slots = dict.fromkeys(demand, 0)
    most = {
        name: width if (ceiling := (ceilings or {}).get(name)) is None else ceiling
        for name in order
        if demand[name] > 0
    }
    wanted = {name: min(demand[name], maximum) for name, maximum in most.items()}
    remaining = _level(width, wanted, slots)
    room = {name: maximum - slots[name] for name, maximum in most.items()}
    _level(remaining, {name: slots for name, slots in room.items() if slots > 0}, slots)
    return slots


def _level(width: int, demand: Mapping[str, int], slots: dict[str, int]) -> int:
    """Raise all holders to one level, none above its demand. Returns the remaining slots."""
    unmet = dict(demand)
    while unmet and width > 0:
        each, odd = divmod(width, len(unmet))
        if each == 0:
            for name in list(unmet)[:odd]:
                slots[name] += 1
            return 0
        satisfied = [name for name, missing in unmet.items() if missing <= each]
        for name in satisfied or unmet:
            granted = min(each, unmet[name])
            slots[name] += granted
            width -= granted
            unmet[name] -= granted
        unmet = {name: missing for name, missing in unmet.items() if missing > 0}
    return width
