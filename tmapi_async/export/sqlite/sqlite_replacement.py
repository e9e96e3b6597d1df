"""A table of a SQLite database that is made anew, beside the other tables of the file."""

from __future__ import annotations

from pathlib import Path

from tmapi_async.export.sinks import DestinationResult, Table, WritableRows

from .sqlite_connection import SqliteConnection
from .sqlite_table import SqliteTable


class SqliteReplacement:
    """A table that receives other rows in place of its rows, in one transaction.

    Args:
        path: The file.
        table: The table, which has its title as name.

    Raises:
        ExportRefusedError: The file is not a database, or the table has other columns.
        ExportError: Another program is changing the database.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self.to = str(path)
        self._rows = 0
        self._connection = SqliteConnection(path)
        try:
            with self._connection.errors():
                self._table = SqliteTable(self._connection.database, table.title, table)
                if self._table.exists():
                    self._connection.database.execute(f"DROP TABLE {self._table.sql_name}")
                self._table.create()
        except BaseException:
            self._connection.abort()
            raise

    def write(self, rows: WritableRows) -> None:
        """Write rows."""
        self._rows += rows.count
        with self._connection.errors():
            self._table.insert(rows.batch, "")

    def commit(self) -> DestinationResult:
        """Make the new rows durable and visible."""
        with self._connection.errors():
            self._table.create_indexes()
        return DestinationResult(to=self.to, rows=self._rows, bytes=self._connection.commit())

    def abort(self) -> None:
        """Undo every change; never raises."""
        self._connection.abort()
