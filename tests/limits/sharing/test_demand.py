"""The demand of a process follows what it uses, and asks for more where more would be used."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.limits.sharing.demand import LINGER, WINDOW, DemandEstimate

LATENCY = 0.1


def test_attempts_that_wait_are_demand_at_once():
    """Those in use, those that wait, and as many again as it has."""
    assert DemandEstimate().update(0.0, 4, 3, 4, LATENCY) == 11
    assert DemandEstimate().update(0.0, 0, 1, 0, LATENCY) == 1


def test_a_full_share_asks_for_half_as_many_again():
    """A walk starts no more requests than there are slots, so nothing waits."""
    demand = DemandEstimate()
    assert demand.update(0.0, 4, 0, 4, LATENCY) == 6
    assert demand.update(0.1, 6, 0, 6, LATENCY) == 9


def test_a_share_that_is_not_filled_any_more_asks_for_nothing():
    """The other processes have left no slot for more, so it was never tried."""
    demand = DemandEstimate()
    assert demand.update(0.0, 4, 0, 4, LATENCY) == 6
    for step in range(1, 10):
        slots = demand.update(step * LATENCY, 1, 0, 4, LATENCY)
    assert slots == 1


def test_more_that_is_of_no_use_is_asked_for_more_and_more_seldom():
    """A client that uses four slots always does not take a fifth from others each second."""
    demand, asked = DemandEstimate(), []
    for step in range(1200):
        now = step / 10
        slots = demand.update(now, 4, 0, 4 if not asked or asked[-1] < now else 6, LATENCY)
        if slots > 4:
            slots = demand.update(now + 0.01, 4, 0, 6, LATENCY)
            asked.append(now + WINDOW)
    assert len({round(at) for at in asked}) < 40


def test_slots_are_kept_for_a_window_and_one_for_a_while():
    """A pause between two replies gives nothing back; a process that is idle keeps one slot."""
    demand = DemandEstimate()
    demand.update(0.0, 5, 0, 8, LATENCY)
    assert demand.update(0.9 * WINDOW, 0, 0, 8, LATENCY) == 5
    assert demand.update(2.0, 0, 0, 8, LATENCY) == 5  # the window before it
    assert demand.update(3.0, 0, 0, 8, LATENCY) == 1
    assert demand.update(LINGER + 1.0, 0, 0, 8, LATENCY) == 0


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 3), st.integers(0, 9), st.integers(0, 3), st.integers(0, 9)),
        max_size=40,
    )
)
def test_the_demand_covers_what_is_used_now(steps):
    """Whatever comes before."""
    demand, now = DemandEstimate(), 0.0
    for seconds, used, waiting, slots in steps:
        now += seconds
        assert demand.update(now, used, waiting, slots, LATENCY) >= used + waiting
