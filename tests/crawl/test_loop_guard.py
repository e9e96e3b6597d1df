from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async import GuardPolicy, Item, Reject
from tmapi_async.crawl.loop_guard import LoopGuard

POLICY = GuardPolicy(same=3, stale=5)
PAGES = st.lists(st.lists(st.integers(1, 30), max_size=6), max_size=15)


def items(*numbers: int) -> list[Item]:
    """Items of these IDs."""
    return [Item(item_id=number) for number in numbers]


def rejects(*rows: bytes) -> list[Reject]:
    """Rejects of these bytes."""
    return [Reject(position, "unreadable", row) for position, row in enumerate(rows)]


@given(PAGES, st.sets(st.integers(1, 10)))
def test_every_item_is_fresh_once(pages: list[list[int]], seen: set[int]) -> None:
    """An item is new to its listing once, in order; every other time it is a duplicate."""
    guard = LoopGuard(POLICY, seen)
    known = set(seen)
    for page in pages:
        wanted = [n for place, n in enumerate(page) if n not in known | set(page[:place])]
        assert [item.item_id for item in guard.add_page(items(*page))] == wanted
        known |= set(page)
    assert guard.unique == len(known)
    assert guard.duplicates == sum(map(len, pages)) - len(known) + len(seen)


@given(PAGES)
def test_a_listing_that_brings_something_new_is_not_endless(pages: list[list[int]]) -> None:
    """With a new item on each page a listing goes on, however many duplicates come along."""
    guard = LoopGuard(POLICY)
    for number, page in enumerate(pages):
        guard.add_page(items(*page, 1000 + number))
        assert guard.endless is None


def test_a_page_again_and_again_is_endless() -> None:
    """So many identical pages in a row end a listing, and the reason says how many."""
    guard = LoopGuard(POLICY)
    for count in range(1, 4):
        guard.add_page(items(1, 2))
        assert (guard.endless is not None) == (count == 3)
    assert guard.endless == "the same page came 3 times in a row"


def test_a_page_that_comes_back_later_is_no_repeat() -> None:
    """Identical pages count only in a row."""
    guard = LoopGuard(POLICY)
    for page in ((1, 2), (1, 2), (3,), (1, 2), (1, 2), (4,)):
        guard.add_page(items(*page))
        assert guard.endless is None


@pytest.mark.parametrize("pages", [[(1, 2), (2, 1)], [()], [(1,), (2,), (1, 2)]])
def test_pages_without_anything_new_are_endless(pages: list[tuple[int, ...]]) -> None:
    """A run of pages without a new ID ends a listing: a loop of pages, or empty ones."""
    guard = LoopGuard(GuardPolicy(same=99, stale=5), stored_ids=(1, 2))
    for count in range(1, 6):
        guard.add_page(items(*pages[count % len(pages)]))
        assert (guard.endless is not None) == (count == 5)
    assert guard.endless == "5 pages in a row brought no new item"


def test_one_new_item_begins_the_run_anew() -> None:
    """The run without anything new is broken by a single new ID."""
    guard = LoopGuard(GuardPolicy(same=99, stale=5), stored_ids=(1,))
    for number in (1, 1, 1, 1, 2, 1, 1, 1, 1):
        guard.add_page(items(number))
    assert guard.endless is None
    guard.add_page(items(1))
    assert guard.endless is not None


def test_unreadable_rows_may_be_new() -> None:
    """Pages of rows that cannot be read are not endless while their bytes are new."""
    guard = LoopGuard(POLICY)
    for number in range(50):
        guard.add_page([], rejects(b'{"item_id": "a%d"}' % number))
        assert guard.endless is None
    assert (guard.unique, guard.duplicates) == (0, 0)


@pytest.mark.parametrize("ids", [(), (1, 2)])
def test_the_same_unreadable_rows_are_endless(ids: tuple[int, ...]) -> None:
    """A page that comes again and again is endless also where a row of it cannot be read."""
    guard = LoopGuard(POLICY)
    for count in range(1, 4):
        guard.add_page(items(*ids), rejects(b"null", b'"x"'))
        assert (guard.endless is not None) == (count == 3)


def test_old_unreadable_rows_are_stale() -> None:
    """Unreadable rows seen before make a page no newer than items seen before do."""
    guard = LoopGuard(GuardPolicy(same=99, stale=5))
    guard.add_page(items(1), rejects(b"a", b"b"))
    for count in range(1, 6):
        guard.add_page(items(1), rejects(b"ab"[count % 2 :][:1]))
        assert (guard.endless is not None) == (count == 5)


def test_an_unreadable_row_makes_a_page_differ() -> None:
    """Two pages of the same items are not the same page where their unreadable rows differ."""
    guard = LoopGuard(GuardPolicy(same=2, stale=99))
    guard.add_page(items(1), rejects(b"a"))
    guard.add_page(items(1), rejects(b"b"))
    assert guard.endless is None
    guard.add_page(items(1))
    assert guard.endless is None
    guard.add_page(items(1))
    assert guard.endless is not None


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([b"a", b"b"])), min_size=12))
def test_every_loop_is_found(pages: list[tuple[int, bytes]]) -> None:
    """A listing of few rows that never ends is found to be endless after a bounded run."""
    guard = LoopGuard(POLICY)
    for count, (number, row) in enumerate(pages, 1):
        guard.add_page(items(number), rejects(row))
        if guard.endless:
            assert count >= POLICY.same
            break
    else:
        # At most five pages with something new, at most four between any two of them.
        assert len(pages) <= 5 * POLICY.stale


def test_fresh_items_are_the_items_themselves() -> None:
    """A page where all is new is handed back as it came, without a copy."""
    guard = LoopGuard(POLICY)
    page = items(1, 2, 3)
    assert guard.add_page(page) is page


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(1, 12), max_size=4),
            st.lists(st.sampled_from([b"a", b"b"]), max_size=2),
        ),
        max_size=12,
    ),
    st.builds(GuardPolicy, same=st.integers(1, 3), stale=st.integers(1, 4)),
)
def test_repeats_in_a_row_are_counted_row_by_row(
    pages: list[tuple[list[int], list[bytes]]], policy: GuardPolicy
) -> None:
    """A listing is endless exactly if its last pages are the same, or show no row that is new."""
    guard, shown = LoopGuard(policy), set[int | bytes]()
    last: tuple[list[int], list[bytes]] = ([], [])
    same, stale = 1, 0
    for page in pages:
        numbers, raw = page
        guard.add_page(items(*numbers), rejects(*raw))
        same = same + 1 if page == last else 1
        stale = 0 if {*numbers, *raw} - shown else stale + 1
        is_endless = (same >= policy.same and any(page)) or stale >= policy.stale
        assert (guard.endless is not None) == is_endless
        shown |= {*numbers, *raw}
        last = page
