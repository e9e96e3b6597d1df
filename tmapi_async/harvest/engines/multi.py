"""Several accounts in one process: a crawl each, over the same listings."""

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
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.errors import ClosedError, InvalidRequestError, TMAPIError
from tmapi_async.harvest.listing_queue import ListingQueue
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal

from .base import Driver, GateTotals, sum_gates

log = logging.getLogger("tmapi_async")


class MultiEngine:
    """Clients of several accounts in this process, as one engine.

    Args:
        clients: Open clients, one for each account, all of the same host.

    Raises:
        InvalidRequestError: They ask different hosts.
    """

    def __init__(self, clients: Sequence[TMAPI]) -> None:
        self._clients = clients
        self._spread: MultiDriver | None = None
        self.host = same_host(clients)

    def create_driver(
        self,
        recorder: Recorder,
        journal: Journal,
        *,
        lookahead: Lookahead | None,
        guard: GuardPolicy | None,
    ) -> Driver:
        """A crawl for each account; what one cannot walk to its end, another does."""
        self._spread = MultiDriver(self._clients, recorder, journal, lookahead, guard)
        return self._spread

    def gate_totals(self) -> GateTotals:
        """How wide the gates stand now."""
        return sum_gates(self._clients)

    def request_counts(self) -> RequestCounts:
        """Return the sum of the requests counted by all crawlers so far."""
        crawlers = () if self._spread is None else self._spread.crawls
        return RequestCounts.total(crawler.request_counts() for crawler in crawlers)


def same_host(clients: Sequence[TMAPI]) -> str:
    """The host that all clients ask.

    Raises:
        InvalidRequestError: There is none, or more than one.
    """
    hosts = {client.host for client in clients}
    if len(hosts) != 1:
        raise InvalidRequestError(
            f"a harvest needs clients of one host, not of {', '.join(sorted(hosts)) or 'none'}"
        )
    return hosts.pop()


def log_account_stopped(number: int, of: int, error: TMAPIError) -> None:
    """Say that one account of several stops."""
    text = "account %d of %d stops, its listings go to the others: %s"
    log.warning(text, number, of, error)


class MultiDriver:
    """Drives one crawl for each account."""

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
        self._openings = ListingQueue(recorder)
        self._stopping = False
        self._closed = False
        self._left = len(clients)
        self.crawls = [
            client.core.crawl(
                self._openings.tasks(),
                _AccountSink(self, client),
                lookahead=lookahead,
                guard=guard,
            )
            for client in clients
        ]

    def page(self, page: Page) -> None:
        """Keep a page of any account."""
        self._recorder.page(page)

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Note a page request of any account that failed for good."""
        self._recorder.failed(request, error)

    def pending(self, client: TMAPI) -> int:
        """Return a client's share of the pages that await their commit, by gate width."""
        width = sum(other.gate.width for other in self._clients)
        return -(-self._journal.waiting * client.gate.width // width)

    def ended(self, outcome: ListingOutcome) -> None:
        """Note how a listing ended; a listing that its account only left goes to another one."""
        if outcome.ending == "stopped" and not self._stopping:
            self._openings.reclaim(outcome.listing)
        else:
            self._recorder.ended(outcome)
            self._openings.mark_done(outcome.listing)

    async def run(self) -> None:
        """Work until every listing has ended, or no account can go on."""
        tasks = [
            asyncio.create_task(self._walk(number, crawl), name=f"tmapi account {number}")
            for number, crawl in enumerate(self.crawls, 1)
        ]
        try:
            errors = [error for error in await asyncio.gather(*tasks) if error is not None]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if self._closed:
            raise ClosedError("the walk was closed before its end")
        over = self._openings.finished
        await self._openings.close()
        if errors and not over and not self._stopping:
            raise errors[-1]  # the last one that could go on ends it

    async def _walk(self, number: int, crawl: Crawler) -> TMAPIError | None:
        try:
            await crawl.run()
        except TMAPIError as error:
            if not error.halts:
                return None  # failed listings are in the journal
            self._left -= 1
            if self._left:
                log_account_stopped(number, len(self.crawls), error)
            return error
        return None

    def stop(self) -> None:
        """Ask for nothing more; what is on the wire is still brought."""
        self._stopping = True
        for crawl in self.crawls:
            crawl.stop()

    async def close(self) -> None:
        """End every task at once."""
        self._closed = self._stopping = True
        for crawl in self.crawls:
            await crawl.close()

    def fail(self, listing: Listing, error: TMAPIError) -> None:
        """End a listing as failed, wherever it is walked."""
        for crawl in self.crawls:
            crawl.fail(listing, error)

    def pump(self) -> None:
        """Fewer pages await their commit than before."""
        for crawl in self.crawls:
            crawl.pump()


class _AccountSink(CrawlSink):
    """Hands the results of one account's crawler to the driver of all accounts."""

    def __init__(self, driver: MultiDriver, client: TMAPI) -> None:
        self._driver = driver
        self._client = client

    @property
    def pending(self) -> int:
        """Number of pages of this account that await their commit."""
        return self._driver.pending(self._client)

    def page(self, page: Page) -> None:
        """Keep a page."""
        self._driver.page(page)

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Note a page request that failed for good."""
        self._driver.failed(request, error)

    def ended(self, outcome: ListingOutcome) -> None:
        """Note how a listing ended."""
        self._driver.ended(outcome)
