"""Account in the coordinator: its controller, and the limits divided among its sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tmapi_async.client.client import TMAPI
from tmapi_async.errors import TMAPIError
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.limits.shares.shared_account import SharedAccount
from tmapi_async.limits.shares.slot_share import SlotShare
from tmapi_async.transport.credentials import account_digest

from .budget_allocator import BudgetAllocator

LEASE = 30.0
"""Seconds for which a session may send requests after the last report that the coordinator read."""


class ClusterAccount:
    """Limits of one account. The client's own controller learns from the sessions' reports.

    Args:
        number: Number of the account, from 0.
        api: Client of the account.
        budget: Budget of the account, perhaps shared with other accounts; or None.

    Attributes:
        limits: Slots and rate, divided among the sessions.
        settings: Settings with which the sessions reach the API.
        stopped: Error that stopped the account, or None.
    """

    def __init__(self, number: int, api: TMAPI, budget: BudgetAllocator | None) -> None:
        self.number = number
        self.api = api
        self.budget = budget
        self.settings = api.settings
        self.stopped: TMAPIError | None = None
        self.limits = self._make_limits()

    async def begin(self) -> None:
        """Keep the client's gate apart from other processes: its slots are the sessions' now."""
        await self.api.core.stay_apart()
        self.limits = self._make_limits()

    def _make_limits(self) -> SharedAccount:
        gate = self.api.gate
        return SharedAccount(
            gate.controller, None if gate.rate_limiter is None else gate.rate_limiter.rate
        )

    def slots(self, name: str) -> int:
        """Return the number of slots in a session's share."""
        return self.limits.allocator.slots(name)

    def session_request(
        self, session: str, token_source: TokenSource | None
    ) -> tuple[protocol.SessionRequest, protocol.TokenMessage | None]:
        """Return the request for a new session, and the token if it has to be sent."""
        message = protocol.TokenMessage(self.api.reveal_token())
        request = protocol.SessionRequest(
            session,
            self.number,
            account_digest(message.token),
            token_source,
            self.settings,
            self.api.gate.rate_limiter is not None,
            LEASE,
        )
        return request, message if token_source is None else None

    def add_session(self, name: str, abandoned_slots: int) -> None:
        """Register a session.

        Args:
            name: Name of the session.
            abandoned_slots: Slots that earlier sessions of its worker left busy at the server.
        """
        self.limits.allocator.add_holder(name, abandoned_slots)
        if self.budget is not None:
            self.budget.add_session(name)

    def remove_session(self, name: str, now: float, *, in_use: int | None) -> None:
        """Remove a session.

        Args:
            name: Name of the session.
            now: Clock time.
            in_use: Slots that it had in use when it ended in order; None if it was lost.
        """
        self.limits.remove_holder(name, now, in_use=in_use)
        if self.budget is not None:
            self.budget.remove_session(name, lost=in_use is None)

    def apply_report(
        self, name: str, report: protocol.SessionReport, offset: float, now: float
    ) -> None:
        """Replay the events of a session's report, and note the shares that it confirms.

        Args:
            name: Name of the session.
            report: The report.
            offset: Seconds to add to the session's clock to get the coordinator's.
            now: Clock time.
        """
        self.limits.apply_events(
            name,
            report.events,
            offset=offset,
            clock=report.clock,
            at_server=report.at_server,
            now=now,
        )
        self.limits.allocator.confirm(name, report.epoch, report.in_use)
        if self.budget is not None and report.allowed is not None:
            self.budget.confirm(name, report.epoch, report.spent, report.allowed)

    def allocate(self, now: float, demand: Mapping[str, int]) -> dict[str, SlotShare]:
        """Divide slots, rate and budget anew.

        Args:
            now: Clock time.
            demand: Name of each session to the slots that it is certain to use.

        Returns:
            The shares to send, by session.
        """
        shares = self.limits.allocate(now, demand)
        if self.budget is not None:
            shares = self._add_budget_to(self.budget, shares, demand)
        return shares

    def _add_budget_to(
        self,
        budget: BudgetAllocator,
        shares: dict[str, SlotShare],
        demand: Mapping[str, int],
    ) -> dict[str, SlotShare]:
        busy = {name for name, slots in demand.items() if slots}
        changed = {name for name in busy if budget.top_up(name)}
        changed.update(budget.reclaim(busy) if not changed else ())
        for name in changed - shares.keys():
            if name in demand:
                shares[name] = self.limits.allocator.repeat(name)
        for name, share in shares.items():
            budget.mark_sent(name, share.epoch)
            shares[name] = msgspec.structs.replace(share, allowed=budget.allowed(name))
        return shares


def make_accounts(clients: Iterable[TMAPI]) -> list[ClusterAccount]:
    """Return the accounts of some clients. Clients that share a budget share an allocator."""
    allocators: dict[int, BudgetAllocator] = {}
    accounts = []
    for number, api in enumerate(clients):
        client_budget, budget = api.gate.budget, None
        if client_budget.left is not None:
            budget = allocators.setdefault(id(client_budget), BudgetAllocator(client_budget.left))
        accounts.append(ClusterAccount(number, api, budget))
    return accounts


def settle_budgets(accounts: Iterable[ClusterAccount]) -> None:
    """Add the attempts of all sessions to the clients' own budgets; a shared one only once."""
    owners = {id(account.budget): account for account in accounts if account.budget is not None}
    for account in owners.values():
        if account.budget is not None:
            account.api.gate.budget.spent += account.budget.spent
