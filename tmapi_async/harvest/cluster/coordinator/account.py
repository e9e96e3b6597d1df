"""An account as the coordinator keeps it: what is learned, and what is dealt to its seats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tmapi_async.client.client import TMAPI
from tmapi_async.errors import TMAPIError
from tmapi_async.harvest.cluster import protocol as say
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

    def __init__(self, number: int, api: TMAPI, purse: BudgetAllocator | None) -> None:
        self.number = number
        self.api = api
        self.purse = purse
        self.settings = api.settings
        self.stopped: TMAPIError | None = None
        limiter = api.gate.rate_limiter
        self._controller = api.gate.controller
        self._dealer = SlotAllocator(limiter.rate if limiter is not None else None)
        self._ghosts = AbandonedRequests()
        self._replay = EventReplay(self._controller, self._ghosts.answered)
        self._dealt_at = -1
        self._unconfirmed = False

    @property
    def width(self) -> int:
        """Slots, were the gate not closed for a moment."""
        return self._controller.statistics().width

    def slots(self, name: str) -> int:
        """Slots of a seat's share."""
        return self._dealer.slots(name)

    def open_width(self, now: float) -> int:
        """Slots open now."""
        return self._controller.width(now)

    def hello(self, seat: str, place: TokenSource | None) -> tuple[say.Hello, str | None]:
        """What to say to a worker that is to take a seat, and the token if it has to be sent."""
        token = self.api.reveal_token()
        paced = self.api.gate.rate_limiter is not None
        hello = say.Hello(
            seat, self.number, account_digest(token), place, self.settings, paced, LEASE
        )
        return hello, token if place is None else None

    def join(self, name: str, haunted: int) -> None:
        """A seat is taken; earlier ones of its worker left `haunted` slots at the server."""
        self._dealer.join(name, haunted)
        if self.purse is not None:
            self.purse.join(name)

    def leave(self, name: str, now: float, *, in_use: int | None) -> None:
        """A seat is gone.

        Args:
            name: The seat.
            now: Clock time.
            in_use: Slots it had left when it said good-bye; None if it was lost.
        """
        self._dealer.leave(name, self._ghosts.done_at(now, now), in_use=in_use)
        self._replay.forget(name)
        if self.purse is not None:
            self.purse.leave(name, lost=in_use is None)

    def take_in(self, name: str, report: say.WorkerReport, offset: float, now: float) -> None:
        """Take in a seat's report."""
        self._replay.report(
            name, report.events, offset=offset, clock=report.clock, busy=report.at_server
        )
        self._replay.play(now)
        self._dealer.confirm(name, report.epoch, report.in_use)
        if self.purse is not None and report.allowed is not None:
            self.purse.note(name, report.epoch, report.spent, report.allowed)

    def urgent(self, now: float) -> bool:
        """Whether to deal at once, and not at the next tick."""
        return self._unconfirmed or self._controller.width(now) != self._dealt_at

    def deal(self, now: float, wants: Mapping[str, int]) -> dict[str, say.SlotShare]:
        """Deal anew.

        Args:
            now: Clock time.
            wants: Seat to the slots it is certain to use.

        Returns:
            Shares to tell.
        """
        self._replay.play(now)
        self._dealer.expire(now)
        self._dealt_at = self._controller.width(now)
        shares = self._dealer.deal(self._dealt_at, wants)
        if self.purse is not None:
            shares = self._with_budget(self.purse, shares, wants)
        self._unconfirmed = self._dealer.unconfirmed
        return shares

    def _with_budget(
        self, purse: BudgetAllocator, shares: dict[str, say.SlotShare], wants: Mapping[str, int]
    ) -> dict[str, say.SlotShare]:
        hungry = {name for name, want in wants.items() if want}
        changed = {name for name in hungry if purse.top_up(name)}
        changed.update(purse.reclaim(hungry) if not changed else ())
        for name in changed - shares.keys():
            if name in wants:
                shares[name] = self._dealer.again(name)
        for name, share in shares.items():
            purse.told(name, share.epoch)
            shares[name] = msgspec.structs.replace(share, allowed=purse.allowed(name))
        return shares


def make_accounts(clients: Iterable[TMAPI]) -> list[ClusterAccount]:
    """The accounts of some clients; those that share a budget share a purse."""
    purses: dict[int, BudgetAllocator] = {}
    accounts = []
    for number, api in enumerate(clients):
        budget = api.gate.budget
        purse = None
        if budget.left is not None:
            purse = purses.setdefault(id(budget), BudgetAllocator(budget.left))
        accounts.append(ClusterAccount(number, api, purse))
    return accounts


def settle_budgets(accounts: Iterable[ClusterAccount]) -> None:
    """Note in the clients' own budgets what their seats have spent."""
    purses = {id(one.purse): one for one in accounts if one.purse is not None}
    for account in purses.values():
        if account.purse is not None:
            account.api.gate.budget.spent += account.purse.spent
