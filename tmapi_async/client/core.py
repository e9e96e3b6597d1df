"""The core of a client: its settings, gate and session, and the walks that it has made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import msgspec

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.listings import (
    Listing,
    PageRequest,
    make_listing,
    parse_id,
    read_params,
    unknown_parameter,
)
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.crawl.lookahead import LookaheadPool
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.crawl.page_fetcher import PageSource
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.crawl.splitting import splittable_listing
from tmapi_async.errors import ClosedError, InvalidRequestError
from tmapi_async.errors.argument_checks import check_type
from tmapi_async.errors.shown_value import show_value
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.gate import GateStatistics
from tmapi_async.transport.credentials import check_base_url, check_token
from tmapi_async.transport.observers import Observer
from tmapi_async.transport.request_state import CallOptions
from tmapi_async.transport.retry import RetryPolicy
from tmapi_async.transport.session import Auth, Connector

from .category_tree import CategoryCache, CategoryWalk
from .inputs import (
    ItemWalkOptions,
    Lookahead,
    RequestOptions,
    Source,
    WalkOptions,
    check_whole,
    read_lookahead,
    read_request_options,
    read_walk_options,
)
from .page_sources import PageSources, make_cache
from .settings import Concurrency, make_gate, make_settings, max_width
from .walk import Walk

if TYPE_CHECKING:
    from tmapi_async.limits.sharing.gate_sharing import GateSharing


class ClientCore:
    """Makes the walks of one client, and closes them with it.

    Args:
        token: The account's token.
        base_url: See [`ClientOptions`][tmapi_async.ClientOptions] for this and the others; `TMAPI`
            has the defaults.

    Attributes:
        token: The account's token.
        host: Host and port of the API.
        settings: Options of the client, except its token, gate and connector.
        gate: Limits the requests of the client.
        sharing: Shares the gate with other processes of the account; or None.
        session: Sends the requests.
        page_sources: Makes the fetchers of pages.
        portable: True if another process can do the same: not with a connector or an observer.

    Raises:
        InvalidRequestError: An argument makes no sense; the message says which and why.
    """

    def __init__(
        self,
        token: str,
        *,
        base_url: str,
        auth: Auth,
        concurrency: Concurrency,
        rate: float | None,
        timeout: float,
        lookahead: Lookahead,
        max_requests: int | Budget | None,
        retry: RetryPolicy | None,
        guard: GuardPolicy | None,
        max_body: int,
        connector: Connector | None,
        trust_env: bool,
        observer: Observer | None,
        wait: float | None,
        shared: bool,
        cache: str | Path | None,
        max_age: float | None,
        stale_if_error: float | bool,
        cache_bytes: int | None,
    ) -> None:
        check_token(token)
        self.token = token
        self.host = check_base_url(base_url)
        check_type("connector", connector, Connector, "a connector of aiohttp")
        check_type("observer", observer, Observer, "an Observer")
        check_type("shared", shared, bool, "True or False", optional=False)
        self.settings = make_settings(
            base_url=base_url,
            auth=auth,
            timeout=timeout,
            max_body=max_body,
            retry=retry,
            guard=guard,
            lookahead=lookahead,
            trust_env=trust_env,
            wait=wait,
        )
        self._ceiling = max_width(concurrency, connector)
        self.gate = make_gate(self._ceiling, concurrency, rate, max_requests)
        self.session = self.settings.session(token, self.gate, connector, observer)
        page_cache = make_cache(
            cache,
            base_url=base_url,
            host=self.host,
            token=token,
            max_age=max_age,
            stale_if_error=stale_if_error,
            cache_bytes=cache_bytes,
        )
        self.page_sources = PageSources(self.session, page_cache)
        self.sharing: GateSharing | None = None
        self._shared = shared
        self.portable = connector is None and observer is None
        self._lookahead_pool = LookaheadPool()
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._walks: WeakSet[Walk[Any] | CategoryWalk] = WeakSet()

    async def open(self) -> None:
        """Open the session, and join the account's gate. Sends nothing to the API.

        Raises:
            ClosedError: The client is open already, here or in another event loop.
        """
        loop = asyncio.get_running_loop()
        self._forget_closed_loop()
        if self._is_open:
            self._check_loop(loop)
            raise ClosedError(
                "the client is open already: enter it once (`async with TMAPI(...) as api`), and "
                "let all tasks use `api`"
            )
        # Right away: another task may enter while the session opens.
        self._is_open, self._loop = True, loop
        try:
            await self.session.open()
            await self.page_sources.open()
            if self._shared:
                await self._join()
        except BaseException:  # a block that is not entered is not left: close it here
            await self.close()
            raise

    async def close(self) -> None:
        """End every walk that is still open, and close the connections.

        Raises:
            ClosedError: The client was opened in another event loop, which must close it.
        """
        if self._forget_closed_loop():
            return
        if self._is_open:
            self._check_loop(asyncio.get_running_loop())
        self._is_open = False
        async with AsyncExitStack() as stack:  # closes each one, even if another raises
            stack.push_async_callback(self.session.close)
            stack.push_async_callback(self.page_sources.close)
            if self.sharing is not None:
                stack.push_async_callback(self.sharing.close)
            walks = list(self._walks)
            self._walks.clear()  # a walk is closed once, in the loop that it belongs to
            for walk in walks:
                stack.push_async_callback(walk.aclose)

    async def _join(self) -> None:
        """Share the gate with the other processes of the account on this machine."""
        from tmapi_async.limits.sharing.gate_sharing import GateSharing  # noqa: PLC0415 - takes 5 ms
        from tmapi_async.limits.sharing.runtime_folder import account_name  # noqa: PLC0415 - as above

        if self.sharing is None:
            account = account_name(self.token, self.host)
            self.sharing = GateSharing(self.gate, account, self._ceiling)
        await self.sharing.open()

    async def stay_apart(self) -> None:
        """Share the gate with no other process from now on: its slots are divided otherwise."""
        self._shared = False
        sharing, self.sharing = self.sharing, None
        if sharing is not None:
            await sharing.leave()

    def pages(self, call: CallOptions | None, *, single: bool = False) -> PageSource:
        """Return the fetcher of the pages of one walk or call.

        Args:
            call: Options of every page request; None reads no cache.
            single: True if single pages are wanted, and no whole listings.

        Raises:
            ClosedError: The client is not open, or was opened in another event loop.
        """
        if not self._is_open:
            raise ClosedError(
                "the client is not open: use it inside `async with TMAPI(...) as api`"
            )
        self._check_loop(asyncio.get_running_loop())
        sources = self.page_sources
        return sources.shared_pages if call is None else sources.of_call(call, single=single)

    def statistics(self) -> GateStatistics:
        """Return a snapshot of the gate, with the number of pages taken from the cache."""
        statistics = self.gate.statistics()
        cache = self.page_sources.cache
        if cache is None:
            return statistics
        return msgspec.structs.replace(statistics, cache_hits=cache.hits)

    def _forget_closed_loop(self) -> bool:
        """Count the client as closed if its event loop is; return True if it was so."""
        is_gone = self._is_open and self._loop is not None and self._loop.is_closed()
        if is_gone:
            # Its connections went with the loop. No timer may call into it any more.
            self._is_open = False
            if self.sharing is not None:
                self.sharing.abandon()
            self.gate.close()
            self._walks.clear()  # their tasks went with the loop, too
            self.page_sources.forget_loop()
        return is_gone

    def _check_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            raise ClosedError(
                "the client was opened in another event loop (another thread, or another "
                "asyncio.run), and its connections work only there: make a client of its own for "
                "each event loop, inside `async with TMAPI(...) as api`"
            )

    def endpoint_walk(
        self,
        endpoint: Endpoint,
        key: str,
        values: object,
        options: WalkOptions | ItemWalkOptions | Mapping[str, Any],
        **params: Any,
    ) -> Walk[Any]:
        """Make a walk over listings of an endpoint.

        Args:
            endpoint: The endpoint.
            key: Name of the parameter in which the listings differ.
            values: Its values: one, or an iterable or async iterable of them.
            options: Options of the walk.
            **params: The other parameters. Those that are None are left out.
        """
        known = WalkOptions if endpoint.paged else ItemWalkOptions
        for name in options.keys() - known.__annotations__.keys():
            # No walk has this option, so it was meant as a parameter: say how that is called.
            raise unknown_parameter(endpoint, name)
        fixed = read_params(endpoint, params)

        def listing(value: Any) -> Listing:
            if key == "item_id":
                value = getattr(value, key, value)  # a product of another walk stands for its ID
            return make_listing(endpoint, {**fixed, **read_params(endpoint, {key: value})})

        walk_options = dict(options)
        ordered: Any = walk_options.pop("ordered", False)
        check_type("ordered", ordered, bool, "True or False")
        return self.walk(
            Source(values, key), listing, walk_options, endpoint=endpoint, ordered=bool(ordered)
        )

    def walk(
        self,
        source: Source,
        listing: Callable[[Any], Listing],
        options: WalkOptions | Mapping[str, Any],
        *,
        endpoint: Endpoint | None = None,
        ordered: bool = False,
    ) -> Walk[Any]:
        """Make a walk over a source, each value of which makes a listing.

        Args:
            source: The values.
            listing: Makes the listing of a value.
            options: Options of the walk.
            endpoint: Endpoint of all listings, or None if it depends on the values.
            ordered: True to give the listings out in the order of the values. Each has one page.
        """
        settings = read_walk_options(options)
        first, max_pages, split = settings.first, settings.max_pages, settings.split
        if split is not None:
            listing = _checked_divisible(listing)

        def task(value: object) -> ListingTask:
            return ListingTask(listing=listing(value), first=first, max_pages=max_pages)

        source.check(listing)
        walk: Walk[Any] = Walk(
            partial(self.pages, settings.call, single=max_pages == 1 or split is not None),
            lambda: source.tasks(task),
            lambda: PageRequest(listing(source.only()), first),
            lambda: source.listings(listing),
            lambda: source.endpoints(listing, endpoint, split=split is not None),
            frontier=partial(self._frontier, self._lookahead(settings.lookahead)),
            guard=self.settings.guard,
            call=settings.call,
            priority=settings.priority,
            split=split,
            ordered=ordered,
            source_failure=lambda: source.failure,
            unique=settings.unique,
            on_end=settings.on_end,
        )
        self._walks.add(walk)
        return walk

    def category_walk(
        self,
        root: int | str | None,
        depth: int | None,
        cache: CategoryCache | None,
        options: RequestOptions,
    ) -> CategoryWalk:
        """Make a walk over the tree of categories."""
        if depth is not None:
            check_whole("depth", depth)
        if cache is not None and not callable(getattr(cache, "begin", None)):
            raise InvalidRequestError(f"cache must be a JournalCategories, not {show_value(cache)}")
        call = read_request_options("categories", options, urgent=False)
        cat_id = None if root is None else parse_id(root)
        walk = CategoryWalk(partial(self.crawl, lookahead="off", call=call), cat_id, depth, cache)
        self._walks.add(walk)
        return walk

    def crawl(
        self,
        source: AsyncGenerator[ListingTask],
        sink: CrawlSink,
        *,
        lookahead: Lookahead | None = None,
        guard: GuardPolicy | None = None,
        call: CallOptions | None = None,
    ) -> Crawler:
        """Make a crawler that hands every page to a sink.

        Args:
            source: The listings, read lazily.
            sink: Receives pages, failures and outcomes.
            lookahead: Number of pages requested ahead, or "auto"; None takes the client's value.
            guard: Limits beyond which a listing counts as endless; None takes the client's policy.
            call: Options of every page request. None requests every page and reads no cache: a
                harvest has its journal.
        """
        return Crawler(
            self.pages(call),
            self._frontier(self._lookahead(lookahead)),
            source,
            sink,
            guard=guard or self.settings.guard,
            options=call,
        )

    def _frontier(self, lookahead: int | None) -> Frontier:
        return Frontier(lookahead=lookahead, pool=self._lookahead_pool)

    def _lookahead(self, lookahead: Lookahead | None) -> int | None:
        return self.settings.lookahead if lookahead is None else read_lookahead(lookahead)


def _checked_divisible(listing: Callable[[Any], Listing]) -> Callable[[Any], Listing]:
    return lambda value: splittable_listing(listing(value))
