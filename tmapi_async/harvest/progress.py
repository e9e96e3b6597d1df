"""How far a harvest is, as data: a display and a log line read the same object."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.crawl.splitting import Reconciliation
from tmapi_async.journal.records import RunTally

StoppedBy: TypeAlias = Literal["balance", "auth", "budget", "signal", "disk"]

_WINDOW = 30.0
_SAMPLES = 240
_LEAST_ENDED = 20
"""Listings that must have ended before their mean length says something about the others."""


class HarvestProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of a harvest.

    Attributes:
        tally: What the listings asked for hold, over all their starts.
        open: Listings begun and not ended.
        pages: Pages brought by this start.
        failed_pages: Pages that could not be had in this start.
        requests: Attempts of this start handed to the transport.
        budget: Most requests of this start, or None.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        codes: Code, or kind of failure, to how often it came.
        width: The gate's width; `in_flight` of it is taken.
        in_flight: Slots taken.
        waiting: Pages that await their commit.
        seconds: Since the start began.
        rate: Pages a second, over the last half minute.
        eta: Seconds until the end, an estimate; None while nothing tells.
        stopping: Whether nothing new is asked for any more.
    """

    tally: RunTally
    open: int = 0
    pages: int = 0
    failed_pages: int = 0
    requests: int = 0
    budget: int | None = None
    retries: int = 0
    wasted: int = 0
    codes: dict[str, int] = {}
    width: int = 0
    in_flight: int = 0
    waiting: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    eta: float | None = None
    stopping: bool = False


class HarvestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a harvest came to.

    Attributes:
        run: Number of the run that new listings went to.
        start: Number of this start in the journal, or None: there was nothing to do.
        tally: What the listings asked for hold, over all their starts.
        visits: Numbers of their visits in the journal.
        pages: Pages brought by this start.
        requests: Attempts handed to the transport by this start; likewise all that follows.
        retries: Attempts beyond the first of their page.
        wasted: Pages past the end, and look-ahead that was abandoned.
        codes: Code, or kind of failure, to how often it came.
        seconds: How long it took.
        stopped_by: What ended it early, or None.
        error: The error that ended it early, or None.
        reconciliations: What came of the listings that this start divided (`split`).
    """

    run: int
    start: int | None = None
    tally: RunTally
    visits: frozenset[int]
    pages: int = 0
    requests: int = 0
    retries: int = 0
    wasted: int = 0
    codes: dict[str, int] = {}
    seconds: float = 0.0
    stopped_by: StoppedBy | None = None
    error: Exception | None = None
    reconciliations: tuple[Reconciliation, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every listing was walked to its end, or to a ceiling."""
        return not self.tally.left and not self.tally.failed


class Throughput:
    """Pages a second of late, and what they say about the end. The clock is passed in."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self._ended = self._pages = 0

    def listing_ended(self, pages: int) -> None:
        """Note how many pages a listing had in all."""
        self._ended += 1
        self._pages += pages

    def rate(self, now: float, pages: int) -> float:
        """Pages a second over the last half minute, given the pages so far."""
        samples = self._samples
        samples.append((now, pages))
        while now - samples[0][0] > _WINDOW:
            samples.popleft()
        began, before = samples[0]
        return (pages - before) / (now - began) if now > began else 0.0

    def eta(self, rate: float, *, left: int, held: int, expected: int | None) -> float | None:
        """Seconds until the end, or None while nothing tells.

        Args:
            rate: Pages a second.
            left: Listings that have not ended.
            held: Pages those hold already.
            expected: Pages those will have, if an earlier run tells.
        """
        if rate <= 0:
            return None
        if expected is None:
            if self._ended < _LEAST_ENDED:
                return None
            expected = round(left * self._pages / self._ended)
        return max(0, expected - held) / rate
