"""The catalogue: the products of the sandbox, a pure function of a seed.

Only the sizes of the categories are stored. An item is computed on demand, so a catalogue of a
million pages needs no more memory than one of ten. The server and the tests read the same object:
tests compare the result of a walk with it.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import msgspec

from .bounded_cache import BoundedCache
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
from .traits import is_new, shop_key
from .tree import Tree

MAX_CATEGORY_ITEMS = 1 << 20
"""Maximum number of items in a category."""

MAX_CATEGORIES = (1 << 19) - 1
_BITS = 39  # of a position: 19 for the category, 20 for the index within it
_SPACE = 1 << _BITS
_FIRST_ID = 100_000_000_000  # gives IDs of 12 digits; the IDs of the documented rows are larger
_KEPT_INDICES = 4_000_000

PriceBounds = Literal["inclusive", "exclusive", "half-open", "seed"]


class Catalogue:
    """Categories of skewed sizes and the items in them.

    The first category is 1031910, the example of the API document, and begins with the two
    documented rows. Some categories have sizes at the edges of a page (0, 1, and one below, at and
    above a multiple of the page size); the sizes of the others follow Zipf's law.

    Args:
        seed: Determines everything else.
        categories: Number of categories, or a mapping of category ID to number of items.
        mean: Mean number of items in a category (ignored with a mapping).
        skew: Exponent of the sizes: the category at rank r has about `1 / r ** skew` of the items
            of the largest. 0 makes all categories equal.
        page_size: Items on a page.
        false_excludes: Meaning of a filter sent as `false`, which is not documented. False
            (default): it has no effect. True: only rows without the property are shown.
        prices: Category ID -> distribution of its prices, in place of the default one.
        price_bounds: Bounds of a price filter that show rows of exactly that price, which is not
            documented: both (`"inclusive"`, the default), neither (`"exclusive"`),
            only at the lower bound (`"half-open"`), or as the seed decides for each bound.
        words: Keyword -> category whose items a search finds. For any other keyword the seed
            decides.
        shops: Member ID or address of a shop -> category whose items the shop sells. For any other
            shop the seed decides.
        tree: Number of categories in the tree; by default as many as its leaves need. The leaves
            are the categories of the catalogue.

    Attributes:
        bounds: Two flags: True if rows with a price of exactly `price_start` are shown, and True if
            rows with a price of exactly `price_end` are shown.

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
            raise ValueError(f"tree must be at least 1, not {tree}")
        self.seed = seed
        self.page_size = page_size
        self.false_excludes = false_excludes
        if isinstance(categories, Mapping):
            sizes = dict(categories)
        else:
            sizes = _generate_sizes(seed, categories, mean, skew, page_size)
        _check_sizes(sizes)
        self._sizes = sizes
        self._numbers = {cat_id: number for number, cat_id in enumerate(sizes)}
        self._factors = (mix(seed, "id", 1) | 1, mix(seed, "id", 2) | 1)
        self._filtered: BoundedCache[array[int]] = BoundedCache(_KEPT_INDICES)
        self._prices = dict(prices or {})
        self._words = dict(words or {})
        self._shops = {shop_key(seed, name): cat_id for name, cat_id in (shops or {}).items()}
        self.bounds = _bounds(seed, price_bounds)
        self._orders = Orders(self)
        self._tree_size = tree

    @property
    def category_ids(self) -> tuple[int, ...]:
        """IDs of all categories, in the order of the catalogue."""
        return tuple(self._sizes)

    @property
    def total_items(self) -> int:
        """Items in all categories."""
        return sum(self._sizes.values())

    @property
    def total_pages(self) -> int:
        """Page requests for a walk of every category; an empty category needs one."""
        return sum(self.pages(cat_id) for cat_id in self._sizes)

    @cached_property
    def tree(self) -> Tree:
        """The tree of categories. Its leaves are the categories of the catalogue."""
        return Tree(self.seed, self.category_ids, self._tree_size)

    def __iter__(self) -> Iterator[int]:
        return iter(self._sizes)

    def __contains__(self, cat_id: object) -> bool:
        return cat_id in self._sizes

    def __repr__(self) -> str:
        return f"<Catalogue seed={self.seed} categories={len(self._sizes)}>"

    def size(self, cat_id: int, filters: Filters = ALL) -> int:
        """Return the number of items that pass the filters; 0 for an unknown category."""
        return len(self.passing(cat_id, filters))

    def pages(self, cat_id: int, filters: Filters = ALL) -> int:
        """Return the number of page requests of a complete walk, at least 1."""
        return max(1, -(-self.size(cat_id, filters) // self.page_size))

    def item_id(self, cat_id: int, index: int) -> int:
        """Return the ID of an item: 12 digits, unique in the catalogue.

        Raises:
            IndexError: The category has no item at this index.
        """
        if not 0 <= index < self._sizes.get(cat_id, 0):
            raise IndexError(f"category {cat_id} has no item {index}")
        if cat_id == DOCUMENTED_CATEGORY and index < len(DOCUMENTED):
            return DOCUMENTED[index].item_id
        return _FIRST_ID + self._scatter(self._position_of(cat_id, index))

    def product(self, cat_id: int, index: int) -> CatalogueProduct:
        """Return the facts about an item. Raises `IndexError` like `item_id`."""
        item_id = self.item_id(cat_id, index)
        if cat_id == DOCUMENTED_CATEGORY and index < len(DOCUMENTED):
            return DOCUMENTED[index]
        item = product(self.seed, self._position_of(cat_id, index), item_id)
        if cat_id not in self._prices:
            return item
        price = self._fen(cat_id, index)
        return item._replace(sale_price=price, origin_price=max(price, item.origin_price))

    def item(self, cat_id: int, index: int) -> dict[str, Any]:
        """Return an item as a row of `GET /1688/category/items`, without drift.

        Raises `IndexError` like `item_id`.
        """
        row: dict[str, Any] = msgspec.json.decode(self.row(cat_id, index))
        return row

    def row(self, cat_id: int, index: int) -> str:
        """Return the JSON text of the row of an item."""
        return row_v1(self.product(cat_id, index))

    def indices(self, cat_id: int, start: int, stop: int, filters: Filters = ALL) -> list[int]:
        """Return the indices of the items at positions [start, stop) of the filtered listing."""
        return list(self.passing(cat_id, filters)[max(start, 0) : stop])

    def item_ids(self, cat_id: int, filters: Filters = ALL) -> list[int]:
        """Return the IDs of all items of a filtered listing, in its order."""
        indices = self.indices(cat_id, 0, MAX_CATEGORY_ITEMS, filters)
        return [self.item_id(cat_id, index) for index in indices]

    def choose(self, cat_id: int, choice: Choice = EVERYTHING) -> Sequence[int]:
        """Return the indices of the items of a choice, in its order and without any ceiling."""
        return self._orders.choose(cat_id, choice)

    def chosen_ids(self, cat_id: int, choice: Choice = EVERYTHING) -> list[int]:
        """Return the IDs of the items of a choice, in its order and without any ceiling."""
        return [self.item_id(cat_id, index) for index in self.choose(cat_id, choice)]

    def price(self, cat_id: int, index: int) -> Decimal:
        """Return the price in yuan, with two decimals. Raises `IndexError` like `item_id`."""
        return Decimal(self.product(cat_id, index).sale_price).scaleb(-2)

    def category_of_word(self, keyword: str) -> int:
        """Return the category whose items a search for a keyword finds."""
        return self._words.get(keyword) or self._any_category("word", keyword)

    def category_of_shop(self, shop: str) -> int:
        """Return the category whose items a shop sells; its name is a member ID or an address."""
        name = shop_key(self.seed, shop)
        return self._shops.get(name) or self._any_category("shop", name)

    def passing(self, cat_id: int, filters: Filters = ALL) -> Sequence[int]:
        """Return the indices of all items that pass the filters, in the order of the catalogue."""
        if self._passes_all(filters):
            return range(self._sizes.get(cat_id, 0))
        return self._passing(cat_id, filters)

    def facts(self, cat_id: int) -> ItemFacts:
        """Return the values by which the items of a category are filtered and sorted."""
        size = self._sizes.get(cat_id, 0)
        rows = [self._amounts(cat_id, index) for index in range(size)]
        prices, sales, quantities = (array("q", (row[n] for row in rows)) for n in range(3))
        return ItemFacts(prices, sales, quantities, array("q", self.item_ids(cat_id)))

    def prices_of(self, cat_id: int, order: Iterable[int]) -> Sequence[int]:
        """Return the prices in fen of the items at these indices."""
        return self._orders.prices(cat_id, order)

    def locate(self, item_id: int) -> tuple[int, int] | None:
        """Return `(cat_id, index)` of an item ID, or None if no item has this ID."""
        for index, documented in enumerate(DOCUMENTED):
            if item_id == documented.item_id and index < self.size(DOCUMENTED_CATEGORY):
                return DOCUMENTED_CATEGORY, index
        number, index = divmod(self._gather(item_id - _FIRST_ID), MAX_CATEGORY_ITEMS)
        if not 0 <= number < len(self._sizes):
            return None
        cat_id = tuple(self._sizes)[number]
        exists = index < self._sizes[cat_id] and self.item_id(cat_id, index) == item_id
        return (cat_id, index) if exists else None

    def passes(self, cat_id: int, index: int, filters: Filters) -> bool:
        """Return True if an item passes the filters."""
        if cat_id == DOCUMENTED_CATEGORY and index < len(DOCUMENTED):
            row = DOCUMENTED[index]
            properties = (row.shop.super_factory, row.dropshipping, row.free_shipping)
        else:
            properties = flags(self.seed, self._position_of(cat_id, index))
        # Computed only for this filter: it is rare, and the ID is slower than the other values.
        new = filters.new_arrival is not None and is_new(self.item_id(cat_id, index))
        return all(
            filtered is None or filtered == value or (not filtered and not self.false_excludes)
            for filtered, value in zip(filters, (*properties, new), strict=True)
        )

    def _amounts(self, cat_id: int, index: int) -> tuple[int, int, int]:
        """Return `(price in fen, sales, minimum order)` of an item, faster than `product`."""
        if cat_id == DOCUMENTED_CATEGORY and index < len(DOCUMENTED):
            item = DOCUMENTED[index]
            return item.sale_price, item.sales, item.quantity_begin
        price, sales, quantity = amounts_of(self.seed, self._position_of(cat_id, index))
        return self._fen(cat_id, index) if cat_id in self._prices else price, sales, quantity

    def _fen(self, cat_id: int, index: int) -> int:
        """Return the price in a category of `prices`; the documented rows keep their own."""
        first = len(DOCUMENTED) if cat_id == DOCUMENTED_CATEGORY else 0
        size = self._sizes[cat_id] - first
        return self._prices[cat_id].price(self.seed, cat_id, index - first, size)

    def _any_category(self, *about: str) -> int:
        """Choose a category by the seed, if possible one with items."""
        ids = self._categories_with_items
        return ids[mix(self.seed, *about) % len(ids)]

    @cached_property
    def _categories_with_items(self) -> tuple[int, ...]:
        return tuple(cat_id for cat_id, size in self._sizes.items() if size) or self.category_ids

    def _passes_all(self, filters: Filters) -> bool:
        if self.false_excludes:
            return filters == ALL
        return True not in filters

    def _passing(self, cat_id: int, filters: Filters) -> array[int]:
        key = (cat_id, filters)
        indices = self._filtered.get(key)
        if indices is None:
            size = self._sizes.get(cat_id, 0)
            indices = array("l", (i for i in range(size) if self.passes(cat_id, i, filters)))
            self._filtered.put(key, indices, len(indices))
        return indices

    def _position_of(self, cat_id: int, index: int) -> int:
        return self._numbers[cat_id] * MAX_CATEGORY_ITEMS + index

    def _scatter(self, position: int) -> int:
        """Map positions to numbers one to one, for unique IDs without a table of used ones."""
        first, second = self._factors
        value = position * first % _SPACE
        value ^= value >> 20
        return value * second % _SPACE

    def _gather(self, value: int) -> int:
        """Return the position that `_scatter` maps to a number."""
        first, second = self._factors
        value = value * pow(second, -1, _SPACE) % _SPACE
        value ^= value >> 20
        return value * pow(first, -1, _SPACE) % _SPACE


def _bounds(seed: int, price_bounds: PriceBounds) -> tuple[bool, bool]:
    bounds = {"inclusive": (True, True), "exclusive": (False, False), "half-open": (True, False)}
    if price_bounds == "seed":
        return coin(seed, "price_start"), coin(seed, "price_end")
    if price_bounds not in bounds:
        raise ValueError(f"price_bounds must be seed, {', '.join(bounds)}, not {price_bounds!r}")
    return bounds[price_bounds]


def _check_sizes(sizes: Mapping[int, int]) -> None:
    if not 0 < len(sizes) <= MAX_CATEGORIES:
        raise ValueError(
            f"a catalogue must have 1 to {MAX_CATEGORIES} categories, not {len(sizes)}"
        )
    for cat_id, size in sizes.items():
        if cat_id < 1 or not 0 <= size <= MAX_CATEGORY_ITEMS:
            raise ValueError(
                f"category {cat_id} with {size} items: an ID must be positive, a size 0 to "
                f"{MAX_CATEGORY_ITEMS}"
            )


def _generate_sizes(
    seed: int, count: int, mean: float, skew: float, page_size: int
) -> dict[int, int]:
    if not 1 <= count <= MAX_CATEGORIES:
        raise ValueError(f"categories must be 1 to {MAX_CATEGORIES}, not {count}")
    if mean < 0 or skew < 0:
        raise ValueError(f"mean and skew must be 0 or more, not {mean} and {skew}")
    chance = random.Random(mix(seed, "sizes"))  # noqa: S311 - a seeded catalogue, no secret
    cycle = _edges(page_size)
    edges = [cycle[i % len(cycle)] for i in range(_edge_count(count, len(cycle)))]
    zipf_sizes = _zipf(count - len(edges), mean, skew)
    # The documented category is one of the larger ones, so that examples have several pages.
    first = max(zipf_sizes.pop(min(3, len(zipf_sizes) - 1)), len(DOCUMENTED))
    others = zipf_sizes + edges
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
    return [min(round(weight * scale), MAX_CATEGORY_ITEMS) for weight in weights]
