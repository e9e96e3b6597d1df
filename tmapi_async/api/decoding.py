"""From bytes to typed rows: whole pages in one go, row by row where one of them does not fit.

A page is decoded with the strict structs, which costs least. Only when that fails is it decoded
again with structs that let unknown fields through, and only when that fails too, each row alone:
what cannot be read becomes a reject with its bytes, and never costs the others.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from .endpoints import ENDPOINTS
from .lenient import LenientItem, lenient_variant, mask_half_pairs
from .values import Reject, Wire

# Text that is not UTF-8 inside one row must not cost the others.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_UNFIT = (msgspec.ValidationError, UnicodeDecodeError)
_NONE_SPOILT: Mapping[int, bytes] = {}

I = TypeVar("I", bound=Wire)  # noqa: E741 - the item type
R = TypeVar("R")


class Data(Wire, Generic[R], frozen=True, gc=False, kw_only=True):
    """What a success holds: the rows of type `R`, and what is said of them."""

    # Nothing depends on the counts: whatever they are, the rows are paid for.
    page: Any = None
    page_size: Any = None
    has_next_page: bool | None = None
    total_count: Any = None
    filters: Any = None
    # What was asked for, echoed; which of it depends on the endpoint.
    keyword: Any = None
    sort: Any = None
    cat_id: Any = None
    shop_cat_id: Any = None
    price_start: Any = None
    price_end: Any = None
    items: list[R]


class Success(Wire, Generic[R], frozen=True, gc=False, kw_only=True):
    """A reply whose code may be 200, with rows of type `R`."""

    code: int
    msg: Any = None
    message: Any = None
    data: Data[R]


class _LenientData(
    Data[R], Generic[R], frozen=True, gc=False, kw_only=True, forbid_unknown_fields=False
):
    pass


class _LenientSuccess(
    Success[R], Generic[R], frozen=True, gc=False, kw_only=True, forbid_unknown_fields=False
):
    data: _LenientData[R]


class _Single(msgspec.Struct, gc=False):
    code: int
    data: msgspec.Raw


class ItemDecoder(Generic[I]):
    """Decodes the bodies of one endpoint. Make one for each item struct and keep it."""

    def __init__(self, item: type[I]) -> None:
        opened: Any = lenient_variant(item)
        # Lax mode reads "884674536008" as an int and "true" as a bool where those are expected.
        self._strict = msgspec.json.Decoder(Success[item], strict=False)  # type: ignore[valid-type]
        self._open = msgspec.json.Decoder(_LenientSuccess[opened], strict=False)
        self._raw = msgspec.json.Decoder(_LenientSuccess[msgspec.Raw], strict=False)
        self._row = msgspec.json.Decoder(opened, strict=False)

    def decode(self, body: bytes) -> tuple[Success[Any], list[Reject]]:
        """Decode a success.

        Returns:
            The envelope with its items, and the rows that could not be decoded.

        Raises:
            msgspec.ValidationError: The body is JSON of another shape.
            msgspec.DecodeError: The body is not JSON.
        """
        try:
            return self._strict.decode(body), []
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        try:
            return self._drifted(body)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            masked = mask_half_pairs(body)
            if masked == body:
                raise
            return self._masked(body, masked)

    def _drifted(self, body: bytes) -> tuple[Success[Any], list[Reject]]:
        raws = self._raw.decode(body)
        try:
            success = self._open.decode(body)
        except _UNFIT:
            return self._row_by_row(raws)
        for item, raw in zip(success.data.items, raws.data.items, strict=True):
            item.keep(raw)
        return success, []

    def _masked(self, body: bytes, masked: bytes) -> tuple[Success[Any], list[Reject]]:
        raws = self._raw.decode(masked)
        start, spoilt = 0, dict[int, bytes]()
        for position, raw in enumerate(raws.data.items):
            row = bytes(raw)
            start = masked.index(row, start)
            end = start + len(row)
            if body[start:end] != row:
                spoilt[position] = body[start:end]
            start = end
        return self._row_by_row(raws, spoilt)

    def _row_by_row(
        self, raws: Success[msgspec.Raw], spoilt: Mapping[int, bytes] = _NONE_SPOILT
    ) -> tuple[Success[Any], list[Reject]]:
        items: list[LenientItem] = []
        rejects: list[Reject] = []
        for position, raw in enumerate(raws.data.items):
            if position in spoilt:
                rejects.append(Reject(position, "half a surrogate pair", spoilt[position]))
                continue
            try:
                item = self._row.decode(raw)
            except (*_UNFIT, RecursionError) as error:
                rejects.append(Reject(position, str(error), bytes(raw)))
            else:
                item.keep(raw)
                items.append(item)
        data = msgspec.structs.replace(raws.data, items=items)
        return msgspec.structs.replace(raws, data=data), rejects


class SingleDecoder(Generic[I]):
    """Decodes the bodies of an endpoint that is not paged: `data` is a row, or a list of them."""

    def __init__(self, item: type[I]) -> None:
        opened: Any = lenient_variant(item)
        self._envelope = msgspec.json.Decoder(_Single, strict=False)
        self._rows = msgspec.json.Decoder(list[msgspec.Raw])
        self._strict = msgspec.json.Decoder(item, strict=False)
        self._row = msgspec.json.Decoder(opened, strict=False)

    def decode(self, body: bytes) -> tuple[Success[Any], list[Reject]]:
        """As `ItemDecoder.decode`; there is never a next page."""
        single = self._envelope.decode(body)
        a_list = bytes(single.data).startswith(b"[")
        raws = self._rows.decode(single.data) if a_list else [single.data]
        items: list[Any] = []
        rejects: list[Reject] = []
        for position, raw in enumerate(raws):
            if not bytes(raw).startswith(b"{"):
                raise msgspec.ValidationError("Expected `object` or a list of them - at `$.data`")
            try:
                items.append(self._read(raw))
            except _UNFIT as error:
                rejects.append(Reject(position, str(error), bytes(raw)))
        return Success(code=single.code, data=Data(has_next_page=False, items=items)), rejects

    def _read(self, raw: msgspec.Raw) -> Any:
        try:
            return self._strict.decode(raw)
        except _UNFIT:
            item = self._row.decode(raw)
            item.keep(raw)
            return item


@functools.cache
def decoder(endpoint: str) -> ItemDecoder[Any] | SingleDecoder[Any]:
    """The decoder of an endpoint, by its name, made once."""
    found = ENDPOINTS[endpoint]
    return ItemDecoder(found.item) if found.paged else SingleDecoder(found.item)
