"""Depth of the cuts after the account's limit has fallen."""

from __future__ import annotations

CUTS_FOR_FALL = 3
"""Cuts in a row, with no attempt accepted between, that mean that the limit itself has fallen."""

SMALL_WIDTH = 4
"""Up to this width a cut may go down to one slot: one burst may leave one slot of so many."""

SHRINK_SHARES = (1 / 16, 1 / 8, 1 / 4)
"""Share of the refused level taken off by such a cut and the next ones; two slots at least."""


def fallen_width(level: int, cuts_in_row: int) -> int:
    """Return the width after a cut that shows that the limit has fallen.

    Args:
        level: Number of attempts in flight that was refused.
        cuts_in_row: Cuts with no attempt accepted between, this one included.
    """
    share = SHRINK_SHARES[min(cuts_in_row - CUTS_FOR_FALL, len(SHRINK_SHARES) - 1)]
    return level - max(2 if level > SMALL_WIDTH else 1, int(level * share))
