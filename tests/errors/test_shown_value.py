"""Refused values are shown only where they cannot be a token."""

from __future__ import annotations

import pytest

from tmapi_async.errors.shown_value import is_harmless, show_value

TOKENS = [
    "tok-abc-5ecretXY",
    "0123456789abcdef0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6Nzd9.x-Yz",
    "5ecret+with/every=kind%of&sign",
    "two words 4f9c1b",
]


@pytest.mark.parametrize("token", TOKENS)
def test_a_value_that_may_be_a_token_is_described_by_its_length(token: str) -> None:
    """A mixed text of more than twelve characters is not repeated, nor any part of it."""
    assert show_value(token) == f"a text of {len(token)} characters"


@pytest.mark.parametrize(
    "value",
    ["", "abc", "0x10", "category-v22", "9223372036854775808", "2026-13-01T00:00:00Z",
     "--support-dropshiping", "localhost:8786", "global-search", "127.0.0.1:8786"],
)  # fmt: skip
def test_a_short_or_plain_value_is_shown(value: str) -> None:
    """Words, numbers, dates and hosts help to find the mistake, and are no tokens."""
    assert is_harmless(value)
    assert show_value(value) == repr(value)


def test_values_of_other_types_are_shown_or_named() -> None:
    """No value of a file or a caller makes the message itself fail."""
    assert show_value(7) == "7"
    assert show_value(None) == "None"
    assert show_value(1.5) == "1.5"
    assert show_value(10**5000) == "a number of too many digits"
    assert show_value([TOKENS[0]]) == "a list"
    assert show_value({"a": TOKENS[0]}) == "a table"
    assert show_value(object()) == "a value of type object"
