"""Counts the values that a number or a flag cannot hold as they were sent."""

from __future__ import annotations

import msgspec


class Conversions(msgspec.Struct):
    """What a number or a flag does not hold of what was sent for it.

    Attributes:
        unread: Column to how many of its values are null although something was sent; what was
            sent stands in the column's `..._text`.
        bounds: Column to how many of its values are read, but were sent as something that says
            more (`"100000+"`), which stands there too.
    """

    unread: dict[str, int] = {}
    bounds: dict[str, int] = {}

    def add(self, column: str, *, unread: int, bounds: int) -> None:
        """Count some values of a column."""
        for counted, number in ((self.unread, unread), (self.bounds, bounds)):
            if number:
                counted[column] = counted.get(column, 0) + number
