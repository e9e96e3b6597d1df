"""The tree of categories, walked side by side: one question for each category that has children.

The API shows one level below a category at a time (API document: `GET /1688/category/info`). A
question is a listing of one page, so gate, retries and budget are those of every walk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from tmapi_async.api.category_info import ROOT, first_level, problem_with
from tmapi_async.api.details import Category, CategoryChild
from tmapi_async.api.endpoints import CATEGORY_INFO
from tmapi_async.api.listings import Listing, PageRequest, describe
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask, WalkStatistics
from tmapi_async.crawl.page_queue import PageQueue
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.errors import (
    ClosedError,
    EndlessListingError,
    ListingsFailedError,
    MalformedReplyError,
    TMAPIError,
)

DEEPEST = 12
"""Levels after which a tree counts as endless: the site's own has three or four."""

_MOST_ERRORS = 100


class CategoryNode(msgspec.Struct, frozen=True, gc=False):
    """One category of a tree.

    Attributes:
        id: Category ID.
        parent: ID of the category above it, or None at the top of what was asked for.
        depth: How far below the top it lies; a category that was asked for by its ID lies at 0.
        name: Chinese name, as sent; it comes from strangers.
        name_en: English name.
        has_children: What the API says of it, or None.
        children: IDs of those right below; None where that was not asked, or could not be had.
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
        """Whether nothing is below it; False where that is not known."""
        return self.has_children is False or self.children == ()


class CategoryTree(msgspec.Struct, frozen=True):
    """Categories as they lie below each other.

    Attributes:
        tops: IDs of the categories at the top.
        nodes: Category ID to node.
        repeated: Times that a category was shown below another one again; it stays in its first
            place, and is not asked for twice.
        cut: The depth below which nothing was asked for, or None.
    """

    tops: tuple[int, ...]
    nodes: dict[int, CategoryNode]
    repeated: int = 0
    cut: int | None = None

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[CategoryNode]:
        """Every node, each before those below it, in the order of the API."""
        left = list(reversed(self.tops))
        while left:
            node = self.nodes[left.pop()]
            yield node
            left += reversed([one for one in node.children or () if self._below(one, node)])

    def _below(self, child: int, node: CategoryNode) -> bool:
        return self.nodes[child].parent == node.id

    def __contains__(self, cat_id: object) -> bool:
        return cat_id in self.nodes

    def find(self, cat_id: int) -> CategoryNode | None:
        """The node of a category, or None."""
        return self.nodes.get(cat_id)

    def leaves(self) -> Iterator[CategoryNode]:
        """The nodes with nothing below them: what there is to harvest.

        In a tree that was cut at a depth, those at the cut too: what is below them was not asked.
        """
        return (node for node in self if node.is_leaf or node.depth == self.cut)


class CategoryCache(Protocol):
    """Where answers are kept, so that each is paid for once."""

    @property
    def waiting(self) -> int:
        """Answers that were given and are not durable yet."""
        ...

    @property
    def error(self) -> TMAPIError | None:
        """Why nothing can be kept any more, or None; `end` raises it."""
        ...

    def begin(self, on_durable: Callable[[], None]) -> None:
        """Get ready; `on_durable` is called in the event loop when fewer answers wait."""
        ...

    def get(self, cat_id: int) -> bytes | None:
        """The body that answered a category (0: the root), or None."""
        ...

    def put(self, cat_id: int, page: Page[Category]) -> None:
        """Keep an answer."""
        ...

    async def end(self, *, complete: bool) -> None:
        """Make all of it durable; `complete`: nothing of what was asked for is missing."""
        ...


class CategoryWalk:
    """A walk over the tree of categories.

    Await it for the whole tree; iterate over it for categories as they come; `tree()` is what is
    known so far, also after an error. Nothing is sent before that. It can be walked once.

    Args:
        crawl: Makes the crawler, given the listings and a sink.
        root: Category to begin at, or None for the first level.
        depth: Levels to look below it, or None for all.
        cache: Where answers are kept, or None.
    """

    def __init__(
        self,
        crawl: Callable[[AsyncGenerator[ListingTask], CrawlSink], Crawler],
        root: int | None,
        depth: int | None,
        cache: CategoryCache | None,
    ) -> None:
        self._make_crawler = crawl
        self._root = root
        self._most = DEEPEST if depth is None else depth
        self._bounded = depth is not None
        self._cache = cache
        self._crawler: Crawler | None = None
        self._queue = PageQueue(
            on_end=self._ended, backlog=None if cache is None else self._backlog
        )
        self._begun = self._closed = False
        self._nodes: dict[int, CategoryNode] = {}
        self._tops: tuple[int, ...] = ()
        self._repeated = 0
        self._errors: list[TMAPIError] = []
        self._failed = self._open = self._answered = 0
        self._to_ask: deque[int] = deque()
        self._fresh: deque[CategoryNode] = deque()
        self._news = asyncio.Event()

    def __await__(self) -> Generator[Any, None, CategoryTree]:
        return self._whole().__await__()

    async def _whole(self) -> CategoryTree:
        async for _ in self:
            pass
        return self.tree()

    async def __aiter__(self) -> AsyncIterator[CategoryNode]:
        """Every category as it becomes known; its children come later.

        Raises:
            TMAPIError: Everything had to end.
            ListingsFailedError: What is below some categories could not be had; raised when all the
                others have been walked.
        """
        if self._begun or self._closed:
            raise ClosedError("a walk can be walked once: ask the client for another one")
        self._begun = True
        complete = False
        try:
            if self._cache is not None:
                self._cache.begin(self._pump)
            self._ask(ROOT if self._root is None else self._root)
            self._crawler = self._make_crawler(self._openings(), self._queue)
            self._queue.start(self._crawler)
            while True:
                while self._fresh:
                    yield self._fresh.popleft()
                try:
                    page = await self._queue.next()
                except ListingsFailedError:
                    page = None
                if page is None:
                    break
                self._take(page)
            self._raise_failures()
            complete = self._cache is None or self._cache.error is None
        finally:
            await self.aclose()
            if self._cache is not None:
                await self._cache.end(complete=complete)

    def _pump(self) -> None:
        if self._crawler is None or self._closed:
            return
        if self._cache is not None and self._cache.error is not None:
            self._crawler.stop()  # what cannot be kept is not paid for
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
        """What is known so far."""
        cut = self._most if self._bounded else None
        return CategoryTree(self._tops, dict(self._nodes), self._repeated, cut)

    def statistics(self) -> WalkStatistics:
        """A snapshot; a listing is a category whose children were asked for."""
        return self._queue.statistics()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._begun else "not begun"
        return f"<CategoryWalk {state}: {len(self._nodes)} categories, {self._failed} failed>"

    # -- what is asked

    async def _openings(self) -> AsyncGenerator[ListingTask]:
        while self._to_ask or self._open:
            if self._to_ask:
                yield ListingTask(listing=_question(self._to_ask.popleft()))
                continue
            self._news.clear()
            await self._news.wait()

    def _ask(self, cat_id: int) -> None:
        """Ask for what is below a category, or take what is known of it."""
        todo = [cat_id]
        while todo:
            one = todo.pop()
            body = self._cache.get(one) if self._cache is not None else None
            if body is not None:
                request, now = PageRequest(_question(one), 1), datetime.now(UTC)
                page = read_reply(Reply(200, {}, body), request, now=now)
                if isinstance(page, Page) and problem_with(one, page) is None:
                    todo += reversed(self._read(one, page))
                    continue
            self._open += 1
            self._to_ask.append(one)
        self._news.set()

    # -- what is answered

    def _ended(self, outcome: ListingOutcome) -> None:
        self._open -= 1
        self._news.set()
        if outcome.ending == "failed" and outcome.error is not None:
            self._note(outcome.error)

    def _note(self, error: TMAPIError) -> None:
        self._failed += 1
        if len(self._errors) < _MOST_ERRORS:
            self._errors.append(error)

    def _take(self, page: Page[Category]) -> None:
        cat_id = page.request.listing.cat_id or ROOT
        wrong = problem_with(cat_id, page)
        if wrong is not None:
            # Not kept: the next look would read the same again, and never ask.
            error = MalformedReplyError(wrong)
            listing = page.request.listing
            error.locate(listing.endpoint, listing.identity, 1, page.attempts)
            self._note(error)
            return
        if self._cache is not None and self._cache.error is None:
            self._cache.put(cat_id, page)
        for child in self._read(cat_id, page):
            self._ask(child)

    def _read(self, cat_id: int, page: Page[Category]) -> list[int]:
        """Take in an answer; returns the categories whose children are to be asked for."""
        self._answered += 1
        if cat_id == ROOT:
            return self._place(None, 0, first_level(page.items))
        answer = page.items[0]
        if cat_id not in self._nodes:
            # Its own ID may not be sent.
            self._enter(_node(msgspec.structs.replace(answer, id=cat_id), None, 0))
            self._tops = (cat_id,)
        return self._place(cat_id, self._nodes[cat_id].depth, answer.children or [])

    def _place(self, parent: int | None, depth: int, children: list[CategoryChild]) -> list[int]:
        """Put children below their parent; returns those to ask for."""
        placed: list[int] = []
        deeper: list[int] = []
        for child in children:
            if child.id in self._nodes:
                self._repeated += 1
                continue
            placed.append(child.id)
            self._enter(_node(child, parent, depth + 1))
            if child.has_children is not False:
                deeper.append(child.id)
        if parent is None:
            self._tops = tuple(placed)
        else:
            replaced = msgspec.structs.replace(self._nodes[parent], children=tuple(placed))
            self._nodes[parent] = replaced
        if depth + 1 < self._most:
            return deeper
        if deeper and not self._bounded:
            where = f"below {parent}" if parent is not None else "at the first level"
            self._note(EndlessListingError(f"more than {DEEPEST} levels of categories, {where}"))
        return []

    def _enter(self, node: CategoryNode) -> None:
        self._nodes[node.id] = node
        self._fresh.append(node)


def _question(cat_id: int) -> Listing:
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
