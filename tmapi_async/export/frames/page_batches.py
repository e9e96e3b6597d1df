"""Record batches from the pages of a walk, made while the walk goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from tmapi_async.api.endpoints import CATEGORY_ITEMS, Endpoint
from tmapi_async.api.listings import Listing, endpoint_of
from tmapi_async.api.replies import Page
from tmapi_async.errors import InvalidRequestError
from tmapi_async.export.arrow import item_schema, record_batch
from tmapi_async.export.conversions import Conversions

BATCH_ROWS = 50_000
"""Rows of a batch that callers get: few enough to hold, enough for a row group of Parquet."""

_CONVERTED_PAGES = 64
"""Pages converted at once. A page with its body takes some 50 KB; converted rows take a tenth."""


class WalkedPage(msgspec.Struct, frozen=True, gc=False):
    """Origin of the rows of a page that no journal holds."""

    listing: Listing
    number: int
    fetched_at: float
    run: None = None


class WalkedPages(msgspec.Struct):
    """Pages of one endpoint, as `record_batch` takes them."""

    endpoint: Endpoint
    pages: list[WalkedPage] = []
    items: list[list[Any]] = []
    positions: list[Sequence[int]] = []

    def add(self, page: Page[Any]) -> None:
        """Add a page."""
        listing, fetched = page.request.listing, page.fetched_at.timestamp()
        self.pages.append(WalkedPage(listing, page.number, fetched))
        self.items.append(page.items)
        self.positions.append(page.positions())


class PageBatches:
    """Turns pages into record batches of one schema.

    Args:
        endpoint: Endpoint of the pages, or None to take that of the first page.

    Attributes:
        rows: Rows of the pages that were added and not taken yet.
    """

    def __init__(self, endpoint: Endpoint | None) -> None:
        self.rows = 0
        self._endpoint = endpoint
        self._pages: WalkedPages | None = None
        self._batches: list[pa.RecordBatch] = []

    @property
    def schema(self) -> pa.Schema:
        """Schema of the batches. Without any page or endpoint it is that of `category/items`."""
        return item_schema(self._endpoint or CATEGORY_ITEMS, run=False)

    def add(self, page: Page[Any]) -> None:
        """Add a page.

        Raises:
            InvalidRequestError: The page is of another endpoint than those before it.
        """
        endpoint = endpoint_of(page.request.listing)
        if self._endpoint is None:
            self._endpoint = endpoint
        check_one_endpoint({self._endpoint.name, endpoint.name})
        if self._pages is None:
            self._pages = WalkedPages(endpoint)
        self._pages.add(page)
        self.rows += len(page.items)
        if len(self._pages.pages) >= _CONVERTED_PAGES:
            self._convert()

    def take(self) -> pa.RecordBatch:
        """Return the rows that were added since the last call."""
        self._convert()
        batches, self._batches, self.rows = self._batches, [], 0
        return one_batch(batches, self.schema)

    def _convert(self) -> None:
        pages, self._pages = self._pages, None
        if pages is not None:
            self._batches.append(record_batch(pages, Conversions()))


def check_one_endpoint(names: Iterable[str]) -> None:
    """Refuse pages of several endpoints in one table.

    Raises:
        InvalidRequestError: There are several.
    """
    several = sorted(set(names))
    if len(several) > 1:
        raise InvalidRequestError(
            f"the walk has pages of {' and '.join(several)}, and each endpoint has columns of its "
            "own: make a walk for each endpoint"
        )


def one_batch(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """Join batches to one; without any it has no rows."""
    if len(batches) == 1:
        return batches[0]
    joined = pa.Table.from_batches(batches, schema).combine_chunks().to_batches()
    return joined[0] if joined else pa.RecordBatch.from_pylist([], schema)


def larger_batches(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of small batches in batches of at least some rows, but for the last."""
    pending: list[pa.RecordBatch] = []
    pending_rows = 0
    for batch in batches:
        pending.append(batch)
        pending_rows += batch.num_rows
        if pending_rows >= rows:
            yield one_batch(pending, schema)
            pending, pending_rows = [], 0
    if pending_rows:
        yield one_batch(pending, schema)
