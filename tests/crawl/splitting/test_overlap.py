"""Two walks of one price in opposite orders: what is proven where they meet, and what is not."""

from __future__ import annotations

import random
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tmapi_async.crawl.splitting.overlap import Overlap, find_overlap

SIZE = 20


def pages(rows: Sequence[int], size: int = SIZE) -> list[list[int]]:
    """Rows as pages."""
    return [list(rows[n : n + size]) for n in range(0, len(rows), size)]


def with_adverts(walk: list[list[int]], adverts: Sequence[int]) -> list[list[int]]:
    """A walk of which each page shows adverts in addition."""
    return [[*adverts, *page] for page in walk]


class Restless:
    """An order in which rows move between the answers."""

    def __init__(self, count: int, ceiling: int, chance: random.Random, moves: float) -> None:
        self.rows = list(range(count))
        self.ceiling = ceiling
        self._chance = chance
        self._moves = moves

    def walks(self) -> tuple[list[list[int]], list[list[int]]]:
        """Both orders, page by page by turns; rows move after each."""
        up: list[list[int]] = []
        down: list[list[int]] = []
        for start in range(0, min(self.ceiling, len(self.rows)), SIZE):
            for shown, order in ((up, 1), (down, -1)):
                shown.append(self.rows[::order][: self.ceiling][start : start + SIZE])
                self._move()
        return up, down

    def _move(self) -> None:
        if self._chance.random() < self._moves:
            row = self.rows.pop(self._chance.randrange(len(self.rows)))
            self.rows.insert(self._chance.randrange(len(self.rows) + 1), row)


@given(count=st.integers(1, 300), ceiling=st.integers(20, 200))
def test_what_stands_still_meets_exactly_or_not_at_all(count: int, ceiling: int) -> None:
    """They meet if a page is in both, and then tell how many rows there are."""
    rows = list(range(count))
    up, down = pages(rows[:ceiling]), pages(rows[::-1][:ceiling])
    shared = 2 * min(count, ceiling) - count
    met = Overlap(count, exact=True) if shared >= SIZE else None
    assert find_overlap(up, down, SIZE) == met


@given(
    count=st.integers(30, 300),
    ceiling=st.integers(20, 200),
    adverts=st.lists(st.integers(0, 29), min_size=1, max_size=3, unique=True),
)
def test_adverts_do_not_hide_that_they_meet(count: int, ceiling: int, adverts: list[int]) -> None:
    """Rows of the price that stand on every page in addition are told from the pages' own."""
    rows = list(range(count))
    up = with_adverts(pages(rows[:ceiling]), adverts)
    down = with_adverts(pages(rows[::-1][:ceiling]), adverts)
    met = find_overlap(up, down, SIZE)
    if met is not None and met.exact:
        assert met.rows == count
    if len(up) > 2 and 2 * min(count, ceiling) - count >= SIZE:
        assert met is not None
        assert met.exact


@given(
    count=st.integers(100, 300),
    share=st.floats(0.4, 1.1),
    moves=st.floats(0.01, 1),
    seed=st.integers(0, 2**32),
)
def test_what_is_proven_is_all_there(count: int, share: float, moves: float, seed: int) -> None:
    """Rows that move while the walks last: no proof where one of them slipped past both."""
    order = Restless(count, round(count * share), random.Random(seed), moves)  # noqa: S311
    up, down = order.walks()
    met = find_overlap(up, down, SIZE)
    if met is not None and met.exact:
        assert {item for page in up + down for item in page} == set(range(count))
        assert met.rows == count


@pytest.mark.parametrize("seed", range(20))
def test_where_few_rows_move_it_is_told_about_how_many_there_are(seed: int) -> None:
    """Where rows move they meet roughly, and the count is close."""
    order = Restless(3000, 2000, random.Random(seed), 0.5)  # noqa: S311 - no secrets
    met = find_overlap(*order.walks(), SIZE)
    assert met is not None
    assert not met.exact
    assert abs(met.rows - 3000) <= 30


@pytest.mark.parametrize("seed", range(20))
def test_rows_in_common_alone_prove_nothing(seed: int) -> None:
    """Ties in one order both ways, or in any order, or that do not reach each other: no meeting."""
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


def test_a_moved_row_is_not_taken_for_its_page_s_advert() -> None:
    """An advert shown once, beside a row shown twice: it is the row that tells of a move."""
    moved = [*range(5), 90, *range(5, 90), *range(91, 160)]
    up = [*pages(range(40)), [900, *moved[40:60]], *pages(moved[60:100])]
    assert moved[40] == 39  # shown again: 90 slipped past
    met = find_overlap(up, pages(moved[::-1][:100]), SIZE)
    assert met is None or not met.exact


def test_rows_of_other_prices_are_adverts_only_where_they_are_more_than_a_page() -> None:
    """A filter of prices that does not filter shows them in the place of a page's own rows."""
    up, down = pages(range(120)), pages(range(159, 39, -1))
    foreign = frozenset({900, 901})
    adverts = [with_adverts(walk, sorted(foreign)) for walk in (up, down)]
    assert find_overlap(*adverts, SIZE, foreign=foreign) == Overlap(160, exact=True)
    among = [[[*page[:5], 900 + n % 2, *page[6:]] for n, page in enumerate(up)], down]
    met = find_overlap(*among, SIZE, foreign=foreign)
    assert met is None or not met.exact


@pytest.mark.parametrize("walk", [[], [[]], [[], []]])
def test_walks_that_showed_nothing_do_not_meet(walk: list[list[int]]) -> None:
    """Nothing tells nothing."""
    assert find_overlap(walk, walk, SIZE) is None
    assert find_overlap(walk, pages(range(40)), SIZE) is None


def test_a_row_shown_twice_is_no_proof() -> None:
    """It moved; that another slipped past in its stead cannot be ruled out."""
    up = pages([*range(100), 99, *range(100, 119)])
    down = pages(range(159, 39, -1))
    assert find_overlap(pages(range(120)), down, SIZE) == Overlap(160, exact=True)
    met = find_overlap(up, down, SIZE)
    assert met is None or not met.exact
