"""Estimate of how long an abandoned request runs on at the server."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

FIRST_UNKNOWN_SECONDS = 0.5
"""Assumed of the first abandoned request before any latency was measured, and doubled each time.

A client whose first requests were given up early must find out soon if the server answers now."""

UNKNOWN_SECONDS = 10.0
"""Longest assumption before any latency was measured (the latency of the API is some seconds)."""

MAX_SECONDS = 60.0
"""The vendor advises a time-out of 60 s: no request is expected to run longer at the server."""

QUANTILE = 0.98
WINDOW = 512


class AbandonedRequests:
    """Estimates when the server has finished a request that no caller waits for any more.

    A time-out or a cancellation ends our waiting, not the server's work: the request goes on
    taking one of the account's places. If its slot were given back at once, the next request would
    be refused with a 503.

    Args:
        unknown_seconds: Assumed duration of the first abandoned request, if no latency is known.

    Attributes:
        answered: Learns from the latency, in seconds, of a reply that is not a refusal.
    """

    __slots__ = ("_latencies", "_unknown_seconds", "answered")

    def __init__(self, unknown_seconds: float = FIRST_UNKNOWN_SECONDS) -> None:
        self._unknown_seconds = unknown_seconds
        self._latencies = deque[float](maxlen=WINDOW)
        self.answered: Callable[[float], None] = self._latencies.append  # called with every page

    @property
    def known(self) -> bool:
        """True if a latency was measured."""
        return bool(self._latencies)

    def done_at(self, sent_at: float, now: float) -> float:
        """Estimate when the server will have finished a request abandoned at `now`.

        Call this method once for each abandoned request: before the first reply, each is expected
        to take longer than the one before.

        Args:
            sent_at: Clock time in seconds at which the request was sent.
            now: Clock time in seconds.

        Returns:
            A clock time, at `now` or later, and never more than 60 s after `sent_at` or `now`,
            whichever is earlier.
        """
        age = max(0.0, now - sent_at)
        return now + max(0.0, min(self._expected(age), MAX_SECONDS) - age)

    @property
    def usual_latency(self) -> float:
        """Seconds in which nearly all replies came; 0 before the first."""
        if not self._latencies:
            return 0.0
        return sorted(self._latencies)[int(QUANTILE * (len(self._latencies) - 1))]

    def _expected(self, age: float) -> float:
        """Return the expected duration, in seconds, of a request that is `age` seconds old."""
        if not self._latencies:
            expected = max(self._unknown_seconds, age * 1.25)
            self._unknown_seconds = min(2 * expected, UNKNOWN_SECONDS)
            return expected
        usual = self.usual_latency
        # With heavy tails, a request that outlasts nearly all others goes on in proportion to
        # its age.
        return usual if age < usual else age * 1.25

    def __repr__(self) -> str:
        return f"<AbandonedRequests: {len(self._latencies)} latencies>"
