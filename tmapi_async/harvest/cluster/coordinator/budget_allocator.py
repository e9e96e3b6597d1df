"""How a budget is dealt to seats in units, and never exceeded. No I/O."""

from __future__ import annotations

_LARGEST_UNIT = 256


class _Part:
    __slots__ = ("allowed", "epoch", "most", "spent")

    def __init__(self) -> None:
        self.allowed = self.spent = self.epoch = 0
        self.most = 0  # what it may spend, by anything it was told and has not given back


class BudgetAllocator:
    """The budget of one account or of several.

    A seat is told how many attempts it may send since it began; it can be told a lower number, and
    what it gives back by that counts when it has said so.

    Args:
        most: Attempts in all.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._gone = 0  # of seats that have ended
        self._parts: dict[str, _Part] = {}

    @property
    def free(self) -> int:
        """Attempts that nobody may send."""
        return self.most - self._gone - sum(part.most for part in self._parts.values())

    @property
    def spent(self) -> int:
        """Attempts sent, and those that a lost seat may have sent."""
        return self._gone + sum(part.spent for part in self._parts.values())

    @property
    def empty(self) -> bool:
        """Whether not one more may be sent."""
        return self.spent >= self.most

    def join(self, name: str) -> None:
        """A seat is taken."""
        self._parts[name] = _Part()

    def leave(self, name: str, *, lost: bool) -> None:
        """A seat is gone; a lost one may have sent all it was allowed."""
        part = self._parts.pop(name)
        self._gone += part.most if lost else part.spent

    def allowed(self, name: str) -> int:
        """What a seat was told last."""
        return self._parts[name].allowed

    def told(self, name: str, epoch: int) -> None:
        """A seat is told, under an epoch, what `allowed` says now."""
        self._parts[name].epoch = epoch

    def note(self, name: str, epoch: int, spent: int, allowed: int) -> None:
        """A seat at an epoch has sent `spent`, and keeps to `allowed`."""
        part = self._parts[name]
        part.spent = spent
        if epoch >= part.epoch:
            # More than it was told, if it had sent more by then.
            part.most = part.allowed = allowed

    def top_up(self, name: str) -> bool:
        """Allow a seat more if it runs low; says whether it did."""
        part, free = self._parts[name], self.free
        unit = min(free, max(1, min(_LARGEST_UNIT, free // (2 * len(self._parts)))))
        if unit <= 0 or part.most > part.allowed or part.allowed - part.spent > unit // 2:
            return False
        part.allowed += unit
        part.most = part.allowed
        return True

    def reclaim(self, hungry: set[str]) -> list[str]:
        """Take some back, where seats that have work can send nothing.

        Args:
            hungry: Seats that have work.

        Returns:
            Seats that are allowed less from now on.
        """
        dry = [part for name, part in self._parts.items() if name in hungry]
        if self.free or not any(part.spent >= part.most for part in dry):
            return []
        less: list[str] = []
        for name, part in self._parts.items():
            slack = part.allowed - part.spent
            keep = slack // 2 if name in hungry else 0
            if slack > keep and part.most == part.allowed:
                part.allowed = part.spent + keep
                less.append(name)
        return less
