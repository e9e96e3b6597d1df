from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gates import FixedController, balance, make_gate, no_check
from tests.support.virtual_time import run
from tmapi_async import BudgetSpentError, InvalidRequestError
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.rate import RateLimiter


@given(st.integers(1, 12), st.integers(1, 20), st.integers(1, 4))
@settings(max_examples=40)
def test_the_budget_is_exact(maximum: int, callers: int, width: int) -> None:
    """Exactly as many attempts pass as the budget has, however many come at once."""

    async def main() -> None:
        gate = make_gate(FixedController(width), budget=Budget(maximum))

        async def ask() -> bool:
            try:
                sent_at = await gate.enter(no_check)
            except BudgetSpentError:
                return False
            await asyncio.sleep(1)
            gate.answered(sent_at)
            return True

        passed = await asyncio.gather(*(ask() for _ in range(callers)))
        assert passed == [True] * min(maximum, callers) + [False] * max(0, callers - maximum)
        assert balance(gate) == (0, 0, 0, min(maximum, callers))
        assert gate.statistics().budget_left == max(0, maximum - callers)

    run(main())


def test_a_spent_budget_says_what_was_sent() -> None:
    """The error of a spent budget names the number of requests sent, and nothing is counted."""
    budget = Budget(2)
    budget.reserve()
    budget.reserve()
    for _ in range(2):
        with pytest.raises(BudgetSpentError, match="2 of 2 requests sent"):
            budget.reserve()
    assert (budget.spent, budget.left) == (2, 0)
    assert repr(budget) == "<Budget: 2 of 2 spent>"


def test_without_a_limit_the_budget_counts() -> None:
    """Without a limit every attempt is counted and none refused."""
    budget = Budget()
    for _ in range(1000):
        budget.reserve()
    assert (budget.spent, budget.left, repr(budget)) == (
        1000,
        None,
        "<Budget: 1000 of unlimited spent>",
    )


@pytest.mark.parametrize("maximum", [0, -1, True, 1.5, "5", math.nan])
def test_a_budget_is_a_whole_number_from_one(maximum: Any) -> None:
    """A budget that is no whole number from 1 is refused."""
    with pytest.raises(InvalidRequestError, match="max_requests"):
        Budget(maximum)


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf, "5", True, None])
def test_a_rate_is_above_zero(rate: Any) -> None:
    """A rate that is not above 0 and finite is refused."""
    with pytest.raises(InvalidRequestError, match="rate"):
        RateLimiter(rate)
