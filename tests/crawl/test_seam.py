"""The comparison of a stored page, requested once more, with the stored rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.crawl.seam import Seam, compare, find_seam

SIZE = 20


def pages_of(rows):
    """Return the pages of a ranking."""
    return {start // SIZE + 1: rows[start : start + SIZE] for start in range(0, len(rows), SIZE)}


def look(before, after, last):
    """Compare page `last` of a ranking with the pages up to it of an earlier ranking."""
    stored = {number: ids for number, ids in pages_of(before).items() if number <= last}
    seam = Seam((last,), stored)
    stored_ids = {item for ids in stored.values() for item in ids}
    return compare(seam, last, pages_of(after).get(last, []), stored_ids)


@pytest.mark.parametrize(
    ("stored", "pages"),
    [
        ({}, None),
        ({1: True, 2: False}, None),
        ({1: True, 2: True}, (2,)),
        ({1: True, 3: True, 4: False}, (1,)),
        ({1: True, 3: True, 4: True}, (4, 1)),
        ({2: True, 3: False}, (2,)),
        ({1: True, 2: True, 5: True, 9: True}, (9, 5, 2)),
    ],
)
def test_a_seam_is_before_each_gap(stored, pages):
    """The page before the last missing pages is looked at first, then those before other gaps."""
    seam = find_seam(stored, {number: [number] for number in stored})
    assert (seam.pages if seam else None) == pages


@given(
    rows=st.integers(40, 200),
    gone=st.sets(st.integers(0, 199), max_size=15),
    last=st.integers(2, 6),
)
def test_rows_that_leave_never_look_like_rows_that_came(rows, gone, last):
    """Rows that leave anywhere are a slide towards the start, whose length the known rows tell."""
    before = list(range(1, rows + 1))
    after = [row for index, row in enumerate(before) if index not in gone]
    comparison = look(before, after, last)
    assert comparison.came == 0
    first = (last - 1) * SIZE
    left_before = sum(index < first for index in gone)
    if comparison.known and comparison.left:
        assert comparison.left >= min(left_before, 1)


@given(places=st.lists(st.integers(0, 79), min_size=1, max_size=30), last=st.integers(5, 8))
def test_rows_that_come_before_the_page_are_noticed(places, last):
    """However many rows come before the page, and wherever, the comparison says so."""
    before = list(range(1, 201))
    after = list(before)
    for number, place in enumerate(places):
        after.insert(place, 1000 + number)
    comparison = look(before, after, last)
    assert comparison.known
    assert comparison.came >= 1


def test_adverts_tell_nothing_about_the_slide():
    """Rows that every page shows are no known rows: a whole page may have slid away under them."""
    adverts = [901, 902]
    stored = {number: adverts + ids for number, ids in pages_of(list(range(1, 101))).items()}
    stored_ids = {item for ids in stored.values() for item in ids}
    page = adverts + list(range(101, 121))
    comparison = compare(Seam((5,), stored), 5, page, stored_ids, surplus=2)
    assert (comparison.known, comparison.new) == (False, 20)
    calm = compare(Seam((5,), stored), 5, stored[5], stored_ids, surplus=2)
    assert (calm.known, calm.new, calm.left, calm.came) == (True, 0, 0, 0)


def test_one_row_that_moved_by_itself_is_no_slide():
    """A single row that moved down onto the page says nothing about the rows around it."""
    before = list(range(1, 101))
    after = [row for row in before if row != 30]
    after.insert(90, 30)
    comparison = look(before, after, 5)
    assert (comparison.came, comparison.left) == (0, 1)
