"""Listings whose pages fail, come back or are stored already, and listings that are left."""

from __future__ import annotations

import pytest

from tests.support.frontier_steps import A, numbers, opened, page, take
from tmapi_async.api.listings import PageRequest
from tmapi_async.crawl.answers import Answer
from tmapi_async.crawl.frontier import Frontier

# -- failures


def test_a_failed_page_leaves_a_hole_and_the_rest_goes_on() -> None:
    """Pages known to exist are fetched and delivered around the hole; the ending is failed."""
    frontier = opened(expected=4)
    take(frontier)
    assert page(frontier, A, 1, more=True).deliver == (1,)
    assert frontier.failed(PageRequest(A, 2)).holes == (2,)
    assert page(frontier, A, 3, more=True).deliver == (3,)
    assert page(frontier, A, 4, more=False) == Answer(deliver=(4,), ended="failed")


def test_a_hole_is_told_when_all_before_it_is_settled() -> None:
    """Until then the walk may still turn out to end before it."""
    frontier = opened(expected=4)
    take(frontier)
    page(frontier, A, 3, more=True)
    assert frontier.failed(PageRequest(A, 2)) == Answer()
    assert page(frontier, A, 1, more=True) == Answer(deliver=(1, 3), holes=(2,))


def test_a_failed_first_page_fails_the_listing() -> None:
    """Nothing proves that there is more than the first page: nothing more is asked for."""
    for lookahead in (0, None):
        frontier = Frontier(lookahead=lookahead)
        frontier.open(A)
        take(frontier)
        assert frontier.failed(PageRequest(A, 1)) == Answer(ended="failed", holes=(1,))
        assert take(frontier) == []


def test_a_hole_does_not_hide_the_pages_expected_after_it() -> None:
    """If the length is known, the pages after a missing page are requested, too."""
    frontier = opened(expected=3)
    assert numbers([frontier.take(1) or PageRequest(A, 0)]) == [1]
    page(frontier, A, 1, more=True)
    frontier.take(1)
    assert frontier.failed(PageRequest(A, 2)).ended is None
    assert numbers([frontier.take(1) or PageRequest(A, 0)]) == [3]
    answer = page(frontier, A, 3, more=False)
    assert answer == Answer(ended="failed", hold=True, unproven=(3,))


def test_a_page_that_failed_past_the_end_is_no_failure() -> None:
    """A page that nobody needed may fail: the listing is complete."""
    frontier = opened(expected=2)
    take(frontier)
    assert frontier.failed(PageRequest(A, 2)) == Answer()
    assert page(frontier, A, 1, more=False) == Answer(deliver=(1,), ended="complete")


def test_a_page_that_failed_before_it_was_certain_is_asked_for_again() -> None:
    """Its failure counts only once the page is known to be needed."""
    frontier = opened(expected=3)
    take(frontier)
    assert frontier.failed(PageRequest(A, 2)) == Answer()
    assert frontier.failed(PageRequest(A, 3)) == Answer()
    assert take(frontier) == [], "neither is known to exist"
    page(frontier, A, 1, more=True)
    assert numbers(take(frontier)) == [2, 3]


def test_a_page_given_back_is_asked_for_again() -> None:
    """A request that was never answered loses nothing."""
    frontier = opened(expected=3)
    take(frontier)
    assert frontier.reclaimed(PageRequest(A, 2)) == Answer()
    assert numbers(take(frontier)) == [2]
    assert frontier.statistics().reclaimed == 1
    assert frontier.statistics().wasted == 0


def test_the_last_page_past_the_end_given_back_ends_the_listing() -> None:
    """A caller that cancels what lies past the end need not wait for it."""
    frontier = opened(expected=2)
    take(frontier)
    answer = page(frontier, A, 1, more=False)
    assert answer == Answer(deliver=(1,), past_end=(2,))
    assert not frontier.is_needed(PageRequest(A, 2))
    assert frontier.reclaimed(PageRequest(A, 2)).ended == "complete"
    assert frontier.statistics().wasted == 1


# -- resuming


def test_held_pages_are_neither_asked_for_nor_delivered() -> None:
    """A walk goes on where the pages held leave off."""
    frontier = opened(stored_pages={1: True, 2: True, 4: True})
    assert numbers(take(frontier)) == [3, 5]
    assert page(frontier, A, 3, more=True).deliver == (3,)
    assert page(frontier, A, 5, more=False) == Answer(deliver=(5,), ended="complete")


@pytest.mark.parametrize(
    ("stored_pages", "max_pages", "ending"),
    [
        ({1: False}, None, "complete"),
        ({1: True, 2: True, 3: False}, None, "complete"),
        ({1: True, 2: False, 4: False}, None, "complete"),
        ({1: True, 2: True}, 2, "capped"),
        ({1: True, 2: True, 3: False}, 2, "capped"),
        ({1: True, 2: False}, 2, "complete"),
    ],
)
def test_a_listing_held_in_full_ends_at_once(
    stored_pages: dict[int, bool], max_pages: int | None, ending: str
) -> None:
    """Resuming what is complete asks for nothing."""
    frontier = Frontier()
    answer = frontier.open(A, stored_pages=stored_pages, max_pages=max_pages)
    assert answer == Answer(ended=ending)  # type: ignore[arg-type]
    assert take(frontier) == []
    assert len(frontier.trackers) == 0


def test_a_held_last_page_is_believed_until_an_earlier_one_ends_the_walk() -> None:
    """The gap below a held last page is filled, unless the listing has shrunk since."""
    frontier = opened(stored_pages={1: True, 5: False})
    assert numbers(take(frontier)) == [2, 3, 4]
    page(frontier, A, 2, more=True)
    page(frontier, A, 3, more=False)
    assert page(frontier, A, 4, more=False, items=0).ended == "complete"


# -- leaving


def test_close_delivers_what_waited_and_never_resurrects() -> None:
    """A listing that was left hands over what was paid for; what comes later is wasted."""
    frontier = opened(expected=3)
    take(frontier)
    page(frontier, A, 2, more=True)
    assert frontier.close(A) == Answer(deliver=(2,), ended="failed", past_end=(1, 3))
    assert frontier.close(A) == Answer()
    assert not frontier.is_needed(PageRequest(A, 1))
    assert A in frontier
    assert page(frontier, A, 1, more=True) == Answer(wasted=True)
    assert frontier.failed(PageRequest(A, 3)) == Answer()
    assert A not in frontier
    assert take(frontier) == []
    assert frontier.statistics().in_flight == 0


def test_closing_a_listing_that_waits_makes_room_for_another() -> None:
    """A listing closed before it was begun is never begun."""
    frontier = opened()
    assert frontier.close(A).ended == "failed"
    assert frontier.wants_listing
    frontier.open(A)
    assert numbers(take(frontier)) == [1]
