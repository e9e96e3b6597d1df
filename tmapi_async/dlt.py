"""A dlt source: what a journal holds, for any destination that dlt can load.

Needs the extra `dlt`:

    pip install "tmapi-async[dlt]"
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from tmapi_async.export.arrow import item_schema, record_batch
from tmapi_async.export.conversions import Conversions
from tmapi_async.export.selection import Selection, read_chunks, resolve
from tmapi_async.journal.reader import JournalReader

PRIMARY_KEY = ("listing", "item_id")


@dlt.source(name="tmapi")
def journal(path: str | Path, selection: Selection | None = None) -> DltResource:
    """The items of a journal as a dlt source with one resource, `items`.

    Args:
        path: The journal; it may be written meanwhile.
        selection: What of it is wanted; the latest run if left out.

    Returns:
        The source.

    Raises:
        JournalError: The journal cannot be read; raised when the source is extracted.
        ExportRefusedError: Nothing like that is in it; raised then too.
    """
    return items(path, selection)


def items(path: str | Path, selection: Selection | None = None) -> DltResource:
    """The items of a journal as a dlt resource that yields Arrow tables.

    Rows are merged by (`listing`, `item_id`), the latest sighting staying; the column `run` says
    which run a row comes from. With `write_disposition="append"` every sighting is kept. A
    destination without merging (a file system) gets every sighting too: select unique items then.

    Args:
        path: The journal; it may be written meanwhile.
        selection: What of it is wanted; the latest run if left out.

    Returns:
        The resource; its name and every hint can be changed as dlt allows.
    """
    wanted = selection or Selection()
    found: DltResource = dlt.resource(
        lambda: _tables(path, wanted),
        name="items",
        primary_key=PRIMARY_KEY,
        write_disposition="merge",
        columns=_hints(),
    )
    return found


def _hints() -> Any:
    # Of several sightings in one load dlt keeps the one that comes first in this order.
    return {"fetched_at": {"dedup_sort": "desc"}, "extra": {"data_type": "text"}}


def _tables(path: str | Path, selection: Selection) -> Iterator[pa.Table]:
    conversions = Conversions()
    with JournalReader(path) as reader:
        empty, scope = True, resolve(reader, selection)
        for chunk in read_chunks(reader, scope):
            empty = False
            yield pa.Table.from_batches([record_batch(chunk, conversions)])
        if empty:
            yield item_schema(scope.endpoint).empty_table()
