"""Make characters of foreign texts visible that a terminal would obey.

Titles, server messages and file names come from outside. An escape sequence in them could clear the
screen, change the title of the window or make a link; a bidirectional character could show a text
in another order than it has.
"""

from __future__ import annotations

import re

# C0 and C1 controls, line and paragraph separators, bidirectional marks, lone surrogates (which no
# stream can write).
_OBEYED = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
# The same characters in UTF-8, except those that JSON has escaped already.
_OBEYED_BYTES = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf"
)


def escape_controls(text: str) -> str:
    r"""Return one line of text in which control and bidirectional characters are shown.

    Each becomes `\uXXXX`, which is also an escape of JSON: a line of JSON keeps its meaning.
    """
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def escape_json_controls(line: bytes) -> bytes:
    """Return JSON in UTF-8 with the same meaning, without characters that a terminal obeys."""
    return _OBEYED_BYTES.sub(lambda match: f"\\u{ord(match[0].decode()):04x}".encode(), line)
