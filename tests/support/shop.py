"""An API in memory with a ceiling, and a driver that carries out the queries of a planner."""

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
    """A product in the API's database."""

    id: int
    price: Decimal | None
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shop:
    """Answers listings as the API does. Every undocumented trait is a field."""

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
        """Return one page of a listing."""
        matching = self._results_of(listing)
        shown = matching[: self.ceiling]
        rows = shown[(number - 1) * self.size : number * self.size]
        return Observation(
            number=number,
            total=min(len(matching), self.ceiling),
            rows=tuple((product.id, product.price) for product in rows),
            has_next=number * self.size < len(shown),
            page_size=self.size,
        )

    def _results_of(self, listing: Listing) -> list[Product]:
        if listing not in self._results:
            params = dict(listing.params)
            matching = [item for item in self.products if self.matches(item, params)]
            self._results[listing] = self._ordered(matching, params.get("sort"))
        return self._results[listing]

    def matches(self, item: Product, params: Mapping[str, str]) -> bool:
        """Return True if the filters let a product through."""
        for flag in self.flags:
            if params.get(flag) == "true" and flag not in item.flags:
                return False
            if params.get(flag) == "false" and self.false_filters and flag in item.flags:
                return False
        start, end = params.get("price_start"), params.get("price_end")
        if not self.filters_prices or (start is None and end is None):
            return True
        if item.price is None:
            return not self.hides_unpriced
        return self._inside(item.price, start, end)

    def _inside(self, price: Decimal, start: str | None, end: str | None) -> bool:
        low, high = Decimal(start or "-1"), Decimal(end or "inf")
        above = price >= low if self.start_inclusive else price > low
        return above and (price <= high if self.end_inclusive else price < high)

    def _ordered(self, products: list[Product], sort: str | None) -> list[Product]:
        if sort is None:
            return sorted(products, key=lambda item: _shuffled(item.id, 1))
        rising = sorted(
            products, key=lambda item: (item.price or Decimal(0), _shuffled(item.id, 2))
        )
        if sort == "price_up":
            return rising
        if self.ties == "reversed":
            return rising[::-1]
        return sorted(rising, key=lambda item: item.price or Decimal(0), reverse=True)

    def showable(self) -> set[int]:
        """Return every product that some listing of one price shows: any filters, both orders.

        If prices are whole cents, a band of one price exists for any meaning of the bounds.
        """
        shown: set[int] = set()
        by_price: dict[Decimal | None, list[Product]] = {}
        for item in self.products:
            by_price.setdefault(item.price, []).append(item)
        for group in by_price.values():
            for setting in product((None, "true", "false"), repeat=len(self.flags)):
                params = {f: s for f, s in zip(self.flags, setting, strict=True) if s}
                matching = [item for item in group if self.matches(item, params)]
                for sort in ("price_up", "price_down"):
                    ordered = self._ordered(matching, sort)[: self.ceiling]
                    shown.update(item.id for item in ordered)
        return shown


def _shuffled(number: int, order: int) -> int:
    return number * (2654435761 + 2 * order) % 2**32


class BudgetSpentError(Exception):
    """The budget of the driver is spent."""


@dataclass
class PlannerDriver:
    """Carries out the queries of a planner in random order, and keeps the answers.

    `ahead` is the probability that a page in rising order of prices goes before all others.
    """

    shop: Shop
    seed: int = 0
    budget: int | None = None
    ahead: float = 0.0
    answers: dict[tuple[Listing, int], Observation] = field(default_factory=dict)
    requests: int = 0
    items: set[int] = field(default_factory=set)
    sent: list[tuple[Listing, int]] = field(default_factory=list)

    def run(self, planner: SplitPlanner) -> SplitPlanner:
        """Run until no query is left, or the budget is spent."""
        chance = random.Random(self.seed)  # noqa: S311 - no secrets
        queries = deque(planner.begin())
        todo: list[tuple[Listing, int]] = []
        while queries or todo:
            if queries:
                query = queries.popleft()
                if query.action == "open":
                    stored = sorted(n for part, n in self.answers if part == query.listing)
                    for number in stored:  # all stored pages are given at once
                        page = self.answers[query.listing, number]
                        queries += planner.page(query.listing, page)
                    if not stored:
                        todo.append((query.listing, 1))
                elif query.action == "walk":
                    last = max(n for part, n in self.answers if part == query.listing)
                    queries += self._go_on(planner, query.listing, last, todo)
                continue
            rising = [i for i, (part, _) in enumerate(todo) if ("sort", "price_up") in part.params]
            first = rising and chance.random() < self.ahead
            listing, number = todo.pop(rising[0] if first else chance.randrange(len(todo)))
            page = self._fetch(listing, number)
            self.items |= page.ids
            queries += planner.page(listing, page)
            if number > 1:
                queries += self._go_on(planner, listing, number, todo)
        return planner

    def _go_on(
        self, planner: SplitPlanner, listing: Listing, number: int, todo: list[tuple[Listing, int]]
    ) -> Sequence[SplitQuery]:
        if self.answers[listing, number].has_next:
            limit = planner.page_limit(listing)
            if limit is not None and number >= limit:
                return planner.walk_ended(listing, "capped")
            todo.append((listing, number + 1))
            return ()
        return planner.walk_ended(listing, "complete")

    def _fetch(self, listing: Listing, number: int) -> Observation:
        if (listing, number) not in self.answers:
            if self.budget is not None and self.requests >= self.budget:
                raise BudgetSpentError
            self.requests += 1
            self.sent.append((listing, number))
            self.answers[listing, number] = self.shop.page(listing, number)
        return self.answers[listing, number]
