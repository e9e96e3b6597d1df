"""Estimate of when an abandoned request is over at the server."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.limits.abandoned import AbandonedRequests

SECONDS = st.floats(0.0, 200.0)


def test_default_before_anything_was_seen() -> None:
    """Without a latency to go by, each abandoned request is expected to take twice as long."""
    estimate = AbandonedRequests()
    durations = [estimate.done_at(100.0, 100.2) - 100.0 for _ in range(7)]
    assert durations == pytest.approx([0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0])
    assert AbandonedRequests().done_at(100.0, 104.0) == 105.0
    assert AbandonedRequests(10.0).done_at(100.0, 101.0) == 110.0


def test_a_request_given_up_late_is_the_measure_of_the_next() -> None:
    """A first time-out of four seconds says that half a second is too short."""
    estimate = AbandonedRequests()
    estimate.done_at(100.0, 104.0)
    assert estimate.done_at(200.0, 200.1) == 210.0


def test_steady_latency_is_expected_again() -> None:
    """If every answer takes 2 s, an abandoned request is over 2 s after it was sent."""
    estimate = AbandonedRequests()
    for _ in range(50):
        estimate.answered(2.0)
    assert estimate.done_at(100.0, 100.5) == 102.0


def test_nearly_all_are_over_when_said() -> None:
    """At least 19 of 20 requests with a heavy tail are over at the estimated time."""
    random = Random(3)  # noqa: S311 - a test must be repeatable
    estimate = AbandonedRequests()
    for _ in range(1_000):
        estimate.answered(random.lognormvariate(0.0, 0.8))
    done = estimate.done_at(0.0, 0.0)
    late = sum(random.lognormvariate(0.0, 0.8) > done for _ in range(2_000))
    assert late < 100
    assert done < 10


def test_outlier_is_waited_for_in_proportion_to_its_age() -> None:
    """A request older than nearly all others goes on for another quarter of its age."""
    estimate = AbandonedRequests()
    for _ in range(50):
        estimate.answered(0.1)
    assert estimate.done_at(0.0, 8.0) == 10.0


def test_time_out_of_the_vendor_is_the_end() -> None:
    """No request is waited for longer than 60 s after it was sent."""
    estimate = AbandonedRequests()
    estimate.answered(500.0)
    assert estimate.done_at(0.0, 1.0) == 60.0
    assert estimate.done_at(0.0, 60.0) == 60.0
    assert estimate.done_at(0.0, 75.0) == 75.0


def test_recent_latencies_count() -> None:
    """When the server has become faster, its old latencies are forgotten."""
    estimate = AbandonedRequests()
    for _ in range(600):
        estimate.answered(20.0)
    for _ in range(600):
        estimate.answered(1.0)
    assert estimate.done_at(0.0, 0.5) == 1.0
    assert repr(estimate) == "<AbandonedRequests: 512 latencies>"


@given(st.lists(SECONDS, max_size=40), SECONDS, SECONDS)
def test_never_in_the_past_nor_far_ahead(seen: list[float], sent_at: float, age: float) -> None:
    """The estimate is not before now, and not more than 60 s ahead."""
    estimate = AbandonedRequests()
    for latency in seen:
        estimate.answered(latency)
    now = sent_at + age
    assert now <= estimate.done_at(sent_at, now) <= now + 60.0


def test_clock_that_went_back_is_survived() -> None:
    """A request sent in the future is treated as sent now."""
    estimate = AbandonedRequests()
    estimate.answered(2.0)
    assert estimate.done_at(100.0, 50.0) == 52.0
