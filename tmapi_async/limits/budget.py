"""Limit on the number of attempts."""

from __future__ import annotations

from tmapi_async.errors import BudgetSpentError, InvalidRequestError
from tmapi_async.errors.shown_value import show_value


class Budget:
    """Limit on the number of attempts.

    Reserving is synchronous, so that no attempt waits while it holds a reservation.

    Args:
        most: Maximum number of attempts, or None for no limit.

    Attributes:
        most: Maximum number of attempts, or None.
        spent: Number of attempts reserved so far, without those that reached no server.

    Raises:
        InvalidRequestError: `most` is not a whole number from 1.
    """

    def __init__(self, most: int | None = None) -> None:
        if most is not None and (
            isinstance(most, bool) or not isinstance(most, int) or not 1 <= most < 2**63
        ):
            raise InvalidRequestError(f"max_requests must be at least 1, not {show_value(most)}")
        self.most = most
        self.spent = 0

    @property
    def left(self) -> int | None:
        """Number of attempts left, or None without a limit."""
        return None if self.most is None else self.most - self.spent

    def reserve(self) -> None:
        """Count an attempt before it is sent.

        Raises:
            BudgetSpentError: No attempt is left; nothing was counted.
        """
        if self.most is not None and self.spent >= self.most:
            raise BudgetSpentError(f"{self.spent} of {self.most} requests sent")
        self.spent += 1

    def refund(self) -> None:
        """Take back the reservation of an attempt that reached no server."""
        self.spent -= 1

    def __repr__(self) -> str:
        return f"<Budget: {self.spent} of {self.most or 'unlimited'} spent>"
