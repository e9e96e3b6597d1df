"""Lists of category IDs, as editors save them and as users name them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tmapi_async.cli.options.id_lists import read_ids
from tmapi_async.errors import InvalidRequestError

LIST = "1031910  # 连衣裙\r\n\r\n2806778\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gbk"])
def test_a_list_is_read_in_any_usual_encoding(tmp_path: Path, encoding: str) -> None:
    """UTF-8, UTF-16 with a mark, and comments in any encoding, as a file and on standard input."""
    data = LIST.encode(encoding)
    file = tmp_path / "ids.txt"
    file.write_bytes(data)
    assert read_ids([f"@{file}"], io.BytesIO()).ids == [1031910, 2806778]
    assert read_ids(["-"], io.BytesIO(data)).ids == [1031910, 2806778]


def test_an_error_in_utf_16_names_the_line() -> None:
    """The message has the number of the line, as in a list in UTF-8."""
    data = "1031910\r\nx2806778\r\n".encode("utf-16")
    with pytest.raises(InvalidRequestError, match="standard input, line 2"):
        read_ids(["-"], io.BytesIO(data))


def test_utf_16_without_a_mark_is_named() -> None:
    """Without the mark the encoding is a guess: the message says what to do."""
    data = "1031910\r\n".encode("utf-16-le")
    with pytest.raises(InvalidRequestError, match=r"line 1 has NUL .* save it as UTF-8"):
        read_ids(["-"], io.BytesIO(data))


def test_a_list_in_the_home_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell leaves `~` in `@~/ids.txt` as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "ids.txt").write_text("7\n")
    assert read_ids(["@~/ids.txt"], io.BytesIO()).ids == [7]
