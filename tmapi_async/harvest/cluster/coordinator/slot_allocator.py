"""Division of an account's slots and rate among its sessions, each slot once. No I/O.

A share is sent to a session under an epoch, and the session confirms the epoch once it keeps to
the share. Until then the session may still use an earlier, larger share, so a slot taken from it
is not given to another session.

Invariant: the slots that all sessions may be using, under any share that was sent and not
superseded by a confirmed one, plus the slots reserved for lost sessions, are never raised above
the width. A width that falls takes effect as fast as sessions confirm; requests that are on the
wire by then stay there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from tmapi_async.harvest.cluster.protocol import SlotShare

_RATE_CHANGE = 0.01


class _ShareState:
    """Shares sent to one session, and the largest that it may be using."""

    __slots__ = ("confirmed", "in_use", "pending", "share")

    def __init__(self, in_use: int) -> None:
        self.share = SlotShare(0, 0)
        self.pending: deque[SlotShare] = deque()  # sent, and not confirmed yet
        self.confirmed = self.share
        self.in_use = in_use

    @property
    def slots(self) -> int:
        """Maximum number of slots that the session may use before it confirms the last share."""
        return max(self.in_use, self.confirmed.slots, *(share.slots for share in self.pending), 0)

    @property
    def rate(self) -> float:
        """Highest rate that the session may use before it confirms the last share."""
        return max(self.confirmed.rate, *(share.rate for share in self.pending), 0.0)


class SlotAllocator:
    """Slots and rate of one account, divided among its sessions.

    Args:
        rate: Attempts a second of the account, or None without a rate limit.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._sessions: dict[str, _ShareState] = {}
        self._reserved: dict[str, tuple[float, int, float]] = {}  # until, slots, rate

    @property
    def committed(self) -> int:
        """Slots that may be in use, and those reserved for lost sessions."""
        return sum(session.slots for session in self._sessions.values()) + sum(
            slots for _, slots, _ in self._reserved.values()
        )

    @property
    def unconfirmed(self) -> bool:
        """True if slots are on their way back, to be allocated as soon as a session confirms."""
        return any(session.slots > session.share.slots for session in self._sessions.values())

    def slots(self, name: str) -> int:
        """Return the slots of the share that was sent to a session last."""
        return self._sessions[name].share.slots

    def slots_at_risk(self, name: str) -> int:
        """Return the maximum number of slots in use by a session, under any share sent to it."""
        return self._sessions[name].slots

    def add_session(self, name: str, abandoned_slots: int = 0) -> None:
        """Register a session.

        Args:
            name: Name of the session.
            abandoned_slots: Slots that earlier sessions of its worker left busy at the server.
        """
        self._sessions[name] = _ShareState(abandoned_slots)

    def confirm(self, name: str, epoch: int, in_use: int) -> None:
        """Note that a session keeps to the share of an epoch, with `in_use` slots in use."""
        session = self._sessions[name]
        session.in_use = in_use
        while session.pending and session.pending[0].epoch <= epoch:
            session.confirmed = session.pending.popleft()

    def remove_session(self, name: str, until: float, *, in_use: int | None = None) -> None:
        """Remove a session, and reserve its slots until the server is done with its requests.

        Args:
            name: Name of the session.
            until: Time when the server can be expected to be done with its requests.
            in_use: Slots that it had in use when it ended in order; None if it was lost.
        """
        session = self._sessions.pop(name)
        slots = session.slots if in_use is None else in_use
        if slots:
            self._reserved[name] = (until, slots, session.rate if in_use is None else 0.0)

    def expire(self, now: float) -> float | None:
        """Free the slots reserved until `now`. Returns the next such time, or None."""
        for name, (until, _, _) in list(self._reserved.items()):
            if until <= now:
                del self._reserved[name]
        return min((until for until, _, _ in self._reserved.values()), default=None)

    def allocate(self, width: int, demand: Mapping[str, int]) -> dict[str, SlotShare]:
        """Divide the slots anew.

        Args:
            width: Slots of the account now.
            demand: Name of each session that takes part to the slots that it is certain to use.
                The rest goes to the sessions with any demand: look-ahead may use it.

        Returns:
            The shares to send: one for each session whose share changes.
        """
        reserved = sum(slots for _, slots, _ in self._reserved.values())
        demand = {name: demand.get(name, 0) for name in self._sessions}
        current = {name: session.share.slots for name, session in self._sessions.items()}
        targets = distribute_slots(max(0, width - reserved), demand, current)
        slots = self._granted(targets, current, width)
        total, shares = sum(targets.values()), dict[str, SlotShare]()
        # The rate goes with the slots. Sessions that lose come first: this frees rate for others.
        for name in sorted(slots, key=lambda name: slots[name] - current[name]):
            session = self._sessions[name]
            rate = self._rate_of(session, slots[name], total)
            changed = abs(rate - session.share.rate) > _RATE_CHANGE * (self._rate or 0)
            if changed or slots[name] != current[name]:
                shares[name] = self._next_share(session, slots[name], rate)
        return shares

    def _granted(
        self, targets: Mapping[str, int], current: Mapping[str, int], width: int
    ) -> dict[str, int]:
        """Return the slots that each session can have now, on the way to its target."""
        slots = {name: min(current[name], target) for name, target in targets.items()}
        free = width - self.committed
        for name, target in targets.items():
            if target <= slots[name]:
                continue
            # Slots that it may be using anyway cost nothing; beyond them, only free slots.
            usable = self._sessions[name].slots
            granted = min(target, usable + max(0, free))
            free -= max(0, granted - usable)
            slots[name] = max(slots[name], granted)
        return slots

    def repeat(self, name: str) -> SlotShare:
        """Return the share of a session under a new epoch, to send it with a new budget."""
        session = self._sessions[name]
        return self._next_share(session, session.share.slots, session.share.rate)

    def _next_share(self, session: _ShareState, slots: int, rate: float) -> SlotShare:
        session.share = SlotShare(session.share.epoch + 1, slots, rate)
        session.pending.append(session.share)
        return session.share

    def _rate_of(self, session: _ShareState, slots: int, total: int) -> float:
        if self._rate is None or not slots:
            return 0.0
        reserved = sum(rate for _, _, rate in self._reserved.values())
        others = sum(other.rate for other in self._sessions.values() if other is not session)
        return max(0.0, min(self._rate * slots / total, self._rate - reserved - others))


def distribute_slots(
    width: int, demand: Mapping[str, int], current: Mapping[str, int]
) -> dict[str, int]:
    """Divide slots evenly by demand, and leave them where they are if it makes no difference.

    Args:
        width: Slots to divide.
        demand: Name of each session to the slots that it is certain to use.
        current: Name of each session to the slots that it has now.

    Returns:
        Name of each session to its slots; 0 without demand.
    """
    slots = dict.fromkeys(demand, 0)
    # Sessions with more slots come first where one slot must go to one of several.
    order = sorted((name for name in demand if demand[name] > 0), key=lambda name: -current[name])
    remaining = _level(width, {name: demand[name] for name in order}, slots)
    if order and remaining > 0:
        _level(remaining, dict.fromkeys(order, remaining), slots)
    return slots


def _level(width: int, demand: Mapping[str, int], slots: dict[str, int]) -> int:
    """Raise all sessions to one level, none above its demand. Returns the remaining slots."""
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
