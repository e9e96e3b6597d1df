"""Destinations of an export: parsed from text and checked before the journal is read."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportRefusedError

from .atomic_file import overwrites_journal
from .files import FILES, CsvFile, FileSink, StandardOutput
from .outputs.extra_checks import check_extra
from .outputs.file_checks import check_folder, check_log
from .outputs.file_output import LocalOutput, Output
from .outputs.object_store import SCHEMES, ObjectAddress, ObjectOutput, check_object, parse_address
from .over_time.price_history import HistoryTable
from .sinks import ItemTable, Sink, Table

if TYPE_CHECKING:
    from .excel.workbook_file import XlsxFile
    from .sqlite.sqlite_replacement import SqliteReplacement

CSV = ".csv"

XLSX = ".xlsx"

SQLITE = ".sqlite"

_DUCKDB = ".duckdb"
_DATABASES = (_DUCKDB, SQLITE, "postgresql")
_TABLE = "table="
_POSTGRES = ("postgresql://", "postgres://")
_REQUIREMENTS = {
    ".parquet": ("export", ("pyarrow",)),
    CSV: ("export", ("pyarrow",)),
    _DUCKDB: ("export", ("pyarrow", "duckdb")),
    SQLITE: ("export", ("pyarrow",)),
    XLSX: ("xlsx", ("pyarrow", "xlsxwriter")),
    "postgresql": ("postgres", ("pyarrow", "psycopg")),
}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}://")
_DATABASE_ADDRESS = re.compile(
    r"(?i)://|^\W*postgres\w*:|^(?>[^/\\]{2,}?:).*@|\b(?:password|host|dbname)\s*="
)
SQLITE_ENDINGS = {".sqlite3": SQLITE, ".db": SQLITE}
"""Other endings of the files of SQLite -> the usual one."""

ENDINGS = (*FILES, XLSX, SQLITE, _DUCKDB)
"""File name endings that can be written."""


class Destination(msgspec.Struct, frozen=True):
    """A checked destination, ready to open.

    Attributes:
        kind: `-`, the ending of a file's name, or `postgresql`.
        path: The file on this machine, or None.
        address: The object of a store, or None.
        url: URL of the database for libpq, or empty. May contain a password.
        table: Table of a database, or None for the usual one.
        bom: True to begin a CSV file with a byte-order mark.
    """

    kind: str
    path: Path | None = None
    address: ObjectAddress | None = None
    url: str = ""
    table: str | None = None
    bom: bool = False

    @property
    def tables(self) -> bool:
        """True if there is room for several tables."""
        return self.kind in (*_DATABASES, XLSX)

    @property
    def reads_arrow(self) -> bool:
        """True if the destination reads record batches, False if it reads JSON lines."""
        return self.kind in _REQUIREMENTS

    def open(self, endpoint: Endpoint, table: str | None = None) -> Sink:
        """Open the destination. Other programs see no row before `commit`.

        Args:
            endpoint: The endpoint whose rows will be written.
            table: Table of a database in place of that of the destination.

        Raises:
            ExportRefusedError: An existing table does not fit the rows.
            ExportError: The database cannot be reached.
            OSError: The file cannot be written.
        """
        if self.kind == "postgresql":
            from .postgres import PostgresTable  # noqa: PLC0415 - an extra

            return PostgresTable(self.url, table or self.table, endpoint)
        if self.kind == "-":
            return StandardOutput()
        if self.path is not None and self.kind not in FILES:
            return self._open_tables(self.path, endpoint, table or self.table)
        return self._open_file(self._output(), ItemTable(endpoint))

    def _open_tables(self, path: Path, endpoint: Endpoint, table: str | None) -> Sink:
        """Open a file with several tables."""
        if self.kind == _DUCKDB:
            from .duckdb_file import DuckDBFile  # noqa: PLC0415 - an extra

            return DuckDBFile(path, table, endpoint)
        if self.kind == SQLITE:
            from .sqlite.sqlite_items import SqliteItems  # noqa: PLC0415 - an extra

            return SqliteItems(path, table, endpoint)
        from .excel.workbook_file import XlsxFile  # noqa: PLC0415 - an extra

        return XlsxFile(path, ItemTable(endpoint), HistoryTable(endpoint))

    def open_table(self, table: Table) -> FileSink | XlsxFile | SqliteReplacement:
        """Open a file, an object or a SQLite database for the rows of one table.

        Raises:
            ExportRefusedError: An existing table does not fit the rows.
            ExportError: The database or the store refuses the rows.
            OSError: The file cannot be written.
        """
        if self.kind == SQLITE and self.path is not None:
            from .sqlite.sqlite_replacement import SqliteReplacement  # noqa: PLC0415 - an extra

            return SqliteReplacement(self.path, table)
        if self.kind == XLSX and self.path is not None:
            from .excel.workbook_file import XlsxFile  # noqa: PLC0415 - an extra

            return XlsxFile(self.path, table)
        return self._open_file(self._output(), table)

    @property
    def history_path(self) -> Path | None:
        """File of the price history beside the file of items; None if it has another place."""
        if self.path is None or self.kind not in FILES:
            return None
        return self.path.with_name(self._history_name(self.path.name))

    def open_history(self, endpoint: Endpoint) -> FileSink | None:
        """Open the file of the price history; return None if the items' file has a table for it.

        Raises:
            ExportError: The store refuses the object.
            OSError: The file cannot be written.
        """
        if self.kind not in FILES:
            return None
        return self._open_file(self._output(history=True), HistoryTable(endpoint))

    def _output(self, *, history: bool = False) -> Output:
        if self.address is not None:
            address = self.address
            if history:
                key = self._history_name(address.key)
                address = msgspec.structs.replace(address, key=key)
            return ObjectOutput(address)
        path = self.history_path if history else self.path
        if path is None:
            raise AssertionError(self)
        return LocalOutput(path)

    def _history_name(self, name: str) -> str:
        end = len(name) - len(self.kind)
        return f"{name[:end]}.history{name[end:]}"

    def _open_file(self, output: Output, table: Table) -> FileSink:
        try:
            if self.kind == CSV:
                return CsvFile(output, table, bom=self.bom)
            return FILES[self.kind](output, table)
        except BaseException:
            output.discard()
            raise

    def check(self, endpoint: Endpoint, *, history: bool = False) -> None:
        """Open the destination without rows, and leave it as it was.

        A database or a store must be reachable and accept rows; a file must be writable, and no
        other program may hold a lock on it.

        Args:
            endpoint: The endpoint whose rows will be written.
            history: True if a price history will be written, too.

        Raises:
            ExportRefusedError: The table or the database does not fit the rows.
            ExportError: The database cannot be reached, refuses a statement or is locked.
            OSError: The file cannot be written.
        """
        if self.kind == "postgresql":
            from .postgres import check_table  # noqa: PLC0415 - an extra

            check_table(self.url, self.table, endpoint, history=history)
            return
        if self.address is not None:
            check_object(self.address)
            return
        self.open(endpoint).abort()
        file = self.open_history(endpoint) if history else None
        if file is not None:
            file.abort()

    def __repr__(self) -> str:
        place = self.path or self.address
        return f"Destination({self.kind!r}, {place!r}, table={self.table!r})"  # no URL


def parse_destinations(
    texts: Iterable[str],
    *,
    table: str | None = None,
    journal: Path | None = None,
    history: bool = False,
    csv_bom: bool = False,
) -> list[Destination]:
    """Parse and check destinations.

    Args:
        texts: Destinations as typed: paths, database URLs, `-`.
        table: Table of every database among them; by default `?table=` of its URL, else the usual
            one of the endpoint.
        journal: The journal, which must not be overwritten.
        history: True if each destination gets a price history, too.
        csv_bom: True to begin each CSV file with a byte-order mark.

    Returns:
        The destinations, in the same order.

    Raises:
        ExportRefusedError: A destination cannot be used; the message says why and what to do.
    """
    destinations = [parse_destination(text, table=table) for text in texts]
    if not destinations:
        raise ExportRefusedError("no destination: give --to a file, a database URL, or -")
    targets: set[object] = set()
    for destination in destinations:
        path = destination.path
        target = (
            path.resolve()
            if path
            else (destination.kind, destination.address, destination.url, destination.table)
        )
        if target in targets:
            name = path or destination.address or destination.kind
            raise ExportRefusedError(f"{name} is given twice")
        targets.add(target)
        files = [path, destination.history_path if history else None]
        for file in files:
            if journal is not None and file is not None and overwrites_journal(file, journal):
                raise ExportRefusedError(f"{file} is the journal itself: name another file")
    if history:
        _check_history(destinations, targets)
    if csv_bom:
        destinations = _with_marks(destinations)
    if table is not None and not any(d.kind in _DATABASES for d in destinations):
        raise ExportRefusedError("--table needs a database, and no destination is a database")
    return destinations


def check_room(destinations: Iterable[Destination]) -> None:
    """Check that each destination has room for the tables of several endpoints.

    Raises:
        ExportRefusedError: A destination holds one table, or the name of one table was given.
    """
    for destination in destinations:
        if not destination.tables:
            name = destination.path or destination.address or "standard output"
            raise ExportRefusedError(
                f"{name} holds one table: export to .xlsx, .sqlite, .duckdb or a database, or one "
                "endpoint at a time"
            )
        if destination.table is not None:
            raise ExportRefusedError(
                "--table names one table, and several endpoints need one each: remove --table (or "
                "?table= of the URL), or export one endpoint at a time"
            )


def _with_marks(destinations: list[Destination]) -> list[Destination]:
    """Return destinations whose CSV files begin with a byte-order mark."""
    if not any(destination.kind == CSV for destination in destinations):
        raise ExportRefusedError("--csv-bom needs a .csv file, and no destination is one")
    return [
        msgspec.structs.replace(destination, bom=destination.kind == CSV)
        for destination in destinations
    ]


def _check_history(destinations: Iterable[Destination], targets: Container[object]) -> None:
    for destination in destinations:
        path = destination.history_path
        if destination.kind == "-":
            raise ExportRefusedError(
                "--history needs a file or a database: standard output holds one table"
            )
        if path is not None and path.resolve() in targets:
            raise ExportRefusedError(f"{path} is the file of a price history: name another file")
        if path is not None and path.exists() and not path.is_file():
            raise ExportRefusedError(f"{path} exists and is not a file: name another file")


def parse_destination(text: str, *, table: str | None = None) -> Destination:
    """Parse and check one destination; see `parse_destinations`."""
    if text == "-":
        return Destination("-")
    if text.startswith(_POSTGRES):
        return _postgres(text, table)
    if text.startswith(SCHEMES):
        return _object(text)
    scheme = _SCHEME.match(text)
    if scheme:
        raise ExportRefusedError(
            f"{scheme[0]} is not supported: a database URL begins with postgresql://, the address "
            f"of an object with one of {', '.join(SCHEMES)}"
        )
    if _DATABASE_ADDRESS.search(text):
        # A mistyped address may have a password: the message must not repeat the text.
        raise ExportRefusedError(
            "a destination looks like the address of a database, but does not begin with "
            "postgresql://: write it like postgresql://USER:PASSWORD@HOST:PORT/DATABASE; a file "
            "with such a name can be given as ./NAME"
        )
    path = Path(text).expanduser()
    kind = _kind(path.name)
    if kind is None:
        endings = ", ".join((*ENDINGS, *SQLITE_ENDINGS))
        raise ExportRefusedError(
            f"{text}: the file name must end with one of {endings}; or give postgresql://..., "
            "s3://BUCKET/NAME, or - for JSON lines to standard output"
        )
    _check_extra(kind, text)
    check_folder(path)
    if kind == _DUCKDB:
        check_log(path, ".wal", "DuckDB")
    if kind == SQLITE and not path.exists():
        check_log(path, "-wal", "SQLite")
    return Destination(kind, path, table=table)


def _kind(name: str) -> str | None:
    """Return the ending of a file name that decides on the format, or None."""
    name = name.lower()
    endings = (*ENDINGS, *SQLITE_ENDINGS)
    ending = next((ending for ending in endings if name.endswith(ending)), None)
    return None if ending is None or name == ending else SQLITE_ENDINGS.get(ending, ending)


def _object(text: str) -> Destination:
    address = parse_address(text)
    name = address.key.rpartition("/")[2]
    kind = _kind(name)
    if kind not in FILES:
        raise ExportRefusedError(
            f"{text}: the name of an object must end with one of {', '.join(FILES)}"
        )
    _check_extra(kind, text)
    check_extra(text, "s3", ("obstore",))
    return Destination(kind, address=address)


def _postgres(text: str, table: str | None) -> Destination:
    _check_extra("postgresql", "postgresql://")
    from .postgres_session import describe_url  # noqa: PLC0415 - an extra
    from .postgres_table import table_identifier  # noqa: PLC0415 - as above

    # All other options stay as typed: libpq has its own reading of "+" and of empty hosts.
    base, _, query = text.partition("?")
    options = [option for option in query.split("&") if option]
    libpq_options = "&".join(option for option in options if not option.startswith(_TABLE))
    names = [unquote(option[len(_TABLE) :]) for option in options if option.startswith(_TABLE)]
    url = f"{base}?{libpq_options}" if libpq_options else base
    describe_url(url)
    table = table or (names[-1] if names else "") or None
    if table is not None:
        table_identifier(table)
    return Destination("postgresql", url=url, table=table)


def _check_extra(kind: str, text: str) -> None:
    check_extra(text, *_REQUIREMENTS.get(kind, ("", ())))
