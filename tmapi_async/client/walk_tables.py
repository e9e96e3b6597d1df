"""The items of a walk as Arrow tables and data frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from tmapi_async.api.endpoints import ENDPOINTS
from tmapi_async.api.replies import Page
from tmapi_async.errors import TMAPIError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from tmapi_async.export.frames.libraries import Decimals
    from tmapi_async.export.frames.page_batches import PageBatches


class WalkTables:
    """Collects the rows of a walk in record batches.

    Args:
        endpoints: Returns the names of the endpoints of the walk, as far as they are known before
            it begins.
    """

    def __init__(self, endpoints: Callable[[], Collection[str]]) -> None:
        self._endpoints = endpoints
        self._batches: list[pa.RecordBatch] = []

    @property
    def partial(self) -> pa.Table | None:
        """The rows of a table that was cut off, or None if there are none."""
        if not self._batches:
            return None
        import pyarrow as pa  # noqa: PLC0415 - an extra

        return pa.Table.from_batches(self._batches)

    def begin(self, extra: str, method: str) -> PageBatches:
        """Check what can be checked before anything is sent.

        Args:
            extra: The extra of this package with the libraries of the method.
            method: Name of the method, for messages.

        Returns:
            An empty builder of batches.

        Raises:
            ExportRefusedError: A library is missing.
            InvalidRequestError: The walk is over several endpoints.
        """
        from tmapi_async.export.frames.libraries import check_library  # noqa: PLC0415 - an extra

        check_library(extra, method)
        from tmapi_async.export.frames import page_batches  # noqa: PLC0415 - an extra

        names = self._endpoints()
        page_batches.check_one_endpoint(names)
        return page_batches.PageBatches(next((ENDPOINTS[name] for name in names), None))

    async def batches(
        self, pages: AsyncGenerator[Page[Any]], builder: PageBatches, rows: int
    ) -> AsyncGenerator[pa.RecordBatch]:
        """Generate batches of at least some rows, but for the last one; close the pages."""
        is_first = True
        try:
            async with aclosing(pages):
                async for page in pages:
                    builder.add(page)
                    if builder.rows >= rows:
                        is_first = False
                        yield builder.take()
        except TMAPIError:
            if builder.rows:
                yield builder.take()
            raise
        except asyncio.CancelledError:
            if builder.rows:
                self._batches.append(builder.take())
            raise
        if builder.rows or is_first:  # the first one, because it shows the schema
            yield builder.take()

    async def _table(self, pages: AsyncGenerator[Page[Any]], builder: PageBatches) -> pa.Table:
        """Walk to the end and return all rows."""
        import pyarrow as pa  # noqa: PLC0415 - an extra

        from tmapi_async.export.frames.page_batches import BATCH_ROWS  # noqa: PLC0415 - an extra

        async with aclosing(self.batches(pages, builder, BATCH_ROWS)) as batches:
            async for batch in batches:
                self._batches.append(batch)
        return pa.Table.from_batches(self._batches)

    async def arrow(self, pages: AsyncGenerator[Page[Any]]) -> pa.Table:
        """Walk to the end and return an Arrow table."""
        table = await self._table(pages, self.begin("arrow", "to_arrow"))
        self._batches = []
        return table

    async def polars(self, pages: AsyncGenerator[Page[Any]]) -> pl.DataFrame:
        """Walk to the end and return a data frame of polars."""
        from tmapi_async.export.frames.libraries import polars_frame  # noqa: PLC0415 - an extra

        table = await self._table(pages, self.begin("polars", "to_polars"))
        frame = await asyncio.to_thread(polars_frame, table)
        self._batches = []
        return frame

    async def pandas(self, pages: AsyncGenerator[Page[Any]], decimals: Decimals) -> pd.DataFrame:
        """Walk to the end and return a data frame of pandas."""
        from tmapi_async.export.frames.libraries import (  # noqa: PLC0415 - an extra
            check_decimals,
            pandas_frame,
        )

        check_decimals(decimals)
        table = await self._table(pages, self.begin("pandas", "to_pandas"))
        frame = await asyncio.to_thread(pandas_frame, table, decimals)
        self._batches = []
        return frame
