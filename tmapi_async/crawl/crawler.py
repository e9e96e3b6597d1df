"""Requests the pages that the frontier chooses, through a fetcher, and hands them to a sink.

All state is changed by the synchronous methods of `Crawler`, in one event loop. As many workers are
at work as the gate has slots, and more only while some wait before a retry: a worker that waits
holds no slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from tmapi_async import errors
from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.transport.request_state import CallOptions, CrawlCounts, RequestState, StoppedError

from .answers import Answer
from .frontier import Frontier
from .loop_guard import GuardPolicy
from .open_listings import OpenListing, OpenListings
from .outcomes import ListingCounts, ListingOutcome, ListingTask
from .page_fetcher import PageFetcher
from .page_requests import PageRequests
from .sink import CrawlSink
from .worker_pool import WorkerPool


class Crawler:
    """Walks listings side by side.

    Args:
        fetcher: Fetches the pages.
        frontier: Chooses the next page.
        source: The listings, read lazily.
        sink: Receives pages, failures and outcomes. Its `pending` pages and the requests in
            flight stay within two widths of the gate.
        guard: Limits beyond which a listing counts as endless.
        options: Options of every page request.

    Attributes:
        frontier: The frontier.
        stopping: True once no new request may start.
        take_reply: Handles a reply that has come, or returns False; see `WorkerPool.take_reply`.
    """

    def __init__(
        self,
        fetcher: PageFetcher,
        frontier: Frontier,
        source: AsyncGenerator[ListingTask],
        sink: CrawlSink,
        *,
        guard: GuardPolicy | None = None,
        options: CallOptions | None = None,
    ) -> None:
        self.frontier = frontier
        self.stopping = False
        self._fetcher = fetcher
        self._gate = fetcher.gate
        self._source = source
        self._sink = sink
        self._epoch = fetcher.epoch
        self._options = options
        self._attempts = CrawlCounts()
        self._waited_before = fetcher.waited
        self._listings = OpenListings(guard or GuardPolicy(), sink)
        self._workers = WorkerPool(
            PageRequests(fetcher, self),
            self._choose,
            self._new_state,
            self._worker_ended,
            grow=self.pump,
            wake_taker=sink.wake_taker,
        )
        self.take_reply = self._workers.take_reply
        self._feeder: asyncio.Task[None] | None = None
        self._source_exhausted = False
        self._source_may_continue = asyncio.Event()
        self._source_waits = False
        self._changed: asyncio.Future[None] | None = None
        self._halted: errors.TMAPIError | None = None
        self._crash: BaseException | None = None
        self._closed = False

    # -- the owner's side

    async def run(self) -> None:
        """Work until nothing is left, or until stopped.

        Raises:
            TMAPIError: At the end: the error that halted the crawl, or that failed a listing.
            ClosedError: The crawl was closed before its end.
        """
        if self._feeder is None and not self.stopping:
            self._feeder = asyncio.create_task(self._feed(), name="tmapi feeder")
        with self._gate.calling(self.pump):
            while True:
                if self._closed:
                    raise errors.ClosedError("the walk was closed before its end")
                if self._crash is not None:
                    raise self._crash
                if self._finished:
                    break
                self._changed = asyncio.get_running_loop().create_future()
                await self._changed
        self._workers.dismiss()
        self._deliver_early_pages()
        self._end()

    def pump(self) -> None:
        """Start workers if there is work, room and width; call after `pending` has fallen."""
        width = self._gate.width
        maximum = self._max_workers(width)
        while (workers := self._workers.at_work) < maximum:
            if self.stopping or not self._sink.has_room(width, workers):
                break
            request = self.frontier.take(width)
            if request is None:
                break
            self._workers.start(request)
        self._wake_source(width)
        if not self._workers.at_work:
            self._wake()

    def fail(self, listing: Listing, error: errors.TMAPIError) -> None:
        """End a listing as failed; does nothing if it has ended."""
        entry = self._listings.get(listing)
        if entry is not None:
            entry.error, entry.seam = error, None
            self._settle(entry, self.frontier.close(listing))

    def count_split(self, outcome: ListingOutcome) -> None:
        """Count a listing that was walked in parts, once they have ended."""
        self._listings.count_split(outcome)

    def recall(self) -> None:
        """Take back every request that is not on the wire; `pump` sends again."""
        self._workers.recall()

    def stop(self) -> None:
        """Start nothing more. Replies on the wire were paid for, and are still handed over."""
        self.stopping = True
        self._workers.recall()
        self._workers.dismiss()
        if self._feeder is not None and self._feeder is not asyncio.current_task():
            self._feeder.cancel()
        self._wake()

    async def close(self) -> None:
        """End every task at once, and every open listing as stopped."""
        self._closed = True
        self.stop()
        tasks = self._workers.cancel()
        if self._feeder is not None:
            self._feeder.cancel()
            tasks.append(self._feeder)
        if tasks:
            await asyncio.wait(tasks)
        self._listings.stop()

    @property
    def counts(self) -> ListingCounts:
        """Totals of the listings and pages handed to the sink."""
        return self._listings.counts

    def request_counts(self) -> RequestCounts:
        """Return a copy of the request counts so far."""
        counts = self._attempts + RequestCounts()
        counts.wasted = self.frontier.statistics().wasted
        counts.waited = self._fetcher.waited - self._waited_before
        return counts

    # -- the end

    @property
    def _finished(self) -> bool:
        if self._workers.at_work or (self._feeder is not None and not self._feeder.done()):
            return False
        # Work may wait only for the sink to hand over its pending pages.
        waits_for_sink = len(self._listings) and self._sink.pending
        return self.stopping or (self._source_exhausted and not waits_for_sink)

    def _deliver_early_pages(self) -> None:
        """Deliver pages that were paid for and wait for a page that will not come any more.

        Only the pages before an unproven page can show that it exists. Where another crawl will
        request them, it requests that page, too.
        """
        for entry in self._listings.all() if self.stopping else ():
            answer = self.frontier.close(entry.task.listing)
            for number in answer.deliver:
                self._listings.deliver(entry, number)
            wasted = len(answer.unproven)
            if not self._sink.resumable:
                wasted = self._listings.deliver_new(entry, answer.unproven)
            self.frontier.count_wasted(wasted)

    def _end(self) -> None:
        """End open listings, and raise the error that the crawl ended with."""
        halted, self._halted = self._halted, None
        failure = self._listings.take_failure()
        if halted is not None:
            halted.progress = self._listings.progress(more=not self._source_exhausted)
        remaining = len(self._listings)
        self._listings.stop()
        if halted is not None:
            raise halted
        if remaining and not self.stopping:
            raise AssertionError(f"{remaining} listings have not ended, and no request is left")
        if failure is not None:
            raise failure

    def _halt(self, error: errors.TMAPIError) -> None:
        if self._halted is None:
            self._halted = error
        self.stop()

    def _crash_with(self, error: BaseException) -> None:
        if self._crash is None:
            self._crash = error
        self.stop()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    # -- the source

    async def _feed(self) -> None:
        try:
            async with aclosing(self._source) as source:
                async for task in source:
                    # Read one task ahead, so that an error can say whether listings remain.
                    while not self._wants_listing(self._gate.width):
                        self._source_waits = True
                        self._source_may_continue.clear()
                        await self._source_may_continue.wait()
                    self._begin(task)
                    self.pump()
            self._source_exhausted = True
        except errors.TMAPIError as error:
            self._halt(error)
        except Exception as error:  # noqa: BLE001 - `run` raises it as it is
            self._crash_with(error)
        finally:
            # The feeder's own task is done only after this block: check for the end then.
            asyncio.get_running_loop().call_soon(self._wake)

    def _wants_listing(self, width: int) -> bool:
        return self.frontier.wants_listing and self._sink.has_room(width, 0)

    def _begin(self, task: ListingTask) -> None:
        # The source may repeat a listing that is being walked: walk it once.
        if task.listing not in self.frontier:
            entry = self._listings.begin(task)
            self._settle(entry, entry.open_in(self.frontier))

    # -- the workers

    def _new_state(self) -> RequestState:
        counts, ids_only = self._attempts, self._sink.ids_only
        return RequestState(self._epoch, counts, self._options, ids_only=ids_only)

    def _max_workers(self, width: int) -> int:
        return min(width + self._attempts.resting, 2 * width) - self._sink.held_pages

    def _choose(self) -> PageRequest | None:
        """Choose the next page for a worker that is done with one; None lets it rest."""
        if self.stopping:
            raise StoppedError
        sink, workers, width = self._sink, self._workers.at_work, self._gate.width
        maximum = self._max_workers(width) if self._attempts.resting else width
        request = None
        if workers <= maximum and sink.has_room(width, workers - 1):
            request = self.frontier.take(width)
        if request is not None and workers < maximum:
            self._workers.may_grow = True
        elif self._source_waits and self.frontier.wants_listing:
            self._wake_source(width)
        return request

    def _wake_source(self, width: int) -> None:
        if self._source_waits and self._wants_listing(width):
            self._source_waits = False
            self._source_may_continue.set()

    def _worker_ended(self, request: PageRequest | None, error: BaseException | None) -> None:
        if error is not None:
            self._crash_with(error)
        if request is not None:
            self.give_back(request, sent=False)
        if not self.stopping:
            self.pump()
        elif not self._workers.at_work:
            self._wake()

    def may_ask_again(self, request: PageRequest) -> bool:
        """Return True if a page that denies its own total is worth one more request."""
        entry = self._listings.get(request.listing)
        may_ask = not self.stopping and entry is not None and entry.may_ask_again()
        return may_ask and self.frontier.is_needed(request)

    def answered(self, request: PageRequest, page: Page) -> None:
        """Take the page of a request."""
        entry, frontier, sink = self._listings.get(request.listing), self.frontier, self._sink
        if (
            entry is None
            or not page.has_next_page
            or entry.seam is not None
            or not frontier.goes_on(request, page.total_count and page.last_page)
        ):
            self._answered(entry, request, page)
            return
        # Most pages are the next ones of their listings, and nothing else follows from them.
        sink.page(page)
        sink.ordered_page(page, entry.add_page(page))
        if entry.guard.may_be_endless and (reason := entry.guard.endless) is not None:
            self._end_as_endless(entry, reason)

    def _answered(self, entry: OpenListing | None, request: PageRequest, page: Page) -> None:
        """Take a page of which more than its delivery may follow."""
        if entry is not None and self.frontier.is_guess(request) and entry.repeats(page):
            self._settle(entry, self.frontier.repeated(request))
            return
        answer = self.frontier.answered(
            request,
            has_next=page.has_next_page,
            items=page.rows,
            expected=page.last_page,
        )
        if entry is None:
            # Its listing has ended meanwhile. The page was paid for: a journal keeps it.
            if page.items or page.rejects:
                self._sink.page(page)
            return
        if entry.seam is not None:
            self._looked(entry, request, page)
            return
        if not answer.wasted:
            entry.early_pages[request.number] = page
            if answer.hold:
                entry.held_pages.add(request.number)
            else:
                self._sink.page(page)
        self._settle(entry, answer)

    def failed(self, request: PageRequest, error: errors.TMAPIError, *, sent: bool) -> None:
        """Take the error of a request for good."""
        if error.halts:
            self.give_back(request, sent=sent)
            self._halt(error)
            return
        entry = self._listings.get(request.listing)
        if entry is not None and entry.seam is not None:
            self.frontier.failed(request)
            self._looked(entry, request, None)
            return
        if entry is not None:
            self._listings.fail(entry, error)
            self._sink.failed(request, error)
        self._settle_if_open(request, self.frontier.failed(request))

    def _looked(self, entry: OpenListing, request: PageRequest, page: Page | None) -> None:
        """Go on after a stored page was requested once more: the listing was open for it alone."""
        self._sink.looked(entry.add_look(request, page))
        self._settle(entry, entry.open_in(self.frontier))

    def give_back(self, request: PageRequest, *, sent: bool = True) -> None:
        """Let a page that was given up be requested again."""
        self._settle_if_open(request, self.frontier.reclaimed(request, sent=sent))

    # -- consequences of an answer of the frontier

    def _settle_if_open(self, request: PageRequest, answer: Answer) -> None:
        entry = self._listings.get(request.listing)
        if entry is not None:
            self._settle(entry, answer)

    def _settle(self, entry: OpenListing, answer: Answer) -> None:
        """Apply an answer: deliver pages, detect a loop, end the listing."""
        endless_reason: str | None = None
        for number in answer.deliver:
            if self._listings.deliver(entry, number).has_next_page:
                endless_reason = endless_reason or entry.guard.endless
        for number in answer.past_end:
            self._workers.recall(PageRequest(entry.task.listing, number))
        if answer.ended is not None:
            if answer.unproven:
                self.frontier.count_wasted(self._listings.deliver_new(entry, answer.unproven))
            self._listings.end(entry, answer.ended)
        elif endless_reason is not None:
            self._end_as_endless(entry, endless_reason)

    def _end_as_endless(self, entry: OpenListing, reason: str) -> None:
        self._listings.fail_as_endless(entry, reason)
        self._settle(entry, self.frontier.close(entry.task.listing))
