"""The interface of every destination, and the rows that a destination receives."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from tmapi_async.api.columns import columns
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.rows import encode_lines, item_rows

from .chunks import Chunk
from .conversions import Conversions
from .endpoint_choice import row_key
from .over_time.gone_items import WalkedListing

if TYPE_CHECKING:
    import pyarrow as pa

    from .arrow import BatchBuilder


class Rows:
    """Rows in the formats that destinations need.

    A chunk that is added is turned into each format at once, and its items are not kept.

    Args:
        endpoint: Endpoint of the rows.
        conversions: Counts of inexact conversions; every value is counted once.
        batches: True if a destination reads `batch`, which then does the counting.
        lines: True if a destination reads `lines`.

    Attributes:
        count: Number of rows.
        pages: Number of pages.
        rejects: Rows of these pages that the present models cannot decode.
    """

    def __init__(
        self, endpoint: Endpoint, conversions: Conversions, *, batches: bool, lines: bool
    ) -> None:
        self.count = self.pages = self.rejects = 0
        self._endpoint = endpoint
        self._conversions = conversions
        self._text_columns = [
            (column.name, column.text)
            for column in columns(endpoint.item)
            if column.text is not None
        ]
        self._builder: BatchBuilder | None = None
        if batches:
            from .arrow import BatchBuilder  # noqa: PLC0415 - pyarrow is an extra

            self._builder = BatchBuilder(endpoint, conversions)
        self._lines: list[bytes] | None = [] if lines else None

    def add(self, chunk: Chunk) -> None:
        """Add decoded pages of the endpoint."""
        self.count += chunk.rows
        self.pages += len(chunk.pages)
        self.rejects += chunk.rejects
        if self._builder is not None:
            self._builder.add(chunk)
        if self._lines is not None:
            self._lines.append(encode_lines(self._dicts(chunk)))

    @functools.cached_property
    def batch(self) -> pa.RecordBatch:
        """The rows as an Arrow record batch with the `item_schema` of their endpoint."""
        if self._builder is None:
            raise AssertionError("no destination reads batches")
        return self._builder.finish()

    @property
    def lines(self) -> bytes:
        r"""The rows as JSON lines; every line ends with a single `\n`."""
        if self._lines is None:
            raise AssertionError("no destination reads lines")
        if len(self._lines) != 1:
            self._lines = [b"".join(self._lines)]
        return self._lines[0]

    def _dicts(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        for origin, items, positions in chunk.origins():
            for row in item_rows(origin, items, positions, self._endpoint.item):
                if self._builder is None:
                    self._count(row)
                yield row

    def _count(self, row: dict[str, Any]) -> None:
        for name, text in self._text_columns:
            if row[text] is not None:
                unread = row[name] is None
                self._conversions.add(name, unread=int(unread), bounds=int(not unread))


class ItemTable(msgspec.Struct, frozen=True):
    """Columns of the items of an endpoint, for a destination."""

    endpoint: Endpoint

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that tell a row of a database table from all others."""
        return row_key(self.endpoint)

    @property
    def title(self) -> str:
        """Name of the sheet of a workbook."""
        return self.endpoint.short

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows."""
        from .arrow import item_schema  # noqa: PLC0415 - pyarrow is an extra

        return item_schema(self.endpoint)


class Table(Protocol):
    """Columns of the rows that a file receives."""

    @property
    def title(self) -> str:
        """Name of the sheet of a workbook."""

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that tell a row of a database table from all others."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows."""


class WritableRows(Protocol):
    """Rows that a file can write, whatever their columns."""

    @property
    def count(self) -> int:
        """Number of rows."""

    @property
    def lines(self) -> bytes:
        """The rows as JSON lines."""

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows as an Arrow record batch."""


class DestinationResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of an export in one destination.

    Attributes:
        to: The destination, without any password.
        rows: Rows written to the destination.
        bytes: Size of the file, or None if the destination is not a file.
        inserted: Rows that are new in the table, or None if the destination is not a table.
        updated: Rows of the table that changed.
        unchanged: Rows that the table already had, equal or newer.
        gone: Rows of the table that were marked as gone, or None if the destination is no table.
        history: Rows added to the price history beside the table, or None if there is none.
        more_files: Further workbooks, with the rows for which the first one has no room.
        old_files: Workbooks of an earlier, larger export that this one has not replaced.
        cut: Texts that were cut, because a cell of a workbook has no room for them.
        plain_addresses: Addresses that are no links, because a sheet has no room for more links.
        tables: Rows written to each sheet or table by its name, if the file has got several.
    """

    to: str
    rows: int
    bytes: int | None = None
    inserted: int | None = None
    updated: int | None = None
    unchanged: int | None = None
    gone: int | None = None
    history: int | None = None
    more_files: list[str] = []
    old_files: list[str] = []
    cut: int = 0
    plain_addresses: int = 0
    tables: dict[str, int] = {}


@runtime_checkable
class MarksGone(Protocol):
    """A destination whose rows outlive an export."""

    def mark_gone(self, walked: Sequence[WalkedListing]) -> None:
        """Mark the rows of these listings that the written rows lack. Call it before `commit`."""


@runtime_checkable
class KeepsHistory(Protocol):
    """A database, which keeps the price history in a table of its own."""

    def write_history(self, rows: WritableRows) -> None:
        """Write rows of the price history. Call it after the last row of items."""


@runtime_checkable
class HoldsTables(Protocol):
    """A file with a table for each endpoint, which are written one after the other."""

    def begin_table(self, endpoint: Endpoint, name: str) -> None:
        """End the table that is being written, and begin another one of the same file.

        Args:
            endpoint: The endpoint whose rows follow.
            name: Name of its table, where tables have names.
        """


class Sink(Protocol):
    """An open destination. Other programs see nothing of the rows before `commit` returns."""

    @property
    def to(self) -> str:
        """Name of the destination for messages, without any password."""

    def write(self, rows: WritableRows) -> None:
        """Write rows."""

    def commit(self) -> DestinationResult:
        """Make the written rows durable and visible."""

    def abort(self) -> None:
        """Leave the destination as it was before. Never raises."""
