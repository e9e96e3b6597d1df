"""The tree of categories, walked side by side: one request for each category with children.

The API shows one level below a category at a time (API document: `GET /1688/category/info`). Each
request is a listing of one page, so gate, retries and budget work as in every walk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from tmapi_async import errors
from tmapi_async.api.category_info import ROOT, first_level, problem_with
from tmapi_async.api.details import Category, CategoryChild
from tmapi_async.api.endpoints import CATEGORY_INFO
from tmapi_async.api.listings import Listing, PageRequest, describe
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask, WalkStatistics
from tmapi_async.crawl.page_queue import PageQueue
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.errors import ClosedError, ListingsFailedError, TMAPIError

from .walk_iterator import WalkIterator

MAX_DEPTH = 12
"""Number of levels after which a tree counts as endless: the site's own has three or four."""

_MAX_ERRORS = 100


class CategoryNode(msgspec.Struct, frozen=True, gc=False):
    """One category of a tree.

    Attributes:
        id: Category ID.
        parent: ID of the category above, or None at the top of the walk.
        depth: Number of levels below the top; a category requested by its ID has depth 0.
        name: Chinese name, as sent; do not trust the text.
        name_en: English name.
        has_children: True if the API says that it has children; None if it does not say.
        children: IDs of the children; None if they were not requested, or the request failed.
    """

    id: int
    parent: int | None
    depth: int
    name: str | None
    name_en: str | None
    has_children: bool | None
    children: tuple[int, ...] | None = None

    @property
    def is_leaf(self) -> bool:
        """True if the category has no children; False if that is not known."""
        return self.has_children is False or self.children == ()


class CategoryTree(msgspec.Struct, frozen=True):
    """Categories, with the children of each.

    Attributes:
        tops: IDs of the categories at the top.
        nodes: Nodes by category ID.
        repeated: Number of times that a category was shown below a second parent. The category
            stays in its first place, and is not requested twice.
        cut: Depth below which nothing was requested, or None.
    """

    tops: tuple[int, ...]
    nodes: dict[int, CategoryNode]
    repeated: int = 0
    cut: int | None = None

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[CategoryNode]:
        """Iterate over all nodes, each before its children, in the order of the API."""
        remaining = list(reversed(self.tops))
        while remaining:
            node = self.nodes[remaining.pop()]
            yield node
            children = node.children or ()
            remaining += reversed([child for child in children if self._is_child(child, node)])

    def _is_child(self, cat_id: int, node: CategoryNode) -> bool:
        return self.nodes[cat_id].parent == node.id

    def __contains__(self, cat_id: object) -> bool:
        return cat_id in self.nodes

    def find(self, cat_id: int) -> CategoryNode | None:
        """Return the node of a category, or None."""
        return self.nodes.get(cat_id)

    def leaves(self) -> Iterator[CategoryNode]:
        """Iterate over the nodes without children: the categories to harvest.

        In a tree that was cut at a depth, the nodes at the cut are leaves, too.
        """
        return (node for node in self if node.is_leaf or node.depth == self.cut)


class CategoryCache(Protocol):
    """Store of answers, so that each is paid for once."""

    @property
    def waiting(self) -> int:
        """Number of answers that are not durable yet."""
        ...

    @property
    def error(self) -> TMAPIError | None:
        """Error after which nothing can be stored, or None; `end` raises it."""
        ...

    def begin(self, on_durable: Callable[[], None]) -> None:
        """Get ready; `on_durable` is called in the event loop when answers became durable."""
        ...

    def get(self, cat_id: int) -> bytes | None:
        """Return the stored body for a category (0: the root), or None."""
        ...

    def put(self, cat_id: int, page: Page[Category]) -> None:
        """Store an answer."""
        ...

    async def end(self, *, complete: bool) -> None:
        """Make all answers durable.

        Args:
            complete: True if no answer of the walk is missing.
        """
        ...


class CategoryWalk:
    """A walk over the tree of categories.

    Await the walk for the whole tree, or iterate over it for categories as they come. `tree()`
    returns the part known so far, also after an error. Nothing is sent before the walk is awaited
    or iterated. A walk can be walked once.

    Args:
        make_crawler: Makes the crawler, given the listings and a sink.
        root: Category to begin at, or None for the first level.
        depth: Number of levels to look below it, or None for all.
        cache: Stores answers, or None.
    """

    def __init__(
        self,
        make_crawler: Callable[[AsyncGenerator[ListingTask], CrawlSink], Crawler],
        root: int | None,
        depth: int | None,
        cache: CategoryCache | None,
    ) -> None:
        self._make_crawler = make_crawler
        self._root = root
        self._max_depth = MAX_DEPTH if depth is None else depth
        self._is_cut = depth is not None
        self._cache = cache
        self._crawler: Crawler | None = None
        self._queue = PageQueue(
            on_end=self._ended, backlog=None if cache is None else self._backlog
        )
        self._started = self._closed = False
        self._nodes: dict[int, CategoryNode] = {}
        self._tops: tuple[int, ...] = ()
        self._repeated = 0
        self._errors: list[TMAPIError] = []
        self._failed = self._open = self._answered = 0
        self._to_request: deque[int] = deque()
        self._new_nodes: deque[CategoryNode] = deque()
        self._changed = asyncio.Event()

    def __await__(self) -> Generator[Any, None, CategoryTree]:
        return self._whole().__await__()

    async def _whole(self) -> CategoryTree:
        async for _ in self:
            pass
        return self.tree()

    def __aiter__(self) -> AsyncIterator[CategoryNode]:
        """Iterate over the categories as they become known; their children come later.

        Raises:
            TMAPIError: An error that ends all work.
            ListingsFailedError: The children of some categories could not be fetched. It is raised
                when all the others have been walked.
            ClosedError: The iteration was cut off before, by a time-out or a cancellation.
        """
        return WalkIterator(self._iterate(), self._queue)

    async def _iterate(self) -> AsyncGenerator[CategoryNode]:
        if self._started or self._closed:
            raise ClosedError("a walk can be walked once: ask the client for another one")
        self._started = True
        complete = False
        try:
            if self._cache is not None:
                self._cache.begin(self._pump)
            self._request(ROOT if self._root is None else self._root)
            self._crawler = self._make_crawler(self._tasks(), self._queue)
            self._queue.start(self._crawler)
            while True:
                while self._new_nodes:
                    yield self._new_nodes.popleft()
                try:
                    page = await self._queue.next()
                except ListingsFailedError:
                    page = None
                if page is None:
                    break
                self._add_page(page)
            self._raise_failures()
            complete = self._cache is None or self._cache.error is None
        except asyncio.CancelledError:
            self._queue.cut_off = True
            raise
        finally:
            await self.aclose()
            if self._cache is not None:
                await self._cache.end(complete=complete)

    def _pump(self) -> None:
        if self._crawler is None or self._closed:
            return
        if self._cache is not None and self._cache.error is not None:
            self._crawler.stop()  # an answer that cannot be stored is not paid for
            return
        self._crawler.pump()

    def _backlog(self) -> int:
        return 0 if self._cache is None else self._cache.waiting

    def _raise_failures(self) -> None:
        if self._failed == 1 and self._answered == 0:
            raise self._errors[0]
        if self._failed:
            raise ListingsFailedError(tuple(self._errors), self._failed)

    async def aclose(self) -> None:
        """End every task of the walk at once."""
        self._closed = True
        if self._crawler is not None:
            await self._queue.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def tree(self) -> CategoryTree:
        """Return the part of the tree that is known so far."""
        cut = self._max_depth if self._is_cut else None
        return CategoryTree(self._tops, dict(self._nodes), self._repeated, cut)

    def statistics(self) -> WalkStatistics:
        """Return the counts so far; a listing is a category whose children were requested."""
        return self._queue.statistics()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._started else "not begun"
        return f"<CategoryWalk {state}: {len(self._nodes)} categories, {self._failed} failed>"

    # -- requests

    async def _tasks(self) -> AsyncGenerator[ListingTask]:
        while self._to_request or self._open:
            if self._to_request:
                yield ListingTask(listing=_listing_of(self._to_request.popleft()))
                continue
            self._changed.clear()
            await self._changed.wait()

    def _request(self, cat_id: int) -> None:
        """Request the children of a category, or read them from the cache."""
        remaining = [cat_id]
        while remaining:
            number = remaining.pop()
            page = self._cached(number)
            if page is not None:
                remaining += reversed(self._read(number, page))
                continue
            self._open += 1
            self._to_request.append(number)
        self._changed.set()

    def _cached(self, cat_id: int) -> Page[Category] | None:
        """Return the stored answer for a category, if there is a good one."""
        body = self._cache.get(cat_id) if self._cache is not None else None
        if body is None:
            return None
        request, now = PageRequest(_listing_of(cat_id), 1), datetime.now(UTC)
        page = read_reply(Reply(200, {}, body), request, now=now)
        return page if isinstance(page, Page) and problem_with(cat_id, page) is None else None

    # -- answers

    def _ended(self, outcome: ListingOutcome) -> None:
        self._open -= 1
        self._changed.set()
        if outcome.ending == "failed" and outcome.error is not None:
            self._add_error(outcome.error)

    def _add_error(self, error: TMAPIError) -> None:
        self._failed += 1
        if len(self._errors) < _MAX_ERRORS:
            self._errors.append(error)

    def _add_page(self, page: Page[Category]) -> None:
        cat_id = page.request.listing.cat_id or ROOT
        problem = problem_with(cat_id, page)
        if problem is not None:
            # Not stored: the next walk would read the same answer, and never send a request.
            error = errors.MalformedReplyError(problem)
            listing = page.request.listing
            error.locate(listing.endpoint, listing.identity, 1, page.attempts)
            self._add_error(error)
            return
        if self._cache is not None and self._cache.error is None:
            self._cache.put(cat_id, page)
        for child in self._read(cat_id, page):
            self._request(child)

    def _read(self, cat_id: int, page: Page[Category]) -> list[int]:
        """Add an answer to the tree; return the categories whose children are to be requested."""
        self._answered += 1
        if cat_id == ROOT:
            return self._add_children(None, 0, first_level(page.items))
        answer = page.items[0]
        if cat_id not in self._nodes:
            # The answer may lack its own ID.
            self._add_node(_node(msgspec.structs.replace(answer, id=cat_id), None, 0))
            self._tops = (cat_id,)
        return self._add_children(cat_id, self._nodes[cat_id].depth, answer.children or [])

    def _add_children(
        self, parent: int | None, depth: int, children: list[CategoryChild]
    ) -> list[int]:
        """Put children below their parent; return those whose children are to be requested."""
        placed: list[int] = []
        deeper: list[int] = []
        for child in children:
            if child.id in self._nodes:
                self._repeated += 1
                continue
            placed.append(child.id)
            self._add_node(_node(child, parent, depth + 1))
            if child.has_children is not False:
                deeper.append(child.id)
        if parent is None:
            self._tops = tuple(placed)
        else:
            replaced = msgspec.structs.replace(self._nodes[parent], children=tuple(placed))
            self._nodes[parent] = replaced
        if depth + 1 < self._max_depth:
            return deeper
        if deeper and not self._is_cut:
            where = f"below {parent}" if parent is not None else "at the first level"
            self._add_error(
                errors.EndlessListingError(f"more than {MAX_DEPTH} levels of categories, {where}")
            )
        return []

    def _add_node(self, node: CategoryNode) -> None:
        self._nodes[node.id] = node
        self._new_nodes.append(node)


def _listing_of(cat_id: int) -> Listing:
    return describe(CATEGORY_INFO, {"cat_id": cat_id or None})


def _node(category: Category | CategoryChild, parent: int | None, depth: int) -> CategoryNode:
    return CategoryNode(
        category.id,
        parent,
        depth,
        category.name,
        category.name_en,
        category.has_children,
    )
