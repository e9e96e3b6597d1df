"""The limit that an earlier process has learned is trusted less and less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.limits.learning import START
from tmapi_async.limits.sharing.messages import LearnedLimit
from tmapi_async.limits.sharing.remembered_limit import (
    MOST_ACCOUNTS,
    RememberedLimit,
    newly_learned,
    start_width,
    with_account,
)

HOUR = 3600.0


@pytest.mark.parametrize(
    ("hours", "width"), [(0, 24), (1, 24), (12, 14), (23, 9), (24 * 7, START), (-1, START)]
)
def test_the_start_width_falls_with_age(hours, width):
    """All of it within an hour, half-way to four after twelve, four after some days."""
    assert start_width(RememberedLimit(24, 0.5, 0.0), hours * HOUR) == width


@given(width=st.integers(1, 2000), ages=st.tuples(st.floats(0, 1e7), st.floats(0, 1e7)))
def test_an_older_limit_is_nearer_to_the_usual_start(width, ages):
    """And never beyond what was learned."""
    limit = RememberedLimit(width, 0.5, 0.0)
    young, old = (start_width(limit, age) for age in sorted(ages))
    assert abs(old - START) <= abs(young - START) <= abs(width - START)


def learned(width, limit=None):
    """Return what a controller has learned."""
    return LearnedLimit(width, limit, 0.5)


@pytest.mark.parametrize(
    ("found", "earlier", "bounded", "width"),
    [
        (learned(16, 16), None, False, 16),
        (learned(16, 16), None, True, 16),
        (learned(30), None, False, 30),
        (learned(30), None, True, None),  # a ceiling, and not what the account takes
        (learned(4), None, False, None),  # a few requests say nothing
        (learned(8), RememberedLimit(16, 0.5, 0.0), False, None),
        (learned(8, 8), RememberedLimit(16, 0.5, 0.0), False, 8),
        (learned(16, 16), RememberedLimit(16, 0.5, 0.0), False, None),  # known, and fresh
    ],
)
def test_only_a_limit_that_was_met_replaces_another(found, earlier, bounded, width):
    """A short run or a ceiling does not make the next process slow."""
    result = newly_learned(found, earlier, 60.0, bounded=bounded)
    assert (result and result.width) == width


def test_the_same_limit_is_renewed_when_it_ages():
    """Else an account in daily use would be distrusted."""
    earlier = RememberedLimit(16, 0.5, 0.0)
    assert newly_learned(learned(16, 16), earlier, HOUR, bounded=False).learned_at == HOUR


def test_the_number_of_accounts_is_bounded():
    """The accounts used last stay."""
    accounts = {}
    for number in range(3 * MOST_ACCOUNTS):
        limit = RememberedLimit(8, 0.5, float(number))
        accounts = with_account(accounts, f"account {number}", limit)
    assert len(accounts) == MOST_ACCOUNTS
    assert f"account {3 * MOST_ACCOUNTS - 1}" in accounts
