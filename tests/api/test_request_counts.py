"""Counts of requests add up, and adding changes neither side."""

from __future__ import annotations

from tmapi_async.api.request_counts import RequestCounts


def test_counts_add_up() -> None:
    """A sum has every figure and every code of both sides, which stay as they are."""
    left = RequestCounts(requests=3, retries=1, wasted=0, codes={"200": 2, "503": 1})
    right = RequestCounts(requests=2, retries=0, wasted=1, codes={"200": 1, "timeout": 1})
    assert left + right == RequestCounts(
        requests=5, retries=1, wasted=1, codes={"200": 3, "503": 1, "timeout": 1}
    )
    assert left.codes == {"200": 2, "503": 1}
    assert right.codes == {"200": 1, "timeout": 1}


def test_the_total_of_nothing_is_zero() -> None:
    """`total` adds any number of counts."""
    one = RequestCounts(requests=1, codes={"200": 1})
    assert RequestCounts.total([]) == RequestCounts()
    assert RequestCounts.total([one, one, one]) == RequestCounts(requests=3, codes={"200": 3})


def test_a_code_is_counted_under_its_label() -> None:
    """`add_code` counts each code, the first time too."""
    counts = RequestCounts()
    for label in ("200", "503", "200"):
        counts.add_code(label)
    assert counts.codes == {"200": 2, "503": 1}
