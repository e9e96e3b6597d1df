"""The rows of an export, decoded by this process or by several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from tmapi_async.export.chunks import check_figures, read_chunks
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.selection import FigureSums, Scope
from tmapi_async.export.sinks import Rows, WritableRows
from tmapi_async.journal.reader import JournalReader

from .jobs import default_jobs
from .page_ranges import RANGE_PAGES, DecodedRange, RangePlan
from .part_workers import PartWorkers

if TYPE_CHECKING:
    import pyarrow as pa


class ExportedRows(WritableRows, Protocol):
    """Rows to write, with the figures of their pages."""

    @property
    def pages(self) -> int:
        """Number of pages."""

    @property
    def rejects(self) -> int:
        """Rows of these pages that the present models cannot decode."""


class _RowsOfWorker:
    """Rows that a worker has decoded."""

    def __init__(self, decoded: DecodedRange, scope: Scope) -> None:
        self.count, self.pages, self.rejects = decoded.count, decoded.pages, decoded.rejects
        self._decoded, self._scope = decoded, scope

    @property
    def lines(self) -> bytes:
        """The rows as JSON lines."""
        return self._decoded.lines

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows as an Arrow record batch."""
        import pyarrow as pa  # noqa: PLC0415 - an extra

        from tmapi_async.export.arrow import item_schema  # noqa: PLC0415 - as above

        schema = item_schema(self._scope.endpoint)
        return pa.ipc.read_record_batch(pa.py_buffer(self._decoded.message), schema)


class RowSource:
    """The rows of an export, in the order of the commits.

    Args:
        reader: The journal.
        scope: The selected pages.
        conversions: Counts of inexact conversions, which reading adds to.
        batches: True if a destination reads record batches.
        lines: True if a destination reads JSON lines.
    """

    def __init__(
        self,
        reader: JournalReader,
        scope: Scope,
        conversions: Conversions,
        *,
        batches: bool,
        lines: bool,
    ) -> None:
        self._reader, self._scope, self._conversions = reader, scope, conversions
        self._batches, self._lines = batches, lines

    def rows(self, jobs: int | None, on_pages: Callable[[int], None]) -> Iterator[ExportedRows]:
        """Yield the rows.

        Args:
            jobs: Number of processes that decode; None to decide by the size of the journal.
                Unique items are decoded by this process.
            on_pages: Called with a number of pages read while nothing is yielded.

        Raises:
            JournalError: A page cannot be read, or the pages do not agree with the figures of the
                journal.
        """
        jobs = default_jobs(self._scope.pages) if jobs is None else jobs
        if jobs > 1 and not self._scope.unique:
            yield from self._rows_of_workers(jobs)
            return
        rows = self._no_rows()
        for chunk in read_chunks(self._reader, self._scope, on_pages=on_pages):
            rows.add(chunk)
            del chunk  # the next one then takes the same memory, which is in the cache
            if rows.pages >= RANGE_PAGES:
                yield rows
                rows = self._no_rows()
        if rows.pages:
            yield rows

    def _no_rows(self) -> Rows:
        return Rows(
            self._scope.endpoint, self._conversions, batches=self._batches, lines=self._lines
        )

    def _rows_of_workers(self, jobs: int) -> Iterator[ExportedRows]:
        reader, scope = self._reader, self._scope
        plan = RangePlan(reader.path, scope, reader.last_page(), self._batches, self._lines)
        read = FigureSums()
        with closing(PartWorkers(reader, plan, max(1, min(jobs, plan.parts)))) as pool:
            for decoded in pool.results():
                read.add(decoded.ended.pages, decoded.ended.rows)
                self._conversions.merge(decoded.conversions)
                yield _RowsOfWorker(decoded, scope)
        check_figures(reader, scope, read)
