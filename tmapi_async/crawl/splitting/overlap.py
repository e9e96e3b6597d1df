"""Whether two walks of one price, in opposite orders, have met. Pure.

Each shows the first rows of its order, up to the ceiling, and no total tells how many lie between.
If the one order is the other reversed, a row stands as far from the start of the one as from the
end of the other, so that the two places of any row that both show tell how many rows there are.

Adverts stand in addition to a page's own rows, and rows move while walks last. So two answers are
told apart: that they met exactly, which counts as a proof, and that they met roughly, which does
not but says how many rows there are about, and that hardly any lie between.

It is a proof for walks made side by side, as long as no row moves twice and none leaves: a row that
slips past both then pushes another back over what has been read, which is shown twice. A walk that
ends more pages before the other than they have in common is not held to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import product
from statistics import median_low
from typing import TypeAlias

import msgspec

Pages: TypeAlias = Sequence[Sequence[int]]
"""The items of a walk, page by page."""

_LEAST = 20  # rows in common from which on a meeting is more than chance
_OFTEN = 3  # times that an advert of the price stands in a walk
_AGREEING = 0.6  # share of the rows in common, and of those there should be, that tell the same
_STRAYING = 0.1  # of all rows: so far may a row have moved
# Where ties come in one order both ways, or in any, a tenth to a fifth would agree by chance.


class Overlap(msgspec.Struct, frozen=True):
    """Where two walks met.

    Attributes:
        rows: How many rows there are.
        exact: Proven; else about so many.
    """

    rows: int
    exact: bool


def find_overlap(
    rising: Pages, falling: Pages, size: int, *, foreign: AbstractSet[int] = frozenset()
) -> Overlap | None:
    """Where two walks in opposite orders met; None if nothing says that they did.

    Args:
        rising: What the one showed.
        falling: What the other did.
        size: Rows a page; what a page shows beyond that are adverts.
        foreign: Items of other prices.
    """
    for up, down in product(_own(rising, size, foreign), _own(falling, size, foreign)):
        shared = _backwards(up, down)
        if shared >= max(size, _LEAST):
            return Overlap(len(up) + len(down) - shared, exact=True)
    return _roughly(_places(rising, size, foreign), _places(falling, size, foreign))


def _own(pages: Pages, size: int, foreign: AbstractSet[int]) -> Iterator[list[int]]:
    """The rows without adverts, as they may be; nothing if these cannot be told.

    Nor if a row was shown twice: it has moved, and another may have slipped past in its stead.
    """
    if not pages:
        return
    *full, last = pages
    times = Counter(item for page in pages for item in page)
    own: list[int] = []
    known: set[int] = set()
    for page in full:
        surplus = max(0, len(page) - size)
        # What is shown twice has moved: an advert is shown more often, or is of another price.
        adverts = {one for one in page if times[one] >= _OFTEN or one in foreign}
        adverts = adverts if surplus else set()
        if len(adverts) != surplus:
            return
        known |= adverts
        own += _without(page, adverts)
    # How many rows of its own the last page has is not known, nor whether adverts stand there too.
    for adverts in (set(), known) if known.intersection(last) else (set(),):
        rows = [*own, *_without(last, adverts)]
        if len(set(rows)) == len(rows) and foreign.isdisjoint(rows):
            yield rows


def _without(page: Sequence[int], adverts: set[int]) -> Iterator[int]:
    """A page's rows but for the first place of each advert: the second is the row's own."""
    left = set(adverts)
    for item in page:
        if item in left:
            left.remove(item)
        else:
            yield item


def _backwards(rising: Sequence[int], falling: Sequence[int]) -> int:
    """How many rows at its end the second repeats backwards from the first; 0: they do not meet.

    Having rows in common alone proves nothing: what ties may come in any order.
    """
    known = set(rising)
    start = next((n for n, item in enumerate(falling) if item in known), len(falling))
    back = falling[start:]
    return len(back) if back == rising[::-1][: len(back)] else 0


def _roughly(up: dict[int, int], down: dict[int, int]) -> Overlap | None:
    """Where two walks met, by the places of what they showed; see `_places`."""
    tell = [place + down[item] + 1 for item, place in up.items() if item in down]
    if len(tell) < _LEAST:
        return None
    rows = median_low(tell)
    agree = sum(abs(one - rows) <= _STRAYING * rows for one in tell)
    shared = max(up.values()) + max(down.values()) + 2 - rows
    enough = max(_LEAST, _AGREEING * max(len(tell), shared))
    return Overlap(rows, exact=False) if agree >= enough else None


def _places(pages: Pages, size: int, foreign: AbstractSet[int]) -> dict[int, int]:
    """Where each item of the price stood first, adverts not counted."""
    places: dict[int, int] = {}
    start = 0
    for page in pages:
        for n, item in enumerate(page):
            places.setdefault(item, start + min(n, size - 1))
        start += min(len(page), size)
    return {item: place for item, place in places.items() if item not in foreign}
