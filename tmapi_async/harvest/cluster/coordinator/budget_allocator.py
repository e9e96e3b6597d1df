"""Division of a request budget among worker sessions, without ever exceeding it. No I/O."""

from __future__ import annotations

_MAX_UNIT = 256


class _Allowance:
    """Part of the budget that one session may use.

    Attributes:
        allowed: Attempts that the session may send since it began, as last decided here.
        reserved: Maximum number of attempts that the session may send, under any allowance sent to
            it and not yet given back.
        spent: Attempts that the session has reported as sent.
        epoch: Epoch of the share that carried `allowed`.
    """

    __slots__ = ("allowed", "epoch", "reserved", "spent")

    def __init__(self) -> None:
        self.allowed = self.spent = self.epoch = self.reserved = 0


class BudgetAllocator:
    """Budget of one account, or of several that share it.

    Each session receives the number of attempts that it may send since it began. This number can
    be lowered; the difference is free again when the session has confirmed the lower number.

    Args:
        limit: Attempts in all.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._spent_by_ended = 0
        self._allowances: dict[str, _Allowance] = {}

    @property
    def free(self) -> int:
        """Attempts that no session may send."""
        reserved = sum(allowance.reserved for allowance in self._allowances.values())
        return self.limit - self._spent_by_ended - reserved

    @property
    def spent(self) -> int:
        """Attempts sent, and those that a lost session may have sent."""
        return self._spent_by_ended + sum(part.spent for part in self._allowances.values())

    @property
    def exhausted(self) -> bool:
        """True if no more attempts may be sent."""
        return self.spent >= self.limit

    def add_session(self, name: str) -> None:
        """Register a new session, with nothing allowed yet."""
        self._allowances[name] = _Allowance()

    def remove_session(self, name: str, *, lost: bool) -> None:
        """Remove a session. A lost session counts as having sent all that it was allowed."""
        allowance = self._allowances.pop(name)
        self._spent_by_ended += allowance.reserved if lost else allowance.spent

    def allowed(self, name: str) -> int:
        """Return the attempts that a session may send since it began."""
        return self._allowances[name].allowed

    def mark_sent(self, name: str, epoch: int) -> None:
        """Note the epoch of the share that carries the current `allowed` to a session."""
        self._allowances[name].epoch = epoch

    def confirm(self, name: str, epoch: int, spent: int, allowed: int) -> None:
        """Note the report of a session.

        Args:
            name: Name of the session.
            epoch: Epoch of the share in force there.
            spent: Attempts that it has sent.
            allowed: Attempts that it keeps to; more than was sent to it if it had spent more.
        """
        allowance = self._allowances[name]
        allowance.spent = spent
        if epoch >= allowance.epoch:
            allowance.reserved = allowance.allowed = allowed

    def top_up(self, name: str) -> bool:
        """Allow a session more if it runs low. Returns True if the number changed."""
        allowance, free = self._allowances[name], self.free
        unit = min(free, max(1, min(_MAX_UNIT, free // (2 * len(self._allowances)))))
        slack = allowance.allowed - allowance.spent
        if unit <= 0 or allowance.reserved > allowance.allowed or slack > unit // 2:
            return False
        allowance.allowed += unit
        allowance.reserved = allowance.allowed
        return True

    def reclaim(self, busy: set[str]) -> list[str]:
        """Lower the numbers of other sessions where one with work can send nothing.

        Args:
            busy: Sessions that have work.

        Returns:
            Names of the sessions that are allowed less from now on.
        """
        working = [part for name, part in self._allowances.items() if name in busy]
        if self.free or not any(part.spent >= part.reserved for part in working):
            return []
        lowered: list[str] = []
        for name, part in self._allowances.items():
            slack = part.allowed - part.spent
            keep = slack // 2 if name in busy else 0
            if slack > keep and part.reserved == part.allowed:
                part.allowed = part.spent + keep
                lowered.append(name)
        return lowered
