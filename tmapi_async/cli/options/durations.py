"""Durations as a user types them: seconds, or a number with a unit."""

from __future__ import annotations

import re

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_FORM = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(s|m|min|h|d|w|)")


def read_duration(option: str, value: str | float) -> float:
    """Return the seconds of a duration such as "90", "90s", "15m", "6h", "7d" or "2w".

    Args:
        option: Name of the option, for the message.
        value: The duration; a job file may give it as a number of seconds.

    Raises:
        InvalidRequestError: The value is no duration.
    """
    match = _FORM.fullmatch(str(value).strip())
    if match is None:
        raise InvalidRequestError(
            f"{option} must be a duration such as 90s, 15m, 6h or 7d, not {show_value(value)}"
        )
    return float(match[1]) * _SECONDS[match[2]]
