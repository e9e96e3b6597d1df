"""Counts of values that a number or flag column cannot store exactly as the API sent them."""

from __future__ import annotations

import msgspec

from tmapi_async.api.columns import layout
from tmapi_async.api.endpoints import ENDPOINTS


class Conversions(msgspec.Struct):
    """Counts of inexact conversions, by column.

    Attributes:
        unread: Column -> number of values that are null although the API sent something. The text
            that was sent is in the column `..._text`.
        bounds: Column -> number of values that were read but are not plain numbers
            (`"100000+"`), or are rates below 1, which may be fractions. Their text is in the column
            `..._text` too.
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


def split_bounds(bounds: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Split counts of `Conversions.bounds` by their reason.

    Returns:
        The counts of numbers that are not plain, and the counts of rates below 1.
    """
    columns = (column for one in ENDPOINTS.values() for column in layout(one.item).columns)
    rates = {column.name for column in columns if column.kind == "percent"}
    not_plain = {name: number for name, number in bounds.items() if name not in rates}
    return not_plain, {name: number for name, number in bounds.items() if name in rates}
