"""A bounded record of what the gate did, for plots and reports."""

from __future__ import annotations

from typing import NamedTuple


class HistoryPoint(NamedTuple):
    """One change of the gate.

    Attributes:
        time: Clock time in seconds, monotonic.
        width: The width from then on.
        event: `"start"`, `"grow"`, `"probe"`, `"hold"`, `"cut"` or `"close"`.
    """

    time: float
    width: int
    event: str


class History:
    """Keeps the whole run in at most `most` points, by thinning as it grows."""

    __slots__ = ("_most", "_points")

    def __init__(self, most: int = 512) -> None:
        self._most = most
        self._points: list[HistoryPoint] = []

    def add(self, time: float, width: int, event: str) -> None:
        """Record a change; when full, every second point of the past is dropped."""
        if len(self._points) >= self._most:
            # The first point stays: a plot begins where the run began.
            del self._points[1::2]
        self._points.append(HistoryPoint(time, width, event))

    def points(self) -> tuple[HistoryPoint, ...]:
        """The record so far, oldest first."""
        return tuple(self._points)

    def __repr__(self) -> str:
        return f"<History: {len(self._points)} of at most {self._most} points>"
