"""Small text files that a command reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmapi_async.cli.textfiles import read_text, user_path
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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, encoding: str) -> None:
    """Editors on Windows save text as UTF-8 or UTF-16, with a mark at the beginning."""
    file = tmp_path / "file.txt"
    file.write_bytes("连衣裙\r\nplain\n".encode(encoding))
    assert read_text(file, "the file") == "连衣裙\nplain\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("连衣裙".encode("gbk"), "it is not UTF-8; save it as UTF-8"),
        ("plain".encode("utf-16-le"), "UTF-16 without a byte order mark has: save it as UTF-8"),
        (b"\xff\xfea", "it is not UTF-16; save it as UTF-8"),
    ],
)
def test_another_encoding_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    """A text that cannot be read says in which encoding it must be."""
    file = tmp_path / "file.txt"
    file.write_bytes(data)
    with pytest.raises(InvalidRequestError, match=reason):
        read_text(file, "the file")


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell replaces `~` in the middle of an argument."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "file.txt").write_text("text")
    assert read_text(Path("~/file.txt"), "the file") == "text"
    with pytest.raises(InvalidRequestError, match="no home folder of that user"):
        user_path("~nobody-of-this-name/file.txt")
