"""dlt source: the items of a journal, for every destination that dlt can load.

Needs the extra `dlt`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from tmapi_async.export.arrow import item_schema, record_batches
from tmapi_async.export.chunks import read_chunks
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.endpoint_choice import require_products
from tmapi_async.export.selection import Selection, resolve
from tmapi_async.journal.reader import JournalReader

__all__ = ["PRIMARY_KEY", "items", "journal"]

PRIMARY_KEY = ("listing", "item_id")


@dlt.source(name="tmapi")
def journal(path: str | Path, selection: Selection | None = None) -> DltResource:
    """Return a dlt source with one resource, `items`: the items of a journal.

    Args:
        path: The journal; a harvest may be writing to it.
        selection: The part of the journal to load. By default the latest finished visit of each
            listing.

    Returns:
        The source.

    Raises:
        JournalError: The journal cannot be read. Raised when dlt extracts the source.
        ExportRefusedError: The journal has no such rows. Raised when dlt extracts the source.
    """
    return items(path, selection)


def items(path: str | Path, selection: Selection | None = None) -> DltResource:
    """Return a dlt resource that yields the items of a journal as Arrow tables.

    Rows are merged by (`listing`, `item_id`): the latest sighting of an item stays, and the column
    `run` contains its run. With `write_disposition="append"` every sighting is kept. A destination
    that cannot merge (a file system) also receives every sighting; select unique items there.

    Args:
        path: The journal; a harvest may be writing to it.
        selection: The part of the journal to load. By default the latest finished visit of each
            listing.

    Returns:
        The resource. Its name and hints can be changed by the means of dlt.
    """
    resource: DltResource = dlt.resource(
        lambda: _tables(path, selection or Selection()),
        name="items",
        primary_key=PRIMARY_KEY,
        write_disposition="merge",
        columns=_hints(),
    )
    return resource


def _hints() -> Any:
    # If a load contains several sightings of an item, dlt keeps the first in this order.
    return {"fetched_at": {"dedup_sort": "desc"}, "extra": {"data_type": "text"}}


def _tables(path: str | Path, selection: Selection) -> Iterator[pa.Table]:
    conversions = Conversions()
    with JournalReader(path) as reader:
        empty, scope = True, resolve(reader, selection)
        require_products(scope.endpoint, "the dlt source")
        for batch in record_batches(read_chunks(reader, scope), conversions):
            empty = False
            yield pa.Table.from_batches([batch])
        if empty:
            yield item_schema(scope.endpoint).empty_table()
