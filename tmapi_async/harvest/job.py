"""The durable harvest: walk listings into a journal, and resume from it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.client.client import TMAPI
from tmapi_async.client.inputs import Lookahead
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.crawl.splitting import SplittableListings
from tmapi_async.crawl.splitting.driver import Split, read_split
from tmapi_async.errors import (
    AuthenticationError,
    BalanceError,
    BudgetSpentError,
    ClosedError,
    DiskError,
    InvalidRequestError,
    JournalError,
    MovedJournalError,
    OutageError,
    TMAPIError,
)
from tmapi_async.errors.quantities import quantity
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.harvest.engines.base import Driver, Engine
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.plan import Plan
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.journal.trouble import TroubleWait
from tmapi_async.transport.frames import forgets_locals

from .engine_factory import make_engine
from .first_page_recorder import FirstPageRecorder
from .job_inputs import check_options, read_clients, read_listings
from .progress import HarvestProgress, HarvestResult, StoppedBy
from .recorder import Recorder
from .split_recorder import SplitRecorder

log = logging.getLogger("tmapi_async")

MOST_REJECTS = 0.5
"""Maximum share of a page's rows (of at least ten) that may be rejects."""

_STOPPED_BY: tuple[tuple[type[TMAPIError], StoppedBy], ...] = (
    (AuthenticationError, "auth"),
    (BalanceError, "balance"),
    (BudgetSpentError, "budget"),
    (DiskError, "disk"),
    (OutageError, "outage"),
)


class Harvest:
    """Walks listings into a journal. Another harvest with the same journal continues the work.

    Args:
        api: An open client, of which the gate, budget and look-ahead are used. Several clients,
            each of its own account, share the listings. An account that is refused or spent stops
            alone.
        listings: Listings to walk. Repeated listings count once.
        journal: The journal's file. It is created if it does not exist.
        refresh: Create a new run if all listings are finished; otherwise no effect. A listing that
            has failed again, in another start or run, does not prevent the new run.
        older_than: Fetch listings again, in a new run, that were finished, or failed again, more
            than this number of seconds ago. None for no listing. Not together with `refresh`.
        max_pages: Maximum number of pages per listing, or None. A listing that is cut short is
            *capped*; a later start with a higher limit continues it.
        first_pages: Request one page of each listing, to learn the sizes for an estimate, and leave
            listings that have more pages unfinished. Not together with `max_pages` or `split`.
        lookahead: Look-ahead as for the client; None takes the client's.
        most_rejects: Maximum share of a page's rows (of at least ten) that may be rejects, from 0
            to 1. Above this share the listing fails, because the API has changed.
        guard: Rule for endless listings; None takes the client's.
        host: Host of the API to record; a change of it is warned of. None takes the client's host
            and port.
        cluster: Your `distributed.Client`, or the address of a scheduler
            (`"tcp://10.0.0.1:8786"`). Its workers send the requests, this process writes the
            journal.
        tokens: With `cluster`, the place where workers find the tokens; None sends the tokens to
            the workers.
        split: Go past the ceiling: divide a listing that the API cuts short until every part fits.
            `category/items/v2` is used in place of `category/items`. True, or a
            [`Split`][tmapi_async.Split]. Needs one account in this process.

    Raises:
        InvalidRequestError: An option is invalid.
    """

    @forgets_locals
    def __init__(
        self,
        api: TMAPI | Sequence[TMAPI],
        listings: Iterable[Listing],
        *,
        journal: str | Path,
        refresh: bool = False,
        older_than: float | None = None,
        max_pages: int | None = None,
        first_pages: bool = False,
        lookahead: Lookahead | None = None,
        most_rejects: float = MOST_REJECTS,
        guard: GuardPolicy | None = None,
        host: str | None = None,
        cluster: object | None = None,
        tokens: TokenSource | None = None,
        split: bool | Split = False,
    ) -> None:
        check_options(
            journal=journal, refresh=refresh, older_than=older_than, max_pages=max_pages,
            first_pages=first_pages, split=bool(split), lookahead=lookahead,
            most_rejects=most_rejects, guard=guard, host=host, tokens=tokens,
        )  # fmt: skip
        clients = read_clients(api)
        self._engine = make_engine(clients, cluster=cluster, tokens=tokens)
        self._split = read_split(split)
        self._listings = listings = read_listings(listings)
        if self._split is not None:
            if max_pages is not None:
                raise InvalidRequestError(
                    "split walks whole listings: remove max_pages, or remove split"
                )
            if cluster is not None or len(clients) > 1:
                raise InvalidRequestError("split needs a single account and no cluster")
            self._listings = SplittableListings(listings)
        self._path = journal
        self._refresh = refresh
        self._older_than = older_than
        self._first_pages = first_pages
        self._max_pages = 1 if first_pages else max_pages
        self._lookahead = lookahead
        self._most_rejects = most_rejects
        self._guard = guard
        self._host = host or self._engine.host
        # As long as for an API that does not answer.
        seconds = max(client.core.session.outages.breaker.wait for client in clients)
        self._trouble_wait = TroubleWait(seconds, on_begin=self._on_trouble)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._journal: Journal | None = None
        self._recorder: Recorder | None = None
        self._driver: Driver | None = None
        self._tally = RunTally()
        self._result = HarvestResult(run=0, tally=self._tally, visits=frozenset())
        self._started_at = time.monotonic()
        self._stopped_by: StoppedBy | None = None
        self._error: TMAPIError | None = None

    @property
    def engine(self) -> Engine:
        """Engine that sends the requests: one client, several accounts, or a cluster's workers."""
        return self._engine

    async def run(self) -> HarvestResult:
        """Walk all listings that are not finished.

        Returns:
            The result. It reports failed listings, a spent budget or balance, a refused token,
            `stop` and a disk that stays full; none of these raises. All committed pages are safe,
            and another harvest with the same journal continues.

        Raises:
            JournalError: The journal cannot be used; nothing was sent.
            ClosedError: `run` was called before, or the client is not open.
        """
        if self._journal is not None:
            raise ClosedError("a harvest runs only once: create another Harvest to continue")
        self._started_at = time.monotonic()
        self._loop = asyncio.get_running_loop()
        path = Path(self._path)
        journal = await self._trouble_wait.run(path, lambda: Journal.open(path))
        self._journal = journal
        try:
            plan = journal.plan(
                self._listings,
                refresh=self._refresh,
                max_pages=self._max_pages,
                split=self._split is not None,
                renew_before=None if self._older_than is None else time.time() - self._older_than,
            )
            self._tally = plan.tally
            self._warn_of_other_host(plan)
            self._warn_of_failed_listings(plan)
            self._warn_of_unfinished_run(plan)
            visits = frozenset(plan.finished)
            self._result = HarvestResult(run=plan.run, tally=plan.tally, visits=visits)
            if not plan.done and self._stopped_by is None:
                await self._work(journal, plan)
        except asyncio.CancelledError:
            self._stopped_by = self._stopped_by or "signal"
            self._trouble_wait.stop()
            raise
        finally:
            await self._close(journal)
        return self.result()

    def stop(self) -> None:
        """Send no more requests. `run` ends when the pages on the wire, paid for, are committed.

        To end at once, cancel the task of `run`. Pages that are there already are still committed.
        """
        self._stopped_by = self._stopped_by or "signal"
        if self._driver is not None:
            self._driver.stop()
        else:
            self._trouble_wait.stop()  # nothing was sent: there is nothing to save

    def result(self) -> HarvestResult:
        """Return the result so far: the value of `run`, also after `run` was cancelled."""
        counts, recorder = self._request_counts(), self._recorder
        return msgspec.structs.replace(
            self._result,
            tally=msgspec.structs.replace(self._tally),
            pages=recorder.pages if recorder else 0,
            requests=counts.requests,
            retries=counts.retries,
            wasted=counts.wasted,
            second_looks=recorder.second_looks if recorder else 0,
            codes=counts.codes,
            unreached=counts.unreached,
            waited=round(counts.waited, 3),
            seconds=time.monotonic() - self._started_at,
            stopped_by=self._stopped_by,
            error=self._error,
            reconciliations=recorder.reconciliations if recorder else (),
        )

    def progress(self) -> HarvestProgress:
        """Return a snapshot of the progress."""
        now = time.monotonic()
        counts, gates = self._request_counts(), self._engine.gate_totals()
        recorder, trouble = self._recorder, self._trouble_wait.trouble
        rate, eta = (0.0, None) if recorder is None else recorder.forecast(now)
        return HarvestProgress(
            tally=msgspec.structs.replace(self._tally),
            open=recorder.open_listings if recorder else 0,
            pages=recorder.pages if recorder else 0,
            failed_pages=recorder.failed_pages if recorder else 0,
            requests=counts.requests,
            budget=gates.budget,
            retries=counts.retries,
            wasted=counts.wasted,
            codes=counts.codes,
            unreached=counts.unreached,
            width=gates.width,
            in_flight=gates.in_flight,
            waiting=self._journal.waiting if self._journal is not None else 0,
            seconds=now - self._started_at,
            rate=rate,
            eta=None if eta is None else eta.mean,
            eta_range=None if eta is None else (eta.low, eta.high),
            stopping=self._stopped_by is not None,
            waiting_for=trouble.meaning if trouble is not None else None,
            outage=gates.outage,
        )

    def __repr__(self) -> str:
        return f"<Harvest into {self._path}: {self._tally.left} of {self._tally.listings} left>"

    def _warn_of_other_host(self, plan: Plan) -> None:
        if plan.host not in (None, self._host) and not plan.done:
            message = (
                "the pages in the journal are from %s, new pages are from %s: check the base URL"
            )
            log.warning(message, plan.host, self._host)

    def _warn_of_failed_listings(self, plan: Plan) -> None:
        number = plan.failed_again
        if number:
            which = quantity(number, "listing has", "listings have")
            anew = "all listings" if self._refresh else "it" if number == 1 else "them"
            log.warning("%s failed again: a new run begins, which reads %s anew", which, anew)

    def _warn_of_unfinished_run(self, plan: Plan) -> None:
        if self._refresh and not plan.new_run:
            message = (
                "run %s is not finished: it is continued, and no new run begins; refresh again "
                "when it is complete"
            )
            log.warning(message, plan.run)

    def _recorder_kind(self) -> Callable[..., Recorder]:
        if self._first_pages:
            return FirstPageRecorder
        return Recorder if self._split is None else partial(SplitRecorder, split=self._split)

    async def _work(self, journal: Journal, plan: Plan) -> None:
        recorder = self._recorder = self._recorder_kind()(
            journal,
            plan,
            max_pages=self._max_pages,
            most_rejects=self._most_rejects,
            fail=self._fail_soon,
            broken=self._on_broken,
        )
        # Before the start is recorded, because this raises if the client is not open.
        driver = self._driver = self._engine.create_driver(
            recorder, journal, lookahead=self._lookahead, guard=self._guard
        )
        begin = partial(
            journal.begin,
            plan,
            host=self._host,
            version=version("tmapi-async"),
            counts=self._request_counts,
            width=lambda: self._engine.gate_totals().width,
            on_durable=self._on_durable,
            trouble_wait=self._trouble_wait,
        )
        start = await self._trouble_wait.run(journal.path, begin)
        recorder.begin(start)
        visits = self._result.visits.union(start.visits.ids())
        self._result = HarvestResult(run=start.run, start=start.id, tally=plan.tally, visits=visits)
        try:
            await driver.run()
        except TMAPIError as error:
            # Failed listings are in the journal. An error that halts goes into the result.
            if error.halts:
                self._set_error(error)
        finally:
            await driver.close()
        recorder.count_unreached()

    async def _close(self, journal: Journal) -> None:
        if self._stopped_by == "signal" and not self._tally.left:
            self._stopped_by = None  # every listing had ended before
        try:
            await journal.close(self._stopped_by)
        except JournalError as error:
            self._set_error(error)
        # A file that took the journal's place says nothing about this harvest.
        if isinstance(self._error, JournalError) and not isinstance(self._error, MovedJournalError):
            self._recount(journal)

    def _recount(self, journal: Journal) -> None:
        """Count what the file holds: some of the submitted pages did not get there."""
        visits = {*self._result.visits}
        try:
            with JournalReader(journal.path) as reader:
                stored_visits = [visit for visit in reader.listings() if visit.id in visits]
        except JournalError:
            return  # the counts so far are the best that are known
        tally = RunTally()
        for visit in stored_visits:
            tally.add_visit(visit)
        tally.listings = self._tally.listings
        self._tally = tally

    def _request_counts(self) -> RequestCounts:
        return RequestCounts() if self._driver is None else self._engine.request_counts()

    def _fail_soon(self, listing: Listing, error: TMAPIError) -> None:
        if self._driver is not None:
            # Not during this call: the crawler is in the middle of a page.
            asyncio.get_running_loop().call_soon(self._driver.fail, listing, error)

    def _on_durable(self) -> None:
        journal, driver = self._journal, self._driver
        if journal is not None and journal.error is not None:
            self._on_broken(journal.error)
        elif driver is not None:
            driver.pump()

    def _on_trouble(self) -> None:
        """Request nothing while the journal can take nothing. Called in any thread."""

        def recall() -> None:
            if self._driver is not None and self._trouble_wait.trouble is not None:
                self._driver.recall()

        if self._loop is not None:
            self._loop.call_soon_threadsafe(recall)

    def _on_broken(self, error: JournalError) -> None:
        self._set_error(error)
        if self._driver is not None:
            self._driver.stop()

    def _set_error(self, error: TMAPIError) -> None:
        if self._error is None:
            # The progress of an error counts the crawl alone; the result counts all listings.
            error.progress = None
            self._error = error
            names = (name for kind, name in _STOPPED_BY if isinstance(error, kind))
            self._stopped_by = next(names, self._stopped_by)
