"""Interfaces between walks and the part of a client that fetches pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.errors import TMAPIError
from tmapi_async.limits.gate import Gate
from tmapi_async.transport.attempts.direct_exchange import DirectExchange
from tmapi_async.transport.request_state import CallOptions, RequestState


class DirectPages(Protocol):
    """Sends first attempts without a task, and reads their replies; see `DirectFetcher`."""

    def begin(
        self,
        request: PageRequest,
        state: RequestState,
        arrived: Callable[[DirectExchange], None],
    ) -> DirectExchange | None:
        """Send the first attempt of a page request at once, or return None."""
        ...

    def finish(self, exchange: DirectExchange) -> Page[Any] | TMAPIError:
        """Read what has come."""
        ...

    def go_on(self, exchange: DirectExchange) -> Coroutine[Any, Any, Page[Any]]:
        """Return a coroutine that fetches the page after `finish` has returned an error."""
        ...

    def abandon(self, exchange: DirectExchange) -> None:
        """Give up an exchange, or what follows it: `go_on` was not begun."""
        ...


class PageFetcher(Protocol):
    """Fetches pages: a session, the shared pages of a client, or those behind its cache."""

    @property
    def gate(self) -> Gate:
        """Gate that every attempt passes."""
        ...

    @property
    def epoch(self) -> int:
        """Number of errors so far that ended all work."""
        ...

    @property
    def waited(self) -> float:
        """Seconds waited so far for an API that did not answer."""
        ...

    @property
    def direct(self) -> DirectPages | None:
        """Sends and reads attempts without a task; or None."""
        ...

    def fetch(self, request: PageRequest, state: RequestState) -> Coroutine[Any, Any, Page[Any]]:
        """Fetch one page; see `Fetcher.fetch`."""
        ...


class PageSource(PageFetcher, Protocol):
    """Fetches pages for walks, and single pages for callers that wait for them."""

    def fetch_alone(
        self, request: PageRequest, options: CallOptions
    ) -> Coroutine[Any, Any, Page[Any]]:
        """Fetch one page; see `SharedPages.fetch_alone`."""
        ...
