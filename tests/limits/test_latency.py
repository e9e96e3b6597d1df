"""The latency estimate: the pause between two added slots."""

from __future__ import annotations

import pytest

from tmapi_async.limits.latency import LatencyEstimate


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
