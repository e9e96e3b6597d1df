"""The live ranking: orders whose rows move while a client walks through them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .bounded_cache import BoundedCache
from .choice import Choice
from .hashing import bits, mix

_UNIT = 2.0**64

Key = tuple[int, Choice]
Band = Callable[[int], tuple[int, int]]


@dataclass
class _Order:
    rows: array[int]
    band: Band | None
    moved_until: int


class Ranking:
    """Orders that change with the number of replies sent.

    With each reply some rows move, in every order at once, like the ranking of the site, which
    changes for all visitors. A row moves to another rank and the rows between close up. Most moves
    are short, a few go from one end to the other. A walk can therefore see one row on two pages
    and another row on none. The moves are a pure function of the seed and the number of the reply.
    An order begins to move at its first use. If there are very many orders, the one that was not
    used for the longest time is dropped and begins again.

    Args:
        seed: Seed of the moves.
        shift: Rows that move with each reply, on average.

    Attributes:
        shift: Rows that move with each reply.
        replies_sent: Number of replies so far.
    """

    def __init__(self, seed: int, shift: float) -> None:
        self._seed = seed
        self.shift = shift
        self.replies_sent = 0
        self._orders: BoundedCache[_Order] = BoundedCache()

    def order(
        self, key: Key, rows: Sequence[int], band_of: Callable[[], Band] | None = None
    ) -> Sequence[int]:
        """Return the present order.

        Args:
            key: Name of the order.
            rows: The order at the start.
            band_of: Called once to create a function that maps a rank to the range of ranks
                `[start, stop)` in which its row may move (the same for all ranks of the range).
                By default rows move anywhere.
        """
        order = self._orders.get(key)
        if order is None:
            band = band_of() if band_of else None
            order = _Order(array("l", rows), band, self.replies_sent)
            self._orders.put(key, order, len(rows))
        for number in range(order.moved_until, self.replies_sent):
            for turn in range(self.moves_after(number)):
                self._move(order.rows, mix(self._seed, "move", number, turn), order.band)
        order.moved_until = self.replies_sent
        return order.rows

    def moves_after(self, number: int) -> int:
        """Return the number of rows that move with a reply."""
        count, fraction = divmod(self.shift, 1.0)
        return int(count) + (bits(self._seed, number)[0] / _UNIT < fraction)

    def _move(self, rows: array[int], seed: int, band: Band | None) -> None:
        if len(rows) < 2:  # noqa: PLR2004 - a single row cannot move
            return
        rank, length, direction = bits(seed, 0)
        start = rank % len(rows)
        low, high = band(start) if band else (0, len(rows))
        distance = int((high - low) ** (length / _UNIT))
        end = start - distance if direction & 1 else start + distance
        rows.insert(min(max(end, low), high - 1), rows.pop(start))


def ties(prices: Sequence[int]) -> Band:
    """Return the band function for rising prices: rows move among rows of the same price."""

    def band(rank: int) -> tuple[int, int]:
        price = prices[rank]
        return bisect_left(prices, price), bisect_right(prices, price)

    return band
