"""The catalogue: what the sandbox sells, a pure function of a seed.

Nothing is stored but the categories' sizes: an item is made when it is asked for, so a catalogue
of a million pages costs no more than one of ten. What a walk must find is asked of the same
object that the server serves from, which is how a test knows the truth.
"""

from __future__ import annotations

import random
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import msgspec

from .choice import ALL, EVERYTHING, Choice, Filters
from .hashing import coin, mix
from .ordering import ItemFacts, Orders
from .prices import Prices
from .products import (
    DOCUMENTED,
    DOCUMENTED_CATEGORY,
    CatalogueProduct,
    amounts_of,
    flags,
    product,
    row_v1,
)
from .traits import is_new, shop_of
from .tree import Tree

LARGEST = 1 << 20
"""No category holds more items than this."""

MOST_CATEGORIES = (1 << 19) - 1
_BITS = 39  # of a position: 19 for the category, 20 for the index within it
_SPACE = 1 << _BITS
_FIRST_ID = 100_000_000_000  # so that an ID has 12 digits; the documented rows' IDs lie above
_KEPT_SELECTIONS = 64

PriceBounds = Literal["inclusive", "exclusive", "half-open", "seed"]


class Catalogue:
    """Categories of skewed sizes and the items in them.

    The first category is 1031910, the API document's example, and begins with the two documented
    rows. Some categories lie exactly at the edges of a page (0, 1, one below, at and above one
    and more pages), the rest have sizes after Zipf.

    Args:
        seed: Everything follows from it.
        categories: How many to make, or a mapping of category ID to number of items.
        mean: Mean number of items of the categories made (ignored with a mapping).
        skew: Exponent of the sizes: the category at rank r holds about `1 / r ** skew` of the
            largest. 0 makes all equal.
        page_size: Items on a page.
        false_excludes: What sending a filter as `false` means, which is not documented: False
            (default), it filters nothing; True, only rows without the property are shown.
        prices: Category ID -> how its prices are distributed, where the usual ones will not do.
        price_bounds: Whether a row whose price is exactly `price_start` or `price_end` is shown,
            which is not documented: both (`"inclusive"`, the default), neither (`"exclusive"`),
            the lower alone (`"half-open"`), or as the seed decides for each.
        words: Keyword -> the category whose items a search for it finds. Any other keyword finds
            those of a category that follows from the seed.
        shops: Member ID or address of a shop -> the category whose items it sells, likewise.
        tree: Number of categories in the tree; by default as many as its leaves need, which are
            the catalogue's own categories.

    Attributes:
        bounds: Whether a price that is exactly `price_start` is shown, and exactly `price_end`.

    Raises:
        ValueError: A size or a number is out of range.
    """

    def __init__(
        self,
        seed: int = 1,
        categories: int | Mapping[int, int] = 40,
        *,
        mean: float = 60.0,
        skew: float = 1.1,
        page_size: int = 20,
        false_excludes: bool = False,
        prices: Mapping[int, Prices] | None = None,
        price_bounds: PriceBounds = "inclusive",
        words: Mapping[str, int] | None = None,
        shops: Mapping[str, int] | None = None,
        tree: int | None = None,
    ) -> None:
        if page_size < 1:
            raise ValueError(f"page_size must be at least 1, not {page_size}")
        if tree is not None and tree < 1:
            raise ValueError(f"a tree has 1 category or more, not {tree}")
        self.seed = seed
        self.page_size = page_size
        self.false_excludes = false_excludes
        if isinstance(categories, Mapping):
            sizes = dict(categories)
        else:
            sizes = _made_sizes(seed, categories, mean, skew, page_size)
        _check_sizes(sizes)
        self._sizes = sizes
        self._numbers = {cat_id: number for number, cat_id in enumerate(sizes)}
        self._factors = (mix(seed, "id", 1) | 1, mix(seed, "id", 2) | 1)
        self._selections: OrderedDict[tuple[int, Filters], array[int]] = OrderedDict()
        self._prices = dict(prices or {})
        self._words = dict(words or {})
        self._shops = {shop_of(seed, name): cat_id for name, cat_id in (shops or {}).items()}
        self.bounds = _bounds(seed, price_bounds)
        self._orders = Orders(self)
        self._tree_size = tree

    @property
    def category_ids(self) -> tuple[int, ...]:
        """IDs of all categories, in the catalogue's order."""
        return tuple(self._sizes)

    @property
    def total_items(self) -> int:
        """Items in all categories."""
        return sum(self._sizes.values())

    @property
    def total_pages(self) -> int:
        """Page requests that walking every category takes (an empty one takes one)."""
        return sum(self.pages(cat_id) for cat_id in self._sizes)

    @cached_property
    def tree(self) -> Tree:
        """The tree of categories, of which those of the catalogue are leaves."""
        return Tree(self.seed, self.category_ids, self._tree_size)

    def __iter__(self) -> Iterator[int]:
        return iter(self._sizes)

    def __contains__(self, cat_id: object) -> bool:
        return cat_id in self._sizes

    def __repr__(self) -> str:
        return f"<Catalogue seed={self.seed} categories={len(self._sizes)}>"

    def size(self, cat_id: int, filters: Filters = ALL) -> int:
        """Items of a category that pass the filters; 0 for an unknown category."""
        return len(self.passing(cat_id, filters))

    def pages(self, cat_id: int, filters: Filters = ALL) -> int:
        """Page requests that a complete walk takes: at least 1, for an empty page is one too."""
        return max(1, -(-self.size(cat_id, filters) // self.page_size))

    def item_id(self, cat_id: int, index: int) -> int:
        """ID of an item: 12 digits, unique in the catalogue.

        Raises:
            IndexError: The category has no item at this index.
        """
        if not 0 <= index < self._sizes.get(cat_id, 0):
            raise IndexError(f"category {cat_id} has no item {index}")
        if cat_id == DOCUMENTED_CATEGORY and index < len(DOCUMENTED):
            return DOCUMENTED[index].item_id
        return _FIRST_ID + self._scatter(self._position(cat_id, index))

    def product(self, cat_id: int, index: int) -> CatalogueProduct:
        """The facts about an item. Raises `IndexError` as `item_id` does."""
        item_id = self.item_id(cat_id, index)
        if cat_id == DOCUMENTED_CATEGORY and index < len(DOCUMENTED):
            return DOCUMENTED[index]
        made = product(self.seed, self._position(cat_id, index), item_id)
        if cat_id not in self._prices:
            return made
        price = self._fen(cat_id, index)
        return made._replace(sale_price=price, origin_price=max(price, made.origin_price))

    def item(self, cat_id: int, index: int) -> dict[str, Any]:
        """An item as a clean row of `GET /1688/category/items`. Raises as `item_id` does."""
        row: dict[str, Any] = msgspec.json.decode(self.row(cat_id, index))
        return row

    def row(self, cat_id: int, index: int) -> str:
        """An item as that row's JSON text."""
        return row_v1(self.product(cat_id, index))

    def indices(self, cat_id: int, start: int, stop: int, filters: Filters = ALL) -> list[int]:
        """Indices of the items at positions [start, stop) of the filtered listing."""
        return list(self.passing(cat_id, filters)[max(start, 0) : stop])

    def item_ids(self, cat_id: int, filters: Filters = ALL) -> list[int]:
        """IDs of all items of a filtered listing, in its order."""
        indices = self.indices(cat_id, 0, LARGEST, filters)
        return [self.item_id(cat_id, index) for index in indices]

    def choose(self, cat_id: int, choice: Choice = EVERYTHING) -> Sequence[int]:
        """Indices of the items that a choice shows, in its order, whatever ceiling there is."""
        return self._orders.choose(cat_id, choice)

    def chosen_ids(self, cat_id: int, choice: Choice = EVERYTHING) -> list[int]:
        """IDs of the items that a choice shows, in its order, whatever ceiling there is."""
        return [self.item_id(cat_id, index) for index in self.choose(cat_id, choice)]

    def price(self, cat_id: int, index: int) -> Decimal:
        """Price of an item in yuan, to two decimals. Raises `IndexError` as `item_id` does."""
        return Decimal(self.product(cat_id, index).sale_price).scaleb(-2)

    def category_of_word(self, keyword: str) -> int:
        """The category whose items a search for a keyword finds."""
        return self._words.get(keyword) or self._any_category("word", keyword)

    def category_of_shop(self, shop: str) -> int:
        """The category whose items a shop sells, by its member ID or its address."""
        name = shop_of(self.seed, shop)
        return self._shops.get(name) or self._any_category("shop", name)

    def passing(self, cat_id: int, filters: Filters = ALL) -> Sequence[int]:
        """Indices of all items that pass the filters, in the catalogue's order."""
        if self._passes_all(filters):
            return range(self._sizes.get(cat_id, 0))
        return self._selection(cat_id, filters)

    def facts(self, cat_id: int) -> ItemFacts:
        """What the items of a category are chosen and ordered by."""
        size = self._sizes.get(cat_id, 0)
        rows = [self._amounts(cat_id, index) for index in range(size)]
        prices, sales, quantities = (array("q", (row[n] for row in rows)) for n in range(3))
        return ItemFacts(prices, sales, quantities, array("q", self.item_ids(cat_id)))

    def prices_of(self, cat_id: int, order: Iterable[int]) -> Sequence[int]:
        """Prices in fen of the items at some indices."""
        return self._orders.prices(cat_id, order)

    def locate(self, item_id: int) -> tuple[int, int] | None:
        """`(cat_id, index)` of an item ID, or None if the catalogue does not hold it."""
        for index, documented in enumerate(DOCUMENTED):
            if item_id == documented.item_id and index < self.size(DOCUMENTED_CATEGORY):
                return DOCUMENTED_CATEGORY, index
        number, index = divmod(self._gather(item_id - _FIRST_ID), LARGEST)
        if not 0 <= number < len(self._sizes):
            return None
        cat_id = tuple(self._sizes)[number]
        held = index < self._sizes[cat_id] and self.item_id(cat_id, index) == item_id
        return (cat_id, index) if held else None

    def passes(self, cat_id: int, index: int, filters: Filters) -> bool:
        """Whether an item is shown under the filters."""
        if cat_id == DOCUMENTED_CATEGORY and index < len(DOCUMENTED):
            row = DOCUMENTED[index]
            has = (row.shop.super_factory, row.dropshipping, row.free_shipping)
        else:
            has = flags(self.seed, self._position(cat_id, index))
        # Most are asked without this one, and the ID takes longer than the rest.
        new = filters.new_arrival is not None and is_new(self.item_id(cat_id, index))
        return all(
            wanted is None or wanted == held or (not wanted and not self.false_excludes)
            for wanted, held in zip(filters, (*has, new), strict=True)
        )

    def _amounts(self, cat_id: int, index: int) -> tuple[int, int, int]:
        """`(price in fen, sales, least number)` of an item, quicker than its whole product."""
        if cat_id == DOCUMENTED_CATEGORY and index < len(DOCUMENTED):
            made = DOCUMENTED[index]
            return made.sale_price, made.sales, made.quantity_begin
        price, sales, quantity = amounts_of(self.seed, self._position(cat_id, index))
        return self._fen(cat_id, index) if cat_id in self._prices else price, sales, quantity

    def _fen(self, cat_id: int, index: int) -> int:
        """Price of an item whose category has chosen ones; the documented rows keep their own."""
        first = len(DOCUMENTED) if cat_id == DOCUMENTED_CATEGORY else 0
        size = self._sizes[cat_id] - first
        return self._prices[cat_id].price(self.seed, cat_id, index - first, size)

    def _any_category(self, *about: str) -> int:
        """A category with items, if there is one."""
        ids = self._stocked
        return ids[mix(self.seed, *about) % len(ids)]

    @cached_property
    def _stocked(self) -> tuple[int, ...]:
        return tuple(cat_id for cat_id, size in self._sizes.items() if size) or self.category_ids

    def _passes_all(self, filters: Filters) -> bool:
        if self.false_excludes:
            return filters == ALL
        return True not in filters

    def _selection(self, cat_id: int, filters: Filters) -> array[int]:
        key = (cat_id, filters)
        if key in self._selections:
            self._selections.move_to_end(key)
            return self._selections[key]
        size = self._sizes.get(cat_id, 0)
        chosen = array("l", (i for i in range(size) if self.passes(cat_id, i, filters)))
        self._selections[key] = chosen
        if len(self._selections) > _KEPT_SELECTIONS:
            self._selections.popitem(last=False)
        return chosen

    def _position(self, cat_id: int, index: int) -> int:
        return self._numbers[cat_id] * LARGEST + index

    def _scatter(self, position: int) -> int:
        """A bijection of the positions: unique IDs without a table of those given out."""
        first, second = self._factors
        value = position * first % _SPACE
        value ^= value >> 20
        return value * second % _SPACE

    def _gather(self, value: int) -> int:
        first, second = self._factors
        value = value * pow(second, -1, _SPACE) % _SPACE
        value ^= value >> 20
        return value * pow(first, -1, _SPACE) % _SPACE


def _bounds(seed: int, price_bounds: PriceBounds) -> tuple[bool, bool]:
    known = {"inclusive": (True, True), "exclusive": (False, False), "half-open": (True, False)}
    if price_bounds == "seed":
        return coin(seed, "price_start"), coin(seed, "price_end")
    if price_bounds not in known:
        raise ValueError(f"price_bounds must be seed, {', '.join(known)}, not {price_bounds!r}")
    return known[price_bounds]


def _check_sizes(sizes: Mapping[int, int]) -> None:
    if not 0 < len(sizes) <= MOST_CATEGORIES:
        raise ValueError(f"a catalogue holds 1 to {MOST_CATEGORIES} categories, not {len(sizes)}")
    for cat_id, size in sizes.items():
        if cat_id < 1 or not 0 <= size <= LARGEST:
            raise ValueError(
                f"category {cat_id} with {size} items: IDs are positive, sizes 0 to {LARGEST}"
            )


def _made_sizes(seed: int, count: int, mean: float, skew: float, page_size: int) -> dict[int, int]:
    if not 1 <= count <= MOST_CATEGORIES:
        raise ValueError(f"categories must be 1 to {MOST_CATEGORIES}, not {count}")
    if mean < 0 or skew < 0:
        raise ValueError(f"mean and skew must not be negative, not {mean} and {skew}")
    chance = random.Random(mix(seed, "sizes"))  # noqa: S311 - a seeded catalogue, no secret
    cycle = _edges(page_size)
    edges = [cycle[i % len(cycle)] for i in range(_edge_count(count, len(cycle)))]
    rest = _zipf(count - len(edges), mean, skew)
    # The documented category is one of the larger ones, so that an example has several pages.
    first = max(rest.pop(min(3, len(rest) - 1)), len(DOCUMENTED))
    others = rest + edges
    chance.shuffle(others)
    ids = chance.sample(range(DOCUMENTED_CATEGORY + 1, DOCUMENTED_CATEGORY + 2**21), count - 1)
    return dict(zip([DOCUMENTED_CATEGORY, *ids], [first, *others], strict=True))


def _edge_count(count: int, cycle: int) -> int:
    return max(min(cycle, (count - 1) // 2), count // 10)


def _edges(size: int) -> list[int]:
    around = [0, size, size + 1, 1, 2 * size, max(size - 1, 0), 2 * size + 1, 3 * size - 1]
    return [*around, 5 * size, 0]


def _zipf(count: int, mean: float, skew: float) -> list[int]:
    weights = [1 / rank**skew for rank in range(1, count + 1)]
    scale = mean * count / sum(weights)
    return [min(round(weight * scale), LARGEST) for weight in weights]
