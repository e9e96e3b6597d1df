"""Product rows of each paged endpoint, as msgspec structs with the names and values as sent.

Lists, and blocks without fixed keys, are kept as plain JSON (`Any`), so that nothing in them is
lost. Everything else has a type. The same accessors read every kind of product: `sale_price`,
`origin_price`, `min_order`, `sold`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from .columns import RowStruct, identify_rows
from .values import (
    Count,
    ItemId,
    Money,
    OtherNumber,
    Percent,
    Picture,
    TextOrDigits,
    Wire,
    count,
    money,
    percent,
)

Flag: TypeAlias = bool | str | None
"""A flag as sent: true, false, their text, or null."""

_SALE_PRICES = ("sale_price", "price", "wholesale_price", "price_min")
_ORIGIN_PRICES = ("origin_price", "origin_price_min")
_SALES = ("sale_quantity_int", "sale_quantity", "sale_quantity_90days")


class Product(RowStruct, frozen=True, gc=False, kw_only=True):
    """Base of the product rows of all endpoints.

    Attributes:
        item_id: Product ID, positive; an int whether it was sent as a number or as text.
    """

    row_key: ClassVar[str] = "item_id"
    """Name of the field that tells a row from the others of its listing."""

    item_id: ItemId

    if TYPE_CHECKING:

        @property
        def row_id(self) -> int:
            """ID that tells the row from the others of its listing; see `identify_rows`."""

    @property
    def sale_price(self) -> Decimal | None:
        """Selling price in yuan, exact; None if no price was sent (never 0 for "no price")."""
        price = _first_money(getattr(self, "price_info", None), _SALE_PRICES)
        return money(getattr(self, "price", None)) if price is None else price

    @property
    def origin_price(self) -> Decimal | None:
        """Price before any reduction in yuan, exact, or None."""
        return _first_money(getattr(self, "price_info", None), _ORIGIN_PRICES)

    @property
    def min_order(self) -> int | None:
        """Smallest order in pieces, or None."""
        quantity = count(getattr(self, "quantity_begin", None))
        return count(getattr(self, "moq", None)) if quantity is None else quantity

    @property
    def sold(self) -> int | None:
        """Number of pieces sold, or None; for texts such as "100000+" the lower bound.

        Counted over all time if the endpoint sends that, otherwise over 90 days: `sale_info` shows
        which one.
        """
        for name in ("sales_count", "sale_count"):
            if (pieces := count(getattr(self, name, None))) is not None:
                return pieces
        info = getattr(self, "sale_info", None)
        for name in _SALES:
            if (pieces := count(getattr(info, name, None))) is not None:
                return pieces
        return None


def _first_money(block: object, names: tuple[str, ...]) -> Decimal | None:
    for name in names:
        if (price := money(getattr(block, name, None))) is not None:
            return price
    return None


identify_rows(Product, by="item_id")


class PriceInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Prices in yuan as sent: decimal text, `""` or null (API document: `price_info`)."""

    sale_price: Money = None
    show_price: Money = None
    origin_price: Money = None


class SaleInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Sales figures (API document: `sale_info`): pieces sold, buyers."""

    sale_quantity_int: Count = None
    buyer_count: Count = None


class ShopInfo(Wire, frozen=True, gc=False, kw_only=True):
    """The shop that offers the item (API document: `shop_info`)."""

    login_id: TextOrDigits = None
    shop_url: str | None = None
    company_name: str | None = None
    is_super_factory: Flag = None
    shop_repurchase_rate: Percent = None


class Item(Product, frozen=True, gc=False, kw_only=True):
    """One product row of `GET /1688/category/items`, as sent.

    Attributes:
        product_url: Page of the product.
        title: Title, usually Chinese. Written by strangers: escape it before showing it as HTML.
        img: URL of the main picture, as sent (`https:////` and `//` occur; rows mend it).
        price: `""` in every row seen so far: the price is in `price_info`.
        price_info: Prices in yuan.
        quantity_begin: Smallest order, in pieces.
        sales_count: Pieces sold.
        sale_info: Sales figures.
        shop_info: The shop.
    """

    product_url: str | None = None
    title: str | None = None
    img: Picture = None
    price: Money = None
    price_info: PriceInfo | None = None
    quantity_begin: Count = None
    sales_count: Count = None
    sale_info: SaleInfo | None = None
    shop_info: ShopInfo | None = None

    @property
    def show_price(self) -> Decimal | None:
        """Price shown to visitors in yuan, exact, or None."""
        return money(self.price_info.show_price) if self.price_info else None

    @property
    def repurchase_percent(self) -> Decimal | None:
        """Share of buyers who came back to the shop, in percent, or None."""
        return percent(self.shop_info.shop_repurchase_rate) if self.shop_info else None


class ScoreInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Ratings of a shop by buyers, from 0 to 5 (API document: `score_info`)."""

    composite_score: OtherNumber = None
    consultation_score: OtherNumber = None
    dispute_score: OtherNumber = None
    logistics_score: OtherNumber = None
    return_score: OtherNumber = None


class DeliveryInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Delivery (API document: `delivery_info`): `area_from` is a list, province first."""

    area_from: Any = None
    free_shipping: Flag = None
    ship_in_48h: Flag = None


class CategoryPriceInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Prices in yuan as sent by `category/items/v2`."""

    price: Money = None
    sale_price: Money = None
    origin_price: Money = None


class RecentSales(Wire, frozen=True, gc=False, kw_only=True):
    """Pieces sold in 90 days, exact or as a bound (`"100000+"`)."""

    sale_quantity_90days: Count = None


class CategoryShopInfo(Wire, frozen=True, gc=False, kw_only=True):
    """The shop, as sent by `category/items/v2`."""

    company_name: str | None = None
    is_powerful_seller: Flag = None
    is_super_factory: Flag = None
    shop_years: Count = None
    score_info: ScoreInfo | None = None


class CategoryItemV2(Product, frozen=True, gc=False, kw_only=True):
    """One product row of `GET /1688/category/items/v2`, as sent.

    Attributes:
        category_path: IDs of the categories that contain the item, as text, the widest first.
        price: Price in yuan.
        moq: Smallest order, in pieces; `quantity_begin` has the same meaning.
        item_repurchase_rate: Share of buyers who came back for the item.
    """

    product_url: str | None = None
    title: str | None = None
    img: Picture = None
    category_path: Any = None
    price: Money = None
    price_info: CategoryPriceInfo | None = None
    currency: str | None = None
    moq: Count = None
    quantity_begin: Count = None
    sale_info: RecentSales | None = None
    delivery_info: DeliveryInfo | None = None
    shop_info: CategoryShopInfo | None = None
    item_repurchase_rate: Percent = None
    low_refund_rate: Flag = None
    ship_in_48h: Flag = None
    one_piece_min_order: Flag = None

    @property
    def repurchase_percent(self) -> Decimal | None:
        """Share of buyers who came back for the item, in percent, or None."""
        return percent(self.item_repurchase_rate)


class SearchPriceInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Prices in yuan as sent by `search/items`."""

    sale_price: Money = None
    origin_price: Money = None


class SearchSaleInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Sales figures: pieces sold as displayed (`"已售300+件"`) and as a number, and orders."""

    sale_quantity: Count = None
    sale_quantity_int: Count = None
    orders_count: Count = None


class SearchShopInfo(Wire, frozen=True, gc=False, kw_only=True):
    """The shop, as sent by `search/items`."""

    login_id: TextOrDigits = None
    member_id: str | None = None
    company_name: str | None = None
    shop_url: str | None = None
    biz_type: str | None = None
    is_factory: Flag = None
    is_super_factory: Flag = None
    location: Any = None
    service_tags: Any = None
    shop_years: Count = None
    factory_inspection: Flag = None
    score_info: ScoreInfo | None = None


class SearchItem(Product, frozen=True, gc=False, kw_only=True):
    """One product row of `GET /1688/search/items`, as sent.

    Attributes:
        quantity_prices: Price steps: a list of `begin_num`, `end_num` (null: no end), `price`.
        rating_star: Rating of the item by buyers, from 0 to 5.
        is_ad: True if the row is an advert.
    """

    product_url: str | None = None
    title: str | None = None
    img: Picture = None
    category_path: Any = None
    price: Money = None
    price_info: SearchPriceInfo | None = None
    moq: Count = None
    quantity_prices: Any = None
    sale_info: SearchSaleInfo | None = None
    delivery_info: DeliveryInfo | None = None
    item_repurchase_rate: Percent = None
    rating_star: OtherNumber = None
    shop_info: SearchShopInfo | None = None
    is_ad: Flag = None

    @property
    def repurchase_percent(self) -> Decimal | None:
        """Share of buyers who came back for the item, in percent, or None."""
        return percent(self.item_repurchase_rate)


class ShopPriceInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Prices in yuan as sent by `shop/items`."""

    drop_ship_price: Money = None
    wholesale_price: Money = None
    origin_price: Money = None
    agent_price: Money = None


class ShopSaleInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Turnover in yuan, pieces and orders of the last 30 and 90 days."""

    gmv_30days: Money = None
    gmv_90days: Money = None
    sale_quantity_30days: Count = None
    sale_quantity_90days: Count = None
    orders_count_30days: Count = None


class ShopItem(Product, frozen=True, gc=False, kw_only=True):
    """One product row of `GET /1688/shop/items`, as sent."""

    title: str | None = None
    img: Picture = None
    main_imgs: Any = None
    video_id: TextOrDigits = None
    category_path: Any = None
    category_name: str | None = None
    price: Money = None
    price_info: ShopPriceInfo | None = None
    quantity_begin: Count = None
    new_product: Flag = None
    sale_info: ShopSaleInfo | None = None
    primary_rank_score: OtherNumber = None
    type: str | None = None
    unit: str | None = None
    created_time: str | None = None
    status: str | None = None


class ShopSaleInfoV2(Wire, frozen=True, gc=False, kw_only=True):
    """Pieces sold, and their turnover in yuan."""

    sale_quantity: Count = None
    sale_amount: Money = None


class ShopItemV2(Product, frozen=True, gc=False, kw_only=True):
    """One product row of `GET /1688/shop/items/v2`, as sent."""

    title: str | None = None
    img: Picture = None
    category_path: Any = None
    category_name: str | None = None
    price: Money = None
    quantity: Count = None
    sale_info: ShopSaleInfoV2 | None = None


class GlobalPriceInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Prices in yuan as sent by `global/search/items`."""

    price: Money = None
    price_min: Money = None
    price_max: Money = None


class GlobalShopInfo(Wire, frozen=True, gc=False, kw_only=True):
    """The shop, as sent by `global/search/items`."""

    is_gold_manufacturer: Flag = None
    is_verified: Flag = None


class GlobalSearchItem(Product, frozen=True, gc=False, kw_only=True):
    """One product row of `GET /1688/global/search/items`, as sent.

    Attributes:
        title: Title in the requested language; `title_origin` is the Chinese one.
        goods_score: Rating of the item by buyers, from 0 to 5.
    """

    product_url: str | None = None
    title: str | None = None
    title_origin: str | None = None
    img: Picture = None
    price: Money = None
    price_info: GlobalPriceInfo | None = None
    currency: str | None = None
    quantity_begin: Count = None
    sale_info: RecentSales | None = None
    goods_score: OtherNumber = None
    shop_info: GlobalShopInfo | None = None
    is_free_shipping: Flag = None
    is_new_item: Flag = None
    is_hot_item: Flag = None
