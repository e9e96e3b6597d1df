"""Chunks of decoded pages: bounded in pages and in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.journals import body, row, write
from tmapi_async.export.chunks import read_chunks
from tmapi_async.export.selection import Selection, resolve
from tmapi_async.journal.reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path


def test_large_pages_are_not_kept_by_the_hundred(path: Path) -> None:
    """A chunk of pages with large bodies ends earlier."""
    blank = b" " * (4 << 20)
    write(path, {7: [body([row(number)]) + blank for number in range(1, 11)]})
    with JournalReader(path) as reader:
        sizes = [len(chunk.pages) for chunk in read_chunks(reader, resolve(reader, Selection()))]
    assert sizes == [4, 4, 2]
