"""Export one journal in every form, and compare the rows that other programs read from them.

    python -m benchmarks.forms_agree [--items 1100000] [--folder FOLDER] [--postgres URL]

A million rows need two workbooks. Every form is read by a library of its own: Parquet by pandas and
by polars, CSV by polars, Excel by openpyxl, SQLite by sqlite-utils (the library of Datasette),
DuckDB by itself, Postgres by psycopg. Product ID, title, price to the cent, pieces sold and shop
must be the same in each of them. Needs an empty database for Postgres; without --postgres that form
is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.export import fill

COLUMNS = (
    "item_id", "title", "price_info_sale_price", "sales_count", "shop_info_company_name",
)  # fmt: skip
DRIFT = 0.02
BATCH = 50_000


class Digest(NamedTuple):
    """Rows of a form: their number, the sum of their prices, and a sum that any change changes."""

    rows: int
    prices: Decimal
    checksum: int


def digest(rows: Iterable[tuple[Any, ...]]) -> Digest:
    """Return the digest of rows with the values of `COLUMNS`, in any order."""
    count = checksum = 0
    prices = Decimal(0)
    for item_id, title, price, sold, company in rows:
        exact = None if price is None else Decimal(str(price)).quantize(Decimal("0.0001"))
        pieces = None if sold is None else int(sold)
        text = f"{int(item_id)}|{title}|{exact}|{pieces}|{company}"
        checksum = (checksum + zlib.crc32(text.encode())) % 2**64
        prices += exact or 0
        count += 1
    return Digest(count, prices, checksum)


def by_pandas(path: Path) -> Iterator[tuple[Any, ...]]:
    """Read Parquet by pandas."""
    import pandas as pd  # noqa: PLC0415 - each reader loads its own library
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    for batch in pq.ParquetFile(path).iter_batches(BATCH, columns=list(COLUMNS)):
        frame = batch.to_pandas(types_mapper=pd.ArrowDtype)
        for row in frame[list(COLUMNS)].itertuples(index=False):
            yield tuple(None if value is pd.NA else value for value in row)


def by_polars(path: Path) -> Iterator[tuple[Any, ...]]:
    """Read Parquet or CSV by polars; in CSV prices are text."""
    import polars as pl  # noqa: PLC0415 - as above

    if path.suffix == ".csv":
        types = {name: pl.String for name in COLUMNS if name != "item_id"}
        yield from (
            pl.read_csv(path, columns=list(COLUMNS), schema_overrides=types)
            .select(COLUMNS)
            .iter_rows()
        )
    else:
        yield from pl.read_parquet(path, columns=list(COLUMNS)).select(COLUMNS).iter_rows()


def by_openpyxl(path: Path) -> Iterator[tuple[Any, ...]]:
    """Read a workbook, and those after it, by openpyxl."""
    import openpyxl  # noqa: PLC0415 - as above

    for one in (path, path.with_name(f"{path.stem}.2.xlsx")):
        if one.exists():
            sheet = openpyxl.load_workbook(one, read_only=True).worksheets[0]
            lines = sheet.iter_rows(values_only=True)
            head = list(next(lines))
            places = [head.index(name) for name in COLUMNS]
            yield from (tuple(line[place] for place in places) for line in lines)


def by_sqlite_utils(path: Path) -> Iterator[tuple[Any, ...]]:
    """Read SQLite by the library of Datasette."""
    import sqlite_utils  # noqa: PLC0415 - as above

    table = sqlite_utils.Database(str(path))["items"]
    yield from (tuple(row.values()) for row in table.rows_where(select=", ".join(COLUMNS)))


def by_duckdb(path: Path) -> Iterator[tuple[Any, ...]]:
    """Read DuckDB by itself."""
    import duckdb  # noqa: PLC0415 - as above

    with duckdb.connect(str(path), read_only=True) as database:
        cursor = database.execute(f"SELECT {', '.join(COLUMNS)} FROM items")  # noqa: S608 - our own names
        while rows := cursor.fetchmany(BATCH):
            yield from rows


def by_psycopg(url: str) -> Iterator[tuple[Any, ...]]:
    """Read Postgres."""
    import psycopg  # noqa: PLC0415 - as above

    with psycopg.connect(url) as connection, connection.cursor("rows") as cursor:
        cursor.itersize = BATCH
        yield from cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM items")  # noqa: S608 - as above


READERS: dict[str, tuple[tuple[str, Callable[[Path], Iterator[tuple[Any, ...]]]], ...]] = {
    "a.parquet": (("pandas", by_pandas), ("polars", by_polars)),
    "a.csv": (("polars", by_polars),),
    "a.xlsx": (("openpyxl", by_openpyxl),),
    "a.sqlite": (("sqlite-utils", by_sqlite_utils),),
    "a.duckdb": (("DuckDB", by_duckdb),),
}


def main() -> int:
    """Write a journal, export it, and compare what is read back. Returns 1 if forms differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_100_000)
    parser.add_argument("--folder", type=Path, help="where to write (a temporary one)")
    parser.add_argument("--postgres", metavar="URL", help="an empty database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        journal = folder / "a.journal"
        asyncio.run(fill(journal, options.items, DRIFT))
        targets = [str(folder / name) for name in READERS]
        targets += [options.postgres] if options.postgres else []
        command = [sys.executable, "-m", "tmapi_async.cli", "export", str(journal), "--to"]
        subprocess.run([*command, *targets], check=True)  # noqa: S603 - our own command
        digests = {}
        for name, readers in READERS.items():
            for library, read in readers:
                digests[f"{name} by {library}"] = timed(library, name, read(folder / name))
        if options.postgres:
            digests["Postgres by psycopg"] = timed("psycopg", "", by_psycopg(options.postgres))
    differ = len(set(digests.values())) > 1
    print("the forms differ" if differ else "all forms agree")
    return int(differ)


def timed(library: str, name: str, rows: Iterable[tuple[Any, ...]]) -> Digest:
    """Return the digest of rows, and print it."""
    began = time.process_time()
    result = digest(rows)
    seconds = time.process_time() - began
    print(
        f"{name or 'postgres':10} {library:12} {result.rows:,} rows, {result.prices:,} yuan, "
        f"checksum {result.checksum:016x}, {seconds:.0f} s"
    )
    return result


if __name__ == "__main__":
    sys.exit(main())
