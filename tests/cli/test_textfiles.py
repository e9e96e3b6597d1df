"""Small text files that a command reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmapi_async.cli.textfiles import read_text
from tmapi_async.errors import InvalidRequestError


def test_line_ends_and_byte_order_marks_are_removed(tmp_path: Path) -> None:
    """A file from Windows or an old Mac reads like one from Unix."""
    file = tmp_path / "file.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read_text(file, "the file") == "one\ntwo\nthree\n"


def test_a_file_without_an_end_is_refused() -> None:
    """A device has no size that could be checked first: reading ends at the limit."""
    with pytest.raises(InvalidRequestError, match="/dev/zero is larger than 1,000 bytes"):
        read_text(Path("/dev/zero"), "the file", limit=1000)
