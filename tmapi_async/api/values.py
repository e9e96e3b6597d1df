"""Values as the API sends them, and their readers: money, counts, rates. No I/O.

Fields come in several shapes (see the drift table in the docs). So the structs hold the values as
sent, and accessors read them: money as exact `Decimal`, counts as `int`, rates as percent. A field
that no struct knows is not lost: it is in `Item.extra`.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, ClassVar, TypeAlias

import msgspec

from .count_texts import count_in_text

Number: TypeAlias = str | int | float | None
"""A number as sent: decimal text, `""`, a JSON number, or null."""

# The kinds of numbers. The columns of rows follow from them (`columns`); decoding ignores them.
Money: TypeAlias = Annotated[Number, msgspec.Meta(extra={"kind": "money"})]
"""An amount in yuan."""
Count: TypeAlias = Annotated[Number, msgspec.Meta(extra={"kind": "count"})]
"""A count, for example of pieces, orders or buyers."""
Percent: TypeAlias = Annotated[Number, msgspec.Meta(extra={"kind": "percent"})]
"""A rate in percent."""
OtherNumber: TypeAlias = Annotated[Number, msgspec.Meta(extra={"kind": "number"})]
"""Any other number, for example a rating."""
TextOrDigits: TypeAlias = Annotated[Number, msgspec.Meta(extra={"kind": "text"})]
"""A name or a key, which is text even if it is sent as digits."""
Picture: TypeAlias = Annotated[str | None, msgspec.Meta(extra={"kind": "picture"})]
"""The address of a picture as sent: `https:////` and `//` occur in place of `https://`."""

ItemId: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class Wire(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Base of every struct decoded from a reply.

    An unknown field makes the strict decoder fail. Then the page is decoded again with structs
    that accept the field (`tmapi_async.api.decoding`). Pages without such fields cost no more.

    Attributes:
        essential: Names of fields, beside the required ones, without which the rest means something
            else: a value that does not fit one of them costs the row and not only the field.
    """

    essential: ClassVar[frozenset[str]] = frozenset()


class Reject(msgspec.Struct, frozen=True, gc=False):
    """A row that could not be decoded, with its bytes, so that nothing is dropped in silence.

    Attributes:
        position: 0-based position among the rows of the page as sent.
        reason: Message of the decoder.
        raw: The row's JSON, byte for byte.
    """

    position: int
    reason: str
    raw: bytes


# A scheme with wrong separators or none at all, then a host with a dot, then the rest.
_MISSPELT = re.compile(
    r"(?:(https?)[:/\\]+|[/\\]{2,})((?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?(?:/\S*)?)",
    re.ASCII | re.IGNORECASE,
)
_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_LONGEST_NUMBER = 40
_LARGEST_NUMBER = 10**39


def money(value: Number) -> Decimal | None:
    """Read an amount of money in yuan, exactly.

    Args:
        value: Value as sent: decimal text of any scale, a JSON number, `""`, `"null"` or null.

    Returns:
        The amount with the scale as sent, or None if there is no price or the text is not a plain
        decimal number.
    """
    # Python refuses to turn very long integers into text.
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) >= _LARGEST_NUMBER):
        return None
    # repr of a float is the shortest text that reads back the same: 4.59 stays 4.59.
    text = value if isinstance(value, str) else repr(value)
    if len(text) > _LONGEST_NUMBER:
        return None
    text = text.strip()
    if not (plain := _PLAIN.fullmatch(text)):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return Decimal(f"{number:f}") if plain[2] else number  # nobody writes money as 1E+5


def count(value: Number) -> int | None:
    """Read a count of pieces, orders or buyers.

    Args:
        value: Value as sent: an int, `"88"`, `"100000+"`, `"已售300+件"`, `"全网4.1万+件"`,
            `"1.2k+ sold"`, `""`, null.

    Returns:
        The count, or the lower bound if the text gives one. None if the text has no number, or a
        unit or word that is not known: the digits alone would be a wrong number.
    """
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    number = money(value)
    if number is not None:
        return int(number)
    if not isinstance(value, str) or len(value) > _LONGEST_NUMBER:
        return None
    return count_in_text(value)


def percent(value: Number) -> Decimal | None:
    """Read a rate as percent.

    Args:
        value: Value as sent: `"38.46"`, `"29.2%"`, `""`, null.

    Returns:
        The rate in percent, or None. A number without a percent sign is taken as percent, also one
        below 1: the API sends `"0.79"` among percents, and elsewhere `"0.3"` as a fraction, and the
        value alone does not show which one it is. Rows keep its text (`..._text`).
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        return money(value.strip()[:-1])
    return money(value)


def picture(value: object) -> str | None:
    """Read the address of a picture.

    Args:
        value: Value as sent: `"https://img.example/a.jpg"`, `"https:////img.example/a.jpg"`,
            `"//img.example/a.jpg"`, `"http:/img.example/a.jpg"`, `"null"`, null.

    Returns:
        The address. Wrong separators before the host are mended, and a missing scheme is `https`.
        Any other text is returned as it was sent.
    """
    if value is None or value == "null":  # the API sends the literal in place of null
        return None
    text = value if isinstance(value, str) else str(value)
    if text.startswith("https://") and text[8:9] not in ("/", "\\"):
        return text
    match = _MISSPELT.fullmatch(text.strip())
    return text if match is None else f"{(match[1] or 'https').lower()}://{match[2]}"
