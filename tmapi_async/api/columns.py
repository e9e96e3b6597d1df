"""The columns of every kind of row, derived from its struct. No I/O.

What a column holds follows from the type of its field. Only a number says nothing of its unit, so
each field of that type is named here: a new one without a kind is refused, not guessed.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["id", "text", "money", "count", "percent", "number", "flag", "json"]

_NUMBERS: dict[Kind, tuple[str, ...]] = {
    "money": (
        "agent_price",
        "delivery_fee",
        "discount_price",
        "drop_ship_price",
        "gmv_30days",
        "gmv_90days",
        "mix_amount",
        "origin_price",
        "origin_price_max",
        "origin_price_min",
        "price",
        "price_max",
        "price_min",
        "sale_amount",
        "sale_price",
        "show_price",
        "wholesale_price",
    ),
    "count": (
        "buyer_count",
        "level",
        "mix_begin",
        "mix_num",
        "moq",
        "orders_count",
        "orders_count_30days",
        "quantity",
        "quantity_begin",
        "sale_count",
        "sale_quantity",
        "sale_quantity_30days",
        "sale_quantity_90days",
        "sale_quantity_int",
        "sales_count",
        "shop_mix_num",
        "shop_years",
        "stock",
    ),
    "percent": ("item_repurchase_rate", "shop_repurchase_rate"),
    "number": (
        "composite_score",
        "consultation_score",
        "dispute_score",
        "goods_score",
        "logistics_score",
        "primary_rank_score",
        "rating_star",
        "return_score",
        "unit_weight",
    ),
    # Names of things, though some are sent as digits.
    "text": (
        "category_id",
        "location_code",
        "login_id",
        "parent_id",
        "root_category_id",
        "seller_login_id",
        "seller_user_id",
        "template_id",
        "video_id",
    ),
}
_KINDS = {name: kind for kind, names in _NUMBERS.items() for name in names}
_TYPED: dict[frozenset[type], Kind] = {
    frozenset({str}): "text",
    frozenset({int}): "id",
    frozenset({bool}): "flag",
    frozenset({bool, str}): "flag",
}
_NUMBER = frozenset({str, int, float})


class Column(msgspec.Struct, frozen=True):
    """One column of an item.

    Attributes:
        name: Name in a row (`"price_info_sale_price"`).
        path: Where it is in the item (`("price_info", "sale_price")`).
        kind: How it is read: an ID, text, money in yuan (exact), a count, a rate in percent, any
            other number (exact), a flag, or JSON as it was sent.
        block: Place of the block that holds it in `Layout.blocks`.
        text: Name of the column for what the number does not say; None where the column itself
            holds all there is.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind
    block: int
    text: str | None = None


class Block(msgspec.Struct, frozen=True):
    """A struct of a row that holds columns: the row itself, or one nested in it.

    Attributes:
        above: Place of the block that it stands in.
        name: Its field there; empty for the row itself.
        kind: Its struct.
    """

    above: int
    name: str
    kind: type[msgspec.Struct]


class Layout(msgspec.Struct, frozen=True):
    """How a row is laid out.

    Attributes:
        blocks: The row itself, then each block behind the one that it stands in.
        columns: The columns in the order of a row.
    """

    blocks: tuple[Block, ...]
    columns: tuple[Column, ...]


_LAID_OUT: dict[type[msgspec.Struct], Layout] = {}


def layout(struct: type[msgspec.Struct]) -> Layout:
    """The layout of the rows that a struct reads.

    Raises:
        TypeError: A field is of a type, or a number of a name, that has no kind.
    """
    found = _LAID_OUT.get(struct)
    if found is None:
        blocks = [Block(0, "", struct)]
        laid = tuple(_columns(struct, (), 0, blocks))
        found = _LAID_OUT[struct] = Layout(tuple(blocks), laid)
    return found


def columns(struct: type[msgspec.Struct]) -> tuple[Column, ...]:
    """The columns of the rows that a struct reads, in the order of a row; see `layout`."""
    return layout(struct).columns


def _columns(
    struct: type[msgspec.Struct], above: tuple[str, ...], place: int, blocks: list[Block]
) -> Iterator[Column]:
    for field in msgspec.structs.fields(struct):
        path = (*above, field.encode_name)
        members = _members(field.type)
        inner = next((one for one in members if issubclass(one, msgspec.Struct)), None)
        if inner is not None:
            blocks.append(Block(place, field.name, inner))
            yield from _columns(inner, path, len(blocks) - 1, blocks)
        else:
            name, kind = "_".join(path), _kind(field.name, members, struct)
            text = None if kind in ("id", "text", "json") else f"{name}_text"
            yield Column(name, path, kind, place, text)


def _members(kind: Any) -> frozenset[type]:
    """The types that a field may have, null left out; those of a list are `list`."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    found = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    bare = (object if one is Any else typing.get_origin(one) or one for one in found)
    return frozenset(bare) - {types.NoneType}


def _kind(name: str, members: frozenset[type], struct: type[msgspec.Struct]) -> Kind:
    if members & {object, list, dict}:
        return "json"
    found = _KINDS.get(name) if members == _NUMBER else _TYPED.get(members)
    if found is None:
        raise TypeError(f"{struct.__name__}.{name} has no kind: name it in {__name__}")
    return found
