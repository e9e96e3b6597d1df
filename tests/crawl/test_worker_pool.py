"""Workers of a crawl: they rest between pages, and give back what they did not begin."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import pytest

from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.api.replies import Reply
from tmapi_async.crawl.worker_pool import WorkerPool
from tmapi_async.transport.attempts.direct_exchange import DirectExchange
from tmapi_async.transport.request_state import CrawlCounts, RequestState, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable

LISTING = category_items(1)


class Crawl:
    """A crawl of numbered pages, each of which ends when the test says so."""

    def __init__(self) -> None:
        self.pool = WorkerPool(
            self,
            self.choose,
            self.new_state,
            self.ended,
            grow=lambda: None,
            wake_taker=self.wake_taker,
        )
        self.waiting: deque[PageRequest] = deque()
        self.fetching: dict[int, asyncio.Future[None]] = {}
        self.given_back: list[int] = []
        self.errors: list[BaseException] = []
        self.tasks: set[asyncio.Task[None] | None] = set()
        self.stopping = False
        self.is_direct, self.woken = False, 0
        self.exchanges: dict[int, DirectExchange] = {}
        self.handled: list[int] = []
        self.abandoned: list[int] = []
        self.gone_on: list[int] = []

    async def fetch(
        self, request: PageRequest, state: RequestState, exchange: DirectExchange | None = None
    ) -> None:
        """Wait until the page is answered."""
        assert state.request == request
        if exchange is not None:
            self.gone_on.append(exchange.request.number)
        self.tasks.add(asyncio.current_task())
        future = self.fetching[request.number] = asyncio.get_running_loop().create_future()
        await future

    def send_at_once(
        self,
        request: PageRequest,
        state: RequestState,
        arrived: Callable[[DirectExchange], None],
    ) -> DirectExchange | None:
        """Send a request without a task, if the test wants that."""
        if not self.is_direct:
            return None
        state.on_wire = state.sent = True
        exchange = DirectExchange(request, state, None, None, 0.0, None, arrived)
        self.exchanges[request.number] = exchange
        return exchange

    def handle(self, exchange: DirectExchange) -> bool:
        """Handle the page of an exchange, or leave a failure to a worker."""
        exchange.state.on_wire = False
        if isinstance(exchange.end, ZeroDivisionError):
            raise exchange.end
        if isinstance(exchange.end, Exception):
            return False
        self.handled.append(exchange.request.number)
        return True

    def abandon(self, exchange: DirectExchange) -> None:
        """Keep what was abandoned."""
        self.abandoned.append(exchange.request.number)

    def wake_taker(self) -> None:
        """Count the calls; the test takes the replies itself."""
        self.woken += 1

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


# -- requests without a task


REPLY = Reply(200, {}, b"")


@pytest.fixture
def direct(crawl: Crawl) -> Crawl:
    """Return a crawl whose requests are sent without a task."""
    crawl.is_direct = True
    return crawl


async def test_a_request_without_a_task_is_followed_by_the_next(direct: Crawl) -> None:
    """A slot goes on while there are pages and rests then, and no worker is made."""
    direct.waiting.append(PageRequest(LISTING, 2))
    await direct.start(1)
    direct.exchanges[1].arrive(REPLY)
    await settle()
    assert (direct.pool.at_work, direct.handled) == (1, [1])
    direct.exchanges[2].arrive(REPLY)
    await settle()
    assert (direct.pool.at_work, direct.handled, direct.tasks) == (0, [1, 2], set())


async def test_a_worker_rests_while_requests_need_none(direct: Crawl) -> None:
    """It is woken to go on with a request that has failed, and rests again."""
    direct.is_direct = False
    direct.waiting.append(PageRequest(LISTING, 2))
    await direct.start(1)
    direct.is_direct = True
    await direct.answer(1)
    assert (direct.pool.at_work, [*direct.exchanges], direct.fetching) == (1, [2], {})
    direct.exchanges[2].arrive(OSError())
    await settle()
    assert (direct.gone_on, direct.pool.at_work, len(direct.tasks)) == ([2], 1, 1)
    await direct.answer(2)
    assert direct.pool.at_work == 0


async def test_what_is_cancelled_on_its_way_is_abandoned(direct: Crawl) -> None:
    """So is a reply that nobody has taken, and a request that no worker has gone on with yet."""
    await direct.start(1, 2, 3)
    direct.exchanges[1].arrive(REPLY)
    assert direct.handled == []
    direct.pool.cancel()
    await settle()
    assert (direct.abandoned, direct.pool.at_work, direct.handled) == ([1, 2, 3], 0, [])
    await direct.start(4)
    direct.exchanges[4].arrive(OSError())
    await asyncio.sleep(0)  # a worker is made, and has not begun
    tasks = direct.pool.cancel()
    await asyncio.wait(tasks)
    await settle()
    assert (direct.abandoned[3:], direct.pool.at_work, direct.given_back) == ([4], 0, [])


async def test_replies_wait_for_a_caller_that_takes_them(direct: Crawl) -> None:
    """It takes one after another; what it leaves until its next step is handled all the same."""
    await direct.start(1, 2, 3)
    for number in (1, 2, 3):
        direct.exchanges[number].arrive(REPLY)
    assert (direct.handled, direct.woken) == ([], 1)
    assert direct.pool.take_reply()
    assert direct.handled == [1]
    await settle()
    assert direct.handled == [1, 2, 3]
    assert not direct.pool.take_reply()


async def test_a_recalled_request_on_its_way_may_finish(direct: Crawl) -> None:
    """It was paid for; its state says that no retry may follow."""
    await direct.start(1, 2)
    direct.pool.recall(PageRequest(LISTING, 2))
    assert [direct.exchanges[n].state.stopping for n in (1, 2)] == [False, True]
    direct.stopping = True
    direct.exchanges[2].arrive(REPLY)
    await settle()
    assert (direct.handled, direct.pool.at_work) == ([2], 1)


async def test_replies_that_come_together_are_handled_together(direct: Crawl) -> None:
    """Not each in the call that brings it: other threads would take the lock between the calls."""
    await direct.start(1, 2)
    for number in (1, 2):
        direct.exchanges[number].arrive(REPLY)
        assert direct.handled == []
    await settle()
    assert direct.handled == [1, 2]


async def test_an_error_while_a_reply_is_handled_is_reported(direct: Crawl) -> None:
    """An error that is no failure of a page is handed to the crawl, not to the event loop."""
    await direct.start(1)
    direct.exchanges[1].arrive(ZeroDivisionError("a fault of ours"))
    await settle()
    assert [type(error) for error in direct.errors] == [ZeroDivisionError]
    assert direct.pool.at_work == 0
