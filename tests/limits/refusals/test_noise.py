"""Refusals are treated as noise only while they cannot depend on the width."""

from __future__ import annotations

from tmapi_async.limits.refusals.noise import MIN_TOLERANCE, TOLERANCE_GROWTH, NoiseTolerance


def tolerated(noise: NoiseTolerance) -> int:
    """Count the refusals treated as noise until one is not."""
    count = 0
    while noise.tolerates():
        count += 1
    return count


def test_nothing_is_noise_before_it_was_found() -> None:
    """Without a sign of noise, every refusal counts."""
    assert not NoiseTolerance().tolerates()


def test_many_refusals_put_the_noise_to_the_test() -> None:
    """After 16 refusals the next one counts, and tolerance ends until noise is found again."""
    noise = NoiseTolerance()
    noise.start()
    assert tolerated(noise) == MIN_TOLERANCE
    assert not noise.active


def test_noise_found_again_is_tested_more_rarely() -> None:
    """Each test that finds noise again makes the next one four times rarer."""
    noise = NoiseTolerance()
    noise.start()
    tolerated(noise)
    noise.start()
    assert tolerated(noise) == MIN_TOLERANCE * TOLERANCE_GROWTH


def test_quiet_probe_ends_the_tolerance() -> None:
    """A time between two probes without an unexpected refusal has no noise."""
    noise = NoiseTolerance()
    noise.start()
    noise.probe_started(quiet=False)
    assert noise.active
    noise.probe_started(quiet=True)
    assert not noise.active
