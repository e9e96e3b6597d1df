"""What drives a harvest: one client, several accounts, or the workers of a cluster.

The harvest knows only these two protocols. Whoever drives brings every page, failure and ending to
the keeper, in this process and in one thread: the journal has one writer.
"""

from __future__ import annotations

from collections.abc import Iterable
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


class GateTotals(msgspec.Struct, frozen=True, gc=False):
    """The gates of all accounts together.

    Attributes:
        width: Slots open now.
        in_flight: Slots taken.
        budget: Most requests in all, or None.
    """

    width: int = 0
    in_flight: int = 0
    budget: int | None = None


class Driver(Protocol):
    """Walks everything that is left to do.

    [`Crawler`][tmapi_async.crawl.crawler.Crawler] is one.
    """

    async def run(self) -> None:
        """Work until there is nothing left, or until it was stopped.

        Raises:
            TMAPIError: What ended it, if its `halts` is true; else listings failed.
        """
        ...

    def stop(self) -> None:
        """Ask for nothing more; what is on the wire is still brought."""
        ...

    async def close(self) -> None:
        """End every task at once."""
        ...

    def fail(self, listing: Listing, error: TMAPIError) -> None:
        """End a listing as failed; does nothing if it has ended."""
        ...

    def pump(self) -> None:
        """Fewer pages await their commit than before: there may be room for more."""
        ...


class Engine(Protocol):
    """Makes the driver of one harvest, and counts for it."""

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
        """Get ready to walk what the keeper opens; call it once."""
        ...

    def gate_totals(self) -> GateTotals:
        """How wide the gates stand now."""
        ...

    def request_counts(self) -> RequestCounts:
        """Return the requests counted by the driver so far."""
        ...


def sum_gates(clients: Iterable[TMAPI]) -> GateTotals:
    """The gates of clients that ask for themselves."""
    known = [client.statistics() for client in clients]
    return GateTotals(
        sum(gate.width for gate in known),
        sum(gate.in_flight for gate in known),
        total_budget(client.gate.budget for client in clients),
    )


def total_budget(budgets: Iterable[Budget]) -> int | None:
    """Most requests in all, or None without a limit; a budget that is shared counts once."""
    limits = [budget.most for budget in {id(budget): budget for budget in budgets}.values()]
    return None if None in limits else sum(most for most in limits if most is not None)
