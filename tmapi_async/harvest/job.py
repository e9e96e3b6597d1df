"""The durable harvest: listings walked into a journal, and resumed where it stands."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.client.client import TMAPI
from tmapi_async.client.inputs import Lookahead, check_whole
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
    TMAPIError,
)
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.harvest.engines.base import Driver, Engine
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.plan import Plan
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.records import RunTally

from .engine_factory import make_engine
from .progress import HarvestProgress, HarvestResult, StoppedBy
from .recorder import Recorder
from .split_recorder import SplitRecorder

log = logging.getLogger("tmapi_async")

MOST_REJECTS = 0.5
"""Share of a page's rows (of at least ten) that may be rejects."""

_STOPPED_BY: tuple[tuple[type[TMAPIError], StoppedBy], ...] = (
    (AuthenticationError, "auth"),
    (BalanceError, "balance"),
    (BudgetSpentError, "budget"),
    (DiskError, "disk"),
)


class Harvest:
    """Walks listings into a journal. Run again with the same journal, it goes on where that stands.

    Args:
        api: An open client; its gate, budget and look-ahead are used. Several, each for an account
            of its own, share the listings out: one that is refused or spent stops alone.
        listings: What is asked for; repeated ones count once.
        journal: The journal's file; made if there is none.
        refresh: Make a new run if all that is asked for is finished; else the same as without.
        max_pages: Most pages of each listing, or None; a listing cut short is *capped*, and a later
            start with a higher limit goes on with it.
        lookahead: As for the client; None takes the client's.
        most_rejects: Share of a page's rows (of at least ten), from 0 to 1, that may be rejects;
            above it the listing fails: the API has changed.
        guard: When a listing counts as endless; None takes the client's.
        host: What is noted as the API's host, and warned of when it changes; None takes the
            client's host and port.
        cluster: A `distributed.Client` of yours, or the address of a scheduler
            (`"tcp://10.0.0.1:8786"`): its workers ask, this process keeps the journal.
        tokens: With `cluster`, where the workers find the tokens; None sends them.
        split: Go past the ceiling: a listing that the API cuts short is divided until every part of
            it fits; `category/items` is asked of `category/items/v2`. True, or a
            [`Split`][tmapi_async.Split]. With one account in this process alone.

    Raises:
        InvalidRequestError: An option makes no sense.
    """

    def __init__(
        self,
        api: TMAPI | Sequence[TMAPI],
        listings: Iterable[Listing],
        *,
        journal: str | Path,
        refresh: bool = False,
        max_pages: int | None = None,
        lookahead: Lookahead | None = None,
        most_rejects: float = MOST_REJECTS,
        guard: GuardPolicy | None = None,
        host: str | None = None,
        cluster: object | None = None,
        tokens: TokenSource | None = None,
        split: bool | Split = False,
    ) -> None:
        if max_pages is not None:
            check_whole("max_pages", max_pages)
        if not 0 <= most_rejects <= 1:
            raise InvalidRequestError(f"most_rejects is a share from 0 to 1, not {most_rejects!r}")
        clients = [api] if isinstance(api, TMAPI) else [*api]
        self._engine = make_engine(clients, cluster=cluster, tokens=tokens)
        self._split = read_split(split)
        self._listings = listings
        if self._split is not None:
            if max_pages is not None:
                raise InvalidRequestError("split walks all of a listing: leave out max_pages")
            if cluster is not None or len(clients) > 1:
                raise InvalidRequestError("split needs one account in this process")
            self._listings = SplittableListings(listings)
        self._path = journal
        self._refresh = refresh
        self._max_pages = max_pages
        self._lookahead = lookahead
        self._most_rejects = most_rejects
        self._guard = guard
        self._host = host or self._engine.host
        self._journal: Journal | None = None
        self._recorder: Recorder | None = None
        self._driver: Driver | None = None
        self._tally = RunTally()
        self._result = HarvestResult(run=0, tally=self._tally, visits=frozenset())
        self._began = time.monotonic()
        self._stopped_by: StoppedBy | None = None
        self._error: TMAPIError | None = None

    @property
    def engine(self) -> Engine:
        """Engine that sends the requests: one client, several accounts, or a cluster's workers."""
        return self._engine

    async def run(self) -> HarvestResult:
        """Walk all that is left to be walked.

        Returns:
            What it came to. Failed listings, a spent budget or balance, a refused token, `stop` and
            a full disk are told there, not raised: all that was committed is safe, and running the
            same again goes on.

        Raises:
            JournalError: The journal cannot be used; nothing was sent.
            ClosedError: It has run already, or the client is not open.
        """
        if self._journal is not None:
            raise ClosedError("a harvest runs once: make another one to go on")
        self._began = time.monotonic()
        journal = self._journal = Journal.open(self._path)
        try:
            plan = journal.plan(
                self._listings,
                refresh=self._refresh,
                max_pages=self._max_pages,
                split=self._split is not None,
            )
            self._tally = plan.tally
            self._warn(plan)
            visits = frozenset(plan.finished)
            self._result = HarvestResult(run=plan.run, tally=plan.tally, visits=visits)
            if not plan.done and self._stopped_by is None:
                await self._work(journal, plan)
        except asyncio.CancelledError:
            self._stopped_by = self._stopped_by or "signal"
            raise
        finally:
            await self._close(journal)
        return self.result()

    def stop(self) -> None:
        """Ask for nothing more. What is on the wire was paid for: it is committed, then `run` ends.

        To end at once, cancel the task of `run`; what was handed over is committed all the same.
        """
        self._stopped_by = self._stopped_by or "signal"
        if self._driver is not None:
            self._driver.stop()

    def result(self) -> HarvestResult:
        """What it has come to so far; what `run` returns, also after `run` was cancelled."""
        counted, recorder = self._request_counts(), self._recorder
        return msgspec.structs.replace(
            self._result,
            tally=msgspec.structs.replace(self._tally),
            pages=recorder.pages if recorder else 0,
            requests=counted.requests,
            retries=counted.retries,
            wasted=counted.wasted,
            codes=counted.codes,
            seconds=time.monotonic() - self._began,
            stopped_by=self._stopped_by,
            error=self._error,
            reconciliations=recorder.reconciliations if recorder else (),
        )

    def progress(self) -> HarvestProgress:
        """A snapshot of how far it is."""
        now = time.monotonic()
        counted, gates, recorder = (
            self._request_counts(),
            self._engine.gate_totals(),
            self._recorder,
        )
        rate, eta = (0.0, None) if recorder is None else recorder.forecast(now)
        return HarvestProgress(
            tally=msgspec.structs.replace(self._tally),
            open=recorder.open_listings if recorder else 0,
            pages=recorder.pages if recorder else 0,
            failed_pages=recorder.failed_pages if recorder else 0,
            requests=counted.requests,
            budget=gates.budget,
            retries=counted.retries,
            wasted=counted.wasted,
            codes=counted.codes,
            width=gates.width,
            in_flight=gates.in_flight,
            waiting=self._journal.waiting if self._journal is not None else 0,
            seconds=now - self._began,
            rate=rate,
            eta=eta,
            stopping=self._stopped_by is not None,
        )

    def __repr__(self) -> str:
        return f"<Harvest into {self._path}: {self._tally.left} of {self._tally.listings} left>"

    def _warn(self, plan: Plan) -> None:
        if plan.host not in (None, self._host) and not plan.done:
            message = (
                "the pages in the journal are from %s, new pages are from %s: check the base URL"
            )
            log.warning(message, plan.host, self._host)

    async def _work(self, journal: Journal, plan: Plan) -> None:
        kind = Recorder if self._split is None else partial(SplitRecorder, split=self._split)
        recorder = self._recorder = kind(
            journal,
            plan,
            max_pages=self._max_pages,
            most_rejects=self._most_rejects,
            fail=self._fail_soon,
            broken=self._broken,
        )
        # Before the start is recorded: it raises where the client is not open.
        driver = self._driver = self._engine.create_driver(
            recorder, journal, lookahead=self._lookahead, guard=self._guard
        )
        start = journal.begin(
            plan,
            host=self._host,
            version=version("tmapi-async"),
            counts=self._request_counts,
            width=lambda: self._engine.gate_totals().width,
            on_durable=self._on_durable,
        )
        recorder.begin(start)
        visits = self._result.visits.union(visit.id for visit in start.visits)
        self._result = HarvestResult(run=start.run, start=start.id, tally=plan.tally, visits=visits)
        try:
            await driver.run()  # pages go to the keeper; it returns at the end
        except TMAPIError as error:
            # Failed listings are in the journal; what halts is told in the result.
            if error.halts:
                self._ended_by(error)
        finally:
            await driver.close()
        recorder.count_unreached()

    async def _close(self, journal: Journal) -> None:
        if self._stopped_by == "signal" and not self._tally.left:
            self._stopped_by = None  # it came too late to stop anything
        try:
            await journal.close(self._stopped_by)
        except JournalError as error:
            self._ended_by(error)
        if isinstance(self._error, JournalError):
            self._count_again(journal)

    def _count_again(self, journal: Journal) -> None:
        """Tell what the file holds: some of what was handed over did not get there."""
        visits = {*self._result.visits}
        try:
            with JournalReader(journal.path) as reader:
                held = [visit for visit in reader.listings() if visit.id in visits]
        except JournalError:
            return  # then nothing better is known
        tally = RunTally(listings=sum(visit.state == "open" for visit in held))
        for visit in held:
            if visit.state == "open":
                tally.add(visit.totals)
            else:
                tally.add_ended_listing(visit.state, visit.totals)
        tally.listings = self._tally.listings
        self._tally = tally

    def _request_counts(self) -> RequestCounts:
        return RequestCounts() if self._driver is None else self._engine.request_counts()

    def _fail_soon(self, listing: Listing, error: TMAPIError) -> None:
        if self._driver is not None:
            # Not at once: the crawl is in the middle of a page.
            asyncio.get_running_loop().call_soon(self._driver.fail, listing, error)

    def _on_durable(self) -> None:
        journal, driver = self._journal, self._driver
        if journal is not None and journal.error is not None:
            self._broken(journal.error)
        elif driver is not None:
            driver.pump()

    def _broken(self, error: JournalError) -> None:
        self._ended_by(error)
        if self._driver is not None:
            self._driver.stop()

    def _ended_by(self, error: TMAPIError) -> None:
        if self._error is None:
            error.progress = None  # of the crawl alone; the result knows the whole
            self._error = error
            names = (name for kind, name in _STOPPED_BY if isinstance(error, kind))
            self._stopped_by = next(names, self._stopped_by)
