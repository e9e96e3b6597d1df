"""Fetchers of pages of one client: each page once at a time, and through its cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tmapi_async.crawl.page_fetcher import PageSource
from tmapi_async.crawl.shared_pages import SharedPages
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value
from tmapi_async.transport.request_state import CallOptions
from tmapi_async.transport.session import Session

from .inputs import check_age, read_stale

if TYPE_CHECKING:
    from tmapi_async.crawl.page_cache.page_cache import PageCache

LEAST_CACHE_BYTES = 2**20


class PageSources:
    """Makes the fetchers of walks and calls.

    Args:
        session: Sends the requests.
        cache: Keeps pages, or None.

    Attributes:
        shared_pages: Fetches pages, each once at a time, and reads no cache.
        cache: Keeps pages, or None.
    """

    def __init__(self, session: Session, cache: PageCache | None) -> None:
        self.shared_pages = SharedPages(session)
        self.cache = cache
        self._session = session
        self._through_cache: Callable[..., PageSource] | None = None
        if cache is not None:
            from tmapi_async.crawl.page_cache.cached_pages import CachedPages  # noqa: PLC0415 - only with a cache

            self._through_cache = CachedPages

    def of_call(self, call: CallOptions, *, single: bool = False) -> PageSource:
        """Return the fetcher of one walk or call.

        Args:
            call: Options of every page request.
            single: True if single pages are wanted, and no whole listings.
        """
        if self._through_cache is None:
            return self.shared_pages
        return self._through_cache(self.shared_pages, self.cache, call, single=single)

    def name_host(self, host: str) -> None:
        """Set the name under which the cache finds the pages of this host; call before `open`."""
        if self.cache is not None:
            self.cache.origin = host

    async def open(self) -> None:
        """Open the cache.

        Raises:
            InvalidRequestError: Its file belongs to another program.
        """
        if self.cache is not None:
            await self.cache.open()

    async def close(self) -> None:
        """Give up the pages that are being fetched alone, and close the cache."""
        try:
            await self.shared_pages.close()
        finally:
            if self.cache is not None:
                await self.cache.close()

    def forget_loop(self) -> None:
        """Forget what went with an event loop that was closed."""
        self.shared_pages = SharedPages(self._session)
        if self.cache is not None:
            self.cache.abandon()


def make_cache(
    location: str | Path | None,
    *,
    base_url: str,
    host: str,
    token: str,
    max_age: float | None,
    stale_if_error: float | bool,
    cache_bytes: int | None,
) -> PageCache | None:
    """Return the cache of a client, or None. Its options are checked in either case.

    Args:
        location: Place of the cache; None for no cache.
        base_url: Address of the API.
        host: Host and port of the API.
        token: Token of the account, which must not be kept.
        max_age: See [`ClientOptions`][tmapi_async.ClientOptions] for this and the others.
        stale_if_error: True, False or seconds.
        cache_bytes: Bytes, or None.

    Raises:
        InvalidRequestError: An option makes no sense, or the place cannot be that of a cache.
    """
    if max_age is not None:
        check_age("max_age", max_age)
    stale = read_stale(stale_if_error)
    if cache_bytes is not None and not _is_size(cache_bytes):
        raise InvalidRequestError(
            f"cache_bytes must be a whole number from {LEAST_CACHE_BYTES}, not "
            f"{show_value(cache_bytes)}"
        )
    if location is None:
        return None
    from tmapi_async.crawl.page_cache import locations  # noqa: PLC0415 - only a cache needs SQLite

    return locations.make_page_cache(
        location,
        origin=f"{host}{urlsplit(base_url).path.rstrip('/')}",
        secret=token,
        max_age=locations.DEFAULT_MAX_AGE if max_age is None else float(max_age),
        stale_if_error=stale,
        limit=cache_bytes or locations.DEFAULT_CACHE_BYTES,
    )


def _is_size(value: object) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and value >= LEAST_CACHE_BYTES  # type: ignore[operator]
