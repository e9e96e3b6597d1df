"""Structs that let unknown fields through, what they let through, and JSON that half decodes."""

from __future__ import annotations

import functools
import json
import math
import re
import types
import typing
from typing import Any, ClassVar

import msgspec

_JSON = msgspec.json.Decoder()
_LONGEST_INTEGER = 4000  # digits; Python refuses to read or show an int of more than 4,300


class Lenient:
    """Mix-in of every open variant, which is made at run time and stands in for its struct.

    It is equal to an instance of the struct with the same fields: whether another row of the page
    drifted must not be seen in this one. And it is pickled, which needs more than its name.
    """

    __slots__ = ()
    closed: ClassVar[type[msgspec.Struct]]

    @property
    def extra(self) -> dict[str, Any]:
        """Unknown fields; those of a nested struct are kept by the item."""
        return {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, self.closed):
            return NotImplemented
        extra = getattr(other, "extra", {})
        return bool(_closed(self) == _closed(other)) and self.extra == extra

    def __hash__(self) -> int:
        return hash(_closed(self))

    def __reduce__(self) -> tuple[Any, ...]:
        keeps = isinstance(self, LenientItem)
        return _made, (self.closed, keeps, _fields(self), _kept(self))

    def __copy__(self) -> Any:
        make, arguments = self.__reduce__()
        return make(*arguments)


class LenientItem(Lenient):
    """Mix-in of an item that was sent with fields its struct does not know."""

    __slots__ = ()

    def keep(self, raw: msgspec.Raw) -> None:
        """Keep the row's bytes; a copy, so that one item does not hold its whole page."""
        self.__dict__["raw"] = bytes(raw)

    @property
    def extra(self) -> dict[str, Any]:
        """Fields of this row that no struct knows, nested as they were sent.

        Text in them that is not UTF-8 comes with replacement characters, and a number out of range
        as text: a field that nobody asked for must not cost the row.
        """
        raw = _kept(self)
        return {} if raw is None else unknown_fields(read_leniently(raw), self.closed)


def _fields(variant: Lenient) -> dict[str, Any]:
    return {name: getattr(variant, name) for name in variant.closed.__struct_fields__}


def _closed(value: Any) -> Any:
    if not isinstance(value, Lenient):
        return value
    return value.closed(**{name: _closed(inner) for name, inner in _fields(value).items()})


def _kept(variant: Lenient) -> bytes | None:
    held: dict[str, bytes] = getattr(variant, "__dict__", {})
    return held.get("raw")


def _made(  # pickle passes by position
    struct: type[msgspec.Struct], keeps: bool, values: dict[str, Any], raw: bytes | None
) -> Any:
    variant = _variant(struct, keeps=keeps)(**values)
    if raw is not None:
        variant.keep(raw)
    return variant


def read_leniently(raw: bytes) -> Any:
    """Decode JSON as well as can be where a text is not UTF-8 or a number fits no type."""
    try:
        return _JSON.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = raw.decode("utf-8", "replace")
        return json.loads(text, parse_float=_real, parse_int=_whole)


def _real(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_INTEGER else text


# A pair, half a pair, any other escape: each is consumed whole, so that the `u` after an escaped
# backslash is not taken for the start of one.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)


def mask_half_pairs(body: bytes) -> bytes:
    r"""Put `\ufffd` in the place of each escaped half of a surrogate pair; the length stays.

    A title cut in the middle of an emoji sends one. RFC 8259, 8.2 allows it; the decoder does not.
    """
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)


def lenient_variant(struct: type[msgspec.Struct]) -> type[Any]:
    """A subclass of a struct that lets unknown fields through, nested structs included.

    Args:
        struct: A struct class that forbids unknown fields.

    Returns:
        Always the same subclass; its instances are instances of `struct` and `LenientItem`.
    """
    return _variant(struct, keeps=True)


@functools.cache
def _variant(struct: type[msgspec.Struct], *, keeps: bool) -> type[Any]:
    fields = [
        (field.encode_name, opened, field.default)
        for field in msgspec.structs.fields(struct)
        if (opened := _opened(field.type)) is not field.type
    ]
    return msgspec.defstruct(
        struct.__name__,
        fields,
        bases=(LenientItem if keeps else Lenient, struct),
        namespace={"closed": struct},
        module=struct.__module__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=False,
        gc=keeps,  # an instance dictionary needs the collector's header
        dict=keeps,
    )


def _opened(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _variant(kind, keeps=False)
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
    known = _known(struct)
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name not in known:
            found[name] = value
        elif (inner := known[name]) and (rest := _unknown_within(value, inner)):
            found[name] = rest
    return found


def _unknown_within(value: Any, struct: type[msgspec.Struct]) -> Any:
    if isinstance(value, dict):
        return unknown_fields(value, struct)
    if isinstance(value, list):
        rests = [_unknown_within(one, struct) for one in value]
        return rests if any(rests) else None
    return None


@functools.cache  # msgspec reads the annotations anew each time: 150 microseconds
def _known(struct: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct] | None]:
    """The fields of a struct as sent, each with the struct nested in it, if any."""
    return {field.encode_name: _struct_in(field.type) for field in msgspec.structs.fields(struct)}


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    for member in (kind, *typing.get_args(kind)):
        if typing.get_origin(member) is list:
            return _struct_in(typing.get_args(member)[0])
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            return member
    return None
