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


class ReadingPlan(msgspec.Struct, frozen=True):
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
    def ranges(self) -> int:
        """Number of ranges."""
        return -(-self.last // RANGE_PAGES)


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


def decode_range(reader: JournalReader, plan: ReadingPlan, number: int) -> Iterator[DecodedRange]:
    """Read and decode a range of pages, usually in one piece.

    Args:
        reader: The journal.
        plan: The pages to read.
        number: Number of the range, from 0.
    """
    after, until = number * RANGE_PAGES, min((number + 1) * RANGE_PAGES, plan.last)
    ended = FigureSums()
    for chunk in read_range(reader, plan.scope, after, until, ended):
        conversions = Conversions({}, {})
        rows = Rows(chunk, conversions, arrow=plan.batches)
        message = rows.batch.serialize().to_pybytes() if plan.batches else b""
        lines = rows.lines if plan.lines else b""
        yield DecodedRange(rows.count, rows.pages, rows.rejects, ended, conversions, message, lines)
        ended = FigureSums()
