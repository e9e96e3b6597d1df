"""The probe budget: refusals that learning may cost, and when they are spent."""

from __future__ import annotations

from tmapi_async.limits.refusals.probe_budget import ProbeBudget


def test_three_refusals_are_allowed_and_two_of_a_thousand_answers() -> None:
    """Learning may cost 3 refusals, and 0.2 % of the answers."""
    budget = ProbeBudget()
    assert budget.remaining(0, 0) == 3
    assert budget.remaining(1_000, 4) == 1
    budget.start_probe(0, 4)
    assert budget.can_afford(1_000, 4, 0)
    assert not budget.can_afford(999, 4, 0)


def test_share_of_the_horizon_may_be_spent_first() -> None:
    """The refusals that 100 requests a slot will grant may be spent before they were sent."""
    budget = ProbeBudget()
    budget.set_horizon(50, 1)
    assert budget.remaining(10, 1) == 12
    budget.set_horizon(500, 1)
    assert budget.remaining(10, 1) == 12, "the limit found first sets the horizon"


def test_probe_must_pay_what_the_last_one_cost() -> None:
    """A probe that cost three refusals is tried again only when three are left."""
    budget = ProbeBudget()
    budget.start_probe(0, 0)
    assert not budget.can_afford(1_499, 3, 0)
    assert budget.can_afford(1_500, 3, 0)
    assert not budget.can_afford(1_500, 3, 1), "and what is spared is not spent"


def test_probes_are_spread_until_the_next_is_granted() -> None:
    """Two affordable probes and one granted after 500 answers are due after 167, 334 and 500."""
    budget = ProbeBudget()
    budget.set_horizon(4, 1)
    budget.start_probe(0, 1)
    for earlier, refusals, turn in ((0, 1, 167), (167, 2, 334), (334, 3, 500), (500, 4, 1_000)):
        budget.start_probe(earlier, refusals - 1)
        assert not budget.is_due(turn - 1, refusals, 0)
        assert budget.is_due(turn, refusals, 0)
        assert budget.can_afford(turn, refusals, 0)


def test_savings_are_spent_before_more_are_granted() -> None:
    """Unspent refusals that a fallen limit excused are used for probes soon."""
    budget = ProbeBudget()
    budget.credit_fall(9)
    budget.start_probe(10_000, 23)
    assert budget.remaining(10_000, 23) == 9
    assert not budget.is_due(10_049, 23, 0)
    assert budget.is_due(10_050, 23, 0)


def test_fallen_limit_excuses_refusals() -> None:
    """Each slot lost excuses one refusal; slots won do not cost any."""
    budget = ProbeBudget()
    budget.credit_fall(8)
    budget.credit_fall(-3)
    assert budget.remaining(0, 9) == 2
    assert "8 granted" in repr(budget)


def test_old_debt_is_forgiven() -> None:
    """Hundreds of refusals, caused by a wrong maximum width, do not stop probes for ever."""
    budget = ProbeBudget()
    assert not budget.can_afford(0, 300, 0)
    budget.start_probe(0, 300)
    assert budget.remaining(0, 300) == -3
    assert budget.can_afford(2_000, 300, 0)
