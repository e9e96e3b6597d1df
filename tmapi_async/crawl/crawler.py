"""Drives the frontier through the session and hands out pages.

One place changes the entry: the synchronous methods of `Crawler`, called from its workers and from
the consumer. Workers are tasks that ask for one page after another; there are as many as the gate
is wide, and more only while some rest before a retry, since those hold no slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from tmapi_async import errors
from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.transport.request_state import CrawlCounts, RequestState, StoppedError
from tmapi_async.transport.session import Session

from .frontier import Answer, Frontier
from .loop_guard import GuardPolicy
from .open_listings import OpenListing, OpenListings
from .outbox import DeliveryQueue
from .outcomes import Ending, ListingOutcome, ListingTask, WalkStatistics


class Crawler:
    """Walks listings side by side and hands out their pages.

    Args:
        session: Asks for pages.
        frontier: Decides which.
        source: The listings, taken lazily.
        ordered: Hand out the pages of one listing in page order; else, to `on_page`, as they come.
        unique: Drop items whose ID the listing has shown before (ordered only).
        guard: When a listing counts as endless.
        on_end: Called, synchronously, with the outcome of each listing.
        on_page: Called, synchronously, with each page in place of handing it out by `next`; a
            listing's pages come before its outcome.
        on_failed: Called, synchronously, with each page request that could not be had. One that was
            look-ahead may be asked for again later, or turn out not to be needed.
        pending: Tells how many pages the caller has not done with yet. They and the requests that
            are open stay within two widths of the gate.
    """

    def __init__(
        self,
        session: Session,
        frontier: Frontier,
        source: AsyncGenerator[ListingTask],
        *,
        ordered: bool = True,
        unique: bool = False,
        guard: GuardPolicy | None = None,
        on_end: Callable[[ListingOutcome], None] | None = None,
        on_page: Callable[[Page], None] | None = None,
        on_failed: Callable[[PageRequest, errors.TMAPIError], None] | None = None,
        pending: Callable[[], int] | None = None,
    ) -> None:
        self.counts = CrawlCounts()
        self.frontier = frontier
        self._session = session
        self._source = source
        self._ordered = ordered
        self._unique = unique
        self._on_page = on_page
        self._on_failed = on_failed
        self._pending = pending
        self._epoch = session.epoch
        self._ledger = OpenListings(guard or GuardPolicy(), on_end)
        self._outbox = DeliveryQueue(self._ledger)
        self._workers: dict[asyncio.Task[None], RequestState] = {}
        self._feeder: asyncio.Task[None] | None = None
        self._fed = False
        self._hungry = asyncio.Event()
        self._consumer: asyncio.Future[None] | None = None
        self._halted: errors.TMAPIError | None = None
        self._crash: BaseException | None = None
        self.stopping = False
        self._closed = False

    # -- the consumer's side

    async def next(self) -> Page[Any] | None:
        """The next page, or None when there is nothing more to come.

        Raises:
            TMAPIError: After the last page: what ended the crawl, or what failed in it.
        """
        if self._feeder is None and not self.stopping:
            self._feeder = asyncio.create_task(self._feed(), name="tmapi feeder")
        while (page := self._outbox.take()) is None:
            if self._closed:
                # Somebody else closed it: an end that is no end must not look like one.
                raise errors.ClosedError("the walk was closed before its end")
            if self._crash is not None:
                raise self._crash
            if not self._finished:
                self._consumer = asyncio.get_running_loop().create_future()
                await self._consumer
            elif not self._left_over():
                self._end()
                return None
        self.pump()
        return page

    async def run(self) -> None:
        """Work until there is nothing left, with `on_page` as the receiver of all pages.

        Raises:
            TMAPIError: What ended the crawl, or what failed in it.
        """
        await self.next()

    def stop(self) -> None:
        """Start nothing more. What is on the wire was paid for, and is still handed out."""
        self.stopping = True
        current = asyncio.current_task()
        for task, flight in self._workers.items():
            flight.recall(task)
        if self._feeder is not None and self._feeder is not current:
            self._feeder.cancel()
        self._wake()

    async def close(self) -> None:
        """End every task at once; pages not handed out yet are dropped."""
        self._closed = True
        self.stop()
        tasks = [*self._workers, *([self._feeder] if self._feeder else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._outbox.drop()
        self._ledger.stop()

    def divided(self, outcome: ListingOutcome) -> None:
        """Count a listing whose parts were walked, once they have ended."""
        self._ledger.divided(outcome)

    @property
    def open_listings(self) -> int:
        """Listings begun and not ended."""
        return len(self._ledger)

    def request_counts(self) -> RequestCounts:
        """Return a copy of the counts so far."""
        counts = self.counts
        wasted = self.frontier.statistics().wasted
        return RequestCounts(counts.requests, counts.retries, wasted, dict(counts.codes))

    def statistics(self) -> WalkStatistics:
        """A snapshot."""
        counts = self.request_counts()
        known = self.frontier.statistics()
        return WalkStatistics(
            **msgspec.structs.asdict(self._ledger.counts),
            requests=counts.requests,
            retries=counts.retries,
            wasted=counts.wasted,
            codes=counts.codes,
            in_flight=known.in_flight,
            waiting=self._outbox.pages,
        )

    @property
    def _finished(self) -> bool:
        if self._workers or (self._feeder is not None and not self._feeder.done()):
            return False
        return self.stopping or (self._fed and not self._held_back)

    @property
    def _held_back(self) -> bool:
        """Whether nothing is asked for only because the caller has too much to do."""
        return bool(len(self._ledger) and self._pending is not None and self._pending())

    def _left_over(self) -> bool:
        """Hand out what was paid for and waits for an earlier page that does not come any more."""
        for entry in self._ledger.open_entries() if self.stopping else ():
            for number in self.frontier.close(entry.opening.listing).deliver:
                self._deliver(entry, entry.held.pop(number))
        return self._outbox.pages > 0

    def _end(self) -> None:
        """Tell the truth about how it ended."""
        halted, self._halted = self._halted, None
        failures, self._ledger.failures = self._ledger.failures, []
        if halted is not None:
            halted.progress = self._ledger.progress(more=not self._fed)
        left = len(self._ledger)
        self._ledger.stop()
        if halted is not None:
            raise halted
        if left and not self.stopping:
            raise AssertionError(f"{left} listings have not ended, and nothing is left to ask for")
        if not failures:
            return
        if self._ledger.counts.listings == 1:
            raise failures[0]
        raise errors.ListingsFailedError(tuple(failures), self._ledger.counts.failed)

    # -- the source

    async def _feed(self) -> None:
        try:
            async with aclosing(self._source) as source:
                async for opening in source:
                    # Waits with the next one in hand: then `more` is known when work is halted.
                    while not self._frontier_hungry(self._session.gate.width):
                        self._hungry.clear()
                        await self._hungry.wait()
                    self._begin(opening)
                    self.pump()
            self._fed = True
        except errors.TMAPIError as error:
            self._halt(error)
        except Exception as error:  # noqa: BLE001 - handed to the consumer as it is
            self._fail_loudly(error)
        finally:
            # The feeder's own task is not done yet: look again when it is.
            asyncio.get_running_loop().call_soon(self._wake)

    def _frontier_hungry(self, width: int) -> bool:
        return self.frontier.hungry and self._outbox.pages <= width

    def _begin(self, opening: ListingTask) -> None:
        listing = opening.listing
        if listing in self.frontier:
            # Given again while it is being walked: walked once.
            return
        entry = self._ledger.begin(opening)
        answer = self.frontier.open(
            listing,
            first=opening.first,
            max_pages=opening.max_pages,
            hint=opening.hint,
            held=opening.held,
        )
        self._settle(entry, answer)

    # -- the workers

    def _take(self, width: int) -> PageRequest | None:
        if self.stopping or self._outbox.pages > width:
            return None
        if self._pending is not None and self._pending() + len(self._workers) >= 2 * width:
            return None
        return self.frontier.take(width)

    def pump(self) -> None:
        """Set workers to work, if there is work, room and width; call it when `pending` fell."""
        self._pump(self._session.gate.width)

    def _most_workers(self, width: int) -> int:
        return min(width + self.counts.resting, 2 * width)

    def _pump(self, width: int) -> None:
        most = self._most_workers(width)
        while len(self._workers) < most and (request := self._take(width)) is not None:
            flight = RequestState(self._epoch, self.counts)
            flight.request = request
            task = asyncio.create_task(self._work(request, flight), name="tmapi worker")
            self._workers[task] = flight
            task.add_done_callback(self._worker_done)
        if self._frontier_hungry(width):
            self._hungry.set()
        if not self._workers:
            self._wake()

    def _worker_done(self, task: asyncio.Task[None]) -> None:
        flight = self._workers.pop(task)
        if task.cancelled() and flight.request is not None:
            # Cancelled before its first step: nobody else gives its page back.
            self._give_back(flight.request, sent=False)
        if not self.stopping:
            self.pump()
        self._wake()

    async def _work(self, request: PageRequest | None, flight: RequestState) -> None:
        try:
            while request is not None:
                flight.request, flight.stopping, flight.sent = request, self.stopping, False
                await self._ask(request, flight)
                width = self._session.gate.width
                over = len(self._workers) > self._most_workers(width)
                request = None if over else self._take(width)
                self._pump(width)
        except (StoppedError, asyncio.CancelledError):
            return
        except Exception as error:  # noqa: BLE001 - handed to the consumer as it is
            self._fail_loudly(error)

    async def _ask(self, request: PageRequest, flight: RequestState) -> None:
        """Ask for a page, and do what follows; whatever happens, the frontier is told."""
        outcome: Page | errors.TMAPIError | None = None
        try:
            outcome = await self._session.fetch(request, flight)
        except errors.TMAPIError as error:
            outcome = error
        finally:
            if outcome is None:
                self._give_back(request, sent=flight.sent)
        if isinstance(outcome, Page):
            self._answered(request, outcome)
        elif outcome is not None:
            self._failed(request, outcome, sent=flight.sent)

    def _answered(self, request: PageRequest, page: Page) -> None:
        entry = self._ledger.get(request.listing)
        answer = self.frontier.answered(
            request,
            has_next=page.has_next_page,
            items=len(page.items) + len(page.rejects),
            expected=page.last_page,
        )
        if entry is None:
            # Its listing was left meanwhile; it was paid for, and who keeps pages wants it.
            if self._on_page is not None and (page.items or page.rejects):
                self._on_page(page)
            return
        if answer.wasted:
            self._settle(entry, answer)
            return
        entry.held[request.number] = page
        if self._on_page is not None and not self._ordered:
            self._on_page(page)
        self._settle(entry, answer)

    def _failed(self, request: PageRequest, error: errors.TMAPIError, *, sent: bool) -> None:
        if error.halts:
            self._give_back(request, sent=sent)
            self._halt(error)
            return
        entry = self._ledger.get(request.listing)
        if entry is not None:
            self._ledger.fail(entry, error)
            if self._on_failed is not None:
                self._on_failed(request, error)
        self._settle_if_open(request, self.frontier.failed(request))

    def _give_back(self, request: PageRequest, *, sent: bool = True) -> None:
        self._settle_if_open(request, self.frontier.given_back(request, sent=sent))

    def _settle_if_open(self, request: PageRequest, answer: Answer) -> None:
        entry = self._ledger.get(request.listing)
        if entry is not None:
            self._settle(entry, answer)

    def _settle(self, entry: OpenListing, answer: Answer) -> None:
        """Do what follows from an answer: deliver, guard, end."""
        endless: str | None = None
        for number in answer.deliver:
            page = entry.held.pop(number)
            self._deliver(entry, page)
            if page.has_next_page:
                endless = endless or entry.guard.endless
        for number in answer.past_end:
            self._recall_page(PageRequest(entry.opening.listing, number))
        if answer.ended is not None:
            self._ended(entry, answer.ended)
        elif endless is not None:
            self._ledger.endless(entry, endless)
            self._settle(entry, self.frontier.close(entry.opening.listing))

    def _deliver(self, entry: OpenListing, page: Page) -> None:
        """Take in the next page of a listing, in page order."""
        fresh = entry.see(page)
        if self._on_page is None:
            given = page.only(fresh) if self._unique else page
            self._outbox.put(given, len(page.items), entry.fresh(fresh))
            self._wake()
            return
        self._ledger.count(len(page.items), entry.fresh(fresh), len(page.rejects))
        if self._ordered:
            self._on_page(page)

    def _ended(self, entry: OpenListing, ending: Ending) -> None:
        self._ledger.forget(entry)
        if self._on_page is not None:
            self._ledger.close(entry, ending)
        else:
            self._outbox.end(entry, ending)
            self._wake()

    def _wake(self) -> None:
        if self._consumer is not None and not self._consumer.done():
            self._consumer.set_result(None)

    def _recall_page(self, request: PageRequest) -> None:
        """The listing has ended below this page: it needs no retry."""
        for task, flight in self._workers.items():
            if flight.request == request:
                flight.recall(task)

    # -- endings

    def fail(self, listing: Listing, error: errors.TMAPIError) -> None:
        """End a listing as failed; does nothing if it has ended."""
        entry = self._ledger.get(listing)
        if entry is not None:
            entry.error = error
            self._settle(entry, self.frontier.close(listing))

    def _halt(self, error: errors.TMAPIError) -> None:
        if self._halted is None:
            self._halted = error
        self.stop()

    def _fail_loudly(self, error: BaseException) -> None:
        if self._crash is None:
            self._crash = error
        self.stop()
