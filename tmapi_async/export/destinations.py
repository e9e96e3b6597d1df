"""Where an export goes: what is given as text, checked before anything is read."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

import msgspec

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.errors import ExportRefusedError

from .atomic_file import overwrites
from .files import FILES, StandardOutput
from .sinks import Sink

DEFAULT_TABLE = "items"

_DUCKDB = ".duckdb"
_TABLE = "table="
_POSTGRES = ("postgresql://", "postgres://")
_NEEDED = {
    ".parquet": ("export", ("pyarrow",)),
    ".csv": ("export", ("pyarrow",)),
    _DUCKDB: ("export", ("pyarrow", "duckdb")),
    "postgresql": ("postgres", ("pyarrow", "psycopg")),
}
ENDINGS = (*FILES, _DUCKDB)
"""The endings of files that can be written."""


class Destination(msgspec.Struct, frozen=True):
    """A destination that was checked and can be opened.

    Attributes:
        kind: `-`, the ending of a file's name, or `postgresql`.
        path: The file, or None.
        url: The database's URL as libpq takes it, or empty. Holds a password, maybe.
        table: The table of a database.
    """

    kind: str
    path: Path | None = None
    url: str = ""
    table: str = DEFAULT_TABLE

    @property
    def tables(self) -> bool:
        """Whether it takes record batches, not JSON lines."""
        return self.kind in _NEEDED

    def open(self, endpoint: Endpoint) -> Sink:
        """Open it; nothing of it is seen by others before it is finished.

        Args:
            endpoint: The endpoint whose rows it will get.

        Raises:
            ExportRefusedError: It does not fit.
            ExportError: It cannot be reached.
            OSError: It cannot be written.
        """
        if self.kind == "postgresql":
            from .postgres import PostgresTable  # noqa: PLC0415 - an extra

            return PostgresTable(self.url, self.table, endpoint)
        if self.path is None:
            return StandardOutput()
        if self.kind == _DUCKDB:
            from .duckdb_file import DuckDBFile  # noqa: PLC0415 - an extra

            return DuckDBFile(self.path, self.table, endpoint)
        return FILES[self.kind](self.path, endpoint)

    def __repr__(self) -> str:
        return f"Destination({self.kind!r}, {self.path!r}, table={self.table!r})"  # no URL


def destinations(
    texts: Iterable[str], *, table: str | None = None, journal: Path | None = None
) -> list[Destination]:
    """Read and check destinations.

    Args:
        texts: As given: a path, a database URL, `-`.
        table: The table of every database among them; else `?table=` of its URL, else `items`.
        journal: The journal, which none of them may be.

    Returns:
        One for each.

    Raises:
        ExportRefusedError: One of them cannot be; the message says why and what can be done.
    """
    found = [destination(text, table=table) for text in texts]
    if not found:
        raise ExportRefusedError("no destination: give --to a file, a database URL, or -")
    places: set[object] = set()
    for one in found:
        place = one.path.resolve() if one.path else (one.kind, one.url, one.table)
        if place in places:
            raise ExportRefusedError(f"{one.path or one.kind} is given twice")
        places.add(place)
        if journal is not None and one.path is not None and overwrites(one.path, journal):
            raise ExportRefusedError(f"{one.path} is the journal itself")
    if table is not None and not any(one.kind in (_DUCKDB, "postgresql") for one in found):
        raise ExportRefusedError("--table is for databases: no destination is one")
    return found


def destination(text: str, *, table: str | None = None) -> Destination:
    """Read and check one destination; see `destinations`."""
    if text == "-":
        return Destination("-")
    if text.startswith(_POSTGRES):
        return _postgres(text, table)
    if "://" in text:
        scheme = text.partition("://")[0][:20]
        raise ExportRefusedError(f"{scheme}:// is no destination: databases are postgresql://...")
    path = Path(text).expanduser()
    kind = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    if kind is None or path.name.lower() == kind:
        endings = ", ".join(ENDINGS)
        raise ExportRefusedError(
            f"{text}: what to write is told by the ending: {endings}; or postgresql://..., or - "
            "for JSON lines to standard output"
        )
    _check_extra(kind, text)
    _check_folder(path)
    if kind == _DUCKDB:
        _check_log(path)
    return Destination(kind, path, table=table or DEFAULT_TABLE)


def _postgres(text: str, table: str | None) -> Destination:
    _check_extra("postgresql", "postgresql://")
    from .postgres import describe  # noqa: PLC0415 - an extra
    from .postgres_table import identifier  # noqa: PLC0415 - as above

    # What is not ours stays as it was typed: libpq reads "+" and empty hosts in its own way.
    base, _, query = text.partition("?")
    options = [option for option in query.split("&") if option]
    rest = "&".join(option for option in options if not option.startswith(_TABLE))
    named = [unquote(option[len(_TABLE) :]) for option in options if option.startswith(_TABLE)]
    url = f"{base}?{rest}" if rest else base
    describe(url)
    chosen = table or (named[-1] if named else "") or DEFAULT_TABLE
    identifier(chosen)
    return Destination("postgresql", url=url, table=chosen)


def _check_extra(kind: str, text: str) -> None:
    extra, modules = _NEEDED.get(kind, ("", ()))
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportRefusedError(
            f"{text} needs {' and '.join(missing)}, which is not installed: "
            f'pip install "tmapi-async[{extra}]"'
        )


def _check_log(path: Path) -> None:
    # DuckDB would apply the old database's log to the new database.
    log = path.resolve().with_name(path.resolve().name + ".wal")
    if log.exists():
        raise ExportRefusedError(
            f"{path} is in use, or was not closed: {log.name} holds changes of its own. Close it, "
            "or open and close it once with DuckDB"
        )


def _check_folder(path: Path) -> None:
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ExportRefusedError(f"{path}: there is no folder {folder}: make it first")
    if path.exists() and not path.is_file():
        raise ExportRefusedError(f"{path} is there and is not a file")
    if not os.access(folder, os.W_OK):
        raise ExportRefusedError(f"{path}: no permission to write to {folder}")
