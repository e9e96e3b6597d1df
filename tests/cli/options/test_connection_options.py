"""The options of account and server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.errors import InvalidRequestError


def test_a_token_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """The mark, which editors on Windows write, does not become a part of the first token."""
    file = tmp_path / "tokens"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert ConnectionOptions(token_file=file).tokens() == ["one", "two"]


def test_a_token_file_with_an_impossible_name_is_refused() -> None:
    """A job file can name a file that no command line can."""
    with pytest.raises(InvalidRequestError, match="cannot read"):
        ConnectionOptions(token_file=Path("no\0pe")).tokens()


def test_the_options_do_not_show_the_token() -> None:
    """A traceback or a log may hold the representation of the options."""
    assert "s3cret" not in repr(ConnectionOptions(token="s3cret"))  # noqa: S106 - the test's own
