"""Checks of the values, references and counts in a journal whose tables are as they must be.

A damaged or foreign file can have the right tables and wrong contents. Opening a journal reads all
rows of its small tables. Of each large table, it reads the first rows, the last rows, and rows at
even distances between them. So opening takes milliseconds at any size. `tmapi verify` reads
everything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from .differences import table_definitions
from .typed_queries import MAX_NUMBER, MAX_TIME

END_ROWS = 1000
"""Rows to read at each end of a table."""

BETWEEN = 100
"""Rows to read between the two ends. Each may be in another place of the file."""

_TYPES = {"INTEGER": "integer", "TEXT": "text", "BLOB": "blob"}
# Numbers that the API sends and that are stored as sent.
_AS_SENT = ("page_size", "total_count", "code")

_LIMITS = "SELECT min(rowid), max(rowid) FROM {table}"
_NUMBERED = "SELECT * FROM {table} WHERE rowid IN ({numbers})"
_ONE_END = "SELECT * FROM (SELECT * FROM {table} ORDER BY {order} LIMIT {limit})"
_BAD_VALUE = "SELECT 1 FROM {rows} WHERE NOT ({rule})"
_ORPHAN = """
SELECT 1 FROM {rows} AS child WHERE child.{column} IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM {parent} WHERE {parent}.rowid = child.{column})
"""
_PAGES_LOST = """
SELECT 1 FROM {visits} AS visited WHERE state != 'open' AND (pages IS NULL OR items IS NULL
    OR pages > (SELECT count(*) FROM page WHERE page.visit = visited.id))
"""
_ROWS_LOST = """
SELECT 1 FROM {visits} AS visited WHERE state != 'open' AND items + rejects >
    (SELECT coalesce(sum(items + rejects), 0) FROM page WHERE page.visit = visited.id)
"""
_REJECTS_LOST = """
SELECT 1 FROM {pages} AS stored
WHERE rejects != (SELECT count(*) FROM reject WHERE reject.seq = stored.seq)
"""


class _Table(msgspec.Struct, frozen=True):
    """A table of a journal.

    Attributes:
        name: Name of the table.
        rules: Name of each column, and the condition that its values must meet.
        references: Column -> table to whose row it refers by number.
        key: Columns of the primary key, in order.
        has_rowid: True if the table is ordered by one number.
    """

    name: str
    rules: dict[str, str]
    references: dict[str, str]
    key: list[str]
    has_rowid: bool


def content_problems(connection: sqlite3.Connection, scripts: tuple[str, ...]) -> list[str]:
    """Check the values, references and counts of a bounded number of rows.

    Args:
        connection: Connection to the journal, outside of a transaction.
        scripts: Scripts that created the journal.

    Returns:
        One text for each kind of problem.
    """
    # In one transaction, since a harvest may write meanwhile.
    connection.execute("BEGIN")
    try:
        problems: list[str] = []
        samples: dict[str, str] = {}
        for table in _tables(connection, scripts):
            rows = samples[table.name] = _sample(connection, table)
            problems += _bad_values(connection, table, rows)
            problems += _orphans(connection, table, rows)
        return [*problems, *_wrong_counts(connection, samples)]
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def value_problems(connection: sqlite3.Connection, scripts: tuple[str, ...]) -> Iterator[str]:
    """Check the type and the range of every value, and yield one text for each bad column."""
    for table in _tables(connection, scripts):
        yield from _bad_values(connection, table, table.name)


def _tables(connection: sqlite3.Connection, scripts: tuple[str, ...]) -> Iterator[_Table]:
    for name, definition in table_definitions(scripts).items():
        columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
        keys = sorted((row[5], row[1]) for row in columns if row[5])
        yield _Table(
            name,
            {row[1]: _rule(row[1], row[2], required=bool(row[3] or row[5])) for row in columns},
            {
                row[3]: row[2]
                for row in connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
            },
            [column for _, column in keys],
            "WITHOUTROWID" not in definition,
        )


def _rule(name: str, kind: str, *, required: bool) -> str:
    """Return the condition that a value of a column must meet."""
    rule = f"typeof({name}) = '{_TYPES.get(kind, kind)}'"
    if kind == "INTEGER" and name not in _AS_SENT:
        limit = MAX_TIME if name.endswith("_at") else MAX_NUMBER
        # The number of a page is below 0 if the page was requested once more.
        least = -limit if name == "number" else 0
        rule = f"({rule} AND {name} BETWEEN {least} AND {limit})"
    return rule if required else f"({name} IS NULL OR {rule})"


def _sample(connection: sqlite3.Connection, table: _Table) -> str:
    """Return a table or subquery with the rows to read: all rows of a small table."""
    name, parts = table.name, []
    if table.has_rowid:
        first, last = connection.execute(_LIMITS.format(table=name)).fetchone()
        if first is None or last - first < END_ROWS:
            return name
        step = (last - first) / (BETWEEN + 1)
        numbers = ", ".join(str(round(first + step * n)) for n in range(1, BETWEEN + 1))
        parts.append(_NUMBERED.format(table=name, numbers=numbers))
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{column} {direction}" for column in table.key)
        parts.append(_ONE_END.format(table=name, order=order, limit=END_ROWS))
    return f"({' UNION ALL '.join(parts)})"


def _bad_values(connection: sqlite3.Connection, table: _Table, rows: str) -> Iterator[str]:
    every_rule = " AND ".join(table.rules.values())
    if not _exists(connection, _BAD_VALUE.format(rows=rows, rule=every_rule)):
        return
    for column, rule in table.rules.items():
        if _exists(connection, _BAD_VALUE.format(rows=rows, rule=rule)):
            yield f"the column {column} of the table {table.name} has a value that cannot be there"


def _orphans(connection: sqlite3.Connection, table: _Table, rows: str) -> Iterator[str]:
    for column, parent in table.references.items():
        if _exists(connection, _ORPHAN.format(rows=rows, column=column, parent=parent)):
            yield f"a row of the table {table.name} refers to a missing row of {parent}"


def _wrong_counts(connection: sqlite3.Connection, samples: dict[str, str]) -> Iterator[str]:
    """Compare the figures of finished listings with their pages, and of pages with their rejects.

    A visit that a newer version has continued can have fewer pages in its figures than in the file.
    """
    visits, pages = samples["visit"], samples["page"]
    if _exists(connection, _PAGES_LOST.format(visits=visits)):
        yield "pages of a finished listing are missing"
    # Rows are counted page by page, and each page may be in another place of a large file.
    elif pages == "page" and _exists(connection, _ROWS_LOST.format(visits=visits)):
        yield "the pages of a finished listing have fewer rows than the listing"
    if _exists(connection, _REJECTS_LOST.format(pages=pages)):
        yield "a page has another number of rejects than it counts"


def _exists(connection: sqlite3.Connection, query: str) -> bool:
    return connection.execute(f"{query} LIMIT 1").fetchone() is not None
