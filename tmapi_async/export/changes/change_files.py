"""Changes in files, objects and SQLite databases; each appears complete or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pyarrow as pa

from tmapi_async.errors import ExportRefusedError
from tmapi_async.export.arrays.listing_arrays import KEYS
from tmapi_async.export.destinations import (
    SQLITE,
    SQLITE_ENDINGS,
    XLSX,
    Destination,
    parse_destinations,
)
from tmapi_async.export.files import FILES
from tmapi_async.export.sinks import DestinationResult

from .change_workbook import WORKBOOK_CHANGE, for_workbook
from .diff import CHANGE

_SLICE = 4096
_CENTS = Decimal("0.01")
_KINDS = (*FILES, XLSX, SQLITE)


class ChangeTable(msgspec.Struct, frozen=True):
    """Columns of the changes, for a destination.

    Attributes:
        schema: The columns.
    """

    title: ClassVar[str] = "changes"
    key: ClassVar[tuple[str, ...]] = KEYS
    schema: pa.Schema = CHANGE


class ChangeRows(msgspec.Struct, frozen=True):
    """Some changes, in the formats that destinations need."""

    batch: pa.RecordBatch

    @property
    def count(self) -> int:
        """Number of changes."""
        return int(self.batch.num_rows)

    @property
    def lines(self) -> bytes:
        """The changes as JSON lines."""
        return b"".join(json_lines([self.batch]))


def parse_change_destinations(
    texts: Sequence[str], journal: Path, *, csv_bom: bool = False
) -> list[Destination]:
    """Parse and check destinations of changes.

    Args:
        texts: Destinations as typed, without `-`.
        journal: The journal, which must not be overwritten.
        csv_bom: True to begin each CSV file with a byte-order mark.

    Raises:
        ExportRefusedError: A destination cannot be used; the message says why and what to do.
    """
    if not texts:
        if csv_bom:
            raise ExportRefusedError("--csv-bom needs a .csv file, and no destination is one")
        return []
    destinations = parse_destinations(texts, journal=journal.expanduser(), csv_bom=csv_bom)
    for text, destination in zip(texts, destinations, strict=True):
        if destination.kind not in _KINDS:
            name = destination.path or f"{text.partition('://')[0]}://"
            endings = ", ".join((*_KINDS, *SQLITE_ENDINGS))
            raise ExportRefusedError(
                f"{name}: changes are written to files that end with one of {endings}, "
                "to s3://BUCKET/NAME, or to -"
            )
    return destinations


def write_changes(
    changes: Iterable[pa.RecordBatch],
    destination: Destination,
    names: Mapping[int, str] | None = None,
) -> DestinationResult:
    """Write changes to a destination.

    Args:
        changes: Batches of changes (`CHANGE`).
        destination: The destination.
        names: Names of categories, which a workbook shows; None for none.

    Raises:
        ExportError: The destination cannot be written and is unchanged.
        OSError: The file cannot be written; a previous file is unchanged.
    """
    is_workbook = destination.kind == XLSX
    sink = destination.open_table(ChangeTable(WORKBOOK_CHANGE if is_workbook else CHANGE))
    try:
        for batch in changes:
            sink.write(ChangeRows(for_workbook(batch, names or {}) if is_workbook else batch))
        return sink.commit()
    finally:
        sink.abort()


def json_lines(changes: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    r"""Yield changes as JSON lines, some thousand at a time; amounts are exact strings."""
    for batch in _slices(changes):
        yield b"".join(_ENCODER.encode(_json_values(row)) + b"\n" for row in batch.to_pylist())


def format_amount(value: Decimal) -> str:
    """Return an amount as text, with two decimals, or with more if the amount has more."""
    normalized = value.normalize()
    cents = value.quantize(_CENTS)
    return f"{cents if normalized == cents else normalized:f}"


def _json_values(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: format_amount(value) if isinstance(value, Decimal) else value
        for name, value in row.items()
    }


_ENCODER = msgspec.json.Encoder()


def _slices(changes: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in changes:
        for start in range(0, batch.num_rows, _SLICE):
            yield batch.slice(start, _SLICE)
