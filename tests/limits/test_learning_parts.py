"""The parts of the controller: probe budget, latency estimate, history, ramp-up."""

from __future__ import annotations

import pytest

from tmapi_async.limits.history import History
from tmapi_async.limits.latency import LatencyEstimate
from tmapi_async.limits.probe_budget import ProbeBudget
from tmapi_async.limits.ramp_up import RampUp


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
    """Hundreds of refusals, caused by a wrong ceiling, do not stop probes for ever."""
    budget = ProbeBudget()
    assert not budget.can_afford(0, 300, 0)
    budget.start_probe(0, 300)
    assert budget.remaining(0, 300) == -3
    assert budget.can_afford(2_000, 300, 0)


def test_pause_between_slots_is_that_of_a_refusal() -> None:
    """The pause is a refusal's latency, or an estimate, and never long; wide gates share it."""
    estimate = LatencyEstimate()
    assert estimate.pause(4) == 0.0
    estimate.answered(3.2, 1)
    assert estimate.pause(4) == pytest.approx(0.1)
    estimate.refused(0.2)
    assert estimate.pause(4) == estimate.pause(16) == pytest.approx(0.2)
    assert estimate.pause(64) == pytest.approx(0.05)
    for _ in range(50):
        estimate.refused(3.0)
    assert estimate.pause(4) == pytest.approx(0.4)
    assert repr(estimate) == "<LatencyEstimate: answers take 3.2 s, refusals 3 s>"


def test_history_thins_out() -> None:
    """A full history keeps its first point, its last, and every second of the others."""
    history = History(maximum=8)
    for i in range(9):
        history.add(float(i), i, "grow")
    assert [point.width for point in history.points()] == [0, 2, 4, 6, 8]
    assert repr(history) == "<History: 5 of at most 8 points>"


def test_reopening_starts_with_the_first_attempt() -> None:
    """The steps count from the first attempt after the pause, however late it is sent."""
    ramp_up = RampUp()
    ramp_up.close(10.0, 1.0)
    assert ramp_up.width(10.5, 17, 0) == 0
    assert ramp_up.width(50.0, 17, 0) == 1
    ramp_up.sent(50.0, 1, round_trip=1.6)
    assert ramp_up.width(50.0, 17, 1) == 2
    assert ramp_up.width(50.85, 17, 1) == 10
    assert ramp_up.width(51.7, 17, 1) == 17
    assert not ramp_up.active


def test_reopening_counts_what_is_in_flight() -> None:
    """Attempts that went on during the pause keep their slots, one more is let in."""
    ramp_up = RampUp()
    ramp_up.close(0.0, 1.0)
    assert ramp_up.width(1.0, 10, 6) == 7
    ramp_up.sent(1.0, 7, round_trip=1.0)
    assert ramp_up.width(1.5, 10, 7) == 8
    ramp_up.restart()
    assert ramp_up.width(1.5, 4, 8) == 4


def test_wake_up_is_always_ahead() -> None:
    """The next step is due after now, even if rounding would put it at now."""
    ramp_up = RampUp()
    ramp_up.restart()
    ramp_up.sent(0.1, 1, round_trip=0.3)
    now = 0.1
    for _ in range(40):
        wake = ramp_up.wake_at(now)
        assert wake > now
        now = wake
