"""The comparison of a stored page, requested once more, with the stored rows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.making import NOW, dumped, row
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.crawl.seam import Seam, SeamWalk, compare, find_seam

SIZE = 20
LISTING = category_items(7)
FIRST_ID = row(0)["item_id"]


def pages_of(rows):
    """Return the pages of a ranking."""
    return {start // SIZE + 1: rows[start : start + SIZE] for start in range(0, len(rows), SIZE)}


def look(before, after, last):
    """Compare page `last` of a ranking with the pages up to it of an earlier ranking."""
    stored = {number: ids for number, ids in pages_of(before).items() if number <= last}
    seam = Seam((last,), stored, last)
    stored_ids = {item for ids in stored.values() for item in ids}
    return compare(seam, last, pages_of(after).get(last, []), stored_ids)


@pytest.mark.parametrize(
    ("stored", "pages"),
    [
        ({}, None),
        ({1: True, 2: False}, None),
        ({1: True, 2: True}, (2,)),
        ({1: True, 3: True, 4: False}, (3, 1)),
        ({1: True, 3: True, 4: True}, (4, 1)),
        ({2: True, 3: False}, (2,)),
        ({1: True, 2: True, 5: True, 9: True}, (9, 5, 2)),
    ],
)
def test_a_seam_is_before_each_gap(stored, pages):
    """The page at the last missing ones is looked at first, then those before other gaps."""
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
    comparison = compare(Seam((5,), stored, 5), 5, page, stored_ids, surplus=2)
    assert (comparison.known, comparison.new) == (False, 20)
    calm = compare(Seam((5,), stored, 5), 5, stored[5], stored_ids, surplus=2)
    assert (calm.known, calm.new, calm.left, calm.came) == (True, 0, 0, 0)


def test_one_row_that_moved_by_itself_is_no_slide():
    """A single row that moved down onto the page says nothing about the rows around it."""
    before = list(range(1, 101))
    after = [row for row in before if row != 30]
    after.insert(90, 30)
    comparison = look(before, after, 5)
    assert (comparison.came, comparison.left) == (0, 1)


def page_with(number, numbers):
    """Return a page with these rows."""
    data = {"page_size": SIZE, "has_next_page": False, "items": [row(n) for n in numbers]}
    reply = Reply(200, {}, dumped({"code": 200, "msg": "success", "data": data}))
    page = read_reply(reply, PageRequest(LISTING, number), now=NOW)
    assert isinstance(page, Page)
    return page


def rows_seen(before, after, stored_numbers):
    """Read a listing in two sittings, as a crawler does; return the rows seen, and any shift."""
    old, new = pages_of(before), pages_of(after)
    stored = {number: old[number] for number in stored_numbers if number in old}
    seen = {FIRST_ID + item for ids in stored.values() for item in ids}
    rows = {number: [FIRST_ID + item for item in ids] for number, ids in stored.items()}
    seam = find_seam({number: number < len(old) for number in stored}, rows)
    shifted, walk = None, SeamWalk(seam) if seam else None
    while walk is not None:
        page = page_with(walk.number, new.get(walk.number, []))
        look = walk.add(page.request, page, seen)
        seen.update(page.row_ids())
        shifted = shifted or look.shifted
        walk = None if look.last else walk
    for number, ids in new.items():
        if number not in stored:
            seen.update(FIRST_ID + item for item in ids)
    return {item - FIRST_ID for item in seen}, shifted


def test_rows_that_come_inside_the_first_page_are_noticed_behind_a_gap():
    """Page 1 keeps its first rows, and page 5 shows rows that the gap would have had."""
    before = list(range(1, 102))
    after = before[:10] + list(range(1001, 1031)) + before[10:]
    _, shifted = rows_seen(before, after, {1, 2, 5, 6})
    assert shifted is not None


@settings(max_examples=300, deadline=None)
@given(data=st.data(), rows=st.integers(25, 200))
def test_no_row_that_stays_is_missed_in_silence(data, rows):
    """Whatever leaves, comes and is stored: all rows that stayed are seen, or the shift is told."""
    before = list(range(1, rows + 1))
    gone = data.draw(st.sets(st.sampled_from(before), max_size=60))
    after = [item for item in before if item not in gone]
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(after)))
        after[place:place] = range(1001, 1001 + data.draw(st.integers(1, 30)))
    numbers = data.draw(st.sets(st.integers(1, -(-rows // SIZE)), min_size=1))
    seen, shifted = rows_seen(before, after, numbers)
    balanced = bool(gone) and len(after) > len([item for item in after if item < 1001])
    missing = {item for item in after if item < 1001} - seen
    assert not missing or shifted or balanced
