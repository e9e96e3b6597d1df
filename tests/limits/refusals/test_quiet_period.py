"""After a quiet period a probe is due, whatever the budget says."""

from __future__ import annotations

import pytest

from tmapi_async.limits.refusals.quiet_period import MAX_NARROWED_PROBES, QuietPeriod


def rounds(quiet: QuietPeriod, width: int, uncertainty: float = 0.0) -> float:
    """Count the round trips after which a probe is due."""
    answers = next(a for a in range(100_000) if quiet.is_over(a, width, uncertainty))
    return answers / width


@pytest.mark.parametrize(("width", "expected"), [(1, 48), (4, 48), (8, 32), (15, 32), (64, 48)])
def test_period_is_counted_in_round_trips(width: int, expected: int) -> None:
    """A probe is due after 48 round trips; after 32 at 8 to 15 slots."""
    assert rounds(QuietPeriod(width), width) == expected


def test_period_starts_again_with_each_refusal() -> None:
    """A refusal starts the count of answers again."""
    quiet = QuietPeriod(4)
    quiet.refused(1_000)
    assert not quiet.is_over(1_000 + 4 * 48 - 1, 4, 0.0)
    assert quiet.is_over(1_000 + 4 * 48, 4, 0.0)


def test_narrowed_width_is_tried_sooner_for_a_while() -> None:
    """At half of the widest width, 16 round trips are enough until six probes were refused."""
    quiet = QuietPeriod(4)
    quiet.held(16)
    for _ in range(MAX_NARROWED_PROBES):
        assert rounds(quiet, 8) == 16
        quiet.limit_met(confirmed=True)
    assert rounds(quiet, 8) == 32


@pytest.mark.parametrize("event", ["cut", "another limit"])
def test_new_cut_makes_the_narrowed_width_suspect_again(event: str) -> None:
    """A cut that no probe caused, or a limit met elsewhere, starts the early probes again."""
    quiet = QuietPeriod(16)
    for _ in range(MAX_NARROWED_PROBES):
        quiet.limit_met(confirmed=True)
    assert rounds(quiet, 4) == 32
    if event == "cut":
        quiet.narrowed()
    else:
        quiet.limit_met(confirmed=False)
    assert rounds(quiet, 4) == 16


def test_probe_that_may_cost_more_refusals_waits_longer() -> None:
    """Where many requests are on the way, the period grows, by a quarter at most."""
    assert rounds(QuietPeriod(64), 64, uncertainty=5.0) == 53
    assert rounds(QuietPeriod(64), 64, uncertainty=500.0) == 60
