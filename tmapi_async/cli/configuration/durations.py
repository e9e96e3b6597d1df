"""Durations and ages as a user types them: seconds, or a number with a unit."""

from __future__ import annotations

import re

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_FORM = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(s|m|min|h|d|w|)")
_AGE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*([dhms])", re.ASCII)


def read_duration(option: str, value: str | float) -> float:
    """Return the seconds of a duration such as "90", "90s", "15m", "6h", "7d" or "2w".

    Args:
        option: Name of the option, for the message.
        value: The duration; a settings file may give it as a number of seconds.

    Raises:
        InvalidRequestError: The value is no duration.
    """
    match = _FORM.fullmatch(str(value).strip())
    if match is None:
        raise InvalidRequestError(
            f"{option} must be a duration such as 90s, 15m, 6h or 7d, not {show_value(value)}"
        )
    return float(match[1]) * _SECONDS[match[2]]


def read_age(option: str, text: str) -> float:
    """Return the seconds of an age such as "7d", "12h", "30m" or "90s".

    Args:
        option: Name of the option, for the message.
        text: The age.

    Raises:
        InvalidRequestError: The text is not an age above 0.
    """
    match = _AGE.fullmatch(text.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not seconds:
        raise InvalidRequestError(
            f"{option} must be an age such as 7d, 12h, 30m or 90s, not {show_value(text)}"
        )
    return seconds
