r"""Repair of bodies that are almost JSON, so that one character does not cost a row or a page.

Used only after the strict decoder has failed. Sources of the damage: titles cut inside an emoji or
inside a UTF-8 sequence, texts written without escaping (a raw tab, `\'`), writers that emit `NaN`
and `Infinity`, a byte-order mark in front of the body, a quote in a title that was not escaped.

A body that was cut off is never completed: its envelope cannot be read, so it stays unreadable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

LONGEST_BODY = 2**19
"""Bytes; 40 usual pages. Longer bodies are not repaired: the event loop must not wait for it."""

_LONGEST_INTEGER = 4000  # digits; Python refuses to read or show an int of more than 4,300
_MOST_COPIED = 2**28  # bytes copied at most in search of the end of the rows
_LEAST_LOST = 4  # characters; fewer do not show a charset
_BYTE_ORDER_MARK_AND_SPACE = b"\xef\xbb\xbf \t\r\n"

# Possessive quantifiers: an unclosed string is scanned once, not once for each quote in it.
_STRING = rb'"(?:[^"\\]++|\\.)*+"?'
_TOKEN = re.compile(
    _STRING + rb"|[A-Za-z0-9_$+.\-\x80-\xff]++|,(?=[ \t\r\n]*+[}\]])|[\x00-\x08\x0b\x0c\x0e-\x1f]",
    re.DOTALL,
)
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*+)(?P<real>(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)")
_LITERALS = frozenset((b"true", b"false", b"null"))
# Each alternative consumes a whole escape. So the `u` after an escaped backslash is not taken for
# the start of an escape.
_FAULT = re.compile(
    rb'\\["\\/bfnrt]'
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\u[0-9a-fA-F]{4}"
    rb"|(?P<cut>\\u[0-9a-fA-F]{0,3})"
    rb"|(?P<quote>\\')"
    rb"|(?P<backslash>\\)"
    rb"|(?P<control>[\x00-\x1f])"
)
_STRUCTURE = re.compile(_STRING + rb"|[{}\[\],]", re.DOTALL)
_ROWS_END = re.compile(rb"\}\s*+(?=\])")
_FIRST_KEY = re.compile(rb'\s*+\{\s*+("[^"\\]*+")\s*+:')
_ROWS_DEPTH = 3  # the reply, its data, the list of rows


def repair(body: bytes) -> bytes:
    r"""Return a body as valid JSON if only characters, escapes and single values are at fault.

    - Text in UTF-16 with a byte-order mark, or in GB18030, becomes UTF-8.
    - Other bytes that are not UTF-8, half a surrogate pair and a cut escape become U+FFFD.
    - A raw control character is escaped; a backslash that escapes nothing stays a backslash.
    - A value that is no JSON (`NaN`, `Infinity`, `1e999`, `007`) becomes text, as sent.
    - A byte-order mark, a comma before a closing bracket and control characters between values are
      left out.

    Valid JSON without a byte-order mark and numbers out of range is returned as it is.
    """
    if len(body) > LONGEST_BODY:
        return body
    text = _in_utf8(body).decode("utf-8", "replace").encode()
    return _TOKEN.sub(_repaired_token, text)


def _in_utf8(body: bytes) -> bytes:
    """Return a body in UTF-8 if it is in another charset; unchanged if it is UTF-8 with damage."""
    try:
        if body.startswith((b"\xff\xfe", b"\xfe\xff")):
            return body.decode("utf-16").encode()
        body = body.lstrip(_BYTE_ORDER_MARK_AND_SPACE)
        return body.decode("gb18030").encode() if _is_foreign(body) else body
    except UnicodeDecodeError:
        return body


def _is_foreign(body: bytes) -> bool:
    text = body.decode("utf-8", "replace")
    lost = text.count("\ufffd") - body.count(b"\xef\xbf\xbd")
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    # Characters that were cut are few. Chinese text in GB18030 has hardly one sequence of UTF-8.
    return lost >= _LEAST_LOST and lost > beyond_ascii / 2


def _repaired_token(match: re.Match[bytes]) -> bytes:
    token = match[0]
    if token.startswith(b'"'):
        return _FAULT.sub(_repaired_fault, token)
    if token == b"," or token < b" ":
        return b""
    return token if _is_value(token) else b'"%b"' % token


def _is_value(token: bytes) -> bool:
    if token in _LITERALS:
        return True
    number = _NUMBER.fullmatch(token)
    if number is None or len(token) > _LONGEST_INTEGER:
        return False
    return not number["real"] or math.isfinite(float(token))


def _repaired_fault(match: re.Match[bytes]) -> bytes:
    fault = match.lastgroup
    if fault in ("half", "cut"):
        return rb"\ufffd"
    if fault == "quote":
        return b"'"
    if fault == "backslash":
        return rb"\\"
    return rb"\u%04x" % match[0][0] if fault == "control" else match[0]


def row_regions(body: bytes, rows: str = "items") -> Iterator[tuple[bytes, bytes]]:
    """Yield ways to divide a body into its envelope and the text of its rows, best first.

    Args:
        body: The body.
        rows: Name of the list of rows.

    Yields:
        The body with an empty list of rows, and the bytes between the brackets of that list. The
        right way is the first one whose envelope can be decoded.
    """
    if len(body) > LONGEST_BODY:
        return
    body = _in_utf8(body)
    name = b'"%b"' % rows.encode()
    region = _region_by_brackets(body, name)
    if region is not None:
        start, end = region
        yield repair(body[:start] + body[end:]), body[start:end]
    # An unescaped quote in a title turns text into structure until the next one.
    opening = re.search(name + rb"\s*+:\s*+\[", body)
    if opening is None:
        return
    attempts = _MOST_COPIED // len(body)
    for _, closing in zip(range(attempts), _ROWS_END.finditer(body, opening.end()), strict=False):
        start, end = opening.end(), closing.end()
        yield body[:start] + body[end:], body[start:end]


def _region_by_brackets(body: bytes, name: bytes) -> tuple[int, int] | None:
    depth, start, last_string = 0, -1, b""
    for match in _STRUCTURE.finditer(body):
        token = match[0]
        if token in b"{[":
            depth += 1
            if start < 0 and depth == _ROWS_DEPTH and token == b"[" and last_string == name:
                start = match.end()
        elif token in b"}]":
            if depth == _ROWS_DEPTH and start >= 0:
                return start, match.start()
            depth -= 1
        elif token != b",":
            last_string = token
    return None


def split_rows(region: bytes) -> Iterator[bytes]:
    """Yield the elements of a list, given the bytes between its brackets; empty ones left out."""
    depth = start = 0
    for match in _STRUCTURE.finditer(region):
        token = match[0]
        if token in b"{[":
            depth += 1
        elif token in b"}]":
            depth -= 1
        elif token == b"," and depth == 0:
            if element := region[start : match.start()].strip():
                yield element
            start = match.end()
    if element := region[start:].strip():
        yield element


def split_by_first_key(rows: bytes) -> list[bytes]:
    """Split the text of several objects before each object that begins with the same key.

    Rows of one page are written by one program, so that they begin with the same key. This finds
    the borders even if a quote is missing or too many.
    """
    first = _FIRST_KEY.match(rows)
    if first is None:
        return [rows]
    border = re.compile(rb"(?<=\})\s*+,\s*+(?=\{\s*+" + re.escape(first[1]) + rb"\s*+:)")
    return border.split(rows)
