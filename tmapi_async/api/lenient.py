"""Lenient variants of structs, which accept unknown fields, and lenient reading of JSON."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Collection
from typing import Any, ClassVar

import msgspec

from .json_repair import repair

_JSON = msgspec.json.Decoder()


class Lenient:
    """Mix-in of every lenient variant, a class made at run time that stands in for its struct.

    A variant is equal to an instance of the struct with the same fields: a row must not show that
    another row of its page drifted. Pickling needs `__reduce__`, because the class has no name to
    import it by.
    """

    __slots__ = ()
    strict: ClassVar[type[msgspec.Struct]]

    @property
    def extra(self) -> dict[str, Any]:
        """Unknown fields; those of a nested struct are kept by its item."""
        return {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, self.strict):
            return NotImplemented
        extra = getattr(other, "extra", {})
        return bool(_to_strict(self) == _to_strict(other)) and self.extra == extra

    def __hash__(self) -> int:
        return hash(_to_strict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        keeps_raw = isinstance(self, LenientItem)
        misfits = self.misfits if isinstance(self, LenientItem) else None
        return _restore, (self.strict, keeps_raw, _fields(self), _raw(self), misfits)

    def __copy__(self) -> Any:
        restore, arguments = self.__reduce__()
        return restore(*arguments)


class LenientItem(Lenient):
    """Mix-in of the lenient variant of an item: it keeps the bytes of its row."""

    __slots__ = ()

    def keep(self, raw: bytes | msgspec.Raw, misfits: dict[str, Any] | None = None) -> None:
        """Keep a copy of the row's bytes, so that one item does not hold its whole page.

        Args:
            raw: The row's JSON.
            misfits: Known fields whose values do not fit, nested as sent.
        """
        self.__dict__["raw"] = bytes(raw)
        if misfits:
            self.__dict__["misfit_fields"] = misfits

    @property
    def misfits(self) -> dict[str, Any]:
        """Known fields whose values do not fit and are left out, nested as sent; usually empty."""
        fields: dict[str, Any] = self.__dict__.get("misfit_fields", {})
        return fields

    @property
    def extra(self) -> dict[str, Any]:
        """Fields of this row that no struct knows, or whose values do not fit, nested as sent.

        Text that is not UTF-8 has replacement characters, and a number out of range is text: one
        field must not make its row unreadable.
        """
        raw = _raw(self)
        if raw is None or is_as_documented(raw, self.strict):
            return {}
        unknown = unknown_fields(read_leniently(raw), self.strict)
        return _merged(unknown, self.misfits)


def _fields(variant: Lenient) -> dict[str, Any]:
    return {name: getattr(variant, name) for name in variant.strict.__struct_fields__}


def _to_strict(value: Any) -> Any:
    if not isinstance(value, Lenient):
        return value
    return value.strict(**{name: _to_strict(inner) for name, inner in _fields(value).items()})


def _raw(variant: Lenient) -> bytes | None:
    attributes: dict[str, bytes] = getattr(variant, "__dict__", {})
    return attributes.get("raw")


def _restore(  # pickle passes by position
    struct: type[msgspec.Struct],
    keeps_raw: bool,
    values: dict[str, Any],
    raw: bytes | None,
    misfits: dict[str, Any] | None,
) -> Any:
    variant = _variant(struct, keeps_raw=keeps_raw)(**values)
    if raw is not None:
        variant.keep(raw, misfits)
    return variant


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    merged = dict(left)
    for name, value in right.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def read_leniently(raw: bytes) -> Any:
    """Decode JSON even if a text in it is not UTF-8, or a number fits no type; see `repair`."""
    try:
        return _JSON.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _JSON.decode(repair(raw))


def lenient_variant(struct: type[msgspec.Struct]) -> type[Any]:
    """Return a subclass of a struct that accepts unknown fields, in nested structs too.

    Args:
        struct: Struct class that forbids unknown fields.

    Returns:
        The same subclass on each call. Its instances are instances of `struct` and `LenientItem`.
    """
    return _variant(struct, keeps_raw=True)


@functools.cache
def _variant(struct: type[msgspec.Struct], *, keeps_raw: bool) -> type[Any]:
    fields = [
        (field.encode_name, lenient_type, field.default)
        for field in msgspec.structs.fields(struct)
        if (lenient_type := _lenient_type(field.type)) is not field.type
    ]
    return msgspec.defstruct(
        struct.__name__,
        fields,
        bases=(LenientItem if keeps_raw else Lenient, struct),
        namespace={"strict": struct},
        module=struct.__module__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=False,
        gc=keeps_raw,  # an instance dictionary needs the collector's header
        dict=keeps_raw,
    )


def _lenient_type(kind: Any) -> Any:
    return _with_structs(kind, functools.partial(_variant, keeps_raw=False))


def _with_structs(kind: Any, make: Callable[[type[msgspec.Struct]], type[Any]]) -> Any:
    """Return a type in which the structs are replaced by those that `make` returns for them."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return make(kind)
    if isinstance(kind, types.UnionType):
        members = [_with_structs(member, make) for member in typing.get_args(kind)]
        return functools.reduce(lambda left, right: left | right, members)
    if typing.get_origin(kind) is list:
        return list[_with_structs(typing.get_args(kind)[0], make)]  # type: ignore[misc]
    return kind


def narrow_variant(struct: type[msgspec.Struct], paths: Collection[tuple[str, ...]]) -> type[Any]:
    """Return a struct with some fields of another one, with the same names and types.

    Like a lenient variant it accepts unknown fields, which are all others here.

    Args:
        struct: Struct of a row, or of a block in it.
        paths: Field names from the row down to each value. Fields without which a row cannot be
            read are added.
    """
    inner_paths: dict[str, list[tuple[str, ...]]] = {}
    for name, *rest in paths:
        inner_paths.setdefault(name, []).append(tuple(rest))
    needed: frozenset[str] = getattr(struct, "essential", frozenset())
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(struct):
        name = field.encode_name
        inner = [path for path in inner_paths.get(name, ()) if path]
        if inner:
            make = functools.partial(narrow_variant, paths=inner)
        elif name in inner_paths or field.required or name in needed:
            make = functools.partial(_variant, keeps_raw=False)
        else:
            continue
        kind = _with_structs(field.type, make)
        fields.append((name, kind) if field.required else (name, kind, field.default))
    return msgspec.defstruct(
        struct.__name__, fields, frozen=True, kw_only=True, forbid_unknown_fields=False, gc=False
    )


def mended_item(raw: bytes, struct: type[msgspec.Struct]) -> Any:
    """Decode a row that fits no struct: damaged JSON is repaired, a value that fits is kept.

    A value that does not fit its field is left out of the item and stands in `extra`, as sent. So
    an odd block costs the block and not the row.

    Args:
        raw: The row's JSON.
        struct: Struct of the row.

    Returns:
        An instance of the struct's lenient variant.

    Raises:
        msgspec.ValidationError: The row is not an object, or a required or essential field (its ID)
            does not fit.
        msgspec.DecodeError: The row is not JSON even after the repair.
    """
    try:
        sent = _JSON.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raw = repair(raw)
        sent = _JSON.decode(raw)
    misfits: dict[str, Any] = {}
    item = _fitted(sent, struct, misfits, keeps_raw=True)
    item.keep(raw, misfits)
    return item


def _fitted(
    sent: Any, struct: type[msgspec.Struct], misfits: dict[str, Any], *, keeps_raw: bool
) -> Any:
    variant: Any = _variant(struct, keeps_raw=keeps_raw)
    try:
        return msgspec.convert(sent, variant, strict=False)
    except msgspec.ValidationError:
        if not isinstance(sent, dict):
            raise
    values: dict[str, Any] = {}
    for field in _fields_of(variant):
        name = field.encode_name
        if name not in sent and not field.required:
            continue
        try:
            values[field.name] = msgspec.convert(sent.get(name), field.type, strict=False)
        except msgspec.ValidationError as error:
            if field.required or name in getattr(struct, "essential", ()):
                raise msgspec.ValidationError(f"{error} - at `$.{name}`") from None
            block = _nested_structs(struct)[name]
            if block is not None and isinstance(sent[name], dict) and not _is_list(field.type):
                inner: dict[str, Any] = {}
                values[field.name] = _fitted(sent[name], block, inner, keeps_raw=False)
                misfits[name] = inner
            else:
                misfits[name] = sent[name]
    return variant(**values)


@functools.cache  # as `_nested_structs`
def _fields_of(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)


def _is_list(kind: Any) -> bool:
    return any(typing.get_origin(member) is list for member in (kind, *typing.get_args(kind)))


def is_as_documented(raw: bytes, struct: type[msgspec.Struct]) -> bool:
    """Return True if a row has no unknown field and each value fits.

    So it is with most rows of a page that drifted. To look for unknown fields takes much longer.

    Args:
        raw: The row's JSON.
        struct: Struct of the row, which forbids unknown fields.
    """
    try:
        _strict_decoder(struct).decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


@functools.cache
def _strict_decoder(struct: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(struct, strict=False)


def unknown_fields(row: Any, struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the fields of a decoded row that its struct does not know.

    Args:
        row: Row as plain dicts and lists.
        struct: Struct of the row.

    Returns:
        The unknown fields, nested as sent.
    """
    known_fields = _nested_structs(struct)
    unknown: dict[str, Any] = {}
    for name, value in row.items():
        if name not in known_fields:
            unknown[name] = value
        elif (inner := known_fields[name]) and (rest := _unknown_within(value, inner)):
            unknown[name] = rest
    return unknown


def _unknown_within(value: Any, struct: type[msgspec.Struct]) -> Any:
    if isinstance(value, dict):
        return unknown_fields(value, struct)
    if isinstance(value, list):
        rests = [_unknown_within(element, struct) for element in value]
        return rests if any(rests) else None
    return None


@functools.cache  # msgspec reads the annotations on each call: 150 microseconds
def _nested_structs(struct: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct] | None]:
    """Return the names of the fields as sent, each with the struct nested there or None."""
    return {field.encode_name: _struct_in(field.type) for field in msgspec.structs.fields(struct)}


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    for member in (kind, *typing.get_args(kind)):
        if typing.get_origin(member) is list:
            return _struct_in(typing.get_args(member)[0])
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            return member
    return None
