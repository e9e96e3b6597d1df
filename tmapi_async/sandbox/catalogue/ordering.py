"""Rows chosen by price and in an order: worked out once for a category, kept as arrays.

A category's facts are looked up once. Each order is one sort; a price band is a slice of the
order by price, found by bisection, so that the hundreds of bands into which a client may divide a
category cost little each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from .choice import ALL, Choice, Filters, Sort
from .kept import BoundedCache
from .traits import created, shop_category, stamp

_REVERSED: dict[Sort, Sort] = {"price_down": "price_up", "time_up": "time_down"}


class ItemFacts(NamedTuple):
    """What rows are chosen and ordered by, of each item of a category by its index.

    Attributes:
        prices: In fen.
        sales: Pieces sold.
        quantities: Least number that can be ordered.
        item_ids: IDs.
    """

    prices: Sequence[int]
    sales: Sequence[int]
    quantities: Sequence[int]
    item_ids: Sequence[int]


class FactsSource(Protocol):
    """Supplies the facts of a category; `Catalogue` is one."""

    @property
    def bounds(self) -> tuple[bool, bool]:
        """Whether the lower and the upper bound of a price filter belong to its range."""
        ...

    def facts(self, cat_id: int) -> ItemFacts:
        """Return the facts of a category's items."""
        ...

    def passing(self, cat_id: int, filters: Filters) -> Sequence[int]:
        """Return the indices of the items that pass filters, in the category's own order."""
        ...


class Orders:
    """Chosen rows of a catalogue, in every order.

    Args:
        catalogue: Supplies the facts.
    """

    def __init__(self, catalogue: FactsSource) -> None:
        self._catalogue = catalogue
        self._facts: BoundedCache[ItemFacts] = BoundedCache()
        self._chosen: BoundedCache[Sequence[int]] = BoundedCache()

    def choose(self, cat_id: int, choice: Choice) -> Sequence[int]:
        """Indices of the rows that pass, in the order of the choice."""
        if choice.sort == "default" and not choice.narrows:
            return self._filtered(cat_id, choice)
        key = (cat_id, choice)
        kept = self._chosen.get(key)
        if kept is None:
            kept = self._made(cat_id, choice)
            self._chosen.put(key, kept, len(kept))
        return kept

    def facts(self, cat_id: int) -> ItemFacts:
        """The facts of a category."""
        kept = self._facts.get(cat_id)
        if kept is None:
            kept = self._catalogue.facts(cat_id)
            self._facts.put(cat_id, kept, len(ItemFacts._fields) * len(kept.prices))
        return kept

    def prices(self, cat_id: int, order: Iterable[int]) -> array[int]:
        """The price of each row of an order, in fen."""
        prices = self.facts(cat_id).prices
        return array("q", (prices[index] for index in order))

    def _filtered(self, cat_id: int, choice: Choice) -> Sequence[int]:
        """What no price and no order but the catalogue's own plays a part in: no facts needed."""
        return self._catalogue.passing(cat_id, choice.filters)

    def _made(self, cat_id: int, choice: Choice) -> Sequence[int]:
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
        """The rows within the price bounds, by price."""
        order = self.choose(cat_id, Choice(sort="price_up"))
        if choice.price_start is None and choice.price_end is None:
            return order
        prices, (lower, upper) = self._by_price(cat_id), self._catalogue.bounds
        start, stop = 0, len(order)
        if choice.price_start is not None:
            cut = bisect_left if lower else bisect_right
            start = cut(prices, choice.price_start * 100)
        if choice.price_end is not None:
            cut = bisect_right if upper else bisect_left
            stop = cut(prices, choice.price_end * 100)
        return order[start:stop]

    def _by_price(self, cat_id: int) -> Sequence[int]:
        key = ("prices", cat_id)
        kept = self._chosen.get(key)
        if kept is None:
            kept = self.prices(cat_id, self.choose(cat_id, Choice(sort="price_up")))
            self._chosen.put(key, kept, len(kept))
        return kept

    def _in_order(self, cat_id: int, rows: Iterable[int], sort: Sort) -> Iterable[int]:
        """Rows that come by price, in another order."""
        if sort == "price_up":
            return rows
        if sort == "default":
            return sorted(rows)
        wanted = set(rows)
        return [index for index in self.choose(cat_id, Choice(sort=sort)) if index in wanted]

    def _sorted(self, cat_id: int, sort: Sort) -> Sequence[int]:
        """All rows of a category in an order. What ties is in the order of the items' stamps."""
        prices, sales, _, item_ids = self.facts(cat_id)
        keys: Sequence[int]
        if sort == "price_up":
            keys = prices
        elif sort == "sales":
            keys = [-count for count in sales]
        else:
            keys = [-created(item_id) for item_id in item_ids]
        stamps = [stamp(item_id) for item_id in item_ids]
        return array("l", sorted(range(len(keys)), key=lambda index: (keys[index], stamps[index])))
