"""An account as the coordinator keeps it: what is learned, and what is dealt to its seats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tmapi_async.client.client import TMAPI
from tmapi_async.errors import TMAPIError
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.event_merge import EventReplay
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.limits.abandoned import AbandonedRequests
from tmapi_async.transport.credentials import account_digest

from .budget_allocator import BudgetAllocator
from .slot_allocator import SlotAllocator

LEASE = 30.0
"""Seconds that a seat goes on after what the coordinator last heard of it."""


class ClusterAccount:
    """One account: its controller is the client's own, fed by what the seats report.

    Args:
        number: From 0.
        api: The account's client.
        purse: Its budget, perhaps shared with others; or None.

    Attributes:
        settings: How its seats reach the API.
        stopped: What stopped it, or None.
    """

    def __init__(self, number: int, api: TMAPI, budget_allocator: BudgetAllocator | None) -> None:
        self.number = number
        self.api = api
        self.budget_allocator = budget_allocator
        self.settings = api.settings
        self.stopped: TMAPIError | None = None
        limiter = api.gate.rate_limiter
        self._controller = api.gate.controller
        self._slot_allocator = SlotAllocator(limiter.rate if limiter is not None else None)
        self._abandoned = AbandonedRequests()
        self._replay = EventReplay(self._controller, self._abandoned.answered)
        self._dealt_at = -1
        self._unconfirmed = False

    @property
    def width(self) -> int:
        """Slots, were the gate not closed for a moment."""
        return self._controller.statistics().width

    def slots(self, name: str) -> int:
        """Slots of a seat's share."""
        return self._slot_allocator.slots(name)

    def open_width(self, now: float) -> int:
        """Slots open now."""
        return self._controller.width(now)

    def session_request(
        self, session: str, token_source: TokenSource | None
    ) -> tuple[protocol.SessionRequest, str | None]:
        """What to say to a worker that is to take a seat, and the token if it has to be sent."""
        token = self.api.reveal_token()
        paced = self.api.gate.rate_limiter is not None
        session_request = protocol.SessionRequest(
            session, self.number, account_digest(token), token_source, self.settings, paced, LEASE
        )
        return session_request, token if token_source is None else None

    def join(self, name: str, abandoned_slots: int) -> None:
        """A seat is taken; earlier ones of its worker left `abandoned_slots` at the server."""
        self._slot_allocator.join(name, abandoned_slots)
        if self.budget_allocator is not None:
            self.budget_allocator.join(name)

    def leave(self, name: str, now: float, *, in_use: int | None) -> None:
        """A seat is gone.

        Args:
            name: The seat.
            now: Clock time.
            in_use: Slots it had left when it said good-bye; None if it was lost.
        """
        self._slot_allocator.leave(name, self._abandoned.done_at(now, now), in_use=in_use)
        self._replay.forget(name)
        if self.budget_allocator is not None:
            self.budget_allocator.leave(name, lost=in_use is None)

    def apply_report(
        self, name: str, report: protocol.SessionReport, offset: float, now: float
    ) -> None:
        """Take in a seat's report."""
        self._replay.report(
            name, report.events, offset=offset, clock=report.clock, busy=report.at_server
        )
        self._replay.play(now)
        self._slot_allocator.confirm(name, report.epoch, report.in_use)
        if self.budget_allocator is not None and report.allowed is not None:
            self.budget_allocator.note(name, report.epoch, report.spent, report.allowed)

    def needs_allocation(self, now: float) -> bool:
        """Whether to deal at once, and not at the next tick."""
        return self._unconfirmed or self._controller.width(now) != self._dealt_at

    def allocate(self, now: float, demand: Mapping[str, int]) -> dict[str, protocol.SlotShare]:
        """Deal anew.

        Args:
            now: Clock time.
            demand: Seat to the slots it is certain to use.

        Returns:
            Shares to tell.
        """
        self._replay.play(now)
        self._slot_allocator.expire(now)
        self._dealt_at = self._controller.width(now)
        shares = self._slot_allocator.allocate(self._dealt_at, demand)
        if self.budget_allocator is not None:
            shares = self._with_budget(self.budget_allocator, shares, demand)
        self._unconfirmed = self._slot_allocator.unconfirmed
        return shares

    def _with_budget(
        self,
        budget_allocator: BudgetAllocator,
        shares: dict[str, protocol.SlotShare],
        demand: Mapping[str, int],
    ) -> dict[str, protocol.SlotShare]:
        hungry = {name for name, want in demand.items() if want}
        changed = {name for name in hungry if budget_allocator.top_up(name)}
        changed.update(budget_allocator.reclaim(hungry) if not changed else ())
        for name in changed - shares.keys():
            if name in demand:
                shares[name] = self._slot_allocator.again(name)
        for name, share in shares.items():
            budget_allocator.told(name, share.epoch)
            shares[name] = msgspec.structs.replace(share, allowed=budget_allocator.allowed(name))
        return shares


def make_accounts(clients: Iterable[TMAPI]) -> list[ClusterAccount]:
    """The accounts of some clients; those that share a budget share a purse."""
    allocators: dict[int, BudgetAllocator] = {}
    accounts = []
    for number, api in enumerate(clients):
        budget = api.gate.budget
        budget_allocator = None
        if budget.left is not None:
            budget_allocator = allocators.setdefault(id(budget), BudgetAllocator(budget.left))
        accounts.append(ClusterAccount(number, api, budget_allocator))
    return accounts


def settle_budgets(accounts: Iterable[ClusterAccount]) -> None:
    """Note in the clients' own budgets what their seats have spent."""
    allocators = {
        id(one.budget_allocator): one for one in accounts if one.budget_allocator is not None
    }
    for account in allocators.values():
        if account.budget_allocator is not None:
            account.api.gate.budget.spent += account.budget_allocator.spent
