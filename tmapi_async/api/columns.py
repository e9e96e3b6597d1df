"""Columns of every kind of row, derived from its struct, and the reading of their values. No I/O.

The kind of a column follows from the type of its field. A plain `Number` does not say what it
counts, so number fields are annotated as `Money`, `Count` and so on (see `values`).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import msgspec

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value

from .values import Wire, count, money, percent, picture

Kind: TypeAlias = Literal[
    "id", "text", "picture", "money", "count", "percent", "number", "flag", "json"
]

RowMode: TypeAlias = Literal["json", "python"]
"""Types of the values in a row: those of JSON (exact numbers are text), or Python's own."""

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


def _text(value: Any) -> str | None:
    if value is None or value == "null":  # the API sends the literal in place of null
        return None
    return value if isinstance(value, str) else str(value)


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())


def _json(value: Any) -> Any:
    # Structs occur here only in lists. They become plain JSON as sent, but for null.
    return None if value == "null" else msgspec.to_builtins(value)


READERS: dict[Kind, Callable[[Any], Any]] = {
    "id": lambda value: value,
    "text": _text,
    "picture": picture,
    "money": money,
    "count": count,
    "percent": percent,
    "number": money,
    "flag": _flag,
    "json": _json,
}
"""Readers of values by the kind of their column. They never raise."""

_EMPTY = (None, "", "null")


def read_item(item: Any, item_layout: Layout) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read an item into its columns.

    Args:
        item: The item.
        item_layout: Layout of its struct.

    Returns:
        Columns by name, with Python's own types (money, percent and other numbers as `Decimal`);
        and the fields that no column holds as they were sent, nested: those that no column knows,
        and misspelt addresses of pictures.
    """
    values: dict[str, Any] = {}
    misspelt: dict[str, Any] = {}
    texts: dict[str, str | None] = {}
    holders: list[Any] = [item]
    for block in item_layout.blocks[1:]:
        above = holders[block.above]
        holders.append(None if above is None else getattr(above, block.name))
    for column in item_layout.columns:
        holder = holders[column.block]
        raw_value = None if holder is None else getattr(holder, column.path[-1])
        value = None if raw_value is None else READERS[column.kind](raw_value)
        values[column.name] = value
        if column.text is not None:
            says_more = text_says_more(column.kind, raw_value, value)
            texts[column.text] = str(raw_value) if says_more else None
        elif column.kind == "picture" and value is not None and value != raw_value:
            misspelt[column.name] = raw_value
    return values | texts, item.extra | misspelt if misspelt else item.extra


def text_says_more(kind: Kind, raw_value: Any, value: Any) -> bool:
    """Return True if a number or flag, as sent, says more than the value read from it."""
    if raw_value in _EMPTY:
        return False
    if kind == "count":
        # "100000+" is not a plain number, and "1.5" is read as the count 1.
        return value is None or (not isinstance(raw_value, int) and money(raw_value) != value)
    if kind == "percent" and money(raw_value) is not None:
        return value is None or 0 < value < 1  # percent or a fraction: the number does not show it
    return value is None


def row_in_mode(row: dict[str, Any], mode: RowMode) -> dict[str, Any]:
    """Return a row with the types of a mode.

    Args:
        row: The row with Python's own types.
        mode: The types: see `RowMode`.

    Raises:
        InvalidRequestError: There is no such mode.
    """
    if mode == "json":
        plain: dict[str, Any] = msgspec.to_builtins(row)
        return plain
    if mode != "python":
        raise InvalidRequestError(f"mode must be 'json' or 'python', not {show_value(mode)}")
    return row


class RowStruct(Wire, frozen=True, gc=False, kw_only=True):
    """Base of the structs that are rows of a page."""

    @property
    def extra(self) -> dict[str, Any]:
        """Fields of this row that no struct knows, nested as sent; usually empty."""
        return {}

    def to_dict(self, *, mode: RowMode = "json") -> dict[str, Any]:
        """Return the row as a flat dict: the columns of its endpoint, and `extra`.

        Every row of an endpoint has the same keys in the same order. A number that cannot be read
        is None, and its text is in the column `..._text`.

        Args:
            mode: "json" for values that `json.dumps`, FastAPI and Pydantic accept: money, rates and
                scores are text of an exact decimal number (`"4.50"`). "python" for `Decimal`.

        Raises:
            InvalidRequestError: There is no such mode.
        """
        values, extra = read_item(self, layout(getattr(self, "strict", type(self))))
        return row_in_mode({**values, "extra": extra or None}, mode)


def identify_rows(struct: type[RowStruct], *, by: str) -> None:
    """Make `row_id` of the rows of a struct another name of one of its fields.

    It is the slot of the field itself, so that reading it costs no call: all rows of all pages are
    told apart by it.

    Args:
        struct: The struct.
        by: Name of the field.
    """
    type.__setattr__(struct, "row_key", by)
    type.__setattr__(struct, "row_id", getattr(struct, by))
