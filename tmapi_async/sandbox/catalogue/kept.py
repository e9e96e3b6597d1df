"""A store that keeps what was asked for last, as far as memory is meant for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

_EMPTY = 16  # what an entry without rows counts, for it takes room too

T = TypeVar("T")


class BoundedCache(Generic[T]):
    """What was asked for last, up to a number of rows in all; at least the last entry.

    Args:
        most: Rows that all entries together may hold.
    """

    def __init__(self, most: int = 4_000_000) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self.rows = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> T | None:
        """The value kept under a key, or None."""
        held = self._values.get(key)
        if held is None:
            return None
        self._values.move_to_end(key)
        return held[0]

    def put(self, key: Hashable, value: T, rows: int) -> None:
        """Keep a value under a new key, and let go of those not asked for for longest."""
        self._values[key] = (value, rows + _EMPTY)
        self.rows += rows + _EMPTY
        while self.rows > self._most and len(self._values) > 1:
            self.rows -= self._values.popitem(last=False)[1][1]
