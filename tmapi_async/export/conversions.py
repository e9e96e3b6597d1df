"""Counts of values that a number or flag column cannot store exactly as the API sent them."""

from __future__ import annotations

import msgspec


class Conversions(msgspec.Struct):
    """Counts of inexact conversions, by column.

    Attributes:
        unread: Column -> number of values that are null although the API sent something. The text
            that was sent is in the column `..._text`.
        bounds: Column -> number of values that were read but are not plain numbers
            (`"100000+"`). Their text is in the column `..._text` too.
    """

    unread: dict[str, int] = {}
    bounds: dict[str, int] = {}

    def add(self, column: str, *, unread: int, bounds: int) -> None:
        """Add counts to a column."""
        for counts, number in ((self.unread, unread), (self.bounds, bounds)):
            if number:
                counts[column] = counts.get(column, 0) + number

    def merge(self, more: Conversions) -> None:
        """Add the counts of other rows."""
        for name, number in more.unread.items():
            self.add(name, unread=number, bounds=0)
        for name, number in more.bounds.items():
            self.add(name, unread=0, bounds=number)
