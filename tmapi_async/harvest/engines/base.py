"""Protocols of engines: one client, several accounts, or the workers of a cluster.

The harvest knows only these two protocols. A driver passes every page, failure and outcome to the
recorder, in this process and in one thread, because the journal has one writer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.client.client import TMAPI
from tmapi_async.client.inputs import Lookahead
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.errors import TMAPIError
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.outage_queue import OutageReport


class GateTotals(msgspec.Struct, frozen=True, gc=False):
    """Sums over the gates of all accounts.

    Attributes:
        width: Number of slots.
        in_flight: Slots in use.
        budget: Maximum number of requests of all accounts together, or None.
        outage: Report of the present outage, or None while the API answers any account.
    """

    width: int = 0
    in_flight: int = 0
    budget: int | None = None
    outage: OutageReport | None = None


class Driver(Protocol):
    """Walks the listings of a recorder.

    [`Crawler`][tmapi_async.crawl.crawler.Crawler] implements this protocol.
    """

    async def run(self) -> None:
        """Work until all listings have ended, or until `stop` is called.

        Raises:
            TMAPIError: The error that ended the walk, if its `halts` is true; otherwise only
                listings failed.
        """
        ...

    def stop(self) -> None:
        """Send no more requests. Pages on the wire are still passed to the recorder."""
        ...

    async def close(self) -> None:
        """End every task at once."""
        ...

    def fail(self, listing: Listing, error: TMAPIError) -> None:
        """End a listing as failed. Do nothing if it has ended."""
        ...

    def recall(self) -> None:
        """Take back every request that is not on the wire, until `pump` is called.

        Called when the journal cannot take pages for a while. The recorder then leaves no room.
        """
        ...

    def pump(self) -> None:
        """Send more requests if there is room. Called when fewer pages await their commit."""
        ...


class Engine(Protocol):
    """Creates the driver of one harvest, and reports its counts."""

    @property
    def host(self) -> str:
        """Host and port of the API."""
        ...

    def create_driver(
        self,
        recorder: Recorder,
        journal: Journal,
        *,
        lookahead: Lookahead | None,
        guard: GuardPolicy | None,
    ) -> Driver:
        """Return the driver that walks the recorder's listings. Call this method once.

        Args:
            recorder: Source of the listings, and sink of the results.
            journal: The journal that the recorder writes to.
            lookahead: Look-ahead of the harvest; None takes that of each client.
            guard: Rule for endless listings; None takes that of each client.
        """
        ...

    def gate_totals(self) -> GateTotals:
        """Return the sums over the gates now."""
        ...

    def request_counts(self) -> RequestCounts:
        """Return the requests counted by the driver so far."""
        ...


def sum_gates(clients: Sequence[TMAPI]) -> GateTotals:
    """Return the sums over the gates of clients in this process."""
    statistics = [client.statistics() for client in clients]
    return GateTotals(
        sum(gate.width for gate in statistics),
        sum(gate.in_flight for gate in statistics),
        total_budget(client.gate.budget for client in clients),
        common_outage([client.core.session.outages.report() for client in clients]),
    )


def common_outage(reports: Sequence[OutageReport | None]) -> OutageReport | None:
    """Return the report of the outage that began first, if the API answers nobody."""
    outages = [report for report in reports if report is not None]
    if not outages or len(outages) < len(reports):
        return None
    return min(outages, key=lambda outage: outage.since)


def total_budget(budgets: Iterable[Budget]) -> int | None:
    """Return the sum of the budgets, or None without a limit. A shared budget counts once."""
    limits = [budget.most for budget in {id(budget): budget for budget in budgets}.values()]
    return None if None in limits else sum(limit for limit in limits if limit is not None)
