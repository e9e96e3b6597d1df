"""Counts of requests, used by every layer."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class RequestCounts(msgspec.Struct):
    """Counts of requests. Each figure only grows.

    Attributes:
        requests: Attempts handed to the transport.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and guesses of the look-ahead that were given up.
        codes: Code, or kind of failure, to its number of occurrences.
        unreached: Attempts that reached no server. The budget is not charged for them.
        waited: Seconds in which nothing else was sent, because the API did not answer. Of several
            clients, the longest.
        cache_hits: Pages taken from the cache of the client, without a request.
    """

    requests: int = 0
    retries: int = 0
    wasted: int = 0
    codes: dict[str, int] = msgspec.field(default_factory=dict)
    unreached: int = 0
    waited: float = 0.0
    cache_hits: int = 0

    def add_code(self, label: str) -> None:
        """Count one outcome under its code or kind."""
        try:
            self.codes[label] += 1
        except KeyError:
            self.codes[label] = 1

    def __add__(self, other: RequestCounts) -> RequestCounts:
        codes = dict(self.codes)
        for label, times in other.codes.items():
            codes[label] = codes.get(label, 0) + times
        return RequestCounts(
            self.requests + other.requests,
            self.retries + other.retries,
            self.wasted + other.wasted,
            codes,
            self.unreached + other.unreached,
            max(self.waited, other.waited),
            self.cache_hits + other.cache_hits,
        )

    @staticmethod
    def total(counts: Iterable[RequestCounts]) -> RequestCounts:
        """Return the sum of `counts`; zero for none."""
        return sum(counts, start=RequestCounts())
