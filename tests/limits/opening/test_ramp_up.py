"""The ramp-up: a closed gate opens step by step."""

from __future__ import annotations

from tmapi_async.limits.opening.ramp_up import RampUp


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
