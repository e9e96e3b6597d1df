"""Ranges of the pages of a journal, each read and decoded by one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tmapi_async.export.chunks import read_range
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.selection import FigureSums, Scope
from tmapi_async.export.sinks import Rows
from tmapi_async.journal.reader import JournalReader

RANGE_PAGES = 128
"""Pages of a range. The rows of a range cross from process to process at once: some 1 MB."""


class RangePlan(msgspec.Struct, frozen=True):
    """The pages to read, and the formats that the destinations need.

    Attributes:
        path: The journal.
        scope: The selected pages.
        last: Number of the last page.
        batches: True if a destination reads record batches.
        lines: True if a destination reads JSON lines.
    """

    path: Path
    scope: Scope
    last: int
    batches: bool
    lines: bool

    @property
    def parts(self) -> int:
        """Number of ranges."""
        return -(-self.last // RANGE_PAGES)

    def read(self, reader: JournalReader, number: int) -> Iterator[DecodedRange]:
        """Read and decode a range, usually in one piece; see `ReadingPlan`."""
        after, until = number * RANGE_PAGES, min((number + 1) * RANGE_PAGES, self.last)
        ended, conversions = FigureSums(), Conversions({}, {})
        rows = Rows(self.scope.endpoint, conversions, batches=self.batches, lines=self.lines)
        for chunk in read_range(reader, self.scope, after, until, ended):
            rows.add(chunk)
            del chunk  # the next one then takes the same memory, which is in the cache
        message = rows.batch.serialize().to_pybytes() if self.batches else b""
        lines = rows.lines if self.lines else b""
        yield DecodedRange(rows.count, rows.pages, rows.rejects, ended, conversions, message, lines)


class DecodedRange(msgspec.Struct, frozen=True):
    """Rows of a range.

    Attributes:
        count: Number of rows.
        pages: Number of pages.
        rejects: Rows that the present models cannot decode.
        ended: Figures of the visits among them that had ended.
        conversions: Counts of inexact conversions.
        message: The rows as a message of Arrow; empty if nobody reads it.
        lines: The rows as JSON lines; empty if nobody reads them.
    """

    count: int
    pages: int
    rejects: int
    ended: FigureSums
    conversions: Conversions
    message: bytes = b""
    lines: bytes = b""
