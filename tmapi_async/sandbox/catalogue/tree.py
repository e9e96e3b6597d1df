"""The tree of categories, which `GET /1688/category/info` shows one level at a time."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from .hashing import mix

Root = Literal["list", "object"]

_MAX_LEVELS = 4  # the tree of the site has three or four
_LEAVES_PER_INNER = 6
_GENERATED_IDS = range(200_000_000, 210_000_000)
_TOP_LEVEL_STEP = 60  # one of so many leaves is a first-level category without children

_KINDS = tuple(
    pair.split("/")
    for pair in [
        "女装/Women's Clothing",
        "男装/Men's Clothing",
        "童装/Children's Clothing",
        "内衣/Underwear",
        "服饰配件/Apparel Accessories",
        "鞋/Shoes",
        "箱包/Bags & Luggage",
        "家居用品/Home Goods",
        "家纺/Home Textiles",
        "数码/Digital & Computers",
        "办公文化/Office & Culture",
        "玩具/Toys",
        "运动户外/Sports & Outdoors",
        "美妆日化/Beauty & Personal Care",
        "母婴用品/Baby Products",
        "宠物及园艺/Pets & Gardening",
    ]
)
_STYLES = tuple(
    pair.split("/")
    for pair in [
        "其他/Other",
        "夏季/Summer",
        "冬季/Winter",
        "儿童/Children's",
        "复古/Vintage",
        "定制/Custom",
        "进口/Imported",
        "环保/Eco-Friendly",
    ]
)


class Node(NamedTuple):
    """A category of the tree.

    Attributes:
        cat_id: ID of the category.
        parent_id: ID of its parent, or None for a first-level category.
        level: 0 for a first-level category, as in the documented example.
        name: Chinese name.
        name_en: English name.
    """

    cat_id: int
    parent_id: int | None
    level: int
    name: str
    name_en: str


class Tree:
    """Categories in up to four levels, a pure function of the seed.

    The leaves are the categories of the catalogue. If `size` needs more leaves, the others have
    generated IDs and no items; if it needs fewer, the last categories of the catalogue are not in
    the tree. Inner categories have no items.

    Args:
        seed: Determines the parent of each category.
        leaves: The categories of the catalogue.
        size: Number of categories in the tree; by default as many as all leaves need.

    Raises:
        ValueError: `size` is less than 1.
    """

    def __init__(self, seed: int, leaves: Sequence[int], size: int | None = None) -> None:
        if size is not None and size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        if size is None:
            size = len(leaves) + len(leaves) // _LEAVES_PER_INNER
        inner = size // (_LEAVES_PER_INNER + 1)
        self._seed = seed
        parents = _parents(random.Random(mix(seed, "tree")), size, inner)  # noqa: S311 - no secret
        ids = _ids(seed, inner, leaves, size)
        self._nodes: dict[int, Node] = {}
        self._children: dict[int | None, list[int]] = {None: []}
        for cat_id, number in zip(ids, parents, strict=True):
            self._add(cat_id, None if number is None else ids[number])

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[int]:
        return iter(self._nodes)

    def __contains__(self, cat_id: object) -> bool:
        return cat_id in self._nodes

    def __repr__(self) -> str:
        return f"<Tree categories={len(self)} leaves={len(self.leaves)} depth={self.depth}>"

    def __getitem__(self, cat_id: int) -> Node:
        return self._nodes[cat_id]

    @property
    def leaves(self) -> tuple[int, ...]:
        """IDs of the categories without children."""
        return tuple(cat_id for cat_id in self._nodes if not self.children(cat_id))

    @property
    def depth(self) -> int:
        """Number of levels."""
        return 1 + max(node.level for node in self._nodes.values())

    def children(self, cat_id: int | None = None) -> tuple[int, ...]:
        """Return the IDs of the children of a category; for None, the first-level categories."""
        return tuple(self._children.get(cat_id, ()))

    def path(self, cat_id: int) -> tuple[int, ...]:
        """Return the IDs from the first level down to a category.

        A category that is not in the tree is returned alone.
        """
        path, parent = [cat_id], self._parent(cat_id)
        while parent is not None:
            path.append(parent)
            parent = self._parent(parent)
        return tuple(reversed(path))

    def info(self, cat_id: int | None, root: Root = "list") -> Any:
        """Return the `data` of a reply: a category with one level of children.

        The `parent_id` of a first-level category is not documented; here it is `"0"`.

        Args:
            cat_id: The category; None for the root, whose shape is not documented.
            root: Shape of the root: a list of the first-level categories, or an object with these
                categories as `children`, like every other category.
        """
        children = [self._short(child, child=True) for child in self.children(cat_id)]
        if cat_id is None:
            if root == "list":
                return children
            return {"id": "0", "name": "", "name_en": "", "level": None, "children": children} | {
                "parent_id": None,
                "has_children": bool(children),
                "path": [],
            }
        node = self._nodes[cat_id]
        return {
            "id": str(cat_id),
            "name": node.name,
            "name_en": node.name_en,
            "level": node.level,
            "children": children,
            "parent_id": "0" if node.parent_id is None else str(node.parent_id),
            "has_children": bool(children),
            "path": [self._short(step) for step in self.path(cat_id)],
        }

    def _short(self, cat_id: int, *, child: bool = False) -> dict[str, Any]:
        node = self._nodes[cat_id]
        short = {"id": str(cat_id), "name": node.name, "name_en": node.name_en}
        if not child:
            return short
        return short | {"level": node.level, "has_children": bool(self._children.get(cat_id))}

    def _parent(self, cat_id: int) -> int | None:
        node = self._nodes.get(cat_id)
        return node.parent_id if node else None

    def _add(self, cat_id: int, parent_id: int | None) -> None:
        level = 0 if parent_id is None else self._nodes[parent_id].level + 1
        self._children.setdefault(parent_id, []).append(cat_id)
        self._nodes[cat_id] = Node(cat_id, parent_id, level, *_names(self._seed, cat_id))


def _parents(chance: random.Random, size: int, inner: int) -> list[int | None]:
    """Return the number of each category's parent; parents and inner categories come first."""
    first = max(1, round(inner**0.5)) if inner else size
    parents: list[int | None] = [None] * first
    levels, possible_parents = [0] * first, list(range(first))
    for number in range(first, inner):
        parent = chance.choice(possible_parents)
        parents.append(parent)
        levels.append(levels[parent] + 1)
        if levels[number] < _MAX_LEVELS - 2:
            possible_parents.append(number)
    # First a leaf for each inner category without a child: an inner category has children.
    childless = sorted(set(range(inner)).difference(parents))
    parents += childless
    for number in range(len(parents), size):
        top_level = number % _TOP_LEVEL_STEP == 0
        parents.append(None if top_level else chance.randrange(inner))
    return parents


def _ids(seed: int, inner: int, leaves: Collection[int], size: int) -> list[int]:
    """Return the generated IDs of the inner categories, then the IDs of the leaves."""
    leaf_count, used = size - inner, set(leaves)
    chance = random.Random(mix(seed, "tree ids"))  # noqa: S311 - a seeded tree, no secret
    missing = max(0, leaf_count - len(leaves))
    count = min(len(_GENERATED_IDS), inner + missing + len(used))
    new = [cat_id for cat_id in chance.sample(_GENERATED_IDS, count) if cat_id not in used]
    return [*new[:inner], *list(leaves)[:leaf_count], *new[inner : inner + missing]]


def _names(seed: int, cat_id: int) -> tuple[str, str]:
    random_bits = mix(seed, "category name", cat_id)
    style, kind = _STYLES[random_bits % len(_STYLES)], _KINDS[(random_bits >> 8) % len(_KINDS)]
    return f"{style[0]}{kind[0]}", f"{style[1]} {kind[1]}"
