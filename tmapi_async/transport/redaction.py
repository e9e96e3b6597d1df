"""Removes the token from text of other origin."""

from __future__ import annotations

import html
import re

HIDDEN = "[token]"
"""Text in a message in place of the token."""

_MAX_LENGTH = 300

_LONGEST_TEXT = 16_384
"""Characters that are looked at; a message shows 300 of them at most."""

_WIDEST = 12
"""Characters that one character of a token may become, quoted more than once."""

# Sequences that stand for a character and begin with that same character.
_SELF_SIMILAR = re.compile(r"%25|u0075|&amp;|&#", re.IGNORECASE)
_MAX_SELF_SIMILAR = 4

_UNIT = re.compile(r"\\+|.", re.DOTALL)


def _quoted(char: str) -> str:
    """Return a pattern for a character in a URL, in HTML or in JSON, quoted once or more."""
    number = f"{ord(char):x}"
    return rf"(?i:%(?:25)*{number}|&#0*{ord(char)};|&#x0*{number};|u00{number})"


def _spellings(unit: str) -> str:
    """Return a pattern for every way in which a server may send back a unit of the token.

    Args:
        unit: A character, or a run of backslashes, of which JSON adds any number.
    """
    if unit[0] == "\\":
        return rf"(?:\\|{_quoted(unit[0])})++"
    ways = [_quoted(unit), re.escape(unit)]
    if html.escape(unit) != unit:
        ways.append(re.escape(html.escape(unit)))
    return rf"\\*+(?:{'|'.join(ways)})"


def _pattern(token: str) -> re.Pattern[str]:
    """Return a pattern that finds a token in every spelling, in time linear in the text.

    No two ways to read a character match the same text: two that do double the work with each
    character, and a server that sends the beginning of a token would stop the process. Only a
    token that contains quoted characters itself can be read in two ways; if it contains many of
    them, the first way that fits is final (an atomic group).
    """
    atomic = len(_SELF_SIMILAR.findall(token)) > _MAX_SELF_SIMILAR
    group = "(?>" if atomic else "(?:"
    units = "".join(f"{group}{_spellings(unit)})" for unit in _UNIT.findall(token))
    # Backslashes before the token stay: a run of them would be read from each of its places.
    first = rf"(?<!\\){units}" if token.startswith("\\") else units.replace(r"\\*+", "", 1)
    return re.compile(first or "(?!)")


class Redactor:
    """Removes a token from text of other origin, however the token was encoded.

    The token is kept out of `repr`, so that a redactor is safe in a traceback with locals.

    Args:
        token: The token to remove.
    """

    __slots__ = ("_compiled", "_token")

    def __init__(self, token: str) -> None:
        self._token = token
        self._compiled: re.Pattern[str] | None = None

    def __call__(self, text: str) -> str:
        """Return `text` without the token, on one line, at most 300 characters.

        The time it takes grows with the length of `text`, up to a bound, whatever the text is.
        """
        if self._compiled is None:  # made when first needed: it takes a second for 4,000 characters
            self._compiled = _pattern(self._token)
        margin = _WIDEST * len(self._token)
        cut = len(text) > _LONGEST_TEXT + margin
        text = text[: _LONGEST_TEXT + margin]
        if self._token:
            text = text.replace(self._token, HIDDEN)
        text = self._compiled.sub(HIDDEN, text)
        if cut:  # the beginning of a token may stand at the end
            text = text[: max(0, len(text) - margin)]
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 3] + "..."

    def __repr__(self) -> str:
        return "Redactor()"
