"""Readers of values in settings files: each raises `ValueError` or `TypeError` for a wrong value.

The types of TOML are strict: `true` is no number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tmapi_async.transport.credentials import check_base_url

from .durations import read_age, read_duration

_LARGEST = 2**63
_MOST = 1e12


def read_whole(value: Any) -> int:
    """Return a whole number from 1."""
    if type(value) is not int or not 1 <= value < _LARGEST:
        raise ValueError
    return value


def read_whole_from_zero(value: Any) -> int:
    """Return a whole number from 0."""
    return value if type(value) is int and value == 0 else read_whole(value)


def read_number(value: Any) -> float:
    """Return a number from 0."""
    if type(value) not in (int, float) or not 0 <= value < _MOST:
        raise ValueError
    number: float = value
    return number


def read_above_zero(value: Any) -> float:
    """Return a number above 0."""
    if not read_number(value):
        raise ValueError
    return read_number(value)


def read_share(value: Any) -> float:
    """Return a number from 0 to 1."""
    if read_number(value) > 1:
        raise ValueError
    return read_number(value)


def read_flag(value: Any) -> bool:
    """Return true or false."""
    if type(value) is not bool:
        raise ValueError
    return value


def read_text_value(value: Any) -> str:
    """Return a text that is not empty."""
    if type(value) is not str or not value.strip() or "\0" in value:
        raise ValueError
    return value


def one_of(*words: str) -> Callable[[Any], str]:
    """Return a reader of one of some words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return read


def word_or_number(*words: str, least: int) -> Callable[[Any], str]:
    """Return a reader of one of some words, or of a number as text.

    Args:
        *words: The words.
        least: Smallest number, 0 or 1.
    """

    def read(value: Any) -> str:
        if value in words:
            return str(value)
        number = int(value) if type(value) is str and value.isdecimal() else value
        return str(read_whole(number) if least else read_whole_from_zero(number))

    return read


def read_address(value: Any) -> str:
    """Return the address of an API.

    Raises:
        InvalidRequestError: The text has another form.
    """
    check_base_url(value)
    return str(value)


def read_duration_text(value: Any) -> str:
    """Return a duration, which may be given as a number of seconds, as text.

    Raises:
        InvalidRequestError: The text has another form.
    """
    if type(value) not in (int, float, str):
        raise ValueError
    read_duration("it", value)
    return str(value)


def read_age_text(value: Any) -> str:
    """Return an age.

    Raises:
        InvalidRequestError: The text has another form.
    """
    read_age("it", read_text_value(value))
    return str(value)


def read_destinations(value: Any) -> list[str]:
    """Return a list of destinations with one at least."""
    if type(value) is not list or not value:
        raise ValueError
    return [read_text_value(target) for target in value]
