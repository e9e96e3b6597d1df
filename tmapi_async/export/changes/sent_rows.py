"""Rows of a page as they were sent, of which only some are decoded. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tmapi_async.api.decoding import UNREADABLE, USUAL_BODY, LenientSuccess, field_decoder
from tmapi_async.api.endpoints import Endpoint

from .item_values import COMPARED


class SentRows:
    """Splits the pages of an endpoint that lists products into rows, and decodes rows.

    Args:
        endpoint: The endpoint. Pages of one that lists no products are not split.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._pages = msgspec.json.Decoder(LenientSuccess[msgspec.Raw], strict=False)
        fields = field_decoder(endpoint.name, COMPARED)
        row: Any = fields.row if fields else None
        self._rows = msgspec.json.Decoder(list[row], strict=False) if fields else None

    def split(self, body: bytes) -> list[msgspec.Raw]:
        """Return the bytes of each row of a page; none if the body is damaged or large."""
        if len(body) > USUAL_BODY or self._rows is None:
            return []
        try:
            return self._pages.decode(body).data.items
        except UNREADABLE:
            return []

    def decode(self, rows: Iterable[msgspec.Raw]) -> list[Any] | None:
        """Decode rows with the columns of `COMPARED`; None if one of the values does not fit."""
        if self._rows is None:
            return None
        try:
            items: list[Any] = self._rows.decode(b"[%b]" % b",".join(rows))
        except UNREADABLE:
            return None
        return items
