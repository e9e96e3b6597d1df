"""Removes the token from text of other origin."""

from __future__ import annotations

import html
import re

HIDDEN = "[token]"
"""Text in a message in place of the token."""

_MAX_LENGTH = 300


def _spellings(char: str) -> str:
    """Return a pattern for every way in which a server may send back a character of the token."""
    number = f"{ord(char):x}"
    # In a URL, quoted once or more and by any rule; in HTML; in JSON inside JSON.
    quoted = rf"(?i:%(?:25)*{number}|&#0*{ord(char)};|&#x0*{number};|u00{number})"
    return rf"(?:\\*(?:{quoted}|{re.escape(char)})|{re.escape(html.escape(char))})"


class Redactor:
    """Removes a token from text of other origin, however the token was encoded.

    The token is kept out of `repr`, so that a redactor is safe in a traceback with locals.

    Args:
        token: The token to remove.
    """

    __slots__ = ("_pattern", "_token")

    def __init__(self, token: str) -> None:
        self._token = token
        self._pattern: re.Pattern[str] | None = None

    def __call__(self, text: str) -> str:
        """Return `text` without the token, on one line, at most 300 characters."""
        if self._pattern is None:  # made when first needed: it takes a second for 4,000 characters
            self._pattern = re.compile("".join(map(_spellings, self._token)) or "(?!)")
        text = self._pattern.sub(HIDDEN, text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 3] + "..."

    def __repr__(self) -> str:
        return "Redactor()"
