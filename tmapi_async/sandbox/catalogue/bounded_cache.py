"""A cache that drops the least recently used entries when their total size exceeds a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

_EMPTY = 16  # size of an entry with size 0, which needs memory too

T = TypeVar("T")


class BoundedCache(Generic[T]):
    """The most recently used values, up to a total size, and at least one value.

    `functools.lru_cache` bounds the number of entries; here one entry may be a million times as
    large as another one.

    Args:
        limit: Maximum total size of the entries, in the unit that `put` uses.

    Attributes:
        size: Total size of the entries.
    """

    def __init__(self, limit: int = 4_000_000) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> T | None:
        """Return the value of a key, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: T, size: int) -> None:
        """Add a value under a new key, and drop the least recently used entries."""
        self._entries[key] = (value, size + _EMPTY)
        self.size += size + _EMPTY
        while self.size > self._limit and len(self._entries) > 1:
            self.size -= self._entries.popitem(last=False)[1][1]
