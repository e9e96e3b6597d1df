"""Reading a damaged table: only the rows of the damaged places are missing."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tmapi_async.journal.maintenance.damaged_rows import DamagedTables

PAGE_SIZE = 512


@pytest.mark.parametrize("step", [1, 50_000], ids=["dense keys", "sparse keys"])
@pytest.mark.parametrize("lost", [[0], [7], [3, 4, 9], [-1]], ids=str)
def test_rows_beside_lost_leaves_are_read(tmp_path, step, lost):
    """Rows after a lost leaf are found however far apart the keys are, also beside other leaves."""
    path = tmp_path / "rows.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        rows = [(step * n, f"row {n} of the table, with some text") for n in range(1, 161)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.commit()
    content = bytearray(path.read_bytes())
    # Database pages are allocated in the order of the keys; 13 is the kind of a leaf.
    leaves = [
        offset
        for offset in range(PAGE_SIZE, len(content), PAGE_SIZE)
        if content[offset] == 13 and content[offset : offset + PAGE_SIZE].count(b"of the table")
    ]
    expected = set(rows)
    for number in lost:
        leaf = content[leaves[number] : leaves[number] + PAGE_SIZE]
        expected -= {row for row in rows if f"{row[1]}".encode() in leaf}
        content[leaves[number] : leaves[number] + PAGE_SIZE] = bytes(PAGE_SIZE)
    path.write_bytes(content)
    assert 0 < len(expected) < len(rows)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        tables = DamagedTables(connection, path)
        saved = list(tables.rows("t"))
    assert saved == sorted(expected)
    assert tables.damages > 0
