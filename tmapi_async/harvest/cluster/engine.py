"""Engine that runs a harvest with the workers of a cluster."""

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
from tmapi_async.harvest.engines.base import Driver, GateTotals, common_outage, total_budget
from tmapi_async.harvest.engines.multi import same_host
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal

from .token_source import TokenSource

GATHER = 0.02
"""Seconds for which the pages of several sessions gather for one commit: far less than a reply
takes. Each message would otherwise be a commit of its own, which costs as much as many pages."""


class ClusterEngine:
    """Engine whose requests are sent by the workers of a cluster.

    Args:
        clients: One client for each account. They hold the settings, and send nothing.
        cluster: A `distributed.Client`, or a scheduler's address.
        token_source: Place where workers find the tokens; None sends them.

    Attributes:
        accounts: Accounts of the harvest, in the order of the clients.
        coordinator: Driver of the harvest, or None before `create_driver`.

    Raises:
        InvalidRequestError: An argument makes no sense.
    """

    def __init__(
        self, clients: Sequence[TMAPI], cluster: object, token_source: TokenSource | None
    ) -> None:
        self.host = same_host(clients)
        if not all(client.portable for client in clients):
            raise InvalidRequestError(
                "a client with its own connector or observer cannot be sent to workers; make the "
                "client without them"
            )
        self._address, self._security = scheduler_address(cluster)
        self._clients = clients
        self._token_source = token_source
        self.accounts = make_accounts(clients)
        self.coordinator: Coordinator | None = None

    def create_driver(
        self,
        recorder: Recorder,
        journal: Journal,
        *,
        lookahead: Lookahead | None,
        guard: GuardPolicy | None,
    ) -> Driver:
        """Return a coordinator of the cluster's workers."""
        journal.gather = GATHER
        for account in self.accounts:
            account.settings = _override(account.settings, lookahead, guard)
        self.coordinator = Coordinator(
            self._address,
            self._security,
            accounts=self.accounts,
            token_source=self._token_source,
            recorder=recorder,
            journal=journal,
        )
        return self.coordinator

    def gate_totals(self) -> GateTotals:
        """Return the open width and the slots in use now, over all accounts and workers."""
        now, coordinator = time.monotonic(), self.coordinator
        channels = [*coordinator.channels.values()] if coordinator is not None else []
        return GateTotals(
            sum(account.limits.controller.width(now) for account in self.accounts),
            sum(channel.in_use for channel in channels),
            total_budget(client.gate.budget for client in self._clients),
            common_outage([channel.outage for channel in channels]),
        )

    def request_counts(self) -> RequestCounts:
        """Return the requests reported by all sessions so far."""
        coordinator = self.coordinator
        if coordinator is None:
            return RequestCounts()
        return coordinator.ended_counts + RequestCounts.total(
            channel.counts for channel in coordinator.channels.values()
        )


def _override(
    settings: ClientSettings, lookahead: Lookahead | None, guard: GuardPolicy | None
) -> ClientSettings:
    """Return the settings of a client, with the options of the harvest in their place."""
    return msgspec.structs.replace(
        settings,
        lookahead=settings.lookahead if lookahead is None else read_lookahead(lookahead),
        guard=guard or settings.guard,
    )
