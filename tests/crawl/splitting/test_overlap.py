"""Overlaps of two walks of one price in opposite orders: exact ones are proofs, others are not."""

from __future__ import annotations

import random
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tmapi_async.crawl.splitting.overlap import Overlap, find_overlap

SIZE = 20


def pages(rows: Sequence[int], size: int = SIZE) -> list[list[int]]:
    """Cut rows into pages."""
    return [list(rows[n : n + size]) for n in range(0, len(rows), size)]


def with_adverts(walk: list[list[int]], adverts: Sequence[int]) -> list[list[int]]:
    """Return a walk with the same adverts on each page, in addition to its rows."""
    return [[*adverts, *page] for page in walk]


class ShiftingOrder:
    """An order whose rows move between the answers.

    Args:
        count: Number of rows.
        ceiling: Number of rows that are shown.
        chance: Chooses the rows, and when and to where they move.
        moves: Chance of a move after each page.
        most: Number of moves after which none follows.
    """

    def __init__(
        self, count: int, ceiling: int, chance: random.Random, moves: float, most: int = 1000
    ) -> None:
        self.rows = list(range(count))
        self.ceiling = ceiling
        self._chance = chance
        self._moves = moves
        self._left = most

    def walks(self) -> tuple[list[list[int]], list[list[int]]]:
        """Return both orders, read page by page in turn; rows move after each page."""
        up: list[list[int]] = []
        down: list[list[int]] = []
        for start in range(0, min(self.ceiling, len(self.rows)), SIZE):
            for shown, order in ((up, 1), (down, -1)):
                shown.append(self.rows[::order][: self.ceiling][start : start + SIZE])
                self._move()
        return up, down

    def _move(self) -> None:
        if self._left and self._chance.random() < self._moves:
            self._left -= 1
            row = self.rows.pop(self._chance.randrange(len(self.rows)))
            self.rows.insert(self._chance.randrange(len(self.rows) + 1), row)


@given(count=st.integers(1, 300), ceiling=st.integers(20, 200))
def test_walks_over_rows_that_stand_still_overlap_exactly_or_not_at_all(
    count: int, ceiling: int
) -> None:
    """The walks overlap if they share a page, and then give the number of rows."""
    rows = list(range(count))
    up, down = pages(rows[:ceiling]), pages(rows[::-1][:ceiling])
    shared = 2 * min(count, ceiling) - count
    expected = Overlap(count, exact=True) if shared >= SIZE else None
    assert find_overlap(up, down, SIZE) == expected


@given(
    count=st.integers(30, 300),
    ceiling=st.integers(20, 200),
    adverts=st.lists(st.integers(0, 29), min_size=1, max_size=3, unique=True),
)
def test_adverts_do_not_hide_an_overlap(count: int, ceiling: int, adverts: list[int]) -> None:
    """Adverts of the same price, repeated on every page, are told from the pages' own rows."""
    rows = list(range(count))
    up = with_adverts(pages(rows[:ceiling]), adverts)
    down = with_adverts(pages(rows[::-1][:ceiling]), adverts)
    overlap = find_overlap(up, down, SIZE)
    if overlap is not None and overlap.exact:
        assert overlap.rows == count
    if len(up) > 2 and 2 * min(count, ceiling) - count >= SIZE:
        assert overlap is not None
        assert overlap.exact


@given(
    count=st.integers(100, 300),
    share=st.floats(0.4, 1.1),
    moves=st.floats(0.01, 1),
    seed=st.integers(0, 2**32),
)
def test_an_exact_overlap_misses_no_row(count: int, share: float, moves: float, seed: int) -> None:
    """If a row moves during the walks, there is no exact overlap when both walks missed it."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    order = ShiftingOrder(count, round(count * share), chance, moves, most=1)
    up, down = order.walks()
    overlap = find_overlap(up, down, SIZE)
    if overlap is not None and overlap.exact:
        assert {item for page in up + down for item in page} == set(range(count))
        assert overlap.rows == count


@pytest.mark.slow
def test_moves_that_make_up_for_each_other_are_rare() -> None:
    """Of exact overlaps of rows that move again and again, next to none misses a row."""
    chance = random.Random(7)  # noqa: S311 - no secrets
    proofs = misses = 0
    for _ in range(8000):
        count = chance.randint(40, 120)
        ceiling, moves = round(count * chance.uniform(0.5, 1.1)), chance.uniform(0.05, 0.6)
        up, down = ShiftingOrder(count, ceiling, chance, moves).walks()
        overlap = find_overlap(up, down, SIZE)
        if overlap is not None and overlap.exact:
            proofs += 1
            misses += {item for page in up + down for item in page} != set(range(count))
    assert proofs > 1000
    assert misses <= proofs / 1000


@pytest.mark.parametrize("seed", range(20))
def test_a_rough_overlap_estimates_the_rows(seed: int) -> None:
    """If rows move, the overlap is not exact, and its number of rows is close."""
    order = ShiftingOrder(3000, 2000, random.Random(seed), 0.5)  # noqa: S311 - no secrets
    overlap = find_overlap(*order.walks(), SIZE)
    assert overlap is not None
    assert not overlap.exact
    assert abs(overlap.rows - 3000) <= 30


@pytest.mark.parametrize("seed", range(20))
def test_rows_in_common_alone_prove_nothing(seed: int) -> None:
    """Ties in one order both ways or in any order, and walks too short to touch, do not overlap."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    rows = list(range(5000))
    same = pages(rows[:2000])
    assert find_overlap(same, same, SIZE) is None
    any_order = [pages(chance.sample(rows[:3000], 2000)) for _ in range(2)]
    assert find_overlap(*any_order, SIZE) is None
    apart = [pages(rows[:2000]), pages(rows[::-1][:2000])]
    assert find_overlap(*apart, SIZE) is None
    shown_by_both = [with_adverts(walk, range(2490, 2520)) for walk in apart]
    assert find_overlap(*shown_by_both, SIZE) is None


def test_a_moved_row_is_not_taken_for_an_advert() -> None:
    """With an advert shown once and a row shown twice, the row counts as moved: no proof."""
    moved = [*range(5), 90, *range(5, 90), *range(91, 160)]
    up = [*pages(range(40)), [900, *moved[40:60]], *pages(moved[60:100])]
    assert moved[40] == 39  # shown again: 90 was missed
    overlap = find_overlap(up, pages(moved[::-1][:100]), SIZE)
    assert overlap is None or not overlap.exact


def test_rows_of_other_prices_are_adverts_only_beyond_the_page_size() -> None:
    """A price filter without effect shows them in place of the page's own rows: no proof."""
    up, down = pages(range(120)), pages(range(159, 39, -1))
    foreign = frozenset({900, 901})
    adverts = [with_adverts(walk, sorted(foreign)) for walk in (up, down)]
    assert find_overlap(*adverts, SIZE, foreign=foreign) == Overlap(160, exact=True)
    mixed = [[[*page[:5], 900 + n % 2, *page[6:]] for n, page in enumerate(up)], down]
    overlap = find_overlap(*mixed, SIZE, foreign=foreign)
    assert overlap is None or not overlap.exact


@pytest.mark.parametrize("walk", [[], [[]], [[], []]])
def test_empty_walks_do_not_overlap(walk: list[list[int]]) -> None:
    """A walk without rows overlaps with no other walk."""
    assert find_overlap(walk, walk, SIZE) is None
    assert find_overlap(walk, pages(range(40)), SIZE) is None


def test_a_row_shown_twice_is_no_proof() -> None:
    """The row has moved, so another row may have been missed."""
    up = pages([*range(100), 99, *range(100, 119)])
    down = pages(range(159, 39, -1))
    assert find_overlap(pages(range(120)), down, SIZE) == Overlap(160, exact=True)
    overlap = find_overlap(up, down, SIZE)
    assert overlap is None or not overlap.exact
