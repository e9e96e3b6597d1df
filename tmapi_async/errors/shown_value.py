"""Values in messages about refused options: shown only where they cannot be a secret."""

from __future__ import annotations

import re

_MAX_SHORT = 12
_MAX_SHOWN = 40
# Numbers, dates, hosts and ports, option names: no token looks like these.
_HARMLESS = re.compile(r"[-+0-9.,:_ TZ/]*|-{0,2}[a-z]+([._ -]{1,3}[a-z]+)*(:[0-9]{1,5})?")


def is_harmless(text: str) -> bool:
    """Return True if a text is too short or too plain to be a token."""
    return len(text) <= _MAX_SHORT or (
        len(text) <= _MAX_SHOWN and _HARMLESS.fullmatch(text) is not None
    )


def show_value(value: object) -> str:
    """Return a refused value as a message may show it.

    A token that stands in the place of another value by mistake must not get into a log.

    Args:
        value: Any value, also one that cannot be printed.

    Returns:
        The repr of a short or plain value; otherwise its kind and size.
    """
    if isinstance(value, str):
        return repr(value) if is_harmless(value) else f"a text of {len(value):,} characters"
    if isinstance(value, bool | int | float | None):
        try:
            text = repr(value)
        except ValueError:  # Python refuses to print an int of more than 4,300 digits
            return "a number of too many digits"
        return text if len(text) <= _MAX_SHOWN else f"a number of {len(text):,} characters"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
    return f"a value of type {type(value).__name__}"
