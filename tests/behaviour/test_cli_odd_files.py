"""Files that are odd but common are read; those that cannot be meant are refused, not read on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmapi_async.cli.options import connection_options as options
from tmapi_async.cli.options.job_file import read_job
from tmapi_async.cli.textfiles import read_text
from tmapi_async.errors import InvalidRequestError

JOB = "[[listings]]\ncat_ids = [7]\n"


def test_a_job_file_may_begin_with_a_mark(tmp_path: Path) -> None:
    """Editors on Windows begin a file with a byte order mark and end lines with two characters."""
    job = tmp_path / "job.toml"
    job.write_bytes(b"\xef\xbb\xbf" + JOB.replace("\n", "\r\n").encode())
    assert len(read_job(job, {}).groups) == 1


def test_a_token_file_may_begin_with_a_mark(tmp_path: Path) -> None:
    """The mark is no part of the first token."""
    held = tmp_path / "tokens"
    held.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert options.ConnectionOptions(token_file=held).tokens() == ["one", "two"]


def test_a_file_without_end_is_refused() -> None:
    """A device has no size to be told beforehand: reading ends at the limit."""
    with pytest.raises(InvalidRequestError, match="/dev/zero is larger than 1,000 bytes"):
        read_text(Path("/dev/zero"), "the file", limit=1000)


def test_a_token_file_whose_name_is_none_is_refused() -> None:
    """A job file can name what the command line cannot."""
    with pytest.raises(InvalidRequestError, match="cannot read"):
        options.ConnectionOptions(token_file=Path("no\0pe")).tokens()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = " + "[" * 3000 + "]" * 3000 + "\n" + JOB, "nested too deeply"),
        ('[[listings]]\nendpoint = "search"\nkeywords_file = "no\\u0000pe"\n', "line 3: "),
        ('[[listings]]\ncat_ids_file = "no\\u0000pe"\n', "line 2: "),
    ],
    ids=["deep", "keywords", "IDs"],
)
def test_a_job_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """What Python itself chokes on is bad input, no unexpected failure."""
    job = tmp_path / "job.toml"
    job.write_text(text)
    with pytest.raises(InvalidRequestError, match=told):
        read_job(job, {"a": list})
