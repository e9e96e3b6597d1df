"""The walk that an application gets from a method of the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

import msgspec

from tmapi_async.api.details import ItemDetail
from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import I, Page
from tmapi_async.api.rows import html_table
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask, WalkStatistics
from tmapi_async.crawl.page_fetcher import PageSource
from tmapi_async.crawl.page_queue import OrderedPageQueue, PageQueue
from tmapi_async.crawl.splitting import Reconciliation
from tmapi_async.crawl.splitting.driver import Split, SplitDriver
from tmapi_async.errors import ClosedError, MalformedReplyError, TMAPIError
from tmapi_async.transport.request_state import CallOptions

from .inputs import Priority, check_whole
from .walk_iterator import WalkIterator
from .walk_tables import WalkTables

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from tmapi_async.export.frames.libraries import Decimals


class Walk(Generic[I]):
    """A walk over one listing or many, whose items are of type `I`.

    Await it for the first page of one listing; iterate over it for items; iterate over `pages()`
    for pages. Nothing is sent before that. A walk can be walked once.

    Inside `async with` every task of the walk ends when the block is left. Without it, leaving the
    loop early (`break`) ends them when the generator is collected: use `async with`, or
    `contextlib.aclosing`.
    """

    def __init__(
        self,
        page_source: Callable[[], PageSource],
        make_tasks: Callable[[], AsyncGenerator[ListingTask]],
        first: Callable[[], PageRequest],
        listings: Callable[[], tuple[Listing, ...]],
        endpoints: Callable[[], Collection[str]],
        *,
        frontier: Callable[[], Frontier],
        guard: GuardPolicy,
        call: CallOptions,
        priority: Priority | None = None,
        split: Split | None = None,
        unique: bool = False,
        ordered: bool = False,
        source_failure: Callable[[], TMAPIError | None] = lambda: None,
        on_end: Callable[[ListingOutcome], None] | None = None,
    ) -> None:
        self._page_source = page_source
        self._make_tasks = make_tasks
        self._source_failure = source_failure
        self._first = first
        self._listings = listings
        self._frontier = frontier
        self._guard = guard
        self._call = call
        self._priority = priority
        self._on_end = on_end
        self._splitter = (
            SplitDriver(split, on_listing_end=self._split_ended) if split is not None else None
        )
        self._queue = (
            OrderedPageQueue(on_end=on_end)
            if ordered
            else PageQueue(
                # The splitter sees all parts of a listing, and drops what another part has shown.
                unique=unique and self._splitter is None,
                split=self._splitter is not None,
                on_end=on_end if self._splitter is None else self._splitter.ended,
            )
        )
        self._crawler: Crawler | None = None
        self._stopped = self._closed = False
        self._awaited: set[asyncio.Timeout] = set()
        self._tables = WalkTables(endpoints)

    def __await__(self) -> Generator[Any, None, Page[I]]:
        return self._first_page().__await__()

    async def _first_page(self) -> Page[I]:
        pages = self._page_source()
        timeout = asyncio.timeout(None)
        self._awaited.add(timeout)
        try:
            async with timeout:
                urgent = self._priority != "bulk"
                return await pages.fetch_alone(self._first(), self._options(urgent=urgent))
        except TimeoutError:
            raise ClosedError("the client was closed before the page came") from None
        finally:
            self._awaited.discard(timeout)

    def _options(self, *, urgent: bool) -> CallOptions:
        return msgspec.structs.replace(self._call, urgent=urgent)

    def __aiter__(self) -> AsyncIterator[I]:
        return self.items()

    def items(self) -> AsyncGenerator[I]:
        """Iterate over the items, in page order within a listing.

        Raises:
            TMAPIError: The same errors as `pages`.
        """
        return WalkIterator(self._iterate_items(), self._queue)

    async def _iterate_items(self) -> AsyncGenerator[I]:
        self._start()
        take = self._take
        try:
            while page := take() or await self._next():
                for item in page.items:
                    yield item
        except asyncio.CancelledError:
            self._queue.cut_off = True
            raise
        finally:
            await self.aclose()

    def pages(self) -> AsyncGenerator[Page[I]]:
        """Iterate over the pages: in page order within a listing, as they come across listings.

        Raises:
            TMAPIError: The only listing failed, or all work had to end. In the second case
                `progress` has the finished and the remaining work.
            ListingsFailedError: Some of several listings failed. It is raised after the last page,
                when all others have been walked.
            ClosedError: The iteration was cut off before, by a time-out or a cancellation.
        """
        return WalkIterator(self._iterate_pages(), self._queue)

    async def _iterate_pages(self) -> AsyncGenerator[Page[I]]:
        self._start()
        take = self._take
        try:
            while page := take() or await self._next():
                yield page
        except asyncio.CancelledError:
            self._queue.cut_off = True
            raise
        finally:
            await self.aclose()

    def to_batches(self, *, rows: int = 50_000) -> AsyncGenerator[pa.RecordBatch]:
        """Iterate over the items as Arrow record batches, for tables larger than the memory.

        The columns and types are those of an export, without `run`. A
        walk without items gives one batch without rows, which has the schema.

        Args:
            rows: Smallest number of rows of a batch; the last one may have fewer.

        Raises:
            TMAPIError: The same errors as `pages`, after a batch with the rows read before.
            InvalidRequestError: The walk is over several endpoints, which have other columns.
            ExportRefusedError: pyarrow (the extra `arrow`) is missing.
        """
        check_whole("rows", rows)
        builder = self._tables.begin("arrow", "to_batches")
        return WalkIterator(self._tables.batches(self._iterate_pages(), builder, rows), self._queue)

    async def to_arrow(self) -> pa.Table:
        """Walk to the end and return the items as an Arrow table; see `to_batches`.

        Raises:
            TMAPIError: The same errors as `pages`. `partial` has the rows read before.
            InvalidRequestError: The walk is over several endpoints, which have other columns.
            ExportRefusedError: pyarrow (the extra `arrow`) is missing.
        """
        return await self._tables.arrow(self._iterate_pages())

    async def to_polars(self) -> pl.DataFrame:
        """Walk to the end and return the items as a data frame of polars.

        Exact numbers are columns of `Decimal`.

        Raises:
            TMAPIError: The same errors as `to_arrow`.
            ExportRefusedError: polars (the extra `polars`) is missing.
        """
        return await self._tables.polars(self._iterate_pages())

    async def to_pandas(self, *, decimals: Decimals = "object") -> pd.DataFrame:
        """Walk to the end and return the items as a data frame of pandas.

        Columns have types of Arrow, so that whole numbers stay whole where values are missing.

        Args:
            decimals: Exact numbers as `Decimal` objects ("object"), or as decimals of Arrow
                ("arrow"), which need less memory, and with which pandas calculates only in part.

        Raises:
            TMAPIError: The same errors as `to_arrow`.
            ExportRefusedError: pandas (the extra `pandas`) is missing.
        """
        return await self._tables.pandas(self._iterate_pages(), decimals)

    @property
    def partial(self) -> pa.Table | None:
        """Rows of a table or frame that an error or a cancellation cut off; None without rows.

        From `to_batches` there are only the rows of the batch that was cut off by a cancellation.
        """
        return self._tables.partial

    @property
    def _take(self) -> Callable[[], Page[I] | None]:
        """Function that returns the next page if nothing has to be waited for, or None."""
        return self._queue.take if self._splitter is None else _nothing

    async def _next(self) -> Page[I] | None:
        try:
            page = await self._queue.next()
        except TMAPIError as error:
            if (failure := self._source_failure()) is not None:
                error.add_note(f"The walk that gave the IDs failed, too: {failure}")
            raise
        if page is None and (failure := self._source_failure()) is not None:
            raise failure
        return page if page is None or self._splitter is None else self._splitter.page(page)

    @property
    def reconciliations(self) -> tuple[Reconciliation, ...]:
        """Results of the listings that were split (`split`), in the order in which they ended."""
        return tuple(self._splitter.reconciliations) if self._splitter is not None else ()

    @property
    def listings(self) -> tuple[Listing, ...]:
        """Listings of the walk, in the order of the values given; nothing is sent.

        A [`Harvest`][tmapi_async.harvest.Harvest] takes them.

        Raises:
            InvalidRequestError: The values come from an iterator or an async iterable.
        """
        return self._listings()

    def stop(self) -> None:
        """Start no more requests. The loop takes the pages still on the wire, and then ends."""
        self._stopped = True
        if self._crawler is not None:
            self._crawler.stop()

    async def aclose(self) -> None:
        """End every task of the walk at once."""
        self._closed = True
        for timeout in self._awaited:
            timeout.reschedule(0)
        if self._crawler is not None:
            await self._queue.close()
            if self._splitter is not None:
                self._splitter.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def statistics(self) -> WalkStatistics:
        """Return a snapshot of the counts so far."""
        return self._queue.statistics()

    def _start(self) -> None:
        if self._closed or self._crawler is not None:
            raise ClosedError("a walk can be walked once: ask the client for another one")
        source = self._make_tasks()
        if isinstance(self._queue, OrderedPageQueue):
            source = self._queue.tasks(source)
        self._crawler = Crawler(
            self._page_source(),
            self._frontier(),
            source if self._splitter is None else self._splitter.tasks(source),
            self._queue,
            guard=self._guard,
            options=self._options(urgent=self._priority == "interactive"),
        )
        if self._stopped:
            self._crawler.stop()
        self._queue.start(self._crawler)

    def _split_ended(self, outcome: ListingOutcome) -> None:
        if self._crawler is not None:
            self._crawler.count_split(outcome)
            self._queue.count_split(outcome)
        if self._on_end is not None:
            self._on_end(outcome)

    @property
    def _state(self) -> str:
        return "closed" if self._closed else "not begun" if self._crawler is None else "open"

    def __repr__(self) -> str:
        return f"<Walk {self._state}: {self.statistics()}>"

    def _repr_html_(self) -> str:
        counts, names = self.statistics(), ("listings", "pages", "items", "rejects", "requests")
        row = [f"{getattr(counts, name):,}" for name in names]
        return html_table(f"Walk, {self._state}", names, [row])


def _nothing() -> None:
    """Take no page: the splitter changes each of them."""


def read_detail(page: Page[ItemDetail]) -> ItemDetail:
    """Return the one item of a page of details.

    Raises:
        MalformedReplyError: The item could not be decoded, or the page is empty.
    """
    if page.items:
        return page.items[0]
    reason = page.rejects[0].reason if page.rejects else "the reply has no row"
    error = MalformedReplyError(f"the product cannot be decoded: {reason}")
    listing = page.request.listing
    error.locate(listing.endpoint, listing.identity, 1, page.attempts)
    raise error
