"""A page that several tasks ask for at the same time is requested once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support.gates import FixedController
from tests.support.making import NOW, ROW, dumped, success
from tmapi_async import errors
from tmapi_async.api.decoding import ProductId
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.api.replies import Reply, read_reply
from tmapi_async.crawl.shared_pages import SharedPages
from tmapi_async.limits.gate import Gate
from tmapi_async.transport.request_state import CallOptions, CrawlCounts, RequestState

FIRST = PageRequest(category_items(1), 1)
OTHER = PageRequest(category_items(1), 2)


class HeldFetcher:
    """Answers each request when the test says so."""

    def __init__(self) -> None:
        self.gate = Gate(FixedController())
        self.direct = None
        self.epoch = 0
        self.requests: Counter[PageRequest] = Counter()
        self.replies: dict[PageRequest, asyncio.Future[Any]] = {}

    async def fetch(self, request: PageRequest, _: object) -> Any:
        """Wait for the outcome."""
        self.requests[request] += 1
        reply = self.replies[request] = asyncio.get_running_loop().create_future()
        return await reply

    def answer(self, request: PageRequest, outcome: object) -> None:
        """Give a request in flight its outcome."""
        if isinstance(outcome, BaseException):
            self.replies[request].set_exception(outcome)
        else:
            self.replies[request].set_result(outcome)


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def walk(pages: SharedPages, request: PageRequest) -> asyncio.Task[Any]:
    """Ask as a walk does."""
    return asyncio.ensure_future(pages.fetch(request, RequestState(0, CrawlCounts())))


def alone(pages: SharedPages, request: PageRequest) -> asyncio.Task[Any]:
    """Ask as an awaited page does."""
    return asyncio.ensure_future(pages.fetch_alone(request, CallOptions()))


@pytest.fixture
def fetcher() -> HeldFetcher:
    """Return a fetcher that holds its replies back."""
    return HeldFetcher()


@pytest.fixture
def pages(fetcher: HeldFetcher) -> SharedPages:
    """Return shared pages over that fetcher."""
    return SharedPages(fetcher)


@pytest.mark.parametrize("lead", [walk, alone])
async def test_page_asked_for_by_many_is_requested_once(
    fetcher: HeldFetcher, pages: SharedPages, lead: Any
) -> None:
    """Walks and awaited pages that ask while a page is on its way all get the same page."""
    tasks = [ask(pages, FIRST) for ask in (lead, alone, walk, alone)]
    other = walk(pages, OTHER)
    await settle()
    fetcher.answer(FIRST, "page")
    fetcher.answer(OTHER, "other page")
    assert await asyncio.gather(*tasks) == ["page"] * 4
    assert await other == "other page"
    assert fetcher.requests == {FIRST: 1, OTHER: 1}


@pytest.mark.parametrize("lead", [walk, alone])
async def test_failure_reaches_all(fetcher: HeldFetcher, pages: SharedPages, lead: Any) -> None:
    """Each one raises the error; those that followed raise a copy of their own."""
    tasks = [ask(pages, FIRST) for ask in (lead, alone, walk)]
    await settle()
    fetcher.answer(FIRST, errors.ServerError("the API failed"))
    raised = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in raised] == [errors.ServerError] * 3
    assert len({id(error) for error in raised}) == 3
    assert fetcher.requests[FIRST] == 1


async def test_page_is_requested_again_once_it_came(
    fetcher: HeldFetcher, pages: SharedPages
) -> None:
    """Pages are shared only while they are on their way: nothing is kept."""
    for number in (1, 2):
        task = alone(pages, FIRST)
        await settle()
        fetcher.answer(FIRST, number)
        assert await task == number
    assert fetcher.requests[FIRST] == 2


@pytest.mark.parametrize("first", [0, 1, 2])
async def test_cancelled_asker_does_not_hurt_the_others(
    fetcher: HeldFetcher, pages: SharedPages, first: int
) -> None:
    """Whichever of the askers of an awaited page is cancelled, one request serves the others."""
    tasks = [alone(pages, FIRST) for _ in range(3)]
    await settle()
    tasks[first].cancel()
    await settle()
    fetcher.answer(FIRST, "page")
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes.count("page") == 2
    assert isinstance(outcomes[first], asyncio.CancelledError)
    assert fetcher.requests[FIRST] == 1


async def test_request_ends_when_nobody_waits_for_it(
    fetcher: HeldFetcher, pages: SharedPages
) -> None:
    """When the last asker is cancelled, so is the request; the next asker requests again."""
    tasks = [alone(pages, FIRST) for _ in range(2)]
    await settle()
    for task in tasks:
        task.cancel()
    await settle()
    assert fetcher.replies[FIRST].cancelled()
    late = alone(pages, FIRST)
    await settle()
    fetcher.answer(FIRST, "page")
    assert await late == "page"


async def test_followers_of_a_walk_that_is_given_up_request_again(
    fetcher: HeldFetcher, pages: SharedPages
) -> None:
    """A walk that is closed takes its request with it: one of the others sends it anew."""
    leader = walk(pages, FIRST)
    await settle()
    tasks = [alone(pages, FIRST), walk(pages, FIRST)]
    await settle()
    leader.cancel()
    await settle()
    fetcher.answer(FIRST, "page")
    assert await asyncio.gather(*tasks) == ["page", "page"]
    assert fetcher.requests[FIRST] == 2


async def test_asker_cancelled_at_once_leaves_nothing(
    fetcher: HeldFetcher, pages: SharedPages
) -> None:
    """A request given up before its first step is forgotten, so that the page can be had later."""
    task = alone(pages, FIRST)
    await asyncio.sleep(0)
    await pages.close()
    task.cancel()
    await settle()
    late = walk(pages, FIRST)
    await settle()
    fetcher.answer(FIRST, "page")
    assert await late == "page"


async def test_close_gives_up_what_is_on_its_way(fetcher: HeldFetcher, pages: SharedPages) -> None:
    """A closed client has no request left."""
    task = alone(pages, FIRST)
    await settle()
    fetching = fetcher.replies[FIRST]
    await pages.close()
    assert fetching.cancelled()
    task.cancel()


async def test_calls_with_other_limits_do_not_share(
    fetcher: HeldFetcher, pages: SharedPages
) -> None:
    """A call with a time limit of its own must not wait for one without; equal ones share."""
    slow = alone(pages, FIRST)
    await settle()
    first_reply = fetcher.replies[FIRST]
    options = CallOptions(timeout=1.0)
    quick = [asyncio.ensure_future(pages.fetch_alone(FIRST, options)) for _ in range(2)]
    await settle()
    fetcher.answer(FIRST, "quick page")
    assert await asyncio.gather(*quick) == ["quick page"] * 2
    first_reply.set_result("page")
    assert await slow == "page"
    assert fetcher.requests[FIRST] == 2


async def test_those_who_wait_for_a_page_of_a_harvest_get_its_whole_items(
    fetcher: HeldFetcher, pages: SharedPages
) -> None:
    """A harvest reads the IDs only; a call that follows its request gets everything, unpaid."""
    state = RequestState(0, CrawlCounts(), ids_only=True)
    harvest = asyncio.ensure_future(pages.fetch(FIRST, state))
    await settle()
    call = alone(pages, FIRST)
    await settle()
    body = success([dumped(ROW)])
    fetcher.answer(FIRST, read_reply(Reply(200, {}, body), FIRST, now=NOW, ids_only=True))
    assert type((await harvest).items[0]) is ProductId
    assert (await call).items[0].title == ROW["title"]
    assert fetcher.requests[FIRST] == 1
