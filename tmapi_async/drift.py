"""Structs that let unknown fields through, and what they let through."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any, cast

import msgspec

_JSON = msgspec.json.Decoder()


class OpenItem:
    """Mix-in of an item that was sent with fields its struct does not know."""

    __slots__ = ()

    def keep(self, raw: msgspec.Raw) -> None:
        """Keep the row's bytes; a copy, so that one item does not hold its whole page."""
        self.__dict__["raw"] = bytes(raw)

    @property
    def extra(self) -> dict[str, Any]:
        """Fields of this row that no struct knows, nested as they were sent."""
        return unknown_fields(
            _JSON.decode(self.__dict__["raw"]), cast("type[msgspec.Struct]", type(self))
        )


@functools.cache
def open_variant(struct: type[msgspec.Struct], *, keeps: bool = True) -> type[Any]:
    """A subclass of a struct that lets unknown fields through, nested structs included.

    Args:
        struct: A struct class that forbids unknown fields.
        keeps: Whether instances can keep their row's bytes (`OpenItem`).

    Returns:
        The subclass; its instances are instances of `struct` too.
    """
    fields = [
        (field.encode_name, opened, field.default)
        for field in msgspec.structs.fields(struct)
        if (opened := _opened(field.type)) is not field.type
    ]
    return msgspec.defstruct(
        struct.__name__,
        fields,
        bases=(OpenItem, struct) if keeps else (struct,),
        module=struct.__module__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=False,
        gc=keeps,  # an instance dictionary needs the collector's header
        dict=keeps,
    )


def _opened(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return open_variant(kind, keeps=False)
    if isinstance(kind, types.UnionType):
        members = [_opened(member) for member in typing.get_args(kind)]
        return functools.reduce(lambda left, right: left | right, members)
    if typing.get_origin(kind) is list:
        return list[_opened(typing.get_args(kind)[0])]  # type: ignore[misc]
    return kind


def unknown_fields(row: Any, struct: type[msgspec.Struct]) -> dict[str, Any]:
    """What a decoded row holds beyond its struct.

    Args:
        row: A row as plain dicts and lists.
        struct: The struct it was read with.

    Returns:
        The unknown fields, nested as they were sent.
    """
    known = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name not in known:
            found[name] = value
        elif (
            isinstance(value, dict)
            and (inner := _struct_in(known[name]))
            and (rest := unknown_fields(value, inner))
        ):
            found[name] = rest
    return found


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    for member in (kind, *typing.get_args(kind)):
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            return member
    return None
