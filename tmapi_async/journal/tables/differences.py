"""Compare the tables of a file with those that a journal must have."""

from __future__ import annotations

import functools
import re
import sqlite3

from .definitions import split_statements

FOREIGN = "does not belong to a journal"
"""End of the texts about tables, indexes, triggers and views that this package does not create."""

_CREATE = re.compile(r"CREATE (?:UNIQUE )?(TABLE|INDEX) (\w+)")


def definition_differences(connection: sqlite3.Connection, scripts: tuple[str, ...]) -> list[str]:
    """Compare the tables of a journal with those that scripts create.

    Triggers and views belong to no journal: a trigger that ignores inserts would lose pages.

    Args:
        connection: Connection to the journal.
        scripts: Scripts that created the journal.

    Returns:
        One text for each table, index, trigger or view that is missing, changed or foreign.
    """
    expected = _expected(scripts)
    # Pages that SQLite analysed have statistics in tables of SQLite itself, which are no danger.
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    actual = {(kind, name): _plain(sql) for kind, name, sql in connection.execute(query)}
    differences = [f"the {kind} {name} is missing" for kind, name in expected.keys() - actual]
    for (kind, name), sql in actual.items():
        if (kind, name) not in expected:
            differences.append(f"the {kind} {name!r} {FOREIGN}")
        elif sql != expected[kind, name]:
            differences.append(f"the {kind} {name} is not as this package creates it")
    return sorted(differences)


@functools.cache
def _expected(scripts: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """Return the definitions of scripts by kind and name."""
    definitions = {}
    for script in scripts:
        for statement in split_statements(script):
            match = _CREATE.search(statement)
            if match is not None:
                definitions[match[1].lower(), match[2]] = _plain(statement)
    return definitions


def table_definitions(scripts: tuple[str, ...]) -> dict[str, str]:
    """Return the definition of each table that scripts create, without white space."""
    definitions = _expected(scripts)
    return {name: sql for (kind, name), sql in definitions.items() if kind == "table"}


def _plain(sql: object) -> str:
    """Return a definition without comments and white space, which may differ between versions."""
    return "".join(re.sub(r"--[^\n]*", "", str(sql)).split()).rstrip(";")
