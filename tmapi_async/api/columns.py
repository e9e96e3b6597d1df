"""Columns of every kind of row, derived from its struct. No I/O.

The kind of a column follows from the type of its field. A plain `Number` does not say what it
counts, so number fields are annotated as `Money`, `Count` and so on (see `values`).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal[
    "id", "text", "picture", "money", "count", "percent", "number", "flag", "json"
]

_TYPED: dict[frozenset[type], Kind] = {
    frozenset({str}): "text",
    frozenset({int}): "id",
    frozenset({bool}): "flag",
    frozenset({bool, str}): "flag",
}


class Column(msgspec.Struct, frozen=True):
    """One column of an item.

    Attributes:
        name: Name in a row (`"price_info_sale_price"`).
        path: Field names from the item down to the value (`("price_info", "sale_price")`).
        kind: Type of the value: an ID, text, the address of a picture, money in yuan (exact), a
            count, a rate in percent, any other number (exact), a flag, or JSON as sent.
        block: Index in `Layout.blocks` of the block that holds the value.
        text: Name of the column for the text as sent, used if the value says less than the text.
            None if the value itself always says everything.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind
    block: int
    text: str | None = None


class Block(msgspec.Struct, frozen=True):
    """A struct of a row that holds columns: the row itself, or one nested in it.

    Attributes:
        above: Index of the block that contains this block.
        name: Name of the field there; empty for the row itself.
        kind: Struct of the block.
    """

    above: int
    name: str
    kind: type[msgspec.Struct]


class Layout(msgspec.Struct, frozen=True):
    """Layout of the rows of one endpoint.

    Attributes:
        blocks: The row itself, then the blocks in it, each after the block that contains it.
        columns: Columns in the order of a row.
    """

    blocks: tuple[Block, ...]
    columns: tuple[Column, ...]


_LAYOUTS: dict[type[msgspec.Struct], Layout] = {}


def layout(struct: type[msgspec.Struct]) -> Layout:
    """Return the layout of the rows of a struct.

    Raises:
        TypeError: The type of a field has no kind, for example `Number` in place of `Count`.
    """
    row_layout = _LAYOUTS.get(struct)
    if row_layout is None:
        blocks = [Block(0, "", struct)]
        columns_of_row = tuple(_columns(struct, (), 0, blocks))
        row_layout = _LAYOUTS[struct] = Layout(tuple(blocks), columns_of_row)
    return row_layout


def columns(struct: type[msgspec.Struct]) -> tuple[Column, ...]:
    """Return the columns of the rows of a struct, in the order of a row; see `layout`."""
    return layout(struct).columns


def _columns(
    struct: type[msgspec.Struct], parents: tuple[str, ...], block: int, blocks: list[Block]
) -> Iterator[Column]:
    for field in msgspec.structs.fields(struct):
        path = (*parents, field.encode_name)
        types_of_field = _member_types(field.type)
        inner = next((kind for kind in types_of_field if issubclass(kind, msgspec.Struct)), None)
        if inner is not None:
            blocks.append(Block(block, field.name, inner))
            yield from _columns(inner, path, len(blocks) - 1, blocks)
        else:
            name, kind = "_".join(path), _kind(field, types_of_field, struct)
            text = None if kind in ("id", "text", "picture", "json") else f"{name}_text"
            yield Column(name, path, kind, block, text)


def _member_types(kind: Any) -> frozenset[type]:
    """Return the types that a field may have, without null; a list of anything is `list`."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    members = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    plain = (object if member is Any else typing.get_origin(member) or member for member in members)
    return frozenset(plain) - {types.NoneType}


def _kind(
    field: msgspec.structs.FieldInfo, field_types: frozenset[type], struct: type[msgspec.Struct]
) -> Kind:
    if field_types & {object, list, dict}:
        return "json"
    kind = _annotated_kind(field.type) or _TYPED.get(field_types)
    if kind is None:
        raise TypeError(
            f"{struct.__name__}.{field.name} has no kind: annotate it as Money, Count, Percent, "
            "OtherNumber or TextOrDigits"
        )
    return kind


def _annotated_kind(field_type: Any) -> Kind | None:
    if typing.get_origin(field_type) is not typing.Annotated:
        return None
    metas = (meta for meta in typing.get_args(field_type)[1:] if isinstance(meta, msgspec.Meta))
    return next((meta.extra["kind"] for meta in metas if meta.extra), None)
