"""Changes as JSON lines, CSV or Parquet, put in place whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from tmapi_async.errors import ExportRefusedError
from tmapi_async.export.atomic_file import AtomicFile, overwrites
from tmapi_async.export.csv_safety import harmless

_SLICE = 4096
_CENTS = Decimal("0.01")


def check_file(text: str, journal: Path) -> Path:
    """Read a destination of changes and check it.

    Raises:
        ExportRefusedError: Its ending or its folder makes no sense.
    """
    path = Path(text).expanduser()
    if path.suffix.lower() not in WRITERS:
        endings = ", ".join(WRITERS)
        raise ExportRefusedError(f"{text}: changes can be written to {endings}, or to -")
    if not path.resolve().parent.is_dir():
        raise ExportRefusedError(f"{text}: there is no folder {path.parent}: make it first")
    if path.exists() and not path.is_file():
        raise ExportRefusedError(f"{text} is there and is not a file")
    if overwrites(path, journal.expanduser()):
        raise ExportRefusedError(f"{text} is the journal itself: name another file")
    return path


def write_file(changes: pa.Table, path: Path) -> int:
    """Write changes to a file, and put it in place; returns its size in bytes.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    place = AtomicFile(path)
    try:
        with place.part.open("wb") as file:
            WRITERS[path.suffix.lower()](changes, file)
        return place.put()
    finally:
        place.remove()


def json_lines(changes: pa.Table) -> Iterator[bytes]:
    r"""Changes as JSON lines, some thousand at a time; money as strings, exact."""
    for batch in changes.to_batches(max_chunksize=_SLICE):
        yield b"".join(_ENCODER.encode(_readable(row)) + b"\n" for row in batch.to_pylist())


def amount(value: Decimal) -> str:
    """An amount as text, with two decimals, or more where it has more."""
    short = value.normalize()
    return f"{short if short.as_tuple().exponent < -2 else value.quantize(_CENTS):f}"  # type: ignore[operator]  # noqa: PLR2004 - cents


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: amount(value) if isinstance(value, Decimal) else value for name, value in row.items()
    }


_ENCODER = msgspec.json.Encoder()


def _json(changes: pa.Table, file: BinaryIO) -> None:
    file.writelines(json_lines(changes))


def _csv(changes: pa.Table, file: BinaryIO) -> None:
    for batch in changes.to_batches(max_chunksize=_SLICE):
        columns = [harmless(column) for column in batch.columns]
        safe = pa.RecordBatch.from_arrays(columns, schema=changes.schema)
        csv.write_csv(safe, file, csv.WriteOptions(include_header=file.tell() == 0))
    if not changes.num_rows:
        csv.write_csv(changes, file)


def _parquet(changes: pa.Table, file: BinaryIO) -> None:
    pq.write_table(changes, file, compression="zstd")


WRITERS: dict[str, Callable[[pa.Table, BinaryIO], None]] = {
    ".jsonl": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}
"""Ending of a file's name to what writes it."""
