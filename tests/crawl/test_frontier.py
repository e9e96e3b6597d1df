"""The rules by which the frontier hands out and delivers pages, one at a time."""

from __future__ import annotations

import pytest

from tests.support.frontier_steps import A, B, numbers, opened, page, take
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.answers import Answer
from tmapi_async.crawl.frontier import Frontier

# -- order


def test_without_lookahead_a_listing_is_walked_page_by_page() -> None:
    """With look-ahead off, a page is asked for only after the one before said there is one."""
    frontier = opened()
    assert numbers(take(frontier)) == [1]
    assert page(frontier, A, 1, more=True).deliver == (1,)
    assert numbers(take(frontier)) == [2]
    assert page(frontier, A, 2, more=False) == Answer(deliver=(2,), ended="complete")
    assert take(frontier) == []
    assert A not in frontier


def test_certain_work_goes_before_new_listings() -> None:
    """A page that is certain is asked for before the first page of a new listing."""
    frontier = opened()
    frontier.take(1)
    frontier.open(B)
    page(frontier, A, 1, more=True)
    assert [frontier.take(1), frontier.take(1)] == [PageRequest(A, 2), PageRequest(B, 1)]


def test_open_listings_take_turns() -> None:
    """A long listing of known length leaves every other open listing its turn."""
    frontier = opened()
    frontier.open(B)
    for request in take(frontier):
        frontier.answered(request, has_next=True, items=20, expected=50)
    requests = [request.listing for request in take(frontier, 100)]
    assert requests in ([A, B] * 49, [B, A] * 49)


def test_a_known_length_is_asked_for_side_by_side() -> None:
    """If the length is known, all pages are certain, with or without look-ahead."""
    for lookahead in (0, None):
        frontier = Frontier(lookahead=lookahead)
        frontier.open(A, expected=5)
        assert numbers(take(frontier)) == [1, 2, 3, 4, 5]


def test_the_page_may_tell_the_length() -> None:
    """A length that comes with a page makes the pages up to it certain work."""
    frontier = opened()
    take(frontier)
    frontier.answered(PageRequest(A, 1), has_next=True, items=20, expected=4)
    assert numbers(take(frontier)) == [2, 3, 4]


def test_a_closed_gate_takes_nothing() -> None:
    """With a width of 0 nothing is taken, and nothing is lost."""
    frontier = opened()
    assert frontier.take(0) is None
    assert numbers(take(frontier)) == [1]


def test_hungry_until_as_many_listings_wait_as_the_gate_is_wide() -> None:
    """The reserve of unopened listings is as large as the gate's width, not larger."""
    frontier = Frontier()
    assert frontier.wants_listing
    frontier.open(category_items(100))
    assert not frontier.wants_listing, "before the first page one listing is reserve enough"
    take(frontier, 3)
    for number in range(101, 104):
        assert frontier.wants_listing
        frontier.open(category_items(number))
    assert not frontier.wants_listing


def test_a_page_far_behind_holds_the_listing_back() -> None:
    """A listing runs at most 24 gate widths ahead of its first unsettled page."""
    frontier = Frontier()
    frontier.open(A, expected=1000)
    first, *rest = take(frontier, 2)
    assert numbers(rest) == list(range(2, 50))
    for request in rest:
        assert frontier.answered(request, has_next=True, items=20).deliver == ()
    assert take(frontier, 2) == []
    assert frontier.answered(first, has_next=True, items=20).deliver == tuple(range(1, 50))
    assert numbers(take(frontier, 2))[:2] == [50, 51]


# -- evidence and endings


def test_a_page_that_exists_makes_all_before_it_certain() -> None:
    """A page with items and a next page proves every earlier one, although none led there."""
    frontier = opened(expected=6, max_pages=6)
    for number in numbers(take(frontier))[:5]:
        frontier.reclaimed(PageRequest(A, number))
    assert page(frontier, A, 6, more=True).deliver == ()
    assert numbers(take(frontier)) == [1, 2, 3, 4, 5]
    failed = [frontier.failed(PageRequest(A, number)) for number in range(1, 6)]
    assert failed[-1] == Answer(deliver=(6,), ended="failed", holes=(5,))


@pytest.mark.parametrize("expected", [2, 3, 9, 50])
def test_only_has_next_page_ends_a_walk(expected: int) -> None:
    """Whatever length was expected, the walk ends where the server says so."""
    frontier = opened(expected=expected)
    delivered: list[int] = []
    answer = Answer()
    while (request := frontier.take(1)) is not None:
        exists = request.number <= 4
        answer = page(frontier, A, request.number, more=request.number < 4, items=20 * exists)
        delivered += answer.deliver
    assert delivered == [1, 2, 3, 4]
    assert answer.ended == "complete"


def test_pages_past_the_end_are_wasted_and_not_delivered() -> None:
    """A length that was too long costs pages, which are counted and never delivered."""
    frontier = opened(expected=4)
    take(frontier)
    assert page(frontier, A, 4, more=False, items=0).wasted
    assert page(frontier, A, 1, more=True).deliver == (1,)
    assert page(frontier, A, 2, more=False) == Answer(deliver=(2,), past_end=(3,))
    assert page(frontier, A, 3, more=False, items=0) == Answer(wasted=True, ended="complete")
    assert frontier.statistics().wasted == 2


def test_an_empty_listing_delivers_its_empty_page() -> None:
    """The first page is delivered though empty: no items is an answer, too."""
    frontier = opened()
    take(frontier)
    answer = page(frontier, A, 1, more=False, items=0)
    assert answer == Answer(deliver=(1,), ended="complete")


def test_an_empty_page_in_its_turn_is_delivered() -> None:
    """An empty page that was announced is a page; has_next_page alone decides what follows."""
    frontier = opened()
    take(frontier)
    page(frontier, A, 1, more=True)
    take(frontier)
    assert page(frontier, A, 2, more=True, items=0).deliver == (2,)
    take(frontier)
    assert page(frontier, A, 3, more=False, items=0) == Answer(deliver=(3,), ended="complete")


def test_pages_are_delivered_in_page_order() -> None:
    """Pages that come early wait until all before them have come."""
    frontier = opened(expected=4)
    take(frontier)
    assert page(frontier, A, 3, more=True).deliver == ()
    assert page(frontier, A, 2, more=True).deliver == ()
    assert page(frontier, A, 1, more=True).deliver == (1, 2, 3)
    assert page(frontier, A, 4, more=False) == Answer(deliver=(4,), ended="complete")


def test_a_later_page_that_says_more_outweighs_an_end() -> None:
    """One page that denies a next one does not end a walk that is known to go on."""
    frontier = opened(expected=3)
    take(frontier)
    assert page(frontier, A, 2, more=False).past_end == (3,)
    assert not frontier.is_needed(PageRequest(A, 3))
    assert page(frontier, A, 3, more=True) == Answer()
    assert page(frontier, A, 1, more=True).deliver == (1, 2, 3)
    assert numbers(take(frontier)) == [4]
    assert frontier.is_needed(PageRequest(A, 4))
    assert page(frontier, A, 4, more=False) == Answer(deliver=(4,), ended="complete")


def test_a_page_that_says_it_is_the_last_is_no_evidence_before_its_turn() -> None:
    """A page that says it is the last proves no page before it, and is held until the end."""
    frontier = opened(expected=4)
    take(frontier)
    frontier.reclaimed(PageRequest(A, 3))
    assert page(frontier, A, 4, more=False) == Answer(hold=True)
    assert page(frontier, A, 1, more=True).deliver == (1,)
    answer = page(frontier, A, 2, more=False)
    assert answer == Answer(deliver=(2,), ended="complete", unproven=(4,))
    frontier.count_wasted(1)
    assert frontier.statistics().wasted == 1


def test_a_last_page_that_comes_early_is_delivered_in_its_turn() -> None:
    """A page that says it is the last is proven as soon as the page before it announces it."""
    frontier = opened(expected=3)
    take(frontier)
    assert page(frontier, A, 3, more=False).hold
    assert page(frontier, A, 1, more=True).deliver == (1,)
    assert page(frontier, A, 2, more=True) == Answer(deliver=(2, 3), ended="complete")


def test_a_guess_that_repeats_rows_is_forgotten() -> None:
    """A guess that shows rows seen before is wasted, and asked for again only if announced."""
    frontier = Frontier(lookahead=3)
    frontier.open(A, stored_pages={1: True, 2: True})
    assert numbers([request for _ in range(3) if (request := frontier.take(8))]) == [3, 4, 5]
    assert not frontier.is_guess(PageRequest(A, 3))
    assert frontier.is_guess(PageRequest(A, 5))
    assert frontier.repeated(PageRequest(A, 5)) == Answer(wasted=True)
    assert frontier.take(8) is None, "nothing is guessed from page 5 on"
    page(frontier, A, 3, more=True)
    page(frontier, A, 4, more=True)
    assert frontier.take(8) == PageRequest(A, 5)
    assert frontier.statistics().wasted == 1


def test_an_odd_page_far_ahead_proves_nothing() -> None:
    """An empty page that says there is a next one is believed only in its turn."""
    frontier = opened(expected=40)
    take(frontier)
    for number in range(2, 40):
        frontier.reclaimed(PageRequest(A, number))
    assert page(frontier, A, 40, more=True, items=0).hold
    answer = page(frontier, A, 1, more=False)
    assert answer == Answer(deliver=(1,), ended="complete", unproven=(40,))


def test_an_odd_page_is_believed_in_its_turn() -> None:
    """An empty page that says there is a next one is followed, once the walk gets there."""
    frontier = opened(expected=2)
    take(frontier)
    assert page(frontier, A, 2, more=True, items=0) == Answer(hold=True)
    assert page(frontier, A, 1, more=True) == Answer(deliver=(1, 2))
    assert numbers(take(frontier)) == [3]


def test_pages_past_the_end_are_told_once() -> None:
    """If the end turns out to be nearer still, only the pages between are told."""
    frontier = opened(expected=6)
    take(frontier)
    assert page(frontier, A, 5, more=False).past_end == (6,)
    assert page(frontier, A, 3, more=False).past_end == (4,)


def test_a_hole_is_not_taken_for_an_end() -> None:
    """When a denied page turns up, the end moves to the next page that says so."""
    frontier = opened(expected=9)
    take(frontier)
    page(frontier, A, 9, more=False)
    frontier.failed(PageRequest(A, 7))
    page(frontier, A, 3, more=False)
    assert not frontier.is_needed(PageRequest(A, 8))
    page(frontier, A, 5, more=True)
    assert frontier.is_needed(PageRequest(A, 8))


# -- limits


def test_max_pages_is_never_exceeded_and_ends_capped() -> None:
    """The limit counts from the first page asked; more beyond it makes the ending capped."""
    frontier = opened(first=3, max_pages=2, expected=9)
    assert numbers(take(frontier)) == [3, 4]
    page(frontier, A, 3, more=True)
    assert page(frontier, A, 4, more=True) == Answer(deliver=(4,), ended="capped")


def test_a_listing_that_ends_at_the_limit_is_complete() -> None:
    """A limit that was just long enough takes nothing away."""
    frontier = opened(max_pages=1)
    take(frontier)
    assert page(frontier, A, 1, more=False).ended == "complete"


# -- misuse


def test_a_listing_is_open_once_at_a_time() -> None:
    """The same listing twice would confuse whose page an answer is."""
    frontier = opened()
    with pytest.raises(ValueError, match="open already"):
        frontier.open(A)


@pytest.mark.parametrize("options", [{"first": 0}, {"max_pages": 0}])
def test_page_numbers_and_limits_start_at_1(options: dict[str, int]) -> None:
    """A limit of nothing would be a listing that cannot end."""
    with pytest.raises(ValueError, match="start at 1"):
        Frontier().open(A, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"lookahead": -1}, {"max_waste": 1.5}, {"max_waste": -0.1}])
def test_nonsense_is_refused(options: dict[str, float]) -> None:
    """Options that mean nothing are refused when the frontier is made."""
    with pytest.raises(ValueError, match=r"must be|between"):
        Frontier(**options)  # type: ignore[arg-type]


def test_only_what_is_in_flight_can_be_answered() -> None:
    """An answer nobody asked for, or a second one, is the caller's mistake."""
    frontier = opened()
    with pytest.raises(ValueError, match="not in flight"):
        page(frontier, A, 1, more=True)
    take(frontier)
    page(frontier, A, 1, more=True)
    for call in (frontier.failed, frontier.reclaimed):
        with pytest.raises(ValueError, match="page 1 is not in flight"):
            call(PageRequest(A, 1))


# -- what it tells


def test_statistics_and_repr_tell_the_state() -> None:
    """Counts are plain numbers, and a person can read the frontier in a debugger."""
    frontier = opened(expected=2)
    frontier.open(B)
    frontier.take(1)
    known = frontier.statistics()
    assert (known.open, known.new, known.in_flight, known.requested) == (1, 1, 1, 1)
    assert len(frontier.trackers) == 2
    assert repr(frontier) == "<Frontier: 1 open, 1 new, 1 in flight, 1 requested, 0 wasted>"
    assert "category/items?cat_id=1: settled below 1" in repr(frontier.trackers[A])


def test_a_long_listing_keeps_no_number_for_each_page() -> None:
    """Memory follows what is out of order, not the pages done or the listings ended."""
    frontier = opened(expected=3000)
    stored_pages = dict.fromkeys(range(1, 3001), True)
    frontier.open(B, stored_pages=stored_pages)
    for _ in range(2900):
        request = frontier.take(1)
        assert request is not None
        frontier.answered(request, has_next=True, items=20)
    assert len(frontier.trackers) == 2
    assert [tracker.memory for tracker in frontier.trackers.values()] == [0, 0]
