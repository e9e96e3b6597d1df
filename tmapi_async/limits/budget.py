"""How many attempts may be sent."""

from __future__ import annotations

from tmapi_async.errors import BudgetSpentError, InvalidRequestError


class Budget:
    """How many attempts may be sent. Synchronous: nothing waits with a reservation."""

    def __init__(self, most: int | None = None) -> None:
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise InvalidRequestError(f"max_requests must be at least 1, not {most!r}")
        self.most = most
        self.spent = 0

    @property
    def left(self) -> int | None:
        """Attempts left, or None without a limit."""
        return None if self.most is None else self.most - self.spent

    def reserve(self) -> None:
        """Count an attempt before it is sent.

        Raises:
            BudgetSpentError: None is left; nothing was counted.
        """
        if self.most is not None and self.spent >= self.most:
            raise BudgetSpentError(f"{self.spent} of {self.most} requests sent")
        self.spent += 1

    def __repr__(self) -> str:
        return f"<Budget: {self.spent} of {self.most or 'unlimited'} spent>"
