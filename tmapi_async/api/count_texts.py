"""Counts written as text with a unit, in the languages of the API. No I/O.

Examples: `已售300+件` (300+ sold), `全网4.1万+件` (41,000+ on all sites), `1.2k+ sold`,
`1,2 тыс.` and `1,2N` (1,200 in Russian and Vietnamese). See the drift table in the docs.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from decimal import Context, Decimal

_LETTER_UNITS = {
    "k": 10**3,
    "thousand": 10**3,
    "w": 10**4,  # shops write w for 万 (wan)
    "m": 10**6,
    "mln": 10**6,
    "million": 10**6,
    "b": 10**9,
    "bn": 10**9,
    "billion": 10**9,
    "тыс": 10**3,
    "млн": 10**6,
    "млрд": 10**9,
    "n": 10**3,  # Vietnamese shops write N for nghìn
    "nghìn": 10**3,
    "ngàn": 10**3,
    "tr": 10**6,
    "triệu": 10**6,
    "tỷ": 10**9,
    "tỉ": 10**9,
}
_NUMERALS = {
    **dict.fromkeys("十拾십", 10),
    **dict.fromkeys("百佰백", 100),
    **dict.fromkeys("千仟천", 10**3),
    **dict.fromkeys("万萬만", 10**4),
    **dict.fromkeys("亿億억", 10**8),
}
# 兆 is a million or a trillion, by country.
_SCALES = "".join(_NUMERALS) + "兆조京경"
_DIGITS = "半一二三四五六七八九两〇零"

_LETTER = r"[^\W\d_]"
_TEXT = re.compile(
    r"(?P<before>[^\d.\-]*)(?P<number>[0-9]+(?:[.,][0-9]+)?)\s*"
    # 千克 is a kilogram, 千瓦 a kilowatt.
    r"(?P<numerals>[十拾십百佰백千仟천]?[万萬만]?[亿億억]?)(?<!千(?=[克瓦]))"
    rf"(?P<letters>(?:{'|'.join(sorted(_LETTER_UNITS, key=len, reverse=True))})(?!{_LETTER})\.?)?"
    rf"(?P<after>(?:[^\d.]|(?<={_LETTER})\.)*)",
    re.IGNORECASE,
)
_SCALE_BEFORE = re.compile(rf"[{_SCALES}{_DIGITS}]\s*$")
_SCALE_AFTER = re.compile(rf"\s*[{_DIGITS}]|.*(?!千[克瓦])[{_SCALES}%\uff05\u2030]", re.DOTALL)
# A word in Chinese, Japanese or Korean is a counter (件, 個, 개); of other words some are known.
_WORD = re.compile(r"(?:(?![\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3])[^\W\d_])+")
_KNOWN_WORDS = frozenset(
    (
        *("sold", "pc", "pcs", "piece", "pieces", "item", "items", "unit", "units", "set", "sets"),
        *("pair", "pairs", "box", "boxes", "order", "orders", "sale", "sales", "buyer", "buyers"),
        *("bought", "purchased", "people", "review", "reviews", "more", "or", "and", "over"),
        *("kg", "g", "cm", "mm"),
        *("шт", "штук", "штуки", "продано", "продаж", "продажи", "куплено", "купили", "заказ"),
        *("заказа", "заказов", "покупок", "покупателей", "раз", "отзывов", "человек", "более"),
        *("đã", "bán", "sản", "phẩm", "cái", "chiếc", "đơn", "hàng", "lượt", "mua", "bộ", "người"),
    )
)
_DECIMALS_BEHIND_A_COMMA = 2  # 1,2 and 1,25 are decimals; 1,250 may be a thousand
# The caller's decimal context may round, or raise in place of rounding.
_EXACT = Context(prec=80)


@functools.lru_cache(maxsize=2048)  # listings repeat few texts ("100000+") many times
def count_in_text(text: str) -> int | None:
    """Read a count that is not a plain number.

    Args:
        text: A short text with one number, and perhaps a unit and words around it.

    Returns:
        The count, or the lower bound if the text gives one. None if there is not exactly one
        number, or a unit or word that is not known.
    """
    match = _TEXT.fullmatch(unicodedata.normalize("NFC", text.strip()))
    if match is None or not _are_words(match["before"], match["after"]):
        return None
    scale = 1
    for numeral in match["numerals"]:
        scale *= _NUMERALS[numeral]
    if match["letters"]:
        scale *= _LETTER_UNITS[match["letters"].lower().rstrip(".")]
    number = _number(match["number"], has_unit=scale > 1)
    return None if number is None else int(_EXACT.multiply(number, Decimal(scale)))


def _are_words(before: str, after: str) -> bool:
    if _SCALE_BEFORE.search(before) or _SCALE_AFTER.match(after):
        return False
    return all(word in _KNOWN_WORDS for word in _WORD.findall(after.lower()))


def _number(text: str, *, has_unit: bool) -> Decimal | None:
    whole, comma, decimals = text.partition(",")
    if not comma:
        return Decimal(text)
    if not has_unit or len(decimals) > _DECIMALS_BEHIND_A_COMMA:
        return None
    return Decimal(f"{whole}.{decimals}")
