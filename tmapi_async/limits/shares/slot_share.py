"""Share of an account's limits, as it is sent to a holder."""

from __future__ import annotations

import msgspec


class SlotShare(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Part of the account's limits that a holder may use from now on.

    Attributes:
        epoch: Number that grows with each share sent to the holder.
        slots: Attempts at the server at once.
        rate: Attempts a second; only used if the holder has a rate limit.
        allowed: Attempts in all since the holder joined, or None without a limit.
    """

    epoch: int
    slots: int
    rate: float = 0.0
    allowed: int | None = None
