"""Workers that get a session, and the number of listings that go to it."""

from __future__ import annotations

from dask.utils import key_split
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.api.listings import category_items
from tmapi_async.harvest.cluster.coordinator.placement import (
    batch_size,
    cut_off_sessions,
    new_sessions,
    surplus_sessions,
    target_listings,
    task_key,
)


@given(
    widths=st.dictionaries(st.integers(0, 5), st.integers(1, 40), min_size=1),
    workers=st.sets(st.sampled_from("abcdefgh"), min_size=1),
)
def test_every_account_gets_a_session_and_no_session_is_without_slots(widths, workers):
    """Each account has a session, each worker too if slots suffice, and then none is added."""
    pairs = new_sessions(widths, sorted(workers), {})
    assert len(set(pairs)) == len(pairs)
    assert {account for account, _ in pairs} == set(widths)
    for account, width in widths.items():
        assert sum(number == account for number, _ in pairs) <= max(1, width // 2)
    sessions = {str(number): pair for number, pair in enumerate(pairs)}
    assert new_sessions(widths, sorted(workers), sessions) == []
    if sum(max(1, width // 2) for width in widths.values()) >= len(workers):
        assert {worker for _, worker in pairs} == workers


def test_one_account_is_spread_over_the_workers_as_far_as_its_slots_go():
    """Eight slots are of use to four workers, and a fifth is left out."""
    assert len(new_sessions({0: 8}, list("abcde"), {})) == 4
    assert new_sessions({0: 1}, list("ab"), {}) == [(0, "a")]


def test_a_worker_whose_account_has_stopped_gets_another_session():
    """The new session is for an account that goes on."""
    sessions = {"x": (1, "b"), "y": (1, "c")}
    assert new_sessions({1: 20}, ["a", "b", "c"], sessions) == [(1, "a")]


def test_sessions_without_a_slot_are_closed():
    """When the width falls below the number of sessions, those with the fewest slots go."""
    assert surplus_sessions(2, {"a": 1, "b": 0, "c": 1}) == ["b"]
    assert surplus_sessions(8, {"a": 4, "b": 4}) == []
    assert surplus_sessions(0, {"a": 0}) == []


@given(
    assigned=st.integers(0, 900),
    slots=st.integers(0, 100),
    rate=st.floats(0, 5000),
    remaining=st.integers(0, 10**6),
    sessions=st.integers(1, 100),
)
def test_a_batch_fills_a_session_and_no_more(assigned, slots, rate, remaining, sessions):
    """A session never gets more than its target, and one that runs out of work gets some."""
    size = batch_size(assigned, slots, rate, remaining=remaining, sessions=sessions)
    assert 0 <= size <= 512
    assert not size or assigned + size <= target_listings(slots, rate)
    if slots and assigned < slots:
        assert size >= 1


def test_batches_get_small_near_the_end():
    """With few listings left a session gets enough for its slots, so that all end together."""
    assert batch_size(0, 4, 250.0, remaining=100_000, sessions=2) == 500
    assert batch_size(0, 4, 250.0, remaining=40, sessions=2) == 10
    assert batch_size(4, 4, 250.0, remaining=4, sessions=2) == 1


def test_the_key_of_a_task_names_its_listings():
    """A person can read the key, and Dask groups all batches under one name."""
    first = category_items(1031910)
    key = task_key(first, 16, 3, "session 2")
    assert key == "tmapi-batch-3: category/items?cat_id=1031910 and 15 more (session 2)"
    key = task_key(first, 1, 3, "session 2")
    assert key == "tmapi-batch-3: category/items?cat_id=1031910 (session 2)"
    assert key_split(key) == "tmapi-batch"


def test_a_session_whose_own_line_is_down_gives_its_listings_to_others():
    """An outage of all is waited for; one of a worker alone is not, after a minute."""
    assert cut_off_sessions({}) == []
    assert cut_off_sessions({"a": 900.0, "b": 900.0}) == []
    assert cut_off_sessions({"a": 59.0, "b": None}) == []
    assert cut_off_sessions({"a": 61.0, "b": None, "c": 2.0}) == ["a"]
