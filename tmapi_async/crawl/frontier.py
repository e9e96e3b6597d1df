"""Which page to ask for next: pure, synchronous, without I/O and without a clock.

The frontier holds page numbers, never bodies. Work is handed out in this order: pages that are
certain, turn by turn among the open listings; then the first pages of new listings; and only to
slots that would otherwise idle, guesses at later pages of listings whose end is unknown. The rules
for one listing are those of [`tracker`][tmapi_async.crawl.page_tracker], those for guesses of
[`lookahead`][tmapi_async.crawl.lookahead].
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import msgspec

from tmapi_async.api.listings import Listing, PageRequest

from .lookahead import LookaheadWindow
from .page_tracker import PageTracker

if TYPE_CHECKING:
    from collections.abc import Mapping

FrontierEnding = Literal["complete", "capped", "failed"]
"""How a walk ended: at the server's word, at `max_pages` while there was more, or with a hole."""

# Gate widths that a listing may run ahead of its first page that is not settled. The slowest page
# of a heavy tail takes 20 times the mean, and the time-out of 60 s is 24 times the 2.5 s that were
# seen; with less, all slots but one wait for that page.
_REACH = 24


class Answer(msgspec.Struct, frozen=True):
    """What follows from one event.

    Attributes:
        deliver: Numbers of the pages that can be delivered now, in page order.
        wasted: Whether the page just answered lies past the end of its listing.
        ended: How the listing ended, told exactly once; None while it goes on.
        past_end: Pages of the listing still in flight although the end is known to lie below them,
            told once. They need no retry and may be cancelled and given back; the listing ends
            when the last of them is answered, failed or given back.
        holes: Numbers of the pages that `failed` and were needed, each told once, as soon as all
            before them is settled. A page that failed and is not told was not needed after all.
    """

    deliver: tuple[int, ...] = ()
    wasted: bool = False
    ended: FrontierEnding | None = None
    past_end: tuple[int, ...] = ()
    holes: tuple[int, ...] = ()


_NOTHING = Answer()
_WASTED = Answer(wasted=True)


@dataclass(frozen=True, slots=True)
class FrontierStatistics:
    """Counts at one moment; pages, unless said otherwise.

    Attributes:
        open: Listings begun and not ended.
        new: Listings waiting to be begun.
        in_flight: Taken and neither answered, failed nor given back.
        speculative_in_flight: Those among them that are not known to exist.
        asked: Taken, ever; what was given back and taken again counts twice.
        answered: Answered, the wasted ones included.
        failed: Failed for good.
        reclaimed: Taken and reclaimed.
        wasted: Answered past the end of their listing, or look-ahead given back.
        speculated: Asked for as speculation, ever.
        allowance: How many may be wasted in all, from what has been asked for until now.
    """

    open: int
    new: int
    in_flight: int
    speculative_in_flight: int
    asked: int
    answered: int
    failed: int
    reclaimed: int
    wasted: int
    speculated: int
    allowance: int


class Frontier:
    """Decides which page of which listing is asked for next.

    Args:
        lookahead: None lets slots that would idle ask for pages not known to exist, within
            `max_waste`; 0 forbids it (a known length is still used); N asks up to N pages past the
            last page known, whatever the waste.
        max_waste: Share of the pages asked for that may lie past the end of their listing.

    Raises:
        ValueError: `lookahead` is negative, or `max_waste` is not between 0 and 1.
    """

    def __init__(self, *, lookahead: int | None = None, max_waste: float = 0.02) -> None:
        if lookahead is not None and lookahead < 0:
            raise ValueError(f"lookahead must be None, 0 or a number of pages, not {lookahead}")
        if not 0 <= max_waste <= 1:
            raise ValueError(f"max_waste is a share between 0 and 1, not {max_waste}")
        self._lookahead = LookaheadWindow(lookahead, max_waste)
        self._width = 1
        self._trackers: dict[Listing, PageTracker] = {}
        self._closed: dict[Listing, PageTracker] = {}  # left early, with pages still in flight
        self._new: deque[PageTracker] = deque()  # closed ones among them are skipped when met
        self._ready: deque[PageTracker] = (
            deque()
        )  # walks with work that is certain, each at most once
        self._waiting = 0  # walks in _new that count
        self._in_flight = self._asked = self._answered = 0
        self._failed = self._reclaimed = self._wasted = self._speculated = 0

    def __contains__(self, listing: object) -> bool:
        """Whether the listing is known here: waiting, open, or closed with pages in flight."""
        return listing in self._trackers or listing in self._closed

    @property
    def wants_listing(self) -> bool:
        """Whether another listing should be opened: fewer wait than the gate is wide."""
        return self._waiting < self._width

    @property
    def open_listings(self) -> int:
        """Listings that are not ended, those not yet begun included."""
        return len(self._trackers)

    def open(
        self,
        listing: Listing,
        *,
        first: int = 1,
        max_pages: int | None = None,
        expected: int | None = None,
        hint: int | None = None,
        stored_pages: Mapping[int, bool] = MappingProxyType({}),
    ) -> Answer:
        """Add a listing to those to be walked.

        Args:
            listing: What to walk; at most once at a time.
            first: Page to start from.
            max_pages: How many pages at most, from `first` on; None for no limit.
            hint: Number of the last page in an earlier run. Nothing beyond it is guessed at before
                it is reached; unlike `expected`, pages up to it are not taken for certain, since a
                listing may have shrunk.
            expected: Number of the last page, if something of this run (a total) tells it.
                It saves speculation; `has_next_page` alone still ends the walk.
            stored_pages: Pages that need not be asked for again, with their `has_next_page`.

        Returns:
            The ending, if the pages held are all there is; else nothing.

        Raises:
            ValueError: The listing is open already, or a number is below 1.
        """
        if listing in self:
            raise ValueError(f"{listing} is open already: open it again when it has ended")
        if first < 1 or (max_pages is not None and max_pages < 1):
            raise ValueError(f"{listing}: first ({first}) and max_pages ({max_pages}) start at 1")
        tracker = PageTracker(listing, first, max_pages, expected, stored_pages, hint=hint)
        self._trackers[listing] = tracker
        answer = self._proceed(tracker)
        if answer.ended is None:
            self._new.append(tracker)
            self._waiting += 1
        return answer

    def take(self, width: int) -> PageRequest | None:
        """Choose the next page to ask for; call it for each free slot.

        Args:
            width: How many requests the gate lets be in flight now.

        Returns:
            The page, in flight from now on, or None if there is nothing to ask for at present.
        """
        if width < 1:
            return None
        self._width = width
        reach = _REACH * width
        ready = self._ready
        while ready:
            tracker = ready.popleft()
            tracker.queued = False
            number = tracker.upcoming(reach)
            if number:
                return self._send(tracker, number)
        while self._new:
            tracker = self._new.popleft()
            if not tracker.started:
                tracker.started = True
                self._waiting -= 1
                return self._send(tracker, tracker.upcoming(reach))
        return self._guess(width, reach)

    def answered(
        self, request: PageRequest, *, has_next: bool, items: int, expected: int | None = None
    ) -> Answer:
        """Note the page that came for a request.

        Args:
            request: A request in flight.
            has_next: The page's `has_next_page`.
            items: How many rows it held, rejects included.
            expected: Number of the last page, if the page tells it.

        Returns:
            What can be delivered, whether the page was wasted, and whether the listing ended.

        Raises:
            ValueError: The request is not in flight.
        """
        tracker = self._landed(request)
        self._answered += 1
        if tracker.ended:
            self._wasted += 1
            self._lookahead.note(tracker)
            return _WASTED
        known = tracker.stop
        wasted = tracker.page(request.number, has_next=has_next, items=items, expected=expected)
        if wasted:
            self._wasted += 1
        return self._proceed(tracker, known, wasted=wasted)

    def failed(self, request: PageRequest) -> Answer:
        """Note that a request failed for good, its retries used up.

        Raises:
            ValueError: The request is not in flight.
        """
        tracker = self._landed(request)
        self._failed += 1
        if tracker.ended:
            self._lookahead.note(tracker)
            return _NOTHING
        tracker.fail(request.number)
        return self._proceed(tracker)

    def reclaimed(self, request: PageRequest, *, sent: bool = True) -> Answer:
        """Note that a request was taken but not answered: it may be asked for again.

        Args:
            request: A request in flight.
            sent: Whether anything of it was sent; what was not costs nothing.

        Returns:
            An ending, if the page lay past the end and was the last that its listing waited for.

        Raises:
            ValueError: The request is not in flight.
        """
        known = self._lookahead.speculative
        tracker = self._landed(request)
        self._reclaimed += 1
        self._lookahead.note(tracker)
        # Look-ahead that is abandoned has probably been paid for.
        vain = self._lookahead.speculative < known or request.number > tracker.stop
        self._wasted += sent and vain
        if tracker.ended:
            return _NOTHING
        tracker.back(request.number)
        return self._proceed(tracker)

    def close(self, listing: Listing) -> Answer:
        """Leave a listing early; does nothing if it has ended.

        What is still in flight is counted as wasted when it is answered, and is not delivered.

        Returns:
            The pages that waited for earlier ones, and the ending "failed".
        """
        tracker = self._trackers.pop(listing, None)
        if tracker is None:
            return _NOTHING
        if tracker.flying:
            self._closed[listing] = tracker
        if not tracker.started:
            tracker.started = True
            self._waiting -= 1
        return self._finish(tracker, [], "failed", past_end=tuple(tracker.flying))

    def is_needed(self, request: PageRequest) -> bool:
        """Whether a request in flight is still worth a retry: not closed, not past the end."""
        tracker = self._trackers.get(request.listing)
        return tracker is not None and request.number <= tracker.stop

    def statistics(self) -> FrontierStatistics:
        """Counts at this moment."""
        return FrontierStatistics(
            open=len(self._trackers) - self._waiting,
            new=self._waiting,
            in_flight=self._in_flight,
            speculative_in_flight=self._lookahead.speculative,
            asked=self._asked,
            answered=self._answered,
            failed=self._failed,
            reclaimed=self._reclaimed,
            wasted=self._wasted,
            speculated=self._speculated,
            allowance=int(self._lookahead.allowance(self._asked, self._width)),
        )

    def __repr__(self) -> str:
        return (
            f"<Frontier: {len(self._trackers) - self._waiting} open, {self._waiting} new, "
            f"{self._in_flight} in flight, {self._asked} asked, {self._wasted} wasted>"
        )

    def _send(self, tracker: PageTracker, number: int, *, speculative: bool = False) -> PageRequest:
        tracker.sent(number, speculative=speculative)
        self._asked += 1
        self._in_flight += 1
        if number < tracker.goal and not tracker.queued:
            tracker.queued = True
            self._ready.append(tracker)
        return PageRequest(tracker.listing, number)

    def _guess(self, width: int, reach: int) -> PageRequest | None:
        lookahead = self._lookahead
        if self._in_flight >= width or not lookahead.permits(self._asked, self._wasted, width):
            return None
        allowed = lookahead.allowance(self._asked, width)
        choice = lookahead.choose(allowed - self._wasted, allowed, reach)
        if choice is None:
            return None
        tracker, number = choice
        self._speculated += 1
        request = self._send(tracker, number, speculative=True)
        lookahead.note(tracker)
        return request

    def _landed(self, request: PageRequest) -> PageTracker:
        tracker = self._trackers.get(request.listing)
        if tracker is None or request.number not in tracker.flying:
            tracker = self._left(request)
        tracker.land(request.number)
        self._in_flight -= 1
        return tracker

    def _left(self, request: PageRequest) -> PageTracker:
        """The closed walk that a request still belongs to."""
        tracker = self._closed.get(request.listing)
        if tracker is None or request.number not in tracker.flying:
            raise ValueError(f"{request} is not in flight")
        if len(tracker.flying) == 1:
            del self._closed[request.listing]
        return tracker

    def _proceed(self, tracker: PageTracker, known: int = 0, *, wasted: bool = False) -> Answer:
        """Draw the conclusions from a change in a walk; `known`: its `stop` before an answer."""
        ready = tracker.settle()
        if tracker.low > tracker.certain and not tracker.flying and self._is_over(tracker):
            del self._trackers[tracker.listing]
            ending: FrontierEnding = (
                "failed" if tracker.broken else "capped" if tracker.capped else "complete"
            )
            return self._finish(tracker, ready, ending, wasted=wasted)
        if tracker.more and tracker.started and not tracker.queued:
            tracker.queued = True
            self._ready.append(tracker)
        self._lookahead.note(tracker)
        past_end = tracker.past_end(known) if tracker.stop < known else ()
        if not (ready or wasted or past_end or tracker.holes):
            return _NOTHING
        return Answer(tuple(ready), wasted, None, past_end, tracker.passed())

    def _is_over(self, tracker: PageTracker) -> bool:
        if tracker.upcoming(_REACH * self._width):
            return False
        hopes = self._lookahead.permits(self._asked, self._wasted, self._width) and tracker.bridge()
        return not hopes

    def _finish(
        self,
        tracker: PageTracker,
        ready: list[int],
        ending: FrontierEnding,
        *,
        wasted: bool = False,
        past_end: tuple[int, ...] = (),
    ) -> Answer:
        ready += tracker.end()
        self._lookahead.note(tracker)
        return Answer(tuple(ready), wasted, ending, past_end, tracker.passed())
