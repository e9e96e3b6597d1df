"""The workers of a cluster as what drives a harvest."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.client.client import TMAPI
from tmapi_async.client.inputs import Lookahead, read_lookahead
from tmapi_async.client.settings import ClientSettings
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.errors import InvalidRequestError
from tmapi_async.harvest.cluster.coordinator.account import make_accounts
from tmapi_async.harvest.cluster.coordinator.connections import scheduler_address
from tmapi_async.harvest.cluster.coordinator.coordinator import Coordinator
from tmapi_async.harvest.engines.base import Driver, GateTotals, total_budget
from tmapi_async.harvest.engines.multi import same_host
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal

from .token_source import TokenSource


class ClusterEngine:
    """A cluster, as an engine.

    Args:
        clients: One for each account; they say how the API is reached, and send nothing.
        cluster: A `distributed.Client`, or a scheduler's address.
        place: Where workers find the tokens; None sends them.

    Raises:
        InvalidRequestError: Something of it makes no sense.
    """

    def __init__(
        self, clients: Sequence[TMAPI], cluster: object, token_source: TokenSource | None
    ) -> None:
        self.host = same_host(clients)
        if not all(client.portable for client in clients):
            raise InvalidRequestError(
                "a connector or an observer of yours cannot be sent to workers"
            )
        self._address, self._security = scheduler_address(cluster)
        self._clients = clients
        self._token_source = token_source
        self._accounts = make_accounts(clients)
        self._coordinator: Coordinator | None = None

    def create_driver(
        self,
        recorder: Recorder,
        journal: Journal,
        *,
        lookahead: Lookahead | None,
        guard: GuardPolicy | None,
    ) -> Driver:
        """A coordinator of the cluster's workers."""
        for account in self._accounts:
            account.settings = _with(account.settings, lookahead, guard)
        self._coordinator = Coordinator(
            self._address,
            self._security,
            accounts=self._accounts,
            token_source=self._token_source,
            recorder=recorder,
            journal=journal,
        )
        return self._coordinator

    def gate_totals(self) -> GateTotals:
        """How wide the accounts' gates stand now, over all workers."""
        now, driver = time.monotonic(), self._coordinator
        return GateTotals(
            sum(account.open_width(now) for account in self._accounts),
            sum(channel.in_use for channel in driver.channels.values()) if driver else 0,
            total_budget(client.gate.budget for client in self._clients),
        )

    def request_counts(self) -> RequestCounts:
        """Return the requests reported by all sessions so far."""
        driver = self._coordinator
        if driver is None:
            return RequestCounts()
        return driver.ended_counts + RequestCounts.total(
            channel.counts for channel in driver.channels.values()
        )


def _with(
    settings: ClientSettings, lookahead: Lookahead | None, guard: GuardPolicy | None
) -> ClientSettings:
    """A client's settings, with what the harvest has of its own."""
    return msgspec.structs.replace(
        settings,
        lookahead=settings.lookahead if lookahead is None else read_lookahead(lookahead),
        guard=guard or settings.guard,
    )
