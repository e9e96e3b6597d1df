"""Decode bodies into typed rows: whole pages at once, row by row if a row does not fit.

A page is decoded with the strict structs first, which costs least. If that fails, the page is
decoded again with lenient structs, which accept unknown fields. If that fails too, each row is
decoded alone: a value that does not fit costs its field, damaged JSON is repaired. A row that
cannot be read becomes a reject with its bytes; the other rows stay.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from .columns import columns
from .endpoints import ENDPOINTS
from .items import Product
from .json_repair import repair, row_regions, split_by_first_key, split_rows
from .lenient import LenientItem, lenient_variant, mended_item, narrow_variant
from .values import Reject, Wire

# Text that is not UTF-8 in one row must not make the other rows unreadable.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_UNFIT = (msgspec.ValidationError, UnicodeDecodeError)
USUAL_BODY = 2**17
"""Bytes. A page has about 13 KB; only the rows and values of longer bodies are counted first.

So many bytes hold fewer than `MAX_ROWS` rows that have an ID.
"""

MAX_ROWS = 10_000
"""Rows of one reply. The API sends 20 to a page, and stops a listing after 2,000."""

MAX_VALUES = 500_000
"""Values of one reply. Decoded, a value can take 30 times the memory of its bytes."""

_MOST_DAMAGED_ROWS = 1000  # in one page; the event loop must not wait for more
_ANY = msgspec.json.Decoder()

I = TypeVar("I", bound=Wire)  # noqa: E741 - the item type
R = TypeVar("R")


class TooManyValuesError(msgspec.ValidationError):
    """A reply has more rows or values than are decoded at once.

    The event loop waits while a reply is decoded: a decoder keeps the interpreter to itself, so
    that a thread would not help.
    """


def has_too_many_values(body: bytes) -> bool:
    """Return True if a body may have more values than are decoded. Fast, and needs no memory."""
    # Values beside each other have a comma between them. Commas in texts count too: the limit is
    # far above the commas of any reply of the API.
    return len(body) > USUAL_BODY and body.count(b",") > MAX_VALUES


class Data(Wire, Generic[R], frozen=True, gc=False, kw_only=True):
    """The `data` of a success: the rows of type `R`, and the fields beside them."""

    # Any value of the counts is accepted: the rows beside them are paid for.
    page: Any = None
    page_size: Any = None
    has_next_page: bool | None = None
    total_count: Any = None
    filters: Any = None
    # Echoed parameters; which ones are sent depends on the endpoint.
    keyword: Any = None
    sort: Any = None
    cat_id: Any = None
    shop_cat_id: Any = None
    price_start: Any = None
    price_end: Any = None
    items: list[R]


class Success(Wire, Generic[R], frozen=True, gc=False, kw_only=True):
    """A reply with rows of type `R`. Its code is not checked yet."""

    code: int
    msg: Any = None
    message: Any = None
    data: Data[R]


class ListData(Data[R], Generic[R], frozen=True, gc=False, kw_only=True):
    """The `data` of a success whose rows are in the field `list`; they are about one product."""

    items: list[R] = msgspec.field(name="list")
    item_id: Any = None
    sort_type: Any = None


class _ListSuccess(Success[R], Generic[R], frozen=True, gc=False, kw_only=True):
    data: ListData[R]


class ProductId(Product, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=False):
    """A row of any paged endpoint of which no more than the ID was read.

    The ID is all that a row needs to be no reject: any other value that does not fit costs its
    field only.
    """


class _LenientData(
    Data[R], Generic[R], frozen=True, gc=False, kw_only=True, forbid_unknown_fields=False
):
    pass


class LenientSuccess(
    Success[R], Generic[R], frozen=True, gc=False, kw_only=True, forbid_unknown_fields=False
):
    """A success that may have fields that are not declared."""

    data: _LenientData[R]


class _LenientListData(
    ListData[R], Generic[R], frozen=True, gc=False, kw_only=True, forbid_unknown_fields=False
):
    pass


class _LenientListSuccess(
    Success[R], Generic[R], frozen=True, gc=False, kw_only=True, forbid_unknown_fields=False
):
    data: _LenientListData[R]


_ENVELOPES: dict[str, tuple[Any, Any]] = {
    "items": (Success, LenientSuccess),
    "list": (_ListSuccess, _LenientListSuccess),
}
"""Field with the rows -> strict and lenient struct of a success."""


class _Single(msgspec.Struct, gc=False):
    code: int
    data: msgspec.Raw


class ItemDecoder(Generic[I]):
    """Decodes the bodies of a paged endpoint. Make one for each item struct and reuse it.

    Args:
        item: Struct of the rows.
        rows: Field of `data` with the rows.
    """

    def __init__(self, item: type[I], rows: str = "items") -> None:
        lenient: Any = lenient_variant(item)
        strict_envelope, lenient_envelope = _ENVELOPES[rows]
        self._struct, self._rows = item, rows
        # Lax mode reads "884674536008" as an int and "true" as a bool where those are expected.
        self._strict = msgspec.json.Decoder(strict_envelope[item], strict=False)
        self._lenient = msgspec.json.Decoder(lenient_envelope[lenient], strict=False)
        self._raw = msgspec.json.Decoder(lenient_envelope[msgspec.Raw], strict=False)
        self._row = msgspec.json.Decoder(lenient, strict=False)
        self._ids = self._strict
        if getattr(item, "row_key", "") == ProductId.row_key:
            self._ids = msgspec.json.Decoder(lenient_envelope[ProductId], strict=False)

    def decode(self, body: bytes, *, ids_only: bool = False) -> tuple[Success[Any], list[Reject]]:
        """Decode a success.

        Args:
            body: The body.
            ids_only: Read no more than the IDs of the rows, which costs less than half. The items
                may then be `ProductId`s; their number and the rejects are the same.

        Returns:
            The envelope with its items, and the rows that could not be decoded.

        Raises:
            TooManyValuesError: The body has too many rows or values.
            msgspec.ValidationError: The body is JSON of another shape.
            msgspec.DecodeError: The body is not JSON.
        """
        if len(body) > USUAL_BODY:
            self._check_size(body)
        try:
            return (self._ids if ids_only else self._strict).decode(body), []
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        try:
            return self._decode_leniently(body)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            repaired_page = self._decode_repaired(body)
            if repaired_page is None:
                raise
            return repaired_page

    def _check_size(self, body: bytes) -> None:
        _check_values(body)
        try:
            rows = self._raw.decode(body).data.items
        except UNREADABLE:
            return  # decoding says why
        _check_rows(rows)

    def _decode_leniently(self, body: bytes) -> tuple[Success[Any], list[Reject]]:
        raws = self._raw.decode(body)
        _check_rows(raws.data.items)
        try:
            success = self._lenient.decode(body)
        except _UNFIT:
            return self._row_by_row(raws, map(bytes, raws.data.items))
        for item, raw in zip(success.data.items, raws.data.items, strict=True):
            item.keep(raw)
        return success, []

    def _decode_repaired(self, body: bytes) -> tuple[Success[Any], list[Reject]] | None:
        """Decode a body that is not JSON: its envelope and each of its rows are read alone."""
        for envelope, region in row_regions(body, self._rows):
            try:
                raws = self._raw.decode(envelope)
            except msgspec.ValidationError:
                raise
            except UNREADABLE:
                continue
            rows = list(itertools.islice(_rows_of(region), _MOST_DAMAGED_ROWS + 1))
            return None if len(rows) > _MOST_DAMAGED_ROWS else self._row_by_row(raws, rows)
        return None

    def _row_by_row(
        self, envelope: Success[msgspec.Raw], rows: Iterable[bytes]
    ) -> tuple[Success[Any], list[Reject]]:
        items: list[LenientItem] = []
        rejects: list[Reject] = []
        for position, raw in enumerate(rows):
            try:
                items.append(self._decode_row(raw))
            except UNREADABLE as error:
                rejects.append(Reject(position, str(error), raw))
        data = msgspec.structs.replace(envelope.data, items=items)
        return msgspec.structs.replace(envelope, data=data), rejects

    def _decode_row(self, raw: bytes) -> LenientItem:
        try:
            item: LenientItem = self._row.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            item = mended_item(raw, self._struct)
        else:
            item.keep(raw)
        return item


def _rows_of(region: bytes) -> Iterator[bytes]:
    """Yield the rows of a damaged page.

    Rows with an unescaped quote hide the borders behind them, so that several rows come as one:
    such a piece is split again by the first key of its rows.
    """
    for element in split_rows(region):
        if _is_json(element) or _is_json(repair(element)):
            yield element
        else:
            yield from split_by_first_key(element)


def _is_json(text: bytes) -> bool:
    try:
        _ANY.decode(text)
    except UNREADABLE:
        return False
    return True


def _check_values(body: bytes) -> None:
    if has_too_many_values(body):
        raise TooManyValuesError(f"more than {MAX_VALUES:,} values")


def _check_rows(rows: list[msgspec.Raw]) -> None:
    if len(rows) > MAX_ROWS:
        raise TooManyValuesError(f"more than {MAX_ROWS:,} rows")


class SingleDecoder(Generic[I]):
    """Decodes the bodies of an endpoint without pages: `data` is a row, or a list of rows."""

    def __init__(self, item: type[I]) -> None:
        lenient: Any = lenient_variant(item)
        self._struct = item
        self._envelope = msgspec.json.Decoder(_Single, strict=False)
        self._rows = msgspec.json.Decoder(list[msgspec.Raw])
        self._strict = msgspec.json.Decoder(item, strict=False)
        self._row = msgspec.json.Decoder(lenient, strict=False)

    def decode(
        self,
        body: bytes,
        *,
        ids_only: bool = False,  # noqa: ARG002 - a row is read whole
    ) -> tuple[Success[Any], list[Reject]]:
        """Decode a success; see `ItemDecoder.decode`. `has_next_page` is always False."""
        if len(body) > USUAL_BODY:
            _check_values(body)
        single = self._decode_envelope(body)
        is_list = bytes(single.data).startswith(b"[")
        raws = self._rows.decode(single.data) if is_list else [single.data]
        _check_rows(raws)
        items: list[Any] = []
        rejects: list[Reject] = []
        for position, raw in enumerate(raws):
            if not bytes(raw).startswith(b"{"):
                raise msgspec.ValidationError("Expected `object` or a list of them - at `$.data`")
            try:
                items.append(self.decode_row(raw))
            except UNREADABLE as error:
                rejects.append(Reject(position, str(error), bytes(raw)))
        return Success(code=single.code, data=Data(has_next_page=False, items=items)), rejects

    def _decode_envelope(self, body: bytes) -> _Single:
        try:
            return self._envelope.decode(body)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._envelope.decode(repair(body))

    def decode_row(self, raw: msgspec.Raw) -> Any:
        """Decode a row, leniently if needed.

        Raises:
            msgspec.DecodeError: The row cannot be read.
        """
        try:
            return self._strict.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        try:
            item = self._row.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return mended_item(bytes(raw), self._struct)
        item.keep(raw)
        return item


class FieldDecoder:
    """Decodes some fields of the rows of a paged endpoint, in less time than all of them.

    Args:
        item: Struct of the rows.
        names: Columns of the rows to decode; those that the struct does not have are left out.

    Attributes:
        row: Struct of a decoded row.
    """

    def __init__(self, item: type[Wire], names: Collection[str]) -> None:
        paths = [column.path for column in columns(item) if column.name in names]
        row: Any = narrow_variant(item, paths)
        self.row: type[Any] = row
        self._decoder = msgspec.json.Decoder(LenientSuccess[row], strict=False)

    def decode(self, body: bytes) -> list[Any] | None:
        """Decode the rows of a page.

        Returns:
            The rows with these fields, which have the values that `ItemDecoder` gives them. None if
            one of the values does not fit, or if the body is damaged or large: only `ItemDecoder`
            reads such a page.
        """
        if len(body) > USUAL_BODY:
            return None
        try:
            rows: list[Any] = self._decoder.decode(body).data.items
        except UNREADABLE:
            return None
        return rows


@functools.cache
def decoder(endpoint: str) -> ItemDecoder[Any] | SingleDecoder[Any]:
    """Return the decoder of an endpoint by its name. Each decoder is made once."""
    description = ENDPOINTS[endpoint]
    if description.paged:
        return ItemDecoder(description.item, description.rows)
    return SingleDecoder(description.item)


@functools.cache
def field_decoder(endpoint: str, names: frozenset[str]) -> FieldDecoder | None:
    """Return the decoder of some columns of a product; None for an endpoint about one product."""
    description = ENDPOINTS[endpoint]
    return FieldDecoder(description.item, names) if description.lists_products else None
