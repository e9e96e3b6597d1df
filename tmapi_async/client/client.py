"""The client that applications use: `TMAPI`."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias
from weakref import WeakSet

from tmapi_async.api.listings import PageRequest, parse_id
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.crawl.splitting.driver import Split
from tmapi_async.errors import ClosedError, InvalidRequestError
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.gate import Gate, GateStatistics
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.rate import RateLimiter
from tmapi_async.transport.credentials import DEFAULT_BASE_URL, check_base_url, check_token
from tmapi_async.transport.observers import Observer
from tmapi_async.transport.retry import RetryPolicy
from tmapi_async.transport.session import Auth, Connector, Session

from .category_tree import CategoryCache, CategoryWalk
from .endpoint_methods import EndpointMethods
from .inputs import Lookahead, check_above_zero, check_whole, read_lookahead
from .settings import ClientSettings
from .walk import Walk

Concurrency: TypeAlias = int | Literal["auto"]

DEFAULT_TIMEOUT = 60.0
"""Seconds, as the API document advises (code 499)."""

DEFAULT_MAX_BODY = 32 * 2**20
"""Bytes, decompressed."""


class TMAPI(EndpointMethods):
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
        max_requests: Most requests sent by this client in all, retries included; or None. A
            [`Budget`][tmapi_async.Budget] is shared by the clients it is given to.
        retry: How often and how long to try.
        guard: When a listing counts as endless.
        max_body: Longest reply accepted, in bytes, decompressed.
        connector: An aiohttp connector of yours (a custom CA, a proxy, ...); you close it.
        trust_env: Take proxies from the environment.
        observer: Is told of every attempt and page; see
            [`Observer`][tmapi_async.Observer].

    Attributes:
        settings: How it reaches the API; the token is not among them.
        gate: What its requests pass.
        portable: Whether another process can do as it does: not with a connector or an observer
            of yours.

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
        max_requests: int | Budget | None = None,
        retry: RetryPolicy | None = None,
        guard: GuardPolicy | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        connector: Connector | None = None,
        trust_env: bool = False,
        observer: Observer | None = None,
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
        self.settings = ClientSettings(
            base_url=base_url,
            auth=auth,
            timeout=timeout,
            max_body=max_body,
            retry=retry or RetryPolicy(),
            guard=self._guard,
            lookahead=self._lookahead,
            trust_env=trust_env,
        )
        gate = Gate(
            LearningController(_ceiling(concurrency, connector)),
            rate_limiter=None if rate is None else RateLimiter(rate),
            budget=max_requests if isinstance(max_requests, Budget) else Budget(max_requests),
        )
        self.gate = gate
        self.portable = connector is None and observer is None
        self._token = token
        self._session = self.settings.session(token, gate, connector, observer)
        self._is_open = False
        self._walks: WeakSet[Walk[Any] | CategoryWalk] = WeakSet()

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

    def _walk(
        self,
        openings: Callable[[], AsyncGenerator[ListingTask]],
        *,
        first: Callable[[], PageRequest],
        unique: bool = False,
        lookahead: Lookahead | None = None,
        on_end: Callable[[ListingOutcome], None] | None = None,
        split: Split | None = None,
    ) -> Walk[Any]:
        made: Walk[Any] = Walk(
            self._opened_session,
            openings,
            first,
            lookahead=self._lookahead if lookahead is None else read_lookahead(lookahead),
            unique=unique,
            guard=self._guard,
            on_end=on_end,
            split=split,
        )
        self._walks.add(made)
        return made

    def categories(
        self,
        root: int | str | None = None,
        *,
        depth: int | None = None,
        cache: CategoryCache | None = None,
    ) -> CategoryWalk:
        """Walk the tree of categories (API document: `GET /1688/category/info`).

        One request for each category that has others below it.

        Args:
            root: Category to begin at, or None for those of the first level.
            depth: Levels to look below it, from 1; None for all.
            cache: Where answers are kept, so that each is paid for once: a
                [`JournalCategories`][tmapi_async.harvest.JournalCategories].

        Returns:
            The walk: await it for the whole tree, iterate over it for categories as they come.

        Raises:
            InvalidRequestError: The ID or the depth makes no sense.
        """
        if depth is not None:
            check_whole("depth", depth)
        number = None if root is None else parse_id(root)
        made = CategoryWalk(partial(self.crawl, lookahead="off"), number, depth, cache)
        self._walks.add(made)
        return made

    def crawl(
        self,
        source: AsyncGenerator[ListingTask],
        sink: CrawlSink,
        *,
        lookahead: Lookahead | None = None,
        guard: GuardPolicy | None = None,
    ) -> Crawler:
        """Make a crawler that hands every page to a sink.

        Args:
            source: The listings, read lazily.
            sink: Receives pages, failures and outcomes.
            lookahead: As for the client; None takes the client's.
            guard: When a listing counts as endless; None takes the client's policy.
        """
        pages_ahead = self._lookahead if lookahead is None else read_lookahead(lookahead)
        frontier = Frontier(lookahead=pages_ahead)
        session, guard = self._opened_session(), guard or self._guard
        return Crawler(session, frontier, source, sink, guard=guard)

    @property
    def host(self) -> str:
        """Host and port of the API."""
        return self._host

    def reveal_token(self) -> str:
        """The token, for those who must send it; keep it out of whatever is shown or stored."""
        return self._token

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


def _ceiling(concurrency: Concurrency, connector: Connector | None) -> int | None:
    """The gate's ceiling: the caller's, and never above what a connector of theirs lets through."""
    if concurrency != "auto":
        check_whole("concurrency", concurrency)
    limits = [] if concurrency == "auto" else [concurrency]
    if connector is not None and connector.limit:
        limits.append(connector.limit)
    return min(limits, default=None)
