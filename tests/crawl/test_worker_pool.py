"""Workers of a crawl: they rest between pages, and give back what they did not begin."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.crawl.worker_pool import WorkerPool
from tmapi_async.transport.request_state import CrawlCounts, RequestState, StoppedError

LISTING = category_items(1)


class Crawl:
    """A crawl of numbered pages, each of which ends when the test says so."""

    def __init__(self) -> None:
        self.pool = WorkerPool(self.fetch, self.choose, self.new_state, self.ended)
        self.waiting: deque[PageRequest] = deque()
        self.fetching: dict[int, asyncio.Future[None]] = {}
        self.given_back: list[int] = []
        self.errors: list[BaseException] = []
        self.tasks: set[asyncio.Task[None] | None] = set()
        self.stopping = False

    async def fetch(self, request: PageRequest, state: RequestState) -> None:
        """Wait until the page is answered."""
        assert state.request == request
        self.tasks.add(asyncio.current_task())
        future = self.fetching[request.number] = asyncio.get_running_loop().create_future()
        await future

    def choose(self) -> PageRequest | None:
        """Return the next page that waits."""
        if self.stopping:
            raise StoppedError
        return self.waiting.popleft() if self.waiting else None

    def new_state(self) -> RequestState:
        """Return the state of a worker."""
        return RequestState(0, CrawlCounts())

    def ended(self, request: PageRequest | None, error: BaseException | None) -> None:
        """Keep what a worker leaves."""
        if request is not None:
            self.given_back.append(request.number)
        if error is not None:
            self.errors.append(error)

    async def start(self, *numbers: int) -> None:
        """Start pages, and let their workers run."""
        for number in numbers:
            self.pool.start(PageRequest(LISTING, number))
        await settle()

    async def answer(self, number: int) -> None:
        """Answer a page."""
        self.fetching.pop(number).set_result(None)
        await settle()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def crawl():
    """Return a crawl, whose workers end with the test."""
    crawl = Crawl()
    yield crawl
    if tasks := crawl.pool.cancel():
        await asyncio.wait(tasks)


async def test_a_worker_without_a_page_rests_until_there_is_one(crawl: Crawl) -> None:
    """A worker that rests is not at work, and takes the next page: no task is made for it."""
    await crawl.start(1, 2)
    await crawl.answer(1)
    assert crawl.pool.at_work == 1
    await crawl.start(3)
    assert (crawl.pool.at_work, len(crawl.tasks), [*crawl.fetching]) == (2, 2, [2, 3])


async def test_a_worker_goes_on_while_there_are_pages(crawl: Crawl) -> None:
    """A worker that is done with a page requests the next one."""
    crawl.waiting.append(PageRequest(LISTING, 2))
    await crawl.start(1)
    await crawl.answer(1)
    assert (crawl.pool.at_work, len(crawl.tasks), [*crawl.fetching]) == (1, 1, [2])


@pytest.mark.parametrize("rested", [False, True], ids=["new", "rested"])
async def test_a_page_that_was_not_begun_is_given_back(crawl: Crawl, *, rested: bool) -> None:
    """A worker may be cancelled between the time when it gets a page and its next step."""
    if rested:
        await crawl.start(1)
        await crawl.answer(1)
    crawl.pool.start(PageRequest(LISTING, 2))
    crawl.pool.recall(PageRequest(LISTING, 3))
    assert crawl.pool.at_work == 1
    crawl.pool.recall()
    await settle()
    assert (crawl.pool.at_work, crawl.given_back, [*crawl.fetching]) == (0, [2], [])


async def test_recalling_and_dismissing_leave_no_task(crawl: Crawl) -> None:
    """Workers that rest stay when requests are recalled, and end when they are dismissed."""
    await crawl.start(1, 2, 3)
    await crawl.answer(1)
    crawl.pool.recall()
    await settle()
    assert crawl.pool.at_work == 0
    assert sum(not task.done() for task in crawl.tasks if task) == 1
    crawl.pool.dismiss()
    await settle()
    assert all(task.done() for task in crawl.tasks if task)
    assert crawl.pool.cancel() == []


async def test_a_worker_of_a_crawl_that_stops_ends_after_its_page(crawl: Crawl) -> None:
    """It does not rest: nobody would wake it."""
    await crawl.start(1)
    crawl.stopping = True
    await crawl.answer(1)
    assert crawl.pool.cancel() == []


async def test_an_error_in_a_worker_is_reported(crawl: Crawl) -> None:
    """An error that is no failure of a page is handed to the crawl."""
    await crawl.start(1)
    crawl.fetching[1].set_exception(ZeroDivisionError("a fault of ours"))
    await settle()
    assert [type(error) for error in crawl.errors] == [ZeroDivisionError]
    assert crawl.pool.at_work == 0
