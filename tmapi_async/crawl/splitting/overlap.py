"""Find out whether two walks of one price, in opposite orders, have met. No I/O.

Each walk shows the first rows of its order, up to the ceiling, and no total says how many rows lie
between. If one order is the reverse of the other, a row stands as far from the start of one walk as
from the end of the other. So the two positions of any row that both walks show give the number of
all rows.

Each page shows adverts in addition to its own rows, and rows move while the walks last. Therefore
there are two kinds of overlap. An exact one counts as a proof. A rough one is no proof, but gives
the approximate number of rows and says that hardly any row lies between the walks.

An exact overlap is a proof for walks made side by side, as long as no row leaves and no two moves
make up for each other. Then a row that moves past both walks pushes another row back into the range
that was already read, and that row is shown twice. If a second row leaves that range before the
next page is read, nothing is shown twice, and the first row is missed: that is rare, and no two
walks can show it. The proof does not cover a walk that ended earlier than the other one by more
pages than the two have in common.
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
"""Item IDs of a walk, page by page."""

ADVERT_TIMES = 3
"""Times that an advert of the same price is shown in a walk; a row that moved is shown twice."""

_MIN_SHARED = 20  # rows in common from which on an overlap is more than chance
_MIN_AGREEMENT = 0.6  # share of the common rows (found or expected) that must give the same number
_MAX_SHIFT = 0.1  # of all rows: a row may have moved so far
# With ties in the same order both ways, or in any order, a tenth to a fifth would agree by chance.


class Overlap(msgspec.Struct, frozen=True):
    """The overlap of two walks.

    Attributes:
        rows: Number of rows in total.
        exact: True if `rows` is proven; otherwise `rows` is an estimate.
    """

    rows: int
    exact: bool


def find_overlap(
    rising: Pages, falling: Pages, size: int, *, foreign: AbstractSet[int] = frozenset()
) -> Overlap | None:
    """Find the overlap of two walks in opposite orders. Return None if nothing shows one.

    Args:
        rising: Pages of one walk.
        falling: Pages of the other walk.
        size: Rows a page; rows beyond that are adverts.
        foreign: Items of other prices.
    """
    candidates = product(_own_rows(rising, size, foreign), _own_rows(falling, size, foreign))
    for up, down in candidates:
        shared = _shared_backwards(up, down)
        if shared >= max(size, _MIN_SHARED):
            return Overlap(len(up) + len(down) - shared, exact=True)
    return _rough_overlap(_positions(rising, size, foreign), _positions(falling, size, foreign))


def _own_rows(pages: Pages, size: int, foreign: AbstractSet[int]) -> Iterator[list[int]]:
    """Yield the possible rows of a walk without adverts; nothing if the adverts are unknown.

    A walk that shows a row twice yields nothing either: the row has moved, and another row may have
    moved past the walk at the same time.
    """
    if not pages:
        return
    *full_pages, last = pages
    times = Counter(item for page in pages for item in page)
    own: list[int] = []
    known_adverts: set[int] = set()
    for page in full_pages:
        surplus = max(0, len(page) - size)
        # A row shown twice has moved. An advert is shown more often, or has another price.
        adverts = {item for item in page if times[item] >= ADVERT_TIMES or item in foreign}
        adverts = adverts if surplus else set()
        if len(adverts) != surplus:
            return
        known_adverts |= adverts
        own += _without_adverts(page, adverts)
    # The last page may be short: its number of own rows is unknown, and so are its adverts.
    for adverts in (set(), known_adverts) if known_adverts.intersection(last) else (set(),):
        rows = [*own, *_without_adverts(last, adverts)]
        if len(set(rows)) == len(rows) and foreign.isdisjoint(rows):
            yield rows


def _without_adverts(page: Sequence[int], adverts: set[int]) -> Iterator[int]:
    """Yield the rows of a page without the first place of each advert; a second one is a row."""
    remaining = set(adverts)
    for item in page:
        if item in remaining:
            remaining.remove(item)
        else:
            yield item


def _shared_backwards(rising: Sequence[int], falling: Sequence[int]) -> int:
    """Return how many rows the end of `falling` repeats from `rising` backwards, or 0.

    Common rows alone prove nothing: ties may come in any order.
    """
    risen = set(rising)
    start = next((index for index, item in enumerate(falling) if item in risen), len(falling))
    tail = falling[start:]
    return len(tail) if tail == rising[::-1][: len(tail)] else 0


def _rough_overlap(up: dict[int, int], down: dict[int, int]) -> Overlap | None:
    """Find the overlap of two walks by the positions of their rows; see `_positions`."""
    estimates = [position + down[item] + 1 for item, position in up.items() if item in down]
    if len(estimates) < _MIN_SHARED:
        return None
    rows = median_low(estimates)
    agreeing = sum(abs(estimate - rows) <= _MAX_SHIFT * rows for estimate in estimates)
    expected = max(up.values()) + max(down.values()) + 2 - rows
    required = max(_MIN_SHARED, _MIN_AGREEMENT * max(len(estimates), expected))
    return Overlap(rows, exact=False) if agreeing >= required else None


def _positions(pages: Pages, size: int, foreign: AbstractSet[int]) -> dict[int, int]:
    """Return the first position of each item of the price, adverts not counted."""
    positions: dict[int, int] = {}
    start = 0
    for page in pages:
        for index, item in enumerate(page):
            positions.setdefault(item, start + min(index, size - 1))
        start += min(len(page), size)
    return {item: position for item, position in positions.items() if item not in foreign}
