"""Foreign texts never give orders to a terminal: control characters are shown escaped."""

from __future__ import annotations

import ast
import json
import os
import sqlite3
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tmapi_async.cli
from tests.support.commands import InProcess
from tests.support.journals import body, row, write
from tmapi_async.errors.escaping import escape_controls, escape_json_controls

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\r\u202egnp\u2066\u2028\u200f裙"
"""Escape sequences of seven and eight bits, a bell, a delete, and bidirectional characters."""

ORDERS = {"\u061c", "\u200e", "\u200f"}
ORDERS |= {chr(code) for code in (*range(0x2028, 0x202F), *range(0x2066, 0x206A))}


def is_order(char: str) -> bool:
    """Return True if a terminal would obey the character instead of showing it."""
    return (unicodedata.category(char) == "Cc" and char != "\n") or char in ORDERS


def test_every_control_and_bidirectional_character_is_escaped() -> None:
    """Only characters that a terminal obeys are escaped; others stay as they are."""
    for char in map(chr, range(0x11000)):
        shown = escape_controls(char)
        obeyed = is_order(char) or char in "\n\ufeff" or unicodedata.category(char) == "Cs"
        assert (shown != char) == obeyed, f"U+{ord(char):04X}"
        assert shown.isascii() or shown == char
    assert escape_controls("裙 é 👗") == "裙 é 👗"


def test_json_keeps_its_meaning_when_it_is_escaped() -> None:
    """JSON lines that are shown on a terminal hold the same data, without its orders."""
    data = {"title": EVIL}
    line = json.dumps(data, ensure_ascii=False).encode()
    shown = escape_json_controls(line)
    assert json.loads(shown) == data
    assert not any(map(is_order, shown.decode()))
    assert json.loads(escape_controls(line.decode())) == data


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of two runs whose texts are hostile, its own name and the host included."""
    path = tmp_path / f"{EVIL.replace('/', '')}.journal"
    for run in (1, 2):
        rows = [row(n, title=EVIL, price_info={"sale_price": f"{run * 10 + n}.00"}) for n in (1, 2)]
        write(path, {7: [body([*rows, {"item_id": EVIL}])]}, refresh=run == 2, state="failed")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE start SET host = ?", (EVIL,))
        database.execute("UPDATE visit SET error = ?, error_kind = ?", (EVIL, EVIL))
    return path


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["status", "--json"],
        ["changes"],
        ["changes", "--json"],
        ["export", "--to", "{folder}/a\x1b[2J.csv", "--json"],
        ["report", "-o", "{folder}/a\x1b[2J.html"],
        ["replay"],
    ],
    ids=" ".join,
)
def test_a_command_obeys_nothing_in_a_journal(
    tmapi: InProcess, journal: Path, tmp_path: Path, command: list[str]
) -> None:
    """The output of each command that reads a journal has no control character but line ends."""
    name, *options = (part.replace("{folder}", str(tmp_path)) for part in command)
    done = tmapi(name, str(journal), *options)
    text = done.out.decode() + done.err
    assert text.strip()
    assert [char for char in text if is_order(char)] == []
    assert "unexpected" not in text


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], bytes]]:
    """Put a terminal in the place of standard output; yield a function that reads its text."""
    pty = pytest.importorskip("pty")  # not on Windows
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    with monkeypatch.context() as patch, open(theirs, "w", encoding="utf-8") as screen:  # noqa: PTH123 - a descriptor
        patch.setattr(sys, "stdout", screen)

        def shown() -> bytes:
            screen.flush()
            return os.read(ours, 65536)

        yield shown
    os.close(ours)


@pytest.mark.parametrize("command", ["export", "changes"])
def test_rows_on_a_terminal_are_escaped_and_those_in_a_pipe_are_exact(
    tmapi: InProcess, journal: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """JSON lines keep their meaning on a terminal, and their bytes in a pipe."""
    arguments = (command, str(journal), "--to", "-", "--quiet")
    exact = tmapi(*arguments)
    assert "\u202egnp\u2066".encode() in exact.out
    with terminal(monkeypatch) as read:
        assert tmapi(*arguments).code == 0
        shown = read().replace(b"\r\n", b"\n")
    assert [char for char in shown.decode() if is_order(char)] == []
    assert [json.loads(line) for line in shown.splitlines()] == exact.rows
    assert exact.rows[0]["title"] == EVIL


def test_texts_are_printed_in_one_place_only() -> None:
    """No module of the command line but `console` writes text to a standard stream."""
    folder = Path(tmapi_async.cli.__file__).parent
    for path in folder.rglob("*.py"):
        if path.name == "console.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                assert call not in ("print", "sys.stdout.write", "sys.stderr.write"), path
