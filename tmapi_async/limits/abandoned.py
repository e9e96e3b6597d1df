"""How long an abandoned request goes on at the server."""

from __future__ import annotations

UNKNOWN_SECONDS = 10.0
"""Assumed before any latency was seen (the API's is some seconds)."""

MOST_SECONDS = 60.0
"""The vendor advises a time-out of 60 s: nothing is expected to run longer at the server."""

QUANTILE = 0.98
REMEMBERED = 512


class AbandonedRequests:
    """Estimates when the server is done with a request that nobody waits for any more.

    A time-out or a cancellation ends our waiting, not the server's work: the request goes on
    taking one of the account's places. Giving its slot back at once earns a 503.
    """

    __slots__ = ("_latencies", "_next")

    def __init__(self) -> None:
        self._latencies: list[float] = []
        self._next = 0

    def answered(self, latency: float) -> None:
        """Learn from the latency, in seconds, of a reply that is no refusal."""
        if len(self._latencies) < REMEMBERED:
            self._latencies.append(latency)
            return
        self._latencies[self._next] = latency
        self._next = (self._next + 1) % REMEMBERED

    def done_at(self, sent_at: float, now: float) -> float:
        """When the server can be expected to be done with a request abandoned at `now`.

        Args:
            sent_at: Clock time in seconds at which it was sent.
            now: Clock time in seconds.

        Returns:
            A clock time, at `now` or later, and never more than 60 s after `sent_at` or `now`,
            whichever is earlier.
        """
        age = max(0.0, now - sent_at)
        return now + max(0.0, min(self._expected(age), MOST_SECONDS) - age)

    def _expected(self, age: float) -> float:
        """Seconds from being sent until done, of a request that is `age` seconds old."""
        if not self._latencies:
            return max(UNKNOWN_SECONDS, age * 1.25)
        ranked = sorted(self._latencies)
        usual = ranked[int(QUANTILE * (len(ranked) - 1))]
        # With heavy tails, what has outlasted nearly everything goes on in proportion to its age.
        return usual if age < usual else age * 1.25

    def __repr__(self) -> str:
        return f"<Ghosts: {len(self._latencies)} latencies>"
