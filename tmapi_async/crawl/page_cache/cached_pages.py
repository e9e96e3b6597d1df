"""Pages of one walk or one call: from the cache, or requested.

The first page of a listing decides for the whole listing. If the first page comes from the cache,
all pages that are young enough do. If it is requested, all others are requested, too: rows that
moved meanwhile could be missing between an old page and a new one. A first page that is in the
cache without the second one is requested, since one request more makes the walk complete.

Where pages from the cache end in the middle of a listing, the rest is requested, and the listing
ends as *shifted*: see `OpenListing.add_page`.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.crawl.open_listings import LONGEST_GAP
from tmapi_async.crawl.page_fetcher import PageSource
from tmapi_async.errors import OutageError, Recovery, TMAPIError
from tmapi_async.limits.gate import Gate
from tmapi_async.transport.request_state import CallOptions, RequestState

from .cached_listing import CachedListing
from .page_cache import PageCache

_MAX_LISTINGS = 8192
"""Number of listings that a walk remembers. Far fewer are open at a time."""

_FAILURES_OF_THE_API = (Recovery.RETRY, Recovery.BACK_PRESSURE)


class CachedPages:
    """Fetches pages for one walk: from the cache if they are young enough.

    A page from the cache takes no slot of the gate, no budget and no rate.

    Args:
        pages: Requests pages.
        cache: The cache.
        call: Options of every page request of the walk.
        single: True if single pages are wanted, and no whole listings.
    """

    def __init__(
        self, pages: PageSource, cache: PageCache, call: CallOptions, *, single: bool
    ) -> None:
        self.gate: Gate = pages.gate
        self._pages = pages
        self._cache = cache
        self._max_age = cache.max_age if call.max_age is None else call.max_age
        stale = call.stale_if_error
        self._stale = cache.stale_if_error if stale is None else stale
        self._single = single
        self._listings: dict[Listing, CachedListing] = {}

    @property
    def direct(self) -> None:
        """None: a page may be in the cache."""
        return None

    @property
    def epoch(self) -> int:
        """Number of errors so far that ended all work."""
        return self._pages.epoch

    @property
    def waited(self) -> float:
        """Seconds waited so far for an API that did not answer."""
        return self._pages.waited

    async def fetch(self, request: PageRequest, state: RequestState) -> Page[Any]:
        """Fetch a page for a walk; see `Session.fetch`."""
        page = await self._cached(request) if self._max_age else None
        if page is None:
            try:
                page = await self._pages.fetch(request, state)
            except TMAPIError as error:
                page = await self._stale_page(request, error)
                if page is None:
                    raise
        if page.from_cache:
            state.counts.cache_hits += 1
            if self._cache.count_hit():
                await asyncio.sleep(0)
        else:
            self._cache.keep(page)
        return page

    async def fetch_alone(self, request: PageRequest, options: CallOptions) -> Page[Any]:
        """Fetch a page for a caller that may be cancelled while others wait for the same page.

        Raises:
            TMAPIError: The page could not be fetched.
        """
        page = None
        if self._max_age:
            page = await self._find(request, self._cache.clock() - self._max_age)
        if page is None:
            try:
                page = await self._pages.fetch_alone(request, options)
            except TMAPIError as error:
                page = await self._stale_page(request, error)
                if page is None:
                    raise
        if not page.from_cache:
            self._cache.keep(page)
        elif self._cache.count_hit():
            await asyncio.sleep(0)
        return page

    async def _find(self, request: PageRequest, oldest: float) -> Page[Any] | None:
        page = self._cache.find(request, oldest)
        if page is None and self._cache.is_far:
            page = await self._cache.fetch(request, oldest)
        return page

    async def _cached(self, request: PageRequest) -> Page[Any] | None:
        """Return a page of a walk if it is in the cache and may be taken from there."""
        listing = self._listings.get(request.listing)
        if listing is None:
            return await self._first_page(request)
        oldest = listing.oldest
        page = await self._find(request, await listing.decided() if oldest is None else oldest)
        if page is not None:
            listing.add_hit(page)
        elif not listing.is_open:
            await listing.missing(request.number)
        return page

    async def _first_page(self, request: PageRequest) -> Page[Any] | None:
        """Look up the first page that a walk needs of a listing, and decide for the others."""
        now = self._cache.clock()
        earliest = now - self._max_age
        if len(self._listings) >= _MAX_LISTINGS:
            self._listings = dict(list(self._listings.items())[_MAX_LISTINGS // 2 :])
        listing = self._listings[request.listing] = CachedListing(request.number)
        page = None
        try:
            page = await self._find(request, earliest)
            if page is not None and page.age > LONGEST_GAP and await self._is_lone(page, earliest):
                page = None
        finally:
            is_hit = page is not None
            oldest = earliest if is_hit else max(earliest, now - LONGEST_GAP)
            listing.decide(oldest, from_cache=is_hit)
        if page is not None:
            listing.add_hit(page)
        return page

    async def _is_lone(self, page: Page[Any], earliest: float) -> bool:
        """Return True if a whole listing is wanted and only its first page is in the cache."""
        if self._single or not page.has_next_page:
            return False
        following = PageRequest(page.request.listing, page.number + 1)
        return await self._find(following, earliest) is None

    async def _stale_page(self, request: PageRequest, error: TMAPIError) -> Page[Any] | None:
        """Return an older page from the cache if the API has failed and the caller accepts one."""
        is_failure = error.recovery in _FAILURES_OF_THE_API or isinstance(error, OutageError)
        if not self._stale or not is_failure:
            return None
        is_any = math.isinf(self._stale)
        return await self._find(request, 0.0 if is_any else self._cache.clock() - self._stale)

    def __repr__(self) -> str:
        return f"<CachedPages of {self._cache!r}>"
