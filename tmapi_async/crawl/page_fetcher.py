"""Interfaces between walks and the part of a client that fetches pages."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.limits.gate import Gate
from tmapi_async.transport.request_state import CallOptions, RequestState


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
