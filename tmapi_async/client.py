"""The client that applications use: `TMAPI` and the walks it hands out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias
from weakref import WeakSet

from . import listings
from .address import DEFAULT_BASE_URL, check_base_url, check_token
from .crawl import Crawl
from .errors import ClosedError, InvalidRequestError
from .frontier import Frontier
from .guard import GuardPolicy
from .limits.controller import LearningController
from .limits.gate import Budget, Gate, GateStatistics, Pace
from .listings import Listing, PageRequest
from .models import Item
from .outcomes import ListingOutcome, Opening, WalkStatistics
from .replies import Page
from .retry import RetryPolicy
from .session import Auth, Flight, Session, Tally
from .sources import Ids, IdSource, check_above_zero, check_whole, read_lookahead

if TYPE_CHECKING:
    import aiohttp

Concurrency: TypeAlias = int | Literal["auto"]
Lookahead: TypeAlias = int | Literal["auto", "off"]

DEFAULT_TIMEOUT = 60.0
"""Seconds, as the API document advises (code 499)."""

DEFAULT_MAX_BODY = 32 * 2**20
"""Bytes, decompressed."""


class Walk:
    """A walk over one listing or many.

    Await it for the first page of one listing; iterate over it for items; iterate over `pages()`
    for pages. Nothing is sent before that. A walk can be walked once.

    Inside `async with` every task of the walk ends when the block is left. Without it, leaving the
    loop early (`break`) ends them when the generator is collected: use `async with`, or
    `contextlib.aclosing`.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        openings: Callable[[], AsyncGenerator[Opening]],
        first: Callable[[], PageRequest],
        *,
        lookahead: int | None,
        unique: bool,
        guard: GuardPolicy,
        on_end: Callable[[ListingOutcome], None] | None,
    ) -> None:
        self._session = session
        self._openings = openings
        self._first = first
        self._lookahead = lookahead
        self._unique = unique
        self._guard = guard
        self._on_end = on_end
        self._crawl: Crawl | None = None
        self._stopped = self._closed = False
        self._awaited: set[asyncio.Timeout] = set()

    def __await__(self) -> Generator[Any, None, Page]:
        return self._first_page().__await__()

    async def _first_page(self) -> Page:
        session = self._session()
        life = asyncio.timeout(None)
        self._awaited.add(life)
        try:
            async with life:
                return await session.fetch(self._first(), Flight(session.epoch, Tally()))
        except TimeoutError:
            raise ClosedError("the client was closed before the page came") from None
        finally:
            self._awaited.discard(life)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self.items()

    async def items(self) -> AsyncGenerator[Item]:
        """Every item, in page order within a listing.

        Raises:
            TMAPIError: As `pages`.
        """
        crawl = self._start()
        try:
            while (page := await crawl.next()) is not None:
                for item in page.items:
                    yield item
        finally:
            await self.aclose()

    async def pages(self) -> AsyncGenerator[Page]:
        """Every page: in page order within a listing, as they come across listings.

        Raises:
            TMAPIError: The one listing failed, or everything had to end (`progress` then says what
                was done and what is left).
            ListingsFailedError: Some of several listings failed; raised after the last page, when
                all others have been walked.
        """
        crawl = self._start()
        try:
            while (page := await crawl.next()) is not None:
                yield page
        finally:
            await self.aclose()

    def stop(self) -> None:
        """Start nothing more; the loop goes on with what is on the wire, and then ends."""
        self._stopped = True
        if self._crawl is not None:
            self._crawl.stop()

    async def aclose(self) -> None:
        """End every task of the walk at once."""
        self._closed = True
        for life in self._awaited:
            life.reschedule(0)
        if self._crawl is not None:
            await self._crawl.close()

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
        """A snapshot of what the walk has done so far."""
        if self._crawl is None:
            return WalkStatistics()
        return self._crawl.statistics()

    def _start(self) -> Crawl:
        if self._closed or self._crawl is not None:
            raise ClosedError("a walk can be walked once: ask the client for another one")
        frontier = Frontier(lookahead=self._lookahead)
        self._crawl = Crawl(
            self._session(),
            frontier,
            self._openings(),
            unique=self._unique,
            guard=self._guard,
            on_end=self._on_end,
        )
        if self._stopped:
            self._crawl.stop()
        return self._crawl

    def __repr__(self) -> str:
        state = "closed" if self._closed else "not begun" if self._crawl is None else "open"
        return f"<Walk {state}: {self.statistics()}>"


class TMAPI:
    """A client of TMAPI's 1688 endpoints. One client may serve many tasks; they share its gate.

    Args:
        token: The account's token. Never shown in any message, log or repr.
        base_url: Where the API is served; `https://api.tmapi.top` if not given.
        auth: Send the token as query field `apiToken` ("query") or as header `apikey` ("header").
        concurrency: Most requests in flight; "auto" learns how many the account may have.
        rate: Most requests a second, or None.
        timeout: Seconds for one request, from when it is let through the gate until its reply is
            read.
        lookahead: "auto" asks ahead where slots would idle, "off" never, N keeps N pages ahead.
        max_requests: Most requests sent by this client in all, retries included; or None.
        retry: How often and how long to try.
        guard: When a listing counts as endless.
        max_body: Longest reply accepted, in bytes, decompressed.
        connector: An aiohttp connector of yours (a custom CA, a proxy, ...); you close it.
        trust_env: Take proxies from the environment.

    Raises:
        InvalidRequestError: An argument makes no sense; the message says which and why.
    """

    def __init__(
        self,
        token: str,
        *,
        base_url: str = DEFAULT_BASE_URL,
        auth: Auth = "query",
        concurrency: Concurrency = "auto",
        rate: float | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        lookahead: Lookahead = "auto",
        max_requests: int | None = None,
        retry: RetryPolicy | None = None,
        guard: GuardPolicy | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        connector: aiohttp.BaseConnector | None = None,
        trust_env: bool = False,
    ) -> None:
        check_token(token)
        self.base_url = base_url
        self._host = check_base_url(base_url)
        if auth not in ("query", "header"):
            raise InvalidRequestError(f"auth must be 'query' or 'header', not {auth!r}")
        check_above_zero("timeout", timeout)
        check_above_zero("max_body", max_body)
        self._lookahead = read_lookahead(lookahead)
        self._guard = guard or GuardPolicy()
        gate = Gate(
            LearningController(_ceiling(concurrency, connector)),
            pace=None if rate is None else Pace(rate),
            budget=Budget(max_requests),
        )
        self._session = Session(
            token,
            gate=gate,
            base_url=base_url,
            auth=auth,
            timeout=timeout,
            max_body=max_body,
            policy=retry or RetryPolicy(),
            connector=connector,
            trust_env=trust_env,
        )
        self._is_open = False
        self._walks: WeakSet[Walk] = WeakSet()

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Make a client with the token from `TMAPI_TOKEN` and the host from `TMAPI_BASE_URL`.

        Args:
            **options: Whatever the constructor takes; an explicit `base_url` wins.

        Raises:
            InvalidRequestError: `TMAPI_TOKEN` is not set.
        """
        base_url = os.environ.get("TMAPI_BASE_URL") or DEFAULT_BASE_URL
        return cls(os.environ.get("TMAPI_TOKEN", ""), **{"base_url": base_url, **options})

    async def __aenter__(self) -> Self:
        await self._session.open()
        self._is_open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every walk that is still open, and close the connections."""
        self._is_open = False
        async with AsyncExitStack() as stack:  # each is closed, whatever a callback raises
            stack.push_async_callback(self._session.close)
            for walk in list(self._walks):
                stack.push_async_callback(walk.aclose)

    def category_items(
        self,
        ids: Ids,
        *,
        super_factory: bool | None = None,
        support_dropshipping: bool | None = None,
        free_shipping: bool | None = None,
        start_page: int = 1,
        max_pages: int | None = None,
        unique: bool = False,
        lookahead: Lookahead | None = None,
        on_end: Callable[[ListingOutcome], None] | None = None,
    ) -> Walk:
        """Walk the products of one category or many (API document: `GET /1688/category/items`).

        Args:
            ids: One category ID, or an iterable or async iterable of IDs, read as the walk goes on.
                An ID that comes again is walked again, unless it is still being walked.
            super_factory: Only super factories; None leaves the filter out.
            support_dropshipping: Only items that can be drop-shipped; None leaves it out.
            free_shipping: Only items shipped free; None leaves it out.
            start_page: First page, from 1.
            max_pages: Most pages of each listing, or None; a listing cut short is *capped*.
            unique: Drop items whose ID the listing has shown before.
            lookahead: As in the constructor; None takes the client's.
            on_end: Called with the outcome of each listing when its last page was taken.

        Returns:
            The walk; nothing is sent until it is awaited or iterated.

        Raises:
            InvalidRequestError: An ID or an option makes no sense. IDs of an iterator are checked
                when they are reached.
        """

        def listing(cat_id: int | str) -> Listing:
            return listings.category_items(
                cat_id,
                super_factory=super_factory,
                support_dropshipping=support_dropshipping,
                free_shipping=free_shipping,
            )

        def opening(cat_id: int | str) -> Opening:
            return Opening(listing=listing(cat_id), first=start_page, max_pages=max_pages)

        check_whole("start_page", start_page)
        if max_pages is not None:
            check_whole("max_pages", max_pages)
        source = IdSource(ids)
        source.check(listing)
        return self.walk(
            lambda: source.openings(opening),
            first=lambda: PageRequest(listing(source.only()), start_page),
            unique=unique,
            lookahead=lookahead,
            on_end=on_end,
        )

    def walk(
        self,
        openings: Callable[[], AsyncGenerator[Opening]],
        *,
        first: Callable[[], PageRequest],
        unique: bool = False,
        lookahead: Lookahead | None = None,
        on_end: Callable[[ListingOutcome], None] | None = None,
    ) -> Walk:
        """Walk listings described elsewhere; `category_items` is the everyday way."""
        made = Walk(
            self._opened_session,
            openings,
            first,
            lookahead=self._lookahead if lookahead is None else read_lookahead(lookahead),
            unique=unique,
            guard=self._guard,
            on_end=on_end,
        )
        self._walks.add(made)
        return made

    def crawl(
        self,
        source: AsyncGenerator[Opening, None],
        *,
        lookahead: Lookahead | None = None,
        guard: GuardPolicy | None = None,
        **hooks: Any,
    ) -> Crawl:
        """Walk listings for somebody who keeps every page; see `Crawl` for the hooks."""
        chosen = self._lookahead if lookahead is None else read_lookahead(lookahead)
        frontier = Frontier(lookahead=chosen)
        session, guard = self._opened_session(), guard or self._guard
        return Crawl(session, frontier, source, ordered=False, guard=guard, **hooks)

    @property
    def host(self) -> str:
        """Host and port of the API."""
        return self._host

    def statistics(self) -> GateStatistics:
        """A snapshot of the gate: width, slots in use, requests sent, budget left."""
        return self._session.gate.statistics()

    def _opened_session(self) -> Session:
        if not self._is_open:
            raise ClosedError(
                "the client is not open: use it inside `async with TMAPI(...) as api`"
            )
        return self._session

    def __repr__(self) -> str:
        return f"<TMAPI {self._host}: {self._session.gate!r}>"


def _ceiling(concurrency: Concurrency, connector: aiohttp.BaseConnector | None) -> int | None:
    """The gate's ceiling: the caller's, and never above what a connector of theirs lets through."""
    if concurrency != "auto":
        check_whole("concurrency", concurrency)
    limits = [] if concurrency == "auto" else [concurrency]
    if connector is not None and connector.limit:
        limits.append(connector.limit)
    return min(limits, default=None)
