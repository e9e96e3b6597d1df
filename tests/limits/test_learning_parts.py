"""The parts of the controller: allowance, history, reopening."""

from __future__ import annotations

import pytest

from tmapi_async.limits.history import History
from tmapi_async.limits.latency import LatencyEstimate
from tmapi_async.limits.probe_budget import ProbeBudget
from tmapi_async.limits.ramp_up import RampUp


def test_three_refusals_are_allowed_and_two_of_a_thousand_answers() -> None:
    """Learning may cost 3 refusals, and 0.2 % of the answers."""
    allowance = ProbeBudget()
    assert allowance.left(0, 0) == 3
    assert allowance.left(1_000, 4) == 1
    allowance.probed(0, 4)
    assert allowance.affords(1_000, 4, 0)
    assert not allowance.affords(999, 4, 0)


def test_share_of_the_horizon_may_be_spent_first() -> None:
    """What 100 requests a slot will earn may be spent before they were sent."""
    allowance = ProbeBudget()
    allowance.found(50, 1)
    assert allowance.left(10, 1) == 12
    allowance.found(500, 1)
    assert allowance.left(10, 1) == 12, "the limit found first sets the horizon"


def test_probe_must_pay_what_the_last_one_cost() -> None:
    """A probe that cost three refusals is tried again only when three are left."""
    allowance = ProbeBudget()
    allowance.probed(0, 0)
    assert not allowance.affords(1_499, 3, 0)
    assert allowance.affords(1_500, 3, 0)
    assert not allowance.affords(1_500, 3, 1), "and what is spared is not spent"


def test_probes_are_spread_until_the_next_is_granted() -> None:
    """Two in hand and the one granted after 500 answers come after 167, 333 and 500 of them."""
    allowance = ProbeBudget()
    allowance.found(4, 1)
    allowance.probed(0, 1)
    for earlier, refusals, turn in ((0, 1, 167), (167, 2, 334), (334, 3, 500), (500, 4, 1_000)):
        allowance.probed(earlier, refusals - 1)
        assert not allowance.due(turn - 1, refusals, 0)
        assert allowance.due(turn, refusals, 0)
        assert allowance.affords(turn, refusals, 0)


def test_savings_are_spent_before_more_are_granted() -> None:
    """What a fallen limit excused, and was not spent, is looked about with soon."""
    allowance = ProbeBudget()
    allowance.fell(9)
    allowance.probed(10_000, 23)
    assert allowance.left(10_000, 23) == 9
    assert not allowance.due(10_049, 23, 0)
    assert allowance.due(10_050, 23, 0)


def test_fallen_limit_excuses_refusals() -> None:
    """Each slot lost excuses one refusal; slots won do not cost any."""
    allowance = ProbeBudget()
    allowance.fell(8)
    allowance.fell(-3)
    assert allowance.left(0, 9) == 2
    assert "8 granted" in repr(allowance)


def test_old_debt_is_forgiven() -> None:
    """Hundreds of refusals, of a wrong ceiling, do not stop probes for ever."""
    allowance = ProbeBudget()
    assert not allowance.affords(0, 300, 0)
    allowance.probed(0, 300)
    assert allowance.left(0, 300) == -3
    assert allowance.affords(2_000, 300, 0)


def test_pause_between_slots_is_that_of_a_refusal() -> None:
    """As long as a refusal takes, or a guess at that, and never long; wide gates share it."""
    timing = LatencyEstimate()
    assert timing.pause(4) == 0.0
    timing.answered(3.2, 1)
    assert timing.pause(4) == pytest.approx(0.1)
    timing.refused(0.2)
    assert timing.pause(4) == timing.pause(16) == pytest.approx(0.2)
    assert timing.pause(64) == pytest.approx(0.05)
    for _ in range(50):
        timing.refused(3.0)
    assert timing.pause(4) == pytest.approx(0.4)
    assert repr(timing) == "<Timing: answers take 3.2 s, refusals 3 s>"


def test_history_thins_out() -> None:
    """A full history keeps its first point, its last, and every second of the others."""
    history = History(maximum=8)
    for i in range(9):
        history.add(float(i), i, "grow")
    assert [point.width for point in history.points()] == [0, 2, 4, 6, 8]
    assert repr(history) == "<History: 5 of at most 8 points>"


def test_reopening_starts_with_the_first_attempt() -> None:
    """The steps count from the first attempt after the pause, however late it is sent."""
    reopening = RampUp()
    reopening.close(10.0, 1.0)
    assert reopening.width(10.5, 17, 0) == 0
    assert reopening.width(50.0, 17, 0) == 1
    reopening.sent(50.0, 1, round_trip=1.6)
    assert reopening.width(50.0, 17, 1) == 2
    assert reopening.width(50.85, 17, 1) == 10
    assert reopening.width(51.7, 17, 1) == 17
    assert not reopening.active


def test_reopening_counts_what_is_in_flight() -> None:
    """Attempts that went on during the pause keep their slots, one more is let in."""
    reopening = RampUp()
    reopening.close(0.0, 1.0)
    assert reopening.width(1.0, 10, 6) == 7
    reopening.sent(1.0, 7, round_trip=1.0)
    assert reopening.width(1.5, 10, 7) == 8
    reopening.pace()
    assert reopening.width(1.5, 4, 8) == 4


def test_wake_up_is_always_ahead() -> None:
    """The next step is told as a time after now, also where rounding would put it at now."""
    reopening = RampUp()
    reopening.pace()
    reopening.sent(0.1, 1, round_trip=0.3)
    now = 0.1
    for _ in range(40):
        wake = reopening.wake_at(now)
        assert wake > now
        now = wake
