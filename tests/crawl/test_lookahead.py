"""Look-ahead: when there is a guess, which page it is, and what it may cost."""

from __future__ import annotations

import pytest

from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.answers import Answer
from tmapi_async.crawl.frontier import Frontier

A, B = category_items(1), category_items(2)


def take(frontier: Frontier, width: int, most: int = 10_000) -> list[int]:
    """The numbers of the pages that are handed out while slots are free, at most so many."""
    taken = []
    while frontier.statistics().in_flight < width and len(taken) < most:
        request = frontier.take(width)
        if request is None:
            break
        taken.append(request.number)
    return taken


def page(frontier: Frontier, number: int, *, more: bool = True, items: int = 20) -> Answer:
    """Answer a page of listing A."""
    return frontier.answered(PageRequest(A, number), has_next=more, items=items)


def proven(pages: int, width: int, **options: float) -> Frontier:
    """A frontier where A is known to have so many pages and one more, and nothing in flight."""
    frontier = Frontier(**options)  # type: ignore[arg-type]
    frontier.open(A, stored_pages=dict.fromkeys(range(1, pages + 1), True))
    assert frontier.take(width) == PageRequest(A, pages + 1)
    return frontier


# -- when there is a guess


def test_nothing_is_guessed_before_a_page_is_known() -> None:
    """One slot in use and seven idle: still, most listings are short, so the first page decides."""
    frontier = Frontier()
    frontier.open(A)
    assert take(frontier, 8) == [1]


@pytest.mark.parametrize("options", [{"lookahead": 0}, {"max_waste": 0.0}])
def test_lookahead_can_be_forbidden(options: dict[str, float]) -> None:
    """With look-ahead off, or no waste allowed, idle slots stay idle."""
    assert take(proven(50, 16, **options), 16) == []


def test_a_told_length_leaves_nothing_to_guess() -> None:
    """Nothing past the expected end is tried while the length holds; beyond it, guessing begins."""
    frontier = Frontier()
    frontier.open(A, expected=3)
    assert take(frontier, 8) == [1, 2, 3]
    page(frontier, 1)
    page(frontier, 2)
    assert take(frontier, 8) == []
    page(frontier, 3)
    requests = take(frontier, 8)
    assert requests[0] == 4
    assert len(requests) > 1


def test_busy_slots_are_not_guessed_for() -> None:
    """Look-ahead gets only slots that would idle, however often it is asked."""
    frontier = proven(50, 16, lookahead=5)
    assert len(take(frontier, 16, 3)) == 3
    assert frontier.take(4) is None
    assert frontier.take(5) is not None


def test_certain_work_and_new_listings_go_first() -> None:
    """A guess is made only when there is nothing else to ask for."""
    frontier = proven(50, 16)
    frontier.open(B)
    assert frontier.take(16) == PageRequest(B, 1)
    assert (frontier.take(16) or PageRequest(B, 0)).listing == A


def test_a_known_end_stops_the_guessing() -> None:
    """Once a page says it is the last, nothing is tried beyond it."""
    frontier = proven(50, 16)
    guessed = take(frontier, 16)
    answer = page(frontier, 51, more=False)
    assert answer.deliver == (51,)
    assert set(answer.past_end) == set(guessed)
    assert take(frontier, 16) == []


def test_max_pages_bounds_the_guesses() -> None:
    """No guess goes past the page limit."""
    frontier = Frontier(lookahead=9)
    frontier.open(A, max_pages=5)
    take(frontier, 16)
    page(frontier, 1)
    assert take(frontier, 16) == [2, 3, 4, 5]


def walk_numbers(frontier: Frontier) -> set[int]:
    """Pages of A in flight."""
    return set(frontier.trackers[A].in_flight)


# -- which guess


def test_the_first_guess_is_as_far_as_the_listing_has_proven_itself() -> None:
    """One far guess that hits makes everything below it certain."""
    frontier = proven(64, 1000)
    first = take(frontier, 1000, 1)[0]
    assert 120 < first <= 65 + 64
    page(frontier, first)
    assert take(frontier, 1000, 50) == list(range(66, 66 + 50))


def test_further_guesses_halve_the_distance() -> None:
    """A miss must leave little to search: guesses in flight stand in different octaves."""
    frontier = proven(64, 1000)
    ahead = [number - 65 for number in take(frontier, 1000, 6)]
    assert ahead == sorted(ahead, reverse=True)
    assert len({distance.bit_length() for distance in ahead[1:]}) == len(ahead) - 1


def test_a_far_guess_in_flight_is_not_repeated_one_page_on() -> None:
    """While the walk moves on below a far guess, the next one goes nearer, not beside it."""
    frontier = proven(50, 1000)
    assert take(frontier, 1000, 1) == [101]
    page(frontier, 51)
    assert take(frontier, 1000, 2) == [52, 52 + 32]


def test_a_guess_given_back_and_taken_again_is_asked_for_once() -> None:
    """A page that was given back as a guess and guessed again does not come a third time."""
    frontier = proven(4, 64)
    assert take(frontier, 64) == [9, 7, 6, 8]
    frontier.reclaimed(PageRequest(A, 6))
    assert take(frontier, 64) == [6]
    frontier.reclaimed(PageRequest(A, 8))
    frontier.reclaimed(PageRequest(A, 9))
    assert take(frontier, 64, 1) == [9]
    page(frontier, 5)
    page(frontier, 7)
    assert take(frontier, 64, 1) == [8]
    page(frontier, 8)
    assert 9 not in take(frontier, 64)


def test_leaps_are_shorter_when_little_is_left_to_waste() -> None:
    """A miss that cannot be afforded twice is made less likely."""
    assert take(proven(200, 16), 16, 1) == [201 + 160], "8 left: 8 / (8 + 2) of the way"
    assert take(proven(200, 64), 64, 1) == [201 + 189], "32 left: 32 / (32 + 2)"


def test_below_a_page_past_the_end_the_search_goes_half_way() -> None:
    """After a miss the next guess halves what is left, so that few more can miss."""
    frontier = proven(64, 1000)
    far = take(frontier, 1000, 1)[0]
    assert page(frontier, far, more=False, items=0).wasted
    near = take(frontier, 1000, 1)[0]
    assert 65 < near <= 65 + (far - 65) // 2
    page(frontier, near)
    assert all(number < far for number in take(frontier, 1000))


def test_guesses_keep_within_reach() -> None:
    """A guess is at most 24 gate widths ahead of the first unsettled page."""
    frontier = proven(5000, 4)
    assert 5001 + 64 < max(take(frontier, 4)) <= 5001 + 96


def test_a_guess_that_fails_is_forgotten_until_it_is_needed() -> None:
    """A failed guess is not repeated as a guess. The page is requested in its turn."""
    frontier = proven(4, 8)
    first, *others = take(frontier, 8)
    assert frontier.failed(PageRequest(A, first)) == Answer()
    assert all(number < first for number in take(frontier, 8))
    for number in sorted({5, *others, *walk_numbers(frontier)}):
        page(frontier, number)
    requests = take(frontier, 8)
    while first not in requests:
        page(frontier, requests[0])
        requests = requests[1:] + take(frontier, 8)
    for number in sorted(walk_numbers(frontier)):
        answer = page(frontier, number, more=False, items=20 * (number <= first))
    assert answer.ended == "complete"


def test_a_guess_that_exists_is_no_guess_any_more() -> None:
    """Guesses below a page that exists have become certain, and free the allowance."""
    frontier = proven(64, 16)
    guesses = take(frontier, 16)
    assert frontier.statistics().guesses_in_flight == len(guesses)
    page(frontier, max(guesses))
    assert frontier.statistics().guesses_in_flight == 0
    assert frontier.statistics().guesses == len(guesses)


@pytest.mark.parametrize("rest", [True, False])
def test_a_page_past_a_hole_is_tried_once(rest: bool) -> None:
    """A page that fails for good must not cost the rest of its listing, if there is any."""
    frontier = proven(2, 8)
    answer = frontier.failed(PageRequest(A, 3))
    assert answer == Answer(holes=(3,))
    assert take(frontier, 8) == [4]
    answer = page(frontier, 4, more=False, items=20 * rest)
    unproven = (4,) if rest else ()
    assert answer == Answer(wasted=not rest, ended="failed", hold=rest, unproven=unproven)


def test_a_page_past_a_hole_is_tried_below_a_known_miss() -> None:
    """A page past the end that is known already does not hide those before it."""
    frontier = proven(4, 64)
    requests = take(frontier, 64)
    assert requests == [9, 7, 6, 8]
    assert page(frontier, 9, more=False, items=0).wasted
    for number in (6, 7, 8):
        frontier.reclaimed(PageRequest(A, number))
    assert frontier.failed(PageRequest(A, 5)) == Answer(holes=(5,))
    assert take(frontier, 64, 1) == [6]


def test_a_second_failure_in_a_row_ends_the_listing() -> None:
    """A page past a hole that fails, too, was never known to exist: the hole is the end."""
    frontier = proven(2, 8)
    frontier.failed(PageRequest(A, 3))
    assert take(frontier, 8) == [4]
    assert frontier.failed(PageRequest(A, 4)) == Answer(ended="failed")


def test_a_hole_ends_the_listing_where_nothing_may_be_wasted() -> None:
    """Without look-ahead, nothing is tried that is not known to exist."""
    frontier = proven(2, 8, lookahead=0)
    assert frontier.failed(PageRequest(A, 3)) == Answer(ended="failed", holes=(3,))


def test_an_odd_page_past_a_hole_does_not_hold_the_listing_open() -> None:
    """An empty page that says there is more, met past a hole, is followed, not waited for."""
    frontier = proven(2, 8, lookahead=1)
    assert take(frontier, 8) == [4]
    page(frontier, 4, more=True, items=0)
    answer = frontier.failed(PageRequest(A, 3))
    assert answer == Answer(ended="failed", holes=(3,), unproven=(4,))

    frontier = proven(2, 8)
    frontier.failed(PageRequest(A, 3))
    assert take(frontier, 8) == [4]
    assert page(frontier, 4, more=True, items=0).deliver == (4,)
    assert 5 in take(frontier, 8)


# -- what it may cost


@pytest.mark.parametrize("width", [2, 5, 16, 64])
def test_guesses_in_flight_count_as_if_they_were_wasted(width: int) -> None:
    """Whatever the answers, no more than half the gate's width is wasted on one long listing."""
    frontier = proven(40, width)
    spoiled = 0
    while (guesses := take(frontier, width)) and spoiled < 100:
        for number in guesses:
            spoiled += page(frontier, number, more=False, items=0).wasted
    assert 1 <= spoiled <= width // 2


def test_guesses_past_a_known_end_still_count() -> None:
    """Until they are answered they use up the allowance, whichever listing would guess next."""
    frontier = proven(50, 16)
    take(frontier, 16)
    page(frontier, 51, more=False)
    left = 8 - frontier.statistics().guesses_in_flight
    assert 0 < left < 8
    frontier.open(B, stored_pages=dict.fromkeys(range(1, 65), True))
    take(frontier, 16)
    assert frontier.statistics().guesses_in_flight == 8


def test_guesses_in_flight_grow_with_the_logarithm_of_the_length() -> None:
    """The last pages of a listing are searched for with few guesses, however many slots idle."""
    assert [len(take(proven(pages, 1000), 1000)) for pages in (1, 4, 64, 1000)] == [1, 4, 8, 11]


def test_the_allowance_is_shared_by_proven_length() -> None:
    """Short listings leave what may be wasted to the long ones, which would run alone at last."""
    frontier = proven(96, 16)
    frontier.open(B, stored_pages=dict.fromkeys(range(1, 5), True))
    assert frontier.take(16) == PageRequest(B, 5)
    guessed = []
    while (request := frontier.take(16)) is not None:
        guessed.append(request)
    assert [request.listing for request in guessed].count(B) == 1, "while half is left"
    assert [request.listing for request in guessed].count(A) >= 5
    frontier.answered(PageRequest(A, 97), has_next=False, items=20)
    for request in guessed:
        frontier.reclaimed(request, sent=False)
    frontier.answered(PageRequest(B, 5), has_next=True, items=20)
    assert frontier.take(16) == PageRequest(B, 6)
    assert frontier.take(16) is not None, "alone, it may guess"


def test_a_short_listing_that_missed_keeps_to_its_part() -> None:
    """The guess beyond its part, of the first half of the allowance, is for those that hit."""
    frontier = proven(96, 64)
    frontier.open(B, stored_pages=dict.fromkeys(range(1, 5), True))
    assert frontier.take(64) == PageRequest(B, 5)
    guessed: list[PageRequest] = []
    while not guessed or guessed[-1].listing != B:
        request = frontier.take(64)
        assert request is not None
        guessed.append(request)
    frontier.answered(guessed[-1], has_next=False, items=0)
    while (request := frontier.take(64)) is not None:
        assert request.listing == A


def test_what_a_listing_wasted_counts_against_its_share() -> None:
    """A listing that missed waits until it has proven more, while others may still guess."""
    frontier = proven(30, 100)
    frontier.open(B, stored_pages=dict.fromkeys(range(1, 1001), True))
    requests = [frontier.take(100) for _ in range(12)]
    (guess,) = [
        request.number for request in requests if request is not None and request.listing == A
    ]
    assert page(frontier, guess, more=False, items=0).wasted
    while (request := frontier.take(100)) is not None:
        assert request.listing == B


def test_more_may_be_wasted_as_more_is_asked_for() -> None:
    """The allowance is a share of the pages asked for, once that is more than half the width."""
    frontier = proven(1, 2)
    assert frontier.statistics().allowance == 1
    for number in range(2, 500):
        page(frontier, number, items=20)
        while number + 1 not in walk_numbers(frontier):
            assert frontier.take(2) is not None
        for other in walk_numbers(frontier) - {number + 1}:
            frontier.reclaimed(PageRequest(A, other))
    known = frontier.statistics()
    assert known.allowance == int(0.02 * known.requested) > 1


def test_a_fixed_window_keeps_so_many_pages_ahead() -> None:
    """With a number, pages up to that many past the last one known are asked for."""
    frontier = proven(1, 16, lookahead=5)
    assert take(frontier, 16) == [3, 4, 5, 6, 7]
    page(frontier, 4)
    assert take(frontier, 16) == [8, 9, 10]
    page(frontier, 2, more=False)
    assert take(frontier, 16) == []


def test_look_ahead_abandoned_counts_as_wasted() -> None:
    """A guess given back has probably been paid for."""
    frontier = proven(50, 16)
    guess = take(frontier, 16)[0]
    frontier.reclaimed(PageRequest(A, guess))
    assert frontier.statistics().wasted == 1
    frontier.reclaimed(PageRequest(A, 51))
    assert frontier.statistics().wasted == 1


def test_guesses_of_a_closed_listing_leave_the_count() -> None:
    """Guesses in flight when a listing is left do not stay in the count of guesses."""
    frontier = proven(50, 16)
    guesses = take(frontier, 16)
    frontier.close(A)
    for number in (51, *guesses):
        assert page(frontier, number).wasted
    assert frontier.statistics().wasted == 1 + len(guesses)
    assert frontier.statistics().guesses_in_flight == 0
