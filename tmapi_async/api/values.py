"""What the API sends, as msgspec structs that keep the wire's spelling.

Fields come in several shapes (see the drift table in the docs), so the structs hold what was sent
and the accessors read it: money as exact `Decimal`, counts as `int`, rates as percent. A field
that no struct knows is not lost: it is in `Item.extra`.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, InvalidOperation
from typing import Annotated, TypeAlias

import msgspec

Number: TypeAlias = str | int | float | None
"""A number as sent: decimal text, `""`, a JSON number, or null."""

ItemId: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class Wire(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Base of every struct that is decoded from the API.

    An unknown field makes the strict decoder fail, which costs nothing while there is none; the
    page is then decoded again with structs that let it through (`tmapi_async.api.replies`).
    """


class Reject(msgspec.Struct, frozen=True, gc=False):
    """A row that could not be decoded. Its bytes are kept, so that nothing is dropped in silence.

    Attributes:
        position: 0-based position among the rows of the page as sent.
        reason: What the decoder said.
        raw: The row's JSON, byte for byte.
    """

    position: int
    reason: str
    raw: bytes


_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?", re.ASCII)
# 已售300+件 (300+ sold), 全网4.1万+件 (41,000+ on the whole net): reference section 4.
_BOUND = re.compile(
    r"[^0-9.\-]*([0-9]+(?:\.[0-9]+)?)\s*(千|万|亿|[kKwW](?![a-zA-Z]))?\s*\+?\s*[^0-9.]*"
)
# Shops also write w for 万 (wan) and k for a thousand: 1.2w+ must not become 1.
_SCALES = {"千": 1_000, "k": 1_000, "万": 10_000, "w": 10_000, "亿": 100_000_000}
_LONGEST_NUMBER = 40
_LARGEST_NUMBER = 10**39
# The caller's decimal context may round, or raise where it would.
_EXACT = Context(prec=2 * _LONGEST_NUMBER)


def money(value: Number) -> Decimal | None:
    """Read an amount of money in yuan, exactly.

    Args:
        value: As sent: decimal text of any scale, a JSON number, `""`, `"null"` or null.

    Returns:
        The amount with the scale it was sent with, or None where there is no price or the text is
        not a plain decimal number.
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
    return Decimal(f"{number:f}") if plain[2] else number  # 1E+5 is money nowhere


def count(value: Number) -> int | None:
    """Read a count of pieces, orders or buyers.

    Args:
        value: As sent: an int, `"88"`, `"100000+"`, `"已售300+件"`, `"全网4.1万+件"`, `""`, null.

    Returns:
        The count, the lower bound where the text gives one, or None.
    """
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    number = money(value)
    if number is not None:
        return int(number)
    if not isinstance(value, str) or len(value) > _LONGEST_NUMBER:
        return None
    found = _BOUND.fullmatch(value.strip())
    if not found:
        return None
    scale = _SCALES[found[2].lower()] if found[2] else 1
    return int(_EXACT.multiply(Decimal(found[1]), Decimal(scale)))


def percent(value: Number) -> Decimal | None:
    """Read a rate as percent.

    Args:
        value: As sent: `"38.46"` (percent), `"29.2%"`, `"0.3"` (a fraction), `""`, null.

    Returns:
        The rate in percent, or None. A number below 1 without a percent sign is taken for a
        fraction, since rates are sent both ways.
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        return money(value.strip()[:-1])
    number = money(value)
    if number is None or not 0 < number < 1:
        return number
    return _EXACT.multiply(number, Decimal(100))
