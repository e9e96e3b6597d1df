"""A reader of journals that also gives the items as tables and data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tmapi_async.errors.argument_checks import check_type
from tmapi_async.export.chunks import read_chunks
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.selection import Selection, resolve
from tmapi_async.journal.reader import JournalReader

from .libraries import Decimals, check_decimals, check_library, pandas_frame, polars_frame

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class JournalTableReader(JournalReader):
    """A journal open for reading. Use it in `with`, or `close` it. One thread at a time may use it.

    Args:
        path: The journal's file.

    Raises:
        JournalError: The journal cannot be read. The subclass says why.
    """

    def to_batches(self, selection: Selection | None = None) -> pa.RecordBatchReader:
        """Return a stream of the items, in record batches of about 50,000 rows.

        Pages are read as batches are taken, so memory does not grow with the journal. Pass the
        stream to DuckDB, polars, `pyarrow.dataset.write_dataset` and others while the journal is
        open. An error of the journal is raised where a batch is taken.

        Args:
            selection: The part of the journal. By default the latest finished visit of each
                listing.

        Raises:
            ExportRefusedError: The journal has no such rows, or pyarrow (the extra `arrow`) is
                missing.
            JournalError: The journal cannot be read.
        """
        return self._stream(selection, "arrow", "to_batches")

    def to_arrow(self, selection: Selection | None = None) -> pa.Table:
        """Return the items as an Arrow table, with the columns and types of every export.

        Args:
            selection: The part of the journal. By default the latest finished visit of each
                listing.

        Raises:
            ExportRefusedError: The journal has no such rows, or pyarrow (the extra `arrow`) is
                missing.
            JournalError: The journal cannot be read.
        """
        return self._stream(selection, "arrow", "to_arrow").read_all()

    def to_polars(self, selection: Selection | None = None) -> pl.DataFrame:
        """Return the items as a data frame of polars; exact numbers are its `Decimal`.

        Args:
            selection: The part of the journal. By default the latest finished visit of each
                listing.

        Raises:
            ExportRefusedError: The journal has no such rows, or polars (the extra `polars`) is
                missing.
            JournalError: The journal cannot be read.
        """
        return polars_frame(self._stream(selection, "polars", "to_polars").read_all())

    def to_pandas(
        self, selection: Selection | None = None, *, decimals: Decimals = "object"
    ) -> pd.DataFrame:
        """Return the items as a data frame of pandas.

        Args:
            selection: The part of the journal. By default the latest finished visit of each
                listing.
            decimals: Exact numbers as `Decimal` objects ("object"), or as decimals of Arrow
                ("arrow"), which need less memory.

        Raises:
            ExportRefusedError: The journal has no such rows, or pandas (the extra `pandas`) is
                missing.
            JournalError: The journal cannot be read.
        """
        check_decimals(decimals)
        return pandas_frame(self._stream(selection, "pandas", "to_pandas").read_all(), decimals)

    def _stream(self, selection: Selection | None, extra: str, method: str) -> pa.RecordBatchReader:
        check_type("selection", selection, Selection, "a Selection")
        check_library(extra, method)
        import pyarrow as pa  # noqa: PLC0415 - an extra

        from tmapi_async.export.arrow import item_schema, record_batches  # noqa: PLC0415 - as above

        from .page_batches import BATCH_ROWS, larger_batches  # noqa: PLC0415 - as above

        scope = resolve(self, selection or Selection())
        schema, conversions = item_schema(scope.endpoint), Conversions()
        batches = record_batches(read_chunks(self, scope), conversions)
        return pa.RecordBatchReader.from_batches(
            schema, larger_batches(batches, schema, BATCH_ROWS)
        )
