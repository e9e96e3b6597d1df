"""The choice of the next page: pure, synchronous, without I/O and without a clock.

The frontier holds page numbers, never bodies. It chooses in this order: pages that are certain,
turn by turn among the open listings; then the first pages of new listings; then, only for slots
that would otherwise idle, guesses at later pages of listings whose end is unknown.
[`page_tracker`][tmapi_async.crawl.page_tracker] has the rules for one listing,
[`lookahead`][tmapi_async.crawl.lookahead] those for guesses.
"""

from __future__ import annotations

from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING

from tmapi_async.api.listings import Listing, PageRequest

from .answers import Answer, FrontierEnding, FrontierStatistics
from .lookahead import LookaheadPool, LookaheadWindow
from .page_tracker import PageTracker, Worth
from .requested_pages import REACH

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_ANSWER = Answer()
_WASTED_ANSWER = Answer(wasted=True)


class Frontier:
    """Decides which page of which listing is requested next.

    Args:
        lookahead: None lets slots that would idle guess, within `max_waste`; 0 forbids guesses (a
            known length is still used); N guesses up to N pages past the last page known,
            regardless of the waste.
        max_waste: Share of the requested pages that may lie past the end of their listing.
        pool: Look-ahead of all walks of the client; None for a walk alone.

    Attributes:
        lookahead: Shares the guesses among the listings.

    Raises:
        ValueError: `lookahead` is negative, or `max_waste` is not between 0 and 1.
    """

    def __init__(
        self,
        *,
        lookahead: int | None = None,
        max_waste: float = 0.02,
        pool: LookaheadPool | None = None,
    ) -> None:
        self.lookahead = LookaheadWindow(lookahead, max_waste, pool)
        self._counts = self.lookahead.counts
        self._width = 1
        self._trackers: dict[Listing, PageTracker] = {}
        self._closed: dict[Listing, PageTracker] = {}  # left early, with pages still in flight
        self._new: deque[PageTracker] = deque()  # may hold closed ones; `take` skips them
        # Listings with pages that are certain, each at most once.
        self._ready: deque[PageTracker] = deque()
        self._waiting = 0  # listings in _new that count
        self._answered = self._failed = self._reclaimed = 0

    def __contains__(self, listing: object) -> bool:
        """Return True if the listing is waiting, open, or closed with pages in flight."""
        return listing in self._trackers or listing in self._closed

    @property
    def wants_listing(self) -> bool:
        """True if another listing should be opened: fewer wait than the gate has slots."""
        return self._waiting < self._width

    @property
    def trackers(self) -> Mapping[Listing, PageTracker]:
        """Trackers of the listings that have not ended."""
        return MappingProxyType(self._trackers)

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
            listing: Listing to walk; at most once at a time.
            first: Page to start from.
            max_pages: Maximum number of pages, from `first` on; None for no limit.
            hint: Number of the last page in an earlier run. No page beyond it is guessed before it
                is reached. Unlike `expected`, it makes no page certain: the listing may have
                shrunk.
            expected: Number of the last page, if this run knows it (from a total). It saves
                guesses; `has_next_page` alone still ends the walk.
            stored_pages: Pages that need no request, with their `has_next_page`.

        Returns:
            The ending, if the stored pages are the whole listing; else nothing.

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
        """Choose the next page to request; call this method for each free slot.

        Args:
            width: Number of slots that the gate has now.

        Returns:
            The page, in flight from now on, or None if there is no page to request at present.
        """
        if width < 1:
            return None
        self._width = width
        reach = REACH * width
        ready = self._ready
        while ready:
            tracker = ready.popleft()
            tracker.queued = False
            number = tracker.take_certain(reach)
            if number:
                return self._send(tracker, number)
        while self._new:
            tracker = self._new.popleft()
            if not tracker.started:
                tracker.started = True
                self._waiting -= 1
                return self._send(tracker, tracker.take_certain(reach))
        return self._guess(width, reach)

    def goes_on(self, request: PageRequest, expected: int | None) -> bool:
        """Note the page that answered a request, if it says no more than that its listing goes on.

        Args:
            request: A request in flight, whose page has `has_next_page`.
            expected: Number of the last page, if the page states it.

        Returns:
            True if it was noted: the page can be delivered, and nothing else follows from it. False
            if nothing was noted: `answered` has more to do.
        """
        tracker = self._trackers.get(request.listing)
        if tracker is None or not tracker.go_on(request.number, expected):
            return False
        self._answered += 1
        if not tracker.queued and tracker.more:
            tracker.queued = True
            self._ready.append(tracker)
        if tracker.end_unknown:
            self.lookahead.note_growth(tracker)
        return True

    def answered(
        self, request: PageRequest, *, has_next: bool, items: int, expected: int | None = None
    ) -> Answer:
        """Note the page that answered a request.

        Args:
            request: A request in flight.
            has_next: The page's `has_next_page`.
            items: Number of rows on the page, rejects included.
            expected: Number of the last page, if the page states it.

        Returns:
            The pages to deliver, whether this page was wasted, and the ending of the listing.

        Raises:
            ValueError: The request is not in flight.
        """
        tracker = self._remove_in_flight(request)
        self._answered += 1
        if tracker.ended:
            self._counts.wasted += 1
            self.lookahead.note(tracker)
            return _WASTED_ANSWER
        previous_end = tracker.end
        worth = tracker.answer(request.number, has_next=has_next, items=items, expected=expected)
        if worth == "exists":
            return self._proceed(tracker, previous_end)
        self._counts.wasted += worth == "wasted"
        return self._proceed(tracker, previous_end, worth)

    def repeated(self, request: PageRequest) -> Answer:
        """Note that a guess was answered with rows that the listing has shown already.

        The page is no evidence that the listing goes on. It is forgotten like a guess that failed.

        Raises:
            ValueError: The request is not in flight.
        """
        tracker = self._remove_in_flight(request)
        self._answered += 1
        self._counts.wasted += 1
        tracker.repeat(request.number)
        return self._proceed(tracker, 0, "wasted")

    def is_guess(self, request: PageRequest) -> bool:
        """Return True if a request in flight is a guess that has not become certain."""
        tracker = self._trackers.get(request.listing)
        return tracker is not None and tracker.in_flight.get(request.number, False)

    def count_wasted(self, pages: int) -> None:
        """Count unproven pages of ended listings that brought nothing new."""
        self._counts.wasted += pages

    def failed(self, request: PageRequest) -> Answer:
        """Note that a request failed for good, its retries used up.

        Raises:
            ValueError: The request is not in flight.
        """
        tracker = self._remove_in_flight(request)
        self._failed += 1
        if tracker.ended:
            self.lookahead.note(tracker)
            return _NO_ANSWER
        tracker.fail(request.number)
        return self._proceed(tracker)

    def reclaimed(self, request: PageRequest, *, sent: bool = True) -> Answer:
        """Note that a request was taken but not answered: its page may be requested again.

        Args:
            request: A request in flight.
            sent: True if an attempt was sent; a request that was not sent costs nothing.

        Returns:
            An ending, if the page lay past the end and was the last that its listing waited for.

        Raises:
            ValueError: The request is not in flight.
        """
        guesses_before = self.lookahead.guesses_in_flight
        tracker = self._remove_in_flight(request)
        self._reclaimed += 1
        self.lookahead.note(tracker)
        # A guess that is reclaimed after it was sent has probably been paid for.
        in_vain = self.lookahead.guesses_in_flight < guesses_before or request.number > tracker.end
        self._counts.wasted += sent and in_vain
        if tracker.ended:
            return _NO_ANSWER
        tracker.reclaim(request.number)
        return self._proceed(tracker)

    def close(self, listing: Listing) -> Answer:
        """Leave a listing early; does nothing if it has ended.

        Pages still in flight count as wasted when they are answered, and are not delivered.

        Returns:
            The pages that waited for earlier ones, and the ending "failed".
        """
        tracker = self._trackers.pop(listing, None)
        if tracker is None:
            return _NO_ANSWER
        if tracker.in_flight:
            self._closed[listing] = tracker
        if not tracker.started:
            tracker.started = True
            self._waiting -= 1
        return self._finish(tracker, [], "failed", past_end=tuple(tracker.in_flight))

    def is_needed(self, request: PageRequest) -> bool:
        """Return True if a request in flight is worth a retry: not closed, not past the end."""
        tracker = self._trackers.get(request.listing)
        return tracker is not None and request.number <= tracker.end

    @property
    def _in_flight(self) -> int:
        return self._counts.requested - self._answered - self._failed - self._reclaimed

    def statistics(self) -> FrontierStatistics:
        """Return the counts at this moment."""
        return FrontierStatistics(
            open=len(self._trackers) - self._waiting,
            new=self._waiting,
            in_flight=self._in_flight,
            guesses_in_flight=self.lookahead.guesses_in_flight,
            requested=self._counts.requested,
            answered=self._answered,
            failed=self._failed,
            reclaimed=self._reclaimed,
            wasted=self._counts.wasted,
            guesses=self._counts.guesses,
            allowance=int(self.lookahead.allowance(self._counts.requested, self._width)),
        )

    def __repr__(self) -> str:
        return f"<Frontier: {self.statistics()}>"

    def _send(self, tracker: PageTracker, number: int) -> PageRequest:
        self._counts.requested += 1
        if number < tracker.goal and not tracker.queued:
            tracker.queued = True
            self._ready.append(tracker)
        return PageRequest(tracker.listing, number)

    def _guess(self, width: int, reach: int) -> PageRequest | None:
        if self._in_flight >= width:
            return None
        choice = self.lookahead.choose(width, reach)
        if choice is None:
            return None
        tracker, number = choice
        tracker.mark_sent(number, guess=True)
        self._counts.guesses += 1
        self.lookahead.note(tracker)
        return self._send(tracker, number)

    def _remove_in_flight(self, request: PageRequest) -> PageTracker:
        tracker = self._trackers.get(request.listing)
        if tracker is None or request.number not in tracker.in_flight:
            tracker = self._closed_tracker(request)
        tracker.remove_in_flight(request.number)
        return tracker

    def _closed_tracker(self, request: PageRequest) -> PageTracker:
        """Return the tracker of a closed listing that a request belongs to."""
        tracker = self._closed.get(request.listing)
        if tracker is None or request.number not in tracker.in_flight:
            raise ValueError(f"{request} is not in flight")
        if len(tracker.in_flight) == 1:
            del self._closed[request.listing]
        return tracker

    def _proceed(
        self, tracker: PageTracker, previous_end: int = 0, worth: Worth = "exists"
    ) -> Answer:
        """Draw the conclusions from a change in a listing.

        Args:
            tracker: The listing.
            previous_end: Its `end` before the event, or 0.
            worth: Value of the page just answered, if any.
        """
        ready = tracker.settle()
        if tracker.next_open > tracker.certain and not tracker.in_flight and self._is_over(tracker):
            del self._trackers[tracker.listing]
            return self._finish(tracker, ready, tracker.ending, worth)
        if tracker.more and tracker.started and not tracker.queued:
            tracker.queued = True
            self._ready.append(tracker)
        self.lookahead.note(tracker)
        past_end = tracker.past_end(previous_end) if tracker.end < previous_end else ()
        if worth == "exists" and not (ready or past_end or tracker.holes):
            return _NO_ANSWER
        return Answer(
            tuple(ready),
            worth == "wasted",
            None,
            past_end,
            tracker.take_holes() if tracker.holes else (),
            worth == "unproven",
        )

    def _is_over(self, tracker: PageTracker) -> bool:
        if tracker.next_certain(REACH * self._width):
            return False
        has_hope = self.lookahead.permits(self._width) and tracker.try_past_hole()
        return not has_hope

    def _finish(
        self,
        tracker: PageTracker,
        ready: list[int],
        ending: FrontierEnding,
        worth: Worth = "exists",
        past_end: tuple[int, ...] = (),
    ) -> Answer:
        waiting, unproven = tracker.close()
        self.lookahead.note(tracker)
        return Answer(
            (*ready, *waiting),
            worth == "wasted",
            ending,
            past_end,
            tracker.take_holes(),
            worth == "unproven",
            tuple(unproven),
        )
