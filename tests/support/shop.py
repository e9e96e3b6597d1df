"""An API in memory, with a ceiling, and a driver that does what a planner says."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from typing import Literal

from tmapi_async.api.listings import Listing
from tmapi_async.crawl.splitting import Observation, SplitPlanner, SplitQuery

ROOT = Listing("category/items/v2", (("cat_id", "1031910"),))


@dataclass(frozen=True)
class Product:
    """What the API has of one product."""

    id: int
    price: Decimal | None
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shop:
    """Answers listings as the API does; every undocumented trait is a field."""

    products: Sequence[Product]
    ceiling: int = 2000
    size: int = 20
    flags: tuple[str, ...] = ()
    start_inclusive: bool = True
    end_inclusive: bool = True
    false_filters: bool = True
    ties: Literal["reversed", "same"] = "reversed"
    hides_unpriced: bool = True
    filters_prices: bool = True
    _results: dict[Listing, list[Product]] = field(default_factory=dict)

    def page(self, listing: Listing, number: int) -> Observation:
        """One page of a listing."""
        found = self._found(listing)
        shown = found[: self.ceiling]
        rows = shown[(number - 1) * self.size : number * self.size]
        return Observation(
            number=number,
            total=min(len(found), self.ceiling),
            rows=tuple((one.id, one.price) for one in rows),
            has_next=number * self.size < len(shown),
            page_size=self.size,
        )

    def _found(self, listing: Listing) -> list[Product]:
        if listing not in self._results:
            params = dict(listing.params)
            found = [one for one in self.products if self._matches(one, params)]
            self._results[listing] = self._ordered(found, params.get("sort"))
        return self._results[listing]

    def _matches(self, one: Product, params: Mapping[str, str]) -> bool:
        for flag in self.flags:
            if params.get(flag) == "true" and flag not in one.flags:
                return False
            if params.get(flag) == "false" and self.false_filters and flag in one.flags:
                return False
        start, end = params.get("price_start"), params.get("price_end")
        if not self.filters_prices or (start is None and end is None):
            return True
        if one.price is None:
            return not self.hides_unpriced
        return self._inside(one.price, start, end)

    def _inside(self, price: Decimal, start: str | None, end: str | None) -> bool:
        low, high = Decimal(start or "-1"), Decimal(end or "inf")
        above = price >= low if self.start_inclusive else price > low
        return above and (price <= high if self.end_inclusive else price < high)

    def _ordered(self, found: list[Product], sort: str | None) -> list[Product]:
        if sort is None:
            return sorted(found, key=lambda one: _shuffled(one.id, 1))
        rising = sorted(found, key=lambda one: (one.price or Decimal(0), _shuffled(one.id, 2)))
        if sort == "price_up":
            return rising
        if self.ties == "reversed":
            return rising[::-1]
        return sorted(rising, key=lambda one: one.price or Decimal(0), reverse=True)

    def showable(self) -> set[int]:
        """Every product that some listing shows: one price, any filters, both orders of prices.

        An exact price can be had for any meaning of the bounds, if prices are whole cents.
        """
        shown: set[int] = set()
        by_price: dict[Decimal | None, list[Product]] = {}
        for one in self.products:
            by_price.setdefault(one.price, []).append(one)
        for group in by_price.values():
            for setting in product((None, "true", "false"), repeat=len(self.flags)):
                params = {f: s for f, s in zip(self.flags, setting, strict=True) if s}
                found = [one for one in group if self._matches(one, params)]
                for sort in ("price_up", "price_down"):
                    shown.update(one.id for one in self._ordered(found, sort)[: self.ceiling])
        return shown


def _shuffled(number: int, order: int) -> int:
    return number * (2654435761 + 2 * order) % 2**32


class BudgetSpentError(Exception):
    """The driver may not ask for more."""


@dataclass
class Driver:
    """Does what a family says, in an order chosen at random, and keeps what it was answered."""

    shop: Shop
    seed: int = 0
    budget: int | None = None
    held: dict[tuple[Listing, int], Observation] = field(default_factory=dict)
    requests: int = 0
    found: set[int] = field(default_factory=set)
    asked: list[tuple[Listing, int]] = field(default_factory=list)

    def run(self, family: SplitPlanner) -> SplitPlanner:
        """Until the family has nothing left to do, or the budget is spent."""
        chance = random.Random(self.seed)  # noqa: S311 - no secrets
        steps = deque(family.begin())
        todo: list[tuple[Listing, int]] = []
        while steps or todo:
            if steps:
                step = steps.popleft()
                if step.do == "open":
                    held = sorted(n for part, n in self.held if part == step.listing)
                    for number in held:  # all that is known of it is shown at once
                        steps += family.page(step.listing, self.held[step.listing, number])
                    if not held:
                        todo.append((step.listing, 1))
                elif step.do == "walk":
                    last = max(n for part, n in self.held if part == step.listing)
                    steps += self._go_on(family, step.listing, last, todo)
                continue
            listing, number = todo.pop(chance.randrange(len(todo)))
            sight = self._ask(listing, number)
            self.found |= sight.ids
            steps += family.page(listing, sight)
            if number > 1:
                steps += self._go_on(family, listing, number, todo)
        return family

    def _go_on(
        self, family: SplitPlanner, listing: Listing, number: int, todo: list[tuple[Listing, int]]
    ) -> Sequence[SplitQuery]:
        if self.held[listing, number].has_next:
            todo.append((listing, number + 1))
            return ()
        return family.ended(listing, "complete")

    def _ask(self, listing: Listing, number: int) -> Observation:
        if (listing, number) not in self.held:
            if self.budget is not None and self.requests >= self.budget:
                raise BudgetSpentError
            self.requests += 1
            self.asked.append((listing, number))
            self.held[listing, number] = self.shop.page(listing, number)
        return self.held[listing, number]
