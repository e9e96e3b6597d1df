"""The options of account and server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmapi_async.cli.options.connection_options import ConnectionOptions, SeveralAccountsOptions
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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("one\n\ntwo words\n", "line 3 of .* contains white space"),
        ("one\ntw\u00f6\n", "line 2 of "),
        ("one\ntwo\n\n one \n", "lines 1 and 4 of .* the same token"),
        ("\n \n", "it is empty"),
    ],
)
def test_the_line_of_a_token_file_that_is_wrong_is_named(
    content: str, reason: str, tmp_path: Path
) -> None:
    """Of twenty tokens, the one to copy again is named by its line, and not shown."""
    file = tmp_path / "tokens"
    file.write_text(content, "utf-8")
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        ConnectionOptions(token_file=file).tokens()
    assert "words" not in str(caught.value)


def test_a_harvest_waits_half_an_hour_and_other_commands_as_long_as_their_retries() -> None:
    """A command that somebody looks at gives a wrong address up at once."""
    (of_items,) = ConnectionOptions(token="t").clients()  # noqa: S106 - the test's own
    (of_harvest,) = SeveralAccountsOptions(token="t").clients()  # noqa: S106 - the test's own
    assert (of_items.settings.wait, of_harvest.settings.wait) == (None, 1800.0)
