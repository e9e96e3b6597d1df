"""Changes as JSON lines, CSV or Parquet; each file appears complete or not at all."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from tmapi_async.errors import ExportRefusedError
from tmapi_async.export.atomic_file import AtomicFile, overwrites_journal
from tmapi_async.export.csv_safety import escape_formulas
from tmapi_async.export.destinations import CSV

from .diff import CHANGE

_SLICE = 4096
_CENTS = Decimal("0.01")


def check_file(text: str, journal: Path) -> Path:
    """Parse and check a file for changes.

    Raises:
        ExportRefusedError: The file cannot be written; the message says why and what to do.
    """
    path = Path(text).expanduser()
    if path.suffix.lower() not in WRITERS:
        endings = ", ".join(WRITERS)
        raise ExportRefusedError(f"{text}: the file name must end with one of {endings}; or give -")
    if not path.resolve().parent.is_dir():
        raise ExportRefusedError(
            f"{text}: the folder {path.parent} does not exist: create it first"
        )
    if path.exists() and not path.is_file():
        raise ExportRefusedError(f"{text} exists and is not a file: name another file")
    if overwrites_journal(path, journal.expanduser()):
        raise ExportRefusedError(f"{text} is the journal itself: name another file")
    return path


def write_file(changes: Iterable[pa.RecordBatch], path: Path, *, csv_bom: bool = False) -> int:
    """Write changes to a file.

    Args:
        changes: Batches of changes (`CHANGE`).
        path: The file.
        csv_bom: True to begin a CSV file with a byte-order mark.

    Returns:
        Size of the file in bytes.

    Raises:
        OSError: The file cannot be written; a previous file is unchanged.
    """
    atomic_file = AtomicFile(path)
    try:
        with atomic_file.temporary.open("wb") as file:
            if csv_bom and path.suffix.lower() == CSV:
                file.write(codecs.BOM_UTF8)
            WRITERS[path.suffix.lower()](changes, file)
        return atomic_file.commit()
    finally:
        atomic_file.discard()


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


def _json(changes: Iterable[pa.RecordBatch], file: BinaryIO) -> None:
    file.writelines(json_lines(changes))


def _csv(changes: Iterable[pa.RecordBatch], file: BinaryIO) -> None:
    with csv.CSVWriter(file, CHANGE) as writer:
        for batch in _slices(changes):
            escaped = [escape_formulas(column) for column in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(escaped, schema=CHANGE))


def _parquet(changes: Iterable[pa.RecordBatch], file: BinaryIO) -> None:
    with pq.ParquetWriter(file, CHANGE, compression="zstd") as writer:
        for batch in changes:
            writer.write_batch(batch)


WRITERS: dict[str, Callable[[Iterable[pa.RecordBatch], BinaryIO], None]] = {
    ".jsonl": _json,
    CSV: _csv,
    ".parquet": _parquet,
}
"""File name ending -> function that writes the format."""
