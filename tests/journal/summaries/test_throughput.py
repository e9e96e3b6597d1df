"""Speed and estimated end of a harvest."""

from __future__ import annotations

from tmapi_async.journal.summaries.throughput import Throughput


def test_the_first_line_has_a_speed():
    """A display that asks for the first time after a while gets the speed since the beginning."""
    assert Throughput(100.0).rate(115.0, 14_510) == 14_510 / 15


def test_the_speed_is_that_of_the_last_half_minute():
    """Asked often or seldom, the speed is that of about half a minute, never of an instant."""
    often, seldom = Throughput(0.0), Throughput(0.0)
    for second in range(1, 400):
        pages = 10 * min(second, 200) + max(0, second - 200)
        assert often.rate(second, pages) > 0
        if second % 100 == 0:
            assert seldom.rate(second, pages) > 0
    assert often.rate(400, 2200) == 1.0


def test_the_end_is_estimated_from_an_earlier_run_where_there_is_one():
    """The sizes of the same listings in an earlier run are better than those of others."""
    throughput = Throughput(0.0)
    eta = throughput.eta(2.0, open_sizes=[], waiting=5, expected=100)
    assert eta is not None
    assert (eta.low, eta.mean, eta.high) == (40.0, 50.0, 62.5)
    assert throughput.eta(0.0, open_sizes=[], waiting=5, expected=100) is None
    assert throughput.eta(2.0, open_sizes=[], waiting=5, expected=None) is None
