"""Drives the frontier through the session and hands out pages.

One place changes the state: the synchronous methods of `Crawl`, called from its workers and from
the consumer. Workers are tasks that ask for one page after another; there are as many as the gate
is wide, and more only while some rest before a retry, since those hold no slot.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import msgspec

from . import errors
from .frontier import Answer, Frontier
from .guard import Guard, GuardPolicy
from .listings import Listing, PageRequest
from .models import Item
from .outcomes import USUAL_CEILING, Counts, Ending, ListingOutcome, Opening, WalkStatistics
from .replies import Page
from .session import Flight, Session, StoppedError, Tally

_MOST_ERRORS = 100
_MOST_NAMED = 10


class _Open:
    """An open listing: its guard, its pages that wait for earlier ones, its counts."""

    __slots__ = ("error", "guard", "held", "items", "opening", "page_size", "pages", "rejects")

    def __init__(self, opening: Opening, guard: Guard) -> None:
        self.opening = opening
        self.guard = guard
        self.held: dict[int, Page] = {}
        self.pages = self.items = self.rejects = 0
        self.page_size = 0
        self.error: errors.TMAPIError | None = None

    @property
    def rows(self) -> int:
        """Rows walked, counted from the start of the listing."""
        skipped = (self.opening.first - 1) * self.page_size
        return skipped + self.opening.rows + self.items + self.rejects


class Crawl:
    """Walks listings side by side and hands out their pages.

    Args:
        session: Asks for pages.
        frontier: Decides which.
        source: The listings, taken lazily.
        ordered: Hand out the pages of one listing in page order; else as they come.
        unique: Drop items whose ID the listing has shown before (ordered only).
        guard: When a listing counts as endless.
        on_end: Called, synchronously, with the outcome of each listing.
    """

    def __init__(
        self,
        session: Session,
        frontier: Frontier,
        source: AsyncIterator[Opening],
        *,
        ordered: bool = True,
        unique: bool = False,
        guard: GuardPolicy | None = None,
        on_end: Callable[[ListingOutcome], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self.counts = Counts()
        self.frontier = frontier
        self._session = session
        self._source = source
        self._ordered = ordered
        self._unique = unique
        self._guard = guard or GuardPolicy()
        self._on_end = on_end
        self._epoch = session.epoch
        self._open: dict[Listing, _Open] = {}
        self._ready: deque[Page] = deque()
        self._workers: dict[asyncio.Task[None], Flight] = {}
        self._feeder: asyncio.Task[None] | None = None
        self._fed = False
        self._hungry = asyncio.Event()
        self._consumer: asyncio.Future[None] | None = None
        self._halted: errors.TMAPIError | None = None
        self._crash: BaseException | None = None
        self._failures: list[errors.TMAPIError] = []
        self.stopping = False
        self._closed = False

    # -- the consumer's side

    async def next(self) -> Page | None:
        """The next page, or None when there is nothing more to come.

        Raises:
            TMAPIError: After the last page: what ended the crawl, or what failed in it.
        """
        if self._feeder is None and not self._closed:
            self._feeder = asyncio.create_task(self._feed(), name="tmapi feeder")
        while not self._ready:
            if self._crash is not None:
                raise self._crash
            if self._finished:
                self._end()
                return None
            self._consumer = asyncio.get_running_loop().create_future()
            await self._consumer
        page = self._ready.popleft()
        self._pump()
        return page

    def stop(self) -> None:
        """Start nothing more. What is on the wire was paid for, and is still handed out."""
        self.stopping = True
        current = asyncio.current_task()
        for task, flight in self._workers.items():
            self._recall(task, flight)
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
        self._ready.clear()
        self._stop_open()

    @property
    def open_listings(self) -> int:
        """Listings begun and not ended."""
        return len(self._open)

    def progress(self) -> errors.Progress:
        """What is done and what is left."""
        left = list(self._open.values())
        named = [
            f"{state.opening.listing} from page {state.opening.first + state.pages}"
            for state in left[:_MOST_NAMED]
        ]
        return errors.Progress(
            pages=self.counts.pages,
            items=self.counts.items,
            complete=self.counts.complete + self.counts.capped,
            open=tuple(named),
            open_count=len(left),
            more=not self._fed,
        )

    def statistics(self) -> WalkStatistics:
        """A snapshot."""
        tally = self.tally
        known = self.frontier.statistics()
        return WalkStatistics(
            **msgspec.structs.asdict(self.counts),
            requests=tally.requests,
            retries=tally.retries,
            wasted=known.wasted,
            codes=dict(tally.codes),
            in_flight=known.in_flight,
            waiting=len(self._ready),
        )

    @property
    def _finished(self) -> bool:
        if self._workers or (self._feeder is not None and not self._feeder.done()):
            return False
        return self.stopping or self._fed

    def _end(self) -> None:
        """Tell the truth about how it ended."""
        halted, self._halted = self._halted, None
        failures, self._failures = self._failures, []
        if halted is not None:
            halted.progress = self.progress()
            self._stop_open()
            raise halted
        self._stop_open()
        if not failures:
            return
        if self.counts.listings == 1:
            raise failures[0]
        raise errors.ListingsFailedError(tuple(failures), self.counts.failed)

    def _stop_open(self) -> None:
        for state in list(self._open.values()):
            self._close_listing(state, "stopped")

    # -- the source

    async def _feed(self) -> None:
        try:
            async for opening in self._source:
                self._begin(opening)
                self._pump()
                while not self._frontier_hungry():
                    self._hungry.clear()
                    await self._hungry.wait()
            self._fed = True
        except errors.TMAPIError as error:
            self._halt(error)
        except Exception as error:  # noqa: BLE001 - handed to the consumer as it is
            self._fail_loudly(error)
        finally:
            # The feeder's own task is not done yet: look again when it is.
            asyncio.get_running_loop().call_soon(self._wake)

    def _frontier_hungry(self) -> bool:
        return self.frontier.hungry and len(self._ready) <= self._session.gate.width

    def _begin(self, opening: Opening) -> None:
        listing = opening.listing
        if listing in self.frontier:
            # The same listing given twice at a time: walked once.
            return
        guard = Guard(self._guard, opening.seen)
        self._open[listing] = _Open(opening, guard)
        self.counts.listings += 1
        answer = self.frontier.open(
            listing,
            first=opening.first,
            max_pages=opening.max_pages,
            expected=opening.expected,
            held=opening.held,
        )
        self._settle(self._open[listing], answer)

    # -- the workers

    def _take(self) -> PageRequest | None:
        if self.stopping or len(self._ready) > self._session.gate.width:
            return None
        return self.frontier.take(self._session.gate.width)

    def _pump(self) -> None:
        """Set as many workers to work as there is work, room and width for."""
        width = self._session.gate.width
        most = min(width + self.tally.resting, 2 * width)
        while len(self._workers) < most and (request := self._take()) is not None:
            flight = Flight(self._epoch, self.tally)
            task = asyncio.create_task(self._work(request, flight), name="tmapi worker")
            self._workers[task] = flight
            task.add_done_callback(self._worker_done)
        if self._frontier_hungry():
            self._hungry.set()

    def _worker_done(self, task: asyncio.Task[None]) -> None:
        del self._workers[task]
        if not self.stopping:
            self._pump()
        self._wake()

    async def _work(self, request: PageRequest | None, flight: Flight) -> None:
        while request is not None:
            flight.request, flight.stopping = request, self.stopping
            try:
                page = await self._session.fetch(request, flight)
            except errors.TMAPIError as error:
                self._failed(request, error)
            except (StoppedError, asyncio.CancelledError):
                self._settle_if_open(request, self.frontier.given_back(request))
                return
            except Exception as error:  # noqa: BLE001 - handed to the consumer as it is
                self.frontier.given_back(request)
                self._fail_loudly(error)
                return
            else:
                self._answered(request, page)
            over = len(self._workers) > min(
                self._session.gate.width + self.tally.resting, 2 * self._session.gate.width
            )
            request = None if over else self._take()
            self._pump()

    def _answered(self, request: PageRequest, page: Page) -> None:
        state = self._open.get(request.listing)
        answer = self.frontier.answered(
            request, has_next=page.has_next_page, items=len(page.items) + len(page.rejects)
        )
        if state is None or answer.wasted:
            if state is not None:
                self._settle(state, answer)
            return
        state.held[request.number] = page
        if not self._ordered:
            self._hand_out(page)
        self._settle(state, answer)

    def _failed(self, request: PageRequest, error: errors.TMAPIError) -> None:
        if error.halts:
            self._settle_if_open(request, self.frontier.given_back(request))
            self._halt(error)
            return
        state = self._open.get(request.listing)
        if state is not None and (state.error is None or request.number < (state.error.page or 0)):
            state.error = error
        self._settle_if_open(request, self.frontier.failed(request))

    def _settle_if_open(self, request: PageRequest, answer: Answer) -> None:
        state = self._open.get(request.listing)
        if state is not None:
            self._settle(state, answer)

    def _settle(self, state: _Open, answer: Answer) -> None:
        """Do what follows from an answer: deliver, guard, end."""
        endless: str | None = None
        for number in answer.deliver:
            page = state.held.pop(number)
            fresh = self._see(state, page)
            if self._ordered:
                self._hand_out(self._only(page, fresh) if self._unique else page)
            if page.has_next_page:
                endless = endless or state.guard.endless
        for number in answer.past_end:
            self._recall_page(PageRequest(state.opening.listing, number))
        if answer.ended is not None:
            self._close_listing(state, answer.ended)
        elif endless is not None:
            self._close_endless(state, endless)

    def _see(self, state: _Open, page: Page) -> list[Item]:
        fresh = state.guard.see(page.items, len(page.rejects))
        state.pages += 1
        state.items += len(page.items)
        state.rejects += len(page.rejects)
        state.page_size = page.page_size or len(page.items)
        counts = self.counts
        counts.pages += 1
        counts.items += len(page.items)
        counts.unique_items += len(fresh)
        counts.duplicates += len(page.items) - len(fresh)
        counts.rejects += len(page.rejects)
        return fresh

    @staticmethod
    def _only(page: Page, fresh: list[Item]) -> Page:
        return page if len(fresh) == len(page.items) else msgspec.structs.replace(page, items=fresh)

    def _hand_out(self, page: Page) -> None:
        self._ready.append(page)
        self._wake()

    def _wake(self) -> None:
        if self._consumer is not None and not self._consumer.done():
            self._consumer.set_result(None)

    @staticmethod
    def _recall(task: asyncio.Task[None], flight: Flight) -> None:
        """No new attempt of this page request; one on the wire was paid for and may finish."""
        flight.stopping = True
        if not flight.on_wire and task is not asyncio.current_task():
            task.cancel()

    def _recall_page(self, request: PageRequest) -> None:
        """The listing has ended below this page: it needs no retry."""
        for task, flight in self._workers.items():
            if flight.request == request:
                self._recall(task, flight)

    # -- endings

    def _close_endless(self, state: _Open, reason: str) -> None:
        listing = state.opening.listing
        error = errors.EndlessListingError(f"{reason}; the walk of it was ended")
        error.locate(listing.endpoint, listing.identity, state.opening.first + state.pages - 1, 1)
        state.error = error
        answer = self.frontier.close(listing)
        self._close_listing(state, answer.ended or "failed")

    def _close_listing(self, state: _Open, ending: Ending) -> None:
        del self._open[state.opening.listing]
        if ending == "complete" and state.rows == USUAL_CEILING:
            ending = "capped"
        if ending == "failed" and state.error is not None and len(self._failures) < _MOST_ERRORS:
            self._failures.append(state.error)
        setattr(self.counts, ending, getattr(self.counts, ending) + 1)
        if self._on_end is not None:
            self._on_end(
                ListingOutcome(
                    listing=state.opening.listing,
                    ending=ending,
                    pages=state.pages,
                    items=state.items,
                    unique=state.guard.unique,
                    duplicates=state.guard.duplicates,
                    rejects=state.rejects,
                    error=state.error,
                )
            )

    def _halt(self, error: errors.TMAPIError) -> None:
        if self._halted is None:
            self._halted = error
        self.stop()

    def _fail_loudly(self, error: BaseException) -> None:
        if self._crash is None:
            self._crash = error
        self.stop()
