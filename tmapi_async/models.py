"""What the API sends, as msgspec structs that keep the wire's spelling.

Fields come in several shapes (see the drift table in the docs), so the structs hold what was sent
and the accessors read it: money as exact `Decimal`, counts as `int`, rates as percent. A field
that no struct knows is not lost: it is in `Item.extra`.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, InvalidOperation
from typing import Annotated, Any, TypeAlias

import msgspec

Number: TypeAlias = str | int | float | None
"""A number as sent: decimal text, `""`, a JSON number, or null."""

ItemId: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class Wire(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Base of every struct that is decoded from the API.

    An unknown field makes the strict decoder fail, which costs nothing while there is none; the
    page is then decoded again with structs that let it through (`tmapi_async.replies`).
    """


class PriceInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Prices in yuan as sent: decimal text, `""` or null (API document: `price_info`)."""

    sale_price: Number = None
    show_price: Number = None
    origin_price: Number = None


class SaleInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Sales figures (API document: `sale_info`): pieces sold, buyers."""

    sale_quantity_int: Number = None
    buyer_count: Number = None


class ShopInfo(Wire, frozen=True, gc=False, kw_only=True):
    """The shop that offers the item (API document: `shop_info`)."""

    login_id: Number = None
    shop_url: str | None = None
    company_name: str | None = None
    is_super_factory: bool | str | None = None
    shop_repurchase_rate: Number = None


class Item(Wire, frozen=True, gc=False, kw_only=True):
    """One product row of `GET /1688/category/items`, as sent.

    Attributes:
        item_id: Product ID, positive; an int whether it was sent as a number or as text.
        product_url: Page of the product.
        title: Title, usually Chinese. Comes from strangers: escape it before showing it as HTML.
        img: URL of the main picture, as sent (`https:////` and `//` occur).
        price: `""` in every recorded row: the price is in `price_info`.
        price_info: Prices in yuan.
        quantity_begin: Smallest order, in pieces.
        sales_count: Pieces sold.
        sale_info: Sales figures.
        shop_info: The shop.
    """

    item_id: ItemId
    product_url: str | None = None
    title: str | None = None
    img: str | None = None
    price: Number = None
    price_info: PriceInfo | None = None
    quantity_begin: Number = None
    sales_count: Number = None
    sale_info: SaleInfo | None = None
    shop_info: ShopInfo | None = None

    @property
    def extra(self) -> dict[str, Any]:
        """Fields of this row that no struct knows, nested as they were sent; usually empty."""
        return {}

    @property
    def sale_price(self) -> Decimal | None:
        """Selling price in yuan, exact; None where none was given (never 0 for "no price")."""
        found = money(self.price_info.sale_price) if self.price_info else None
        return money(self.price) if found is None else found

    @property
    def show_price(self) -> Decimal | None:
        """Price shown to visitors in yuan, exact, or None."""
        return money(self.price_info.show_price) if self.price_info else None

    @property
    def origin_price(self) -> Decimal | None:
        """Price before any reduction in yuan, exact, or None."""
        return money(self.price_info.origin_price) if self.price_info else None

    @property
    def min_order(self) -> int | None:
        """Smallest order in pieces, or None."""
        return count(self.quantity_begin)

    @property
    def sold(self) -> int | None:
        """Pieces sold; for texts such as "100000+" the lower bound; or None."""
        found = count(self.sales_count)
        if found is None and self.sale_info:
            return count(self.sale_info.sale_quantity_int)
        return found

    @property
    def repurchase_percent(self) -> Decimal | None:
        """Share of buyers who came back to the shop, in percent, or None."""
        return percent(self.shop_info.shop_repurchase_rate) if self.shop_info else None


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
