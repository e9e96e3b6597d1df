"""Bounded record of the changes of a gate's width, for plots and reports."""

from __future__ import annotations

from typing import NamedTuple


class HistoryPoint(NamedTuple):
    """One change of the gate.

    Attributes:
        time: Clock time in seconds, monotonic.
        width: Width from then on.
        event: `"start"`, `"grow"`, `"probe"`, `"hold"`, `"cut"` or `"close"`.
    """

    time: float
    width: int
    event: str


class History:
    """Record of the whole run in a bounded number of points.

    A full record is thinned: every second point of the past is dropped.

    Args:
        maximum: Maximum number of points.
    """

    __slots__ = ("_maximum", "_points")

    def __init__(self, maximum: int = 512) -> None:
        self._maximum = maximum
        self._points: list[HistoryPoint] = []

    def add(self, time: float, width: int, event: str) -> None:
        """Record a change of the width."""
        if len(self._points) >= self._maximum:
            # The first point stays: a plot begins where the run began.
            del self._points[1::2]
        self._points.append(HistoryPoint(time, width, event))

    def points(self) -> tuple[HistoryPoint, ...]:
        """Return the record so far, oldest point first."""
        return tuple(self._points)

    def __repr__(self) -> str:
        return f"<History: {len(self._points)} of at most {self._maximum} points>"
