"""How an account's slots and pace are dealt to its seats, and never dealt twice. No I/O.

A share is told to a seat under an epoch, and the seat confirms the epoch once it keeps to it. Until
then it may still use an earlier, larger share, so what was taken from it is not given to another.

Invariant: the slots that all seats may be using, by any share they were told and have not confirmed
the end of, and those kept back for lost seats, are never raised above the width. A width that falls
takes effect as fast as seats confirm; what is on the wire then, is on the wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from tmapi_async.harvest.cluster.protocol import SlotShare

_RATE_CHANGE = 0.01


class _WorkerShare:
    """What one seat was told, and what it may be using."""

    __slots__ = ("confirmed", "in_use", "share", "told")

    def __init__(self, in_use: int) -> None:
        self.share = SlotShare(0, 0)
        self.told: deque[SlotShare] = deque()  # not confirmed yet
        self.confirmed = self.share
        self.in_use = in_use

    @property
    def slots(self) -> int:
        """Most slots it may be using now or before it confirms the last share."""
        return max(self.in_use, self.confirmed.slots, *(share.slots for share in self.told), 0)

    @property
    def rate(self) -> float:
        """Highest rate it may be using."""
        return max(self.confirmed.rate, *(share.rate for share in self.told), 0.0)


class SlotAllocator:
    """Deals the slots and the pace of one account.

    Args:
        rate: Attempts a second of the account, or None without a pace.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._sessions: dict[str, _WorkerShare] = {}
        self._kept: dict[str, tuple[float, int, float]] = {}  # until, slots, rate

    @property
    def out(self) -> int:
        """Slots that may be in use, and those kept back for lost seats."""
        return sum(session.slots for session in self._sessions.values()) + sum(
            slots for _, slots, _ in self._kept.values()
        )

    @property
    def unconfirmed(self) -> bool:
        """Whether slots are on their way back: to be dealt as soon as a seat confirms."""
        return any(session.slots > session.share.slots for session in self._sessions.values())

    def slots(self, name: str) -> int:
        """Slots of the share that a seat was told last."""
        return self._sessions[name].share.slots

    def join(self, name: str, abandoned_slots: int = 0) -> None:
        """A seat is taken; `abandoned_slots` slots of it are still busy at the server."""
        self._sessions[name] = _WorkerShare(abandoned_slots)

    def confirm(self, name: str, epoch: int, in_use: int) -> None:
        """A seat keeps to the share of an epoch, with so many slots in use."""
        session = self._sessions[name]
        session.in_use = in_use
        while session.told and session.told[0].epoch <= epoch:
            session.confirmed = session.told.popleft()

    def leave(self, name: str, until: float, *, in_use: int | None = None) -> None:
        """A seat is gone.

        Args:
            name: The seat.
            until: When the server can be expected to be done with what it sent.
            in_use: Slots it had left when it ended in order; None if it was lost.
        """
        session = self._sessions.pop(name)
        slots = session.slots if in_use is None else in_use
        if slots:
            self._kept[name] = (until, slots, session.rate if in_use is None else 0.0)

    def expire(self, now: float) -> float | None:
        """Take back what was kept until now; returns when the next is due, or None."""
        for name, (until, _, _) in list(self._kept.items()):
            if until <= now:
                del self._kept[name]
        return min((until for until, _, _ in self._kept.values()), default=None)

    def allocate(self, width: int, demand: Mapping[str, int]) -> dict[str, SlotShare]:
        """Deal anew.

        Args:
            width: Slots of the account now.
            demand: Seats that take part, each with the slots it is certain to use. What is left
                over goes to those that want any: look-ahead may use it.

        Returns:
            The shares to tell, of the seats whose share changes; those of no other seat change.
        """
        kept = sum(slots for _, slots, _ in self._kept.values())
        demand = {name: demand.get(name, 0) for name in self._sessions}
        held = {name: session.share.slots for name, session in self._sessions.items()}
        targets = distribute_slots(max(0, width - kept), demand, held)
        changed = {name for name, slots in targets.items() if slots < held[name]}
        slots = {name: min(held[name], slots) for name, slots in targets.items()}
        free = width - self.out
        for name, target in targets.items():
            if target <= slots[name]:
                continue
            # What it may be using anyway costs nothing; beyond that, only what nobody has.
            known = self._sessions[name].slots
            granted = min(target, known + max(0, free))
            free -= max(0, granted - known)
            if granted > slots[name]:
                slots[name] = granted
                changed.add(name)
        total, told = sum(targets.values()), dict[str, SlotShare]()
        # The pace goes with the slots; those that lose come first, so that less is out.
        for name in sorted(slots, key=lambda name: slots[name] - held[name]):
            session = self._sessions[name]
            rate = self._part(session, slots[name], total)
            if name in changed or abs(rate - session.share.rate) > _RATE_CHANGE * (self._rate or 0):
                told[name] = self._tell(session, slots[name], rate)
        return told

    def again(self, name: str) -> SlotShare:
        """The share of a seat under a new epoch: something else is told with it."""
        session = self._sessions[name]
        return self._tell(session, session.share.slots, session.share.rate)

    def _tell(self, session: _WorkerShare, slots: int, rate: float) -> SlotShare:
        session.share = SlotShare(session.share.epoch + 1, slots, rate)
        session.told.append(session.share)
        return session.share

    def _part(self, session: _WorkerShare, slots: int, total: int) -> float:
        if self._rate is None or not slots:
            return 0.0
        kept = sum(rate for _, _, rate in self._kept.values())
        others = sum(other.rate for other in self._sessions.values() if other is not session)
        return max(0.0, min(self._rate * slots / total, self._rate - kept - others))


def distribute_slots(
    width: int, demand: Mapping[str, int], held: Mapping[str, int]
) -> dict[str, int]:
    """Deal slots evenly by want, and leave them where they are if it makes no difference.

    Args:
        width: Slots to deal.
        demand: Seat to the slots it is certain to use.
        held: Seat to the slots it has now.

    Returns:
        Seat to slots; a seat that wants nothing gets nothing.
    """
    dealt = dict.fromkeys(demand, 0)
    # Those that hold more come first where one slot must go to one of several.
    order = sorted((name for name in demand if demand[name] > 0), key=lambda name: -held[name])
    left = _level(width, {name: demand[name] for name in order}, dealt)
    if order and left > 0:
        _level(left, dict.fromkeys(order, left), dealt)
    return dealt


def _level(width: int, demand: Mapping[str, int], dealt: dict[str, int]) -> int:
    """Raise all to the same level, none above its want; returns what is left."""
    open_ = dict(demand)
    while open_ and width > 0:
        each, odd = divmod(width, len(open_))
        if each == 0:
            for name in list(open_)[:odd]:
                dealt[name] += 1
            return 0
        sated = [name for name, want in open_.items() if want <= each]
        for name in sated or open_:
            given = min(each, open_[name])
            dealt[name] += given
            width -= given
            open_[name] -= given
        open_ = {name: want for name, want in open_.items() if want > 0}
    return width
