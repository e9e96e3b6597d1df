"""Replies about one product, and a category, as msgspec structs."""

from __future__ import annotations

from typing import Any

from .columns import RowStruct, identify_rows
from .items import Flag, Product
from .values import Count, ItemId, Money, OtherNumber, TextOrDigits, Wire


class DetailPriceInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Prices in yuan, over all variants."""

    price: Money = None
    price_min: Money = None
    price_max: Money = None
    origin_price_min: Money = None
    origin_price_max: Money = None
    discount_price: Money = None


class DetailSaleInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Pieces sold in 90 days."""

    sale_quantity_90days: Count = None


class MixedBatch(Wire, frozen=True, gc=False, kw_only=True):
    """Smallest amounts, in yuan or pieces, for an order of mixed items of the shop."""

    mix_amount: Money = None
    mix_begin: Count = None
    mix_num: Count = None
    shop_mix_num: Count = None


class DetailShopInfo(Wire, frozen=True, gc=False, kw_only=True):
    """The shop that offers the item."""

    shop_name: str | None = None
    shop_url: str | None = None
    seller_login_id: TextOrDigits = None
    seller_user_id: TextOrDigits = None
    seller_member_id: str | None = None


class DetailDeliveryInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Place of dispatch, cost of delivery in yuan, and weight in kg."""

    location: str | None = None
    location_code: TextOrDigits = None
    delivery_fee: Money = None
    unit_weight: OtherNumber = None
    template_id: TextOrDigits = None


class ItemDetail(Product, frozen=True, gc=False, kw_only=True):
    """One product, as `GET /1688/item_detail` sends it.

    Blocks whose keys differ from product to product are plain JSON: `product_props` (a list of
    one-entry objects), `tiered_price_info`, `sku_price_range`, `sku_props`, `skus`, `promotions`.

    Attributes:
        offer_unit: Name of the unit that is sold (`"件"`).
        sku_price_scale: Prices of the variants, as text (`"25.90-29.89"`).
        stock: Pieces in stock, over all variants.
    """

    product_url: str | None = None
    title: str | None = None
    category_id: TextOrDigits = None
    root_category_id: TextOrDigits = None
    currency: str | None = None
    offer_unit: str | None = None
    product_props: Any = None
    main_imgs: Any = None
    video_url: str | None = None
    detail_url: str | None = None
    sale_count: Count = None
    sale_info: DetailSaleInfo | None = None
    price_info: DetailPriceInfo | None = None
    tiered_price_info: Any = None
    mixed_batch: MixedBatch | None = None
    shop_info: DetailShopInfo | None = None
    delivery_info: DetailDeliveryInfo | None = None
    service_tags: Any = None
    sku_price_scale: str | None = None
    sku_price_scale_original: str | None = None
    sku_price_range: Any = None
    sku_props: Any = None
    skus: Any = None
    is_sold_out: Flag = None
    stock: Count = None
    promotions: Any = None


class UnnamedProduct(Product, frozen=True, gc=False, kw_only=True):
    """Base of replies about one product that do not say which one.

    Attributes:
        item_id: Product ID that was asked for: the reply has none.
    """

    essential = frozenset(("item_id",))

    item_id: int = 0


class ItemDescription(Product, frozen=True, gc=False, kw_only=True):
    """Description of a product, as `GET /1688/item_desc` sends it.

    Attributes:
        detail_imgs: Addresses of the pictures in the description.
        detail_html: The description as HTML. It comes from the seller and is not trusted.
    """

    detail_imgs: Any = None
    detail_html: str | None = None


class ItemShipping(UnnamedProduct, frozen=True, gc=False, kw_only=True):
    """Cost of shipping a product to a province, as `GET /1688/item/shipping` sends it.

    Attributes:
        shipping_to: Province.
        unit: Unit by which the cost grows (`"kg"`, or pieces).
        first_unit: Units that `first_unit_fee`, in yuan, pays for.
        next_unit: Further units that each `next_unit_fee` pays for.
        total_quantity: Pieces that were asked for; `total_weight` in kg.
        total_fee: Cost in yuan of this quantity and weight.
    """

    shipping_to: str | None = None
    unit: str | None = None
    first_unit: OtherNumber = None
    first_unit_fee: Money = None
    next_unit: OtherNumber = None
    next_unit_fee: Money = None
    total_quantity: Count = None
    total_weight: OtherNumber = None
    total_fee: Money = None


class ItemSales(UnnamedProduct, frozen=True, gc=False, kw_only=True):
    """Sales of a product over time, as `GET /1688/item/statistics/sales` sends them.

    Attributes:
        publish_time: Time of publication as sent, without a time zone.
        sales_trend: `date`, `sales_quantity` and `order_quantity` of each day.
        price_trend: `date`, `price_min` and `price_max`, in yuan, of each day.
    """

    publish_time: str | None = None
    sales_quantity_30days: Count = None
    sales_quantity_total: Count = None
    order_quantity_total: Count = None
    sales_trend: Any = None
    price_trend: Any = None


class ItemRating(UnnamedProduct, frozen=True, gc=False, kw_only=True):
    """One rating (review) of a product by a buyer, as `GET /1688/item/rating` sends it.

    Attributes:
        id: ID of the rating, positive.
        feedback: Text of the buyer. 1688 writes a text of its own for buyers who wrote none.
        feedback_date: Time as sent (`"2026-06-26T01:17:51.000+00:00"`).
        rate_star: Stars, from 1 to 5.
        sku_map: Variants that were bought, in words, separated by `#7C`.
        user_nick: Name of the buyer, with most characters hidden.
    """

    id: ItemId
    feedback: str | None = None
    feedback_date: str | None = None
    rate_star: OtherNumber = None
    sku_map: str | None = None
    user_nick: str | None = None


identify_rows(ItemRating, by="id")


class CategoryChild(RowStruct, frozen=True, gc=False, kw_only=True):
    """A category in the list of its parent.

    Attributes:
        id: Category ID, positive.
        name: Chinese name; `name_en` is the English one.
        level: 1 for the categories of the first level.
        has_children: True if there are categories below this one; None if not sent.
    """

    id: ItemId
    name: str | None = None
    name_en: str | None = None
    level: Count = None
    has_children: bool | None = None


class Category(RowStruct, frozen=True, gc=False, kw_only=True):
    """A category and its child categories, as sent by `GET /1688/category/info`.

    Attributes:
        id: Category ID, positive; 0 stands for the root, whose own ID is not sent.
        name: Chinese name; `name_en` is the English one.
        level: 1 for the categories of the first level.
        parent_id: ID of the category above, as sent.
        has_children: True if there are categories below this one; None if not sent.
        path: Categories from the first level down to this one: `id`, `name`, `name_en`.
        children: Child categories; None if not sent.
    """

    # Without its children a branch of the tree would look like a leaf.
    essential = frozenset(("id", "children", "has_children"))

    id: int = 0
    name: str | None = None
    name_en: str | None = None
    level: Count = None
    children: list[CategoryChild] | None = None
    parent_id: TextOrDigits = None
    has_children: bool | None = None
    path: Any = None

    @property
    def item_id(self) -> int:
        """ID of the category, under the name that products have for their ID."""
        return self.id

    row_id = item_id
