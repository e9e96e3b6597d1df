"""The live ranking: orders in which rows move while a client walks through them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .choice import Choice
from .hashing import bits, mix
from .kept import BoundedCache

_UNIT = 2.0**64

Key = tuple[int, Choice]
Band = Callable[[int], tuple[int, int]]


@dataclass
class _Order:
    rows: array[int]
    band: Band | None
    moved_until: int


class Ranking:
    """Orders that shift with the number of replies sent.

    With each reply some rows move, in every order at once, as the site's ranking does whoever
    looks. A row moves to another rank, and those between close up; most moves are short and a few
    go from one end to the other. So a row can be seen on two pages of one walk, and another on
    none. Which rows move where is a pure function of the seed and of the number of the reply. An
    order begins to move when it is first looked at; one of very many that was not looked at for
    long begins anew.

    Args:
        seed: Seed of the moves.
        shift: Rows that move with each reply, on average.
    """

    def __init__(self, seed: int, shift: float) -> None:
        self._seed = seed
        self.shift = shift
        self.answered = 0
        self._orders: BoundedCache[_Order] = BoundedCache()

    def order(
        self, key: Key, rows: Sequence[int], band_of: Callable[[], Band] | None = None
    ) -> Sequence[int]:
        """The order as it stands now.

        Args:
            key: Names the order.
            rows: The order as it was at the start.
            band_of: Called once, for what says of a rank within which ranks `[start, stop)` its
                row may move (all ranks of a band must agree); everywhere by default.
        """
        kept = self._orders.get(key)
        if kept is None:
            band = band_of() if band_of else None
            kept = _Order(array("l", rows), band, self.answered)
            self._orders.put(key, kept, len(rows))
        for number in range(kept.moved_until, self.answered):
            for turn in range(self._moves(number)):
                self._move(kept.rows, mix(self._seed, "move", number, turn), kept.band)
        kept.moved_until = self.answered
        return kept.rows

    def _moves(self, number: int) -> int:
        """How many rows move with a reply."""
        whole, rest = divmod(self.shift, 1.0)
        return int(whole) + (bits(self._seed, number)[0] / _UNIT < rest)

    def _move(self, rows: array[int], chosen: int, band: Band | None) -> None:
        if len(rows) < 2:  # noqa: PLR2004 - one row has nowhere to go
            return
        first, far, back = bits(chosen, 0)
        start = first % len(rows)
        low, high = band(start) if band else (0, len(rows))
        distance = int((high - low) ** (far / _UNIT))
        end = start - distance if back & 1 else start + distance
        rows.insert(min(max(end, low), high - 1), rows.pop(start))


def ties(prices: Sequence[int]) -> Band:
    """The band of rows of one price, in an order by price."""
    falling = len(prices) > 0 and prices[0] > prices[-1]

    def key(price: int) -> int:
        return -price if falling else price

    def band(rank: int) -> tuple[int, int]:
        wanted = key(prices[rank])
        return bisect_left(prices, wanted, key=key), bisect_right(prices, wanted, key=key)

    return band
