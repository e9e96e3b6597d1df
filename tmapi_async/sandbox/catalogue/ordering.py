"""Filtered and sorted rows of a category, computed once and cached as arrays.

The facts of a category are computed once. Each order is one sort. A price band is a slice of the
order by price, found by bisection, so that each of the hundreds of bands of a divided category is
cheap.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from .bounded_cache import BoundedCache
from .choice import ALL, Choice, Filters, Sort
from .traits import item_hash, minutes_on_sale, shop_category

_REVERSED: dict[Sort, Sort] = {"price_down": "price_up", "time_up": "time_down"}


class ItemFacts(NamedTuple):
    """Values for filtering and sorting, for each item of a category by its index.

    Attributes:
        prices: Prices in fen.
        sales: Numbers of pieces sold.
        quantities: Minimum orders.
        item_ids: Item IDs.
    """

    prices: Sequence[int]
    sales: Sequence[int]
    quantities: Sequence[int]
    item_ids: Sequence[int]


class FactsSource(Protocol):
    """Supplies the facts of categories. `Catalogue` implements this protocol."""

    @property
    def bounds(self) -> tuple[bool, bool]:
        """True for each bound of a price filter that is inclusive: the lower, the upper."""
        ...

    def facts(self, cat_id: int) -> ItemFacts:
        """Return the facts of the items of a category."""
        ...

    def passing(self, cat_id: int, filters: Filters) -> Sequence[int]:
        """Return the indices of the items that pass filters, in the default order."""
        ...


class Orders:
    """Filtered rows of a catalogue in every sort order.

    Args:
        catalogue: Supplies the facts.
    """

    def __init__(self, catalogue: FactsSource) -> None:
        self._catalogue = catalogue
        self._facts: BoundedCache[ItemFacts] = BoundedCache()
        self._orders: BoundedCache[Sequence[int]] = BoundedCache()

    @property
    def cached_rows(self) -> int:
        """Size of the cached orders, in rows."""
        return self._orders.size

    def choose(self, cat_id: int, choice: Choice) -> Sequence[int]:
        """Return the indices of the chosen rows, in the order of the choice."""
        if choice.sort == "default" and not choice.narrows:
            return self._filtered(cat_id, choice)
        key = (cat_id, choice)
        order = self._orders.get(key)
        if order is None:
            order = self._compute(cat_id, choice)
            self._orders.put(key, order, len(order))
        return order

    def facts(self, cat_id: int) -> ItemFacts:
        """Return the facts of a category."""
        facts = self._facts.get(cat_id)
        if facts is None:
            facts = self._catalogue.facts(cat_id)
            self._facts.put(cat_id, facts, len(ItemFacts._fields) * len(facts.prices))
        return facts

    def prices(self, cat_id: int, order: Iterable[int]) -> array[int]:
        """Return the price of each row of an order, in fen."""
        prices = self.facts(cat_id).prices
        return array("q", (prices[index] for index in order))

    def _filtered(self, cat_id: int, choice: Choice) -> Sequence[int]:
        """Return the rows that pass the boolean filters, in the default order. Needs no facts."""
        return self._catalogue.passing(cat_id, choice.filters)

    def _compute(self, cat_id: int, choice: Choice) -> Sequence[int]:
        if choice.sort in _REVERSED:
            order = self.choose(cat_id, choice._replace(sort=_REVERSED[choice.sort]))
            return array("l", reversed(order))
        if choice == Choice(sort=choice.sort):
            return self._sorted(cat_id, choice.sort)
        rows: Iterable[int] = self._between(cat_id, choice)
        if choice.filters != ALL:
            passing = set(self._filtered(cat_id, choice))
            rows = [index for index in rows if index in passing]
        facts = self.facts(cat_id)
        if choice.moq is not None:
            rows = [index for index in rows if facts.quantities[index] <= choice.moq]
        if choice.shop_cat is not None:
            ids = facts.item_ids
            rows = [index for index in rows if shop_category(ids[index]) == choice.shop_cat]
        return array("l", self._in_order(cat_id, rows, choice.sort))

    def _between(self, cat_id: int, choice: Choice) -> Sequence[int]:
        """Return the rows within the price bounds, sorted by price."""
        order = self.choose(cat_id, Choice(sort="price_up"))
        if choice.price_start is None and choice.price_end is None:
            return order
        prices, (lower, upper) = self._sorted_prices(cat_id), self._catalogue.bounds
        start, stop = 0, len(order)
        if choice.price_start is not None:
            cut = bisect_left if lower else bisect_right
            start = cut(prices, choice.price_start * 100)
        if choice.price_end is not None:
            cut = bisect_right if upper else bisect_left
            stop = cut(prices, choice.price_end * 100)
        return order[start:stop]

    def _sorted_prices(self, cat_id: int) -> Sequence[int]:
        key = ("prices", cat_id)
        prices = self._orders.get(key)
        if prices is None:
            prices = self.prices(cat_id, self.choose(cat_id, Choice(sort="price_up")))
            self._orders.put(key, prices, len(prices))
        return prices

    def _in_order(self, cat_id: int, rows: Iterable[int], sort: Sort) -> Iterable[int]:
        """Return rows that are sorted by price in another order."""
        if sort == "price_up":
            return rows
        if sort == "default":
            return sorted(rows)
        selected = set(rows)
        return [index for index in self.choose(cat_id, Choice(sort=sort)) if index in selected]

    def _sorted(self, cat_id: int, sort: Sort) -> Sequence[int]:
        """Return all rows of a category in an order; ties are sorted by a hash of the ID."""
        prices, sales, _, item_ids = self.facts(cat_id)
        keys: Sequence[int]
        if sort == "price_up":
            keys = prices
        elif sort == "sales":
            keys = [-count for count in sales]
        else:
            keys = [-minutes_on_sale(item_id) for item_id in item_ids]
        hashes = [item_hash(item_id) for item_id in item_ids]
        return array("l", sorted(range(len(keys)), key=lambda index: (keys[index], hashes[index])))
