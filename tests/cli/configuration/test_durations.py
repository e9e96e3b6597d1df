"""Durations of the command line."""

from __future__ import annotations

import pytest

from tmapi_async.cli.configuration.durations import read_duration
from tmapi_async.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        (90, 90),
        (1.5, 1.5),
        ("90s", 90),
        ("15m", 900),
        ("15min", 900),
        ("6h", 21_600),
        (" 1.5 h ", 5400),
        ("7d", 604_800),
        ("2w", 1_209_600),
    ],
)
def test_duration_is_a_number_with_a_unit(text: str | float, seconds: float) -> None:
    """Without a unit it is seconds; a job file may give a number."""
    assert read_duration("--max-age", text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "6 hours", "1h30", "inf", "1e9", "9" * 20, True])
def test_other_texts_are_refused(text: str | float) -> None:
    """The message names the option."""
    with pytest.raises(InvalidRequestError, match="--max-age"):
        read_duration("--max-age", text)
