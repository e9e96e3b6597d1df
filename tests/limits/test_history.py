"""The history: a bounded record of widths."""

from __future__ import annotations

from tmapi_async.limits.history import History


def test_history_thins_out() -> None:
    """A full history keeps its first point, its last, and every second of the others."""
    history = History(maximum=8)
    for i in range(9):
        history.add(float(i), i, "grow")
    assert [point.width for point in history.points()] == [0, 2, 4, 6, 8]
    assert repr(history) == "<History: 5 of at most 8 points>"
