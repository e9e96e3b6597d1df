"""Engine for several accounts in one process: one crawler each, over the same listings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from tmapi_async.api.listings import Listing, PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.client.client import TMAPI
from tmapi_async.client.inputs import Lookahead
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.crawl.outcomes import ListingOutcome
from tmapi_async.crawl.seam import Look
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.errors import ClosedError, InvalidRequestError, TMAPIError
from tmapi_async.harvest.listing_queue import ListingQueue
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal

from .base import Driver, GateTotals, sum_gates

log = logging.getLogger("tmapi_async")


class MultiEngine:
    """Engine for several accounts in this process.

    Args:
        clients: Open clients, one for each account, all of the same host.

    Raises:
        InvalidRequestError: The clients have different hosts.
    """

    def __init__(self, clients: Sequence[TMAPI]) -> None:
        self._clients = clients
        self._driver: MultiDriver | None = None
        self.host = same_host(clients)

    def create_driver(
        self,
        recorder: Recorder,
        journal: Journal,
        *,
        lookahead: Lookahead | None,
        guard: GuardPolicy | None,
    ) -> Driver:
        """Return a driver with one crawler per account, over the same listings."""
        self._driver = MultiDriver(self._clients, recorder, journal, lookahead, guard)
        return self._driver

    def gate_totals(self) -> GateTotals:
        """Return the sums over the gates now."""
        return sum_gates(self._clients)

    def request_counts(self) -> RequestCounts:
        """Return the sum of the requests counted by all crawlers so far."""
        crawlers = () if self._driver is None else self._driver.crawlers
        return RequestCounts.total(crawler.request_counts() for crawler in crawlers)


def same_host(clients: Sequence[TMAPI]) -> str:
    """Return the host of all clients.

    Raises:
        InvalidRequestError: There is no client, or the clients have different hosts.
    """
    hosts = {client.host for client in clients}
    if len(hosts) != 1:
        raise InvalidRequestError(
            f"all clients of a harvest must have one host, not {', '.join(sorted(hosts)) or 'none'}"
        )
    return hosts.pop()


def log_account_stopped(number: int, accounts: int, error: TMAPIError) -> None:
    """Log that one account of several stops."""
    text = "account %d of %d stops, its listings go to the others: %s"
    log.warning(text, number, accounts, error)


class MultiDriver:
    """Driver with one crawler for each account.

    Args:
        clients: One client for each account.
        recorder: Source of the listings, and sink of the results.
        journal: The journal that the recorder writes to.
        lookahead: Look-ahead of the harvest; None takes that of each client.
        guard: Rule for endless listings; None takes that of each client.

    Attributes:
        crawlers: The crawlers, in the order of the clients.
    """

    def __init__(
        self,
        clients: Sequence[TMAPI],
        recorder: Recorder,
        journal: Journal,
        lookahead: Lookahead | None,
        guard: GuardPolicy | None,
    ) -> None:
        self._recorder = recorder
        self._journal = journal
        self._clients = clients
        self._queue = ListingQueue(recorder)
        self._stopping = False
        self._closed = False
        self._active = len(clients)
        self.crawlers = [
            client.core.crawl(
                self._queue.tasks(),
                _AccountSink(self, client),
                lookahead=lookahead,
                guard=guard,
            )
            for client in clients
        ]

    def page(self, page: Page) -> None:
        """Store a page of any account."""
        self._recorder.page(page)

    def looked(self, look: Look) -> None:
        """Record the result of requesting a stored page once more."""
        self._recorder.looked(look)

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Record a failed page of any account."""
        self._recorder.failed(request, error)

    def pending(self, client: TMAPI) -> int:
        """Return a client's share of the pages that await their commit, by gate width."""
        width = sum(other.gate.width for other in self._clients)
        return -(-self._journal.backlog * client.gate.width // width)

    def ended(self, outcome: ListingOutcome) -> None:
        """Record the outcome of a listing; hand a listing that its account stopped to another."""
        if outcome.ending == "stopped" and not self._stopping:
            self._queue.reclaim(outcome.listing)
        else:
            self._recorder.ended(outcome)
            self._queue.mark_done(outcome.listing)

    async def run(self) -> None:
        """Work until every listing has ended, or every account has stopped."""
        tasks = [
            asyncio.create_task(self._walk(number, crawler), name=f"tmapi account {number}")
            for number, crawler in enumerate(self.crawlers, 1)
        ]
        try:
            errors = [error for error in await asyncio.gather(*tasks) if error is not None]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if self._closed:
            raise ClosedError("the walk was closed before its end")
        finished = self._queue.finished
        await self._queue.close()
        if errors and not finished and not self._stopping:
            raise errors[-1]  # the error of the last account that could continue

    async def _walk(self, number: int, crawler: Crawler) -> TMAPIError | None:
        try:
            await crawler.run()
        except TMAPIError as error:
            if not error.halts:
                return None  # failed listings are in the journal
            self._active -= 1
            if self._active:
                log_account_stopped(number, len(self.crawlers), error)
            return error
        return None

    def stop(self) -> None:
        """Send no more requests. Pages on the wire are still stored."""
        self._stopping = True
        for crawler in self.crawlers:
            crawler.stop()

    async def close(self) -> None:
        """End every task at once."""
        self._closed = self._stopping = True
        for crawler in self.crawlers:
            await crawler.close()

    def fail(self, listing: Listing, error: TMAPIError) -> None:
        """End a listing as failed, in whichever crawler walks it."""
        for crawler in self.crawlers:
            crawler.fail(listing, error)

    def recall(self) -> None:
        """Take back every request that is not on the wire, until `pump` is called."""
        for crawler in self.crawlers:
            crawler.recall()

    def pump(self) -> None:
        """Send more requests if there is room. Called when fewer pages await their commit."""
        for crawler in self.crawlers:
            crawler.pump()


class _AccountSink(CrawlSink):
    """Hands the results of one account's crawler to the driver of all accounts."""

    def __init__(self, driver: MultiDriver, client: TMAPI) -> None:
        self._driver = driver
        self._client = client

    @property
    def ids_only(self) -> bool:
        """True: a journal keeps bodies, and counts distinct IDs."""
        return True

    @property
    def pending(self) -> int:
        """Number of pages of this account that await their commit."""
        return self._driver.pending(self._client)

    def page(self, page: Page) -> None:
        """Store a page."""
        self._driver.page(page)

    def looked(self, look: Look) -> None:
        """Record the result of requesting a stored page once more."""
        self._driver.looked(look)

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Record a failed page."""
        self._driver.failed(request, error)

    def ended(self, outcome: ListingOutcome) -> None:
        """Record the outcome of a listing."""
        self._driver.ended(outcome)
