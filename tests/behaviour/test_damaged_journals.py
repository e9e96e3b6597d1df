"""Damaged journals: whatever bytes a file has, no command ends in an unexpected failure.

Some hundred files are damaged in ways that are the same in each run: flipped bits, cut ends, zeroed
and exchanged blocks, odd values in any column.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3

import pytest

from tests.support.stored_journal import copy_stored_journal
from tmapi_async.sandbox.server.process import SandboxThread

FILES = 200
COMMANDS_EACH = 3
PAGE = 32_768
ODD_VALUES = [
    None, 0, -1, 3, 2**62, -(2**62), 10**15, 1.5, float("inf"), 1e300, "", "x", "complete", b"",
    b"\xff\xfe", "[" * 2000, "9" * 5000, '{"a":1}', '[["cat_id","7"]]', '{"a":' * 3000, "nul\0l",
    '{"200": "x"}', '{"a": 1e999}',
]  # fmt: skip

NO_UTF8 = (None, "CAST(x'C3C328FF' AS TEXT)")


@pytest.fixture(scope="module")
def url():
    """A sandbox for the commands that go on with a journal."""
    with SandboxThread(categories={1: 64, 3: 30, 9: 130}) as sandbox:
        yield sandbox.url


def flip_bits(content, rng):
    """Flip some bits that are in use."""
    places = [place for place, byte in enumerate(content) if byte]
    for _ in range(rng.choice((1, 1, 3, 40))):
        content[rng.choice(places)] ^= 1 << rng.randrange(8)


def change_head(content, rng):
    """Change a byte at the beginning of a page of the file."""
    place = PAGE * rng.randrange(len(content) // PAGE) + rng.randrange(200)
    content[place] = rng.choice((0, 127, 128, 255))


def cut(content, rng):
    """Cut the file."""
    del content[rng.randrange(len(content)) :]


def clear(content, rng):
    """Fill a part of the file with zeros."""
    size = rng.choice((4, 100, 4096))
    place = rng.randrange(len(content) - size)
    content[place : place + size] = bytes(size)


def exchange(content, rng):
    """Put one page of the file in the place of another."""
    to, source = (PAGE * rng.randrange(1, len(content) // PAGE) for _ in range(2))
    content[to : to + PAGE] = content[source : source + PAGE]


def odd_value(path, rng):
    """Put an odd value into one column, in one row or in all rows."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        (table,) = rng.choice(tables.fetchall())
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        column, key = rng.choice(columns)[1], columns[0][1]
        one_row = f"WHERE {key} = (SELECT max({key}) FROM {table})"  # noqa: S608 - our own tables
        value, marker = rng.choice([*((odd, "?") for odd in ODD_VALUES), *[NO_UTF8] * 6])
        change = f"UPDATE {table} SET {column} = {marker} "  # noqa: S608 - our own tables
        values = [value] if marker == "?" else []
        with contextlib.suppress(sqlite3.Error):  # a rule of the table forbids it
            connection.execute(change + (one_row if rng.random() < 0.7 else ""), values)


def damage(path, rng):
    """Damage a copy of the stored journal."""
    copy_stored_journal(path)
    way = rng.choice((flip_bits, flip_bits, change_head, cut, clear, exchange, None, None))
    if way is None:
        odd_value(path, rng)
        return
    content = bytearray(path.read_bytes())
    way(content, rng)
    path.write_bytes(content)


def commands(path, folder):
    """Return every command that reads a journal."""
    name = str(path)
    return [
        ["status", name],
        ["export", name, "--to", "-", "--quiet", "--endpoint", "category"],
        ["export", name, "--to", str(folder / "a.parquet"), "--quiet", "--run", "all"],
        ["changes", name, "--to", "-", "--endpoint", "category"],
        ["report", name, "-o", str(folder / "r.html"), "--endpoint", "category"],
        ["verify", name],
        ["backup", name, str(folder / "copy")],
        ["repair", name, str(folder / "repaired")],
        ["replay", name],
        ["harvest", "1", "3", "--journal", name, "--quiet"],
        ["harvest", "9", "--split", "--journal", name, "--quiet", "--refresh"],
        ["categories", "--journal", name],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_damage_ends_a_command_unexpectedly(tmapi, url, tmp_path, seed):
    """Each damage is named as one of the journal, with advice, or does no harm."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    for number in range(FILES // 4):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "test.journal"
        damage(path, rng)
        content = path.read_bytes()
        for command in rng.sample(commands(path, folder), COMMANDS_EACH):
            path.write_bytes(content)
            done = tmapi(*command, url=url)
            assert done.code in (0, 1, 2, 3), (command, done.err)
            assert "unexpected" not in done.err, (command, done.err)
            assert "Traceback" not in done.err, (command, done.err)
            assert "cannot be used" not in done.err, (command, done.err)
            if "the journal" in done.err and "damaged" in done.err:
                assert "tmapi repair FILE NEW_FILE" in done.err, (command, done.err)
