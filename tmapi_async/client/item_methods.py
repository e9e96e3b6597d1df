"""Methods of the client for the endpoints of one product."""

from __future__ import annotations

from typing import Unpack

from tmapi_async.api import endpoints
from tmapi_async.api.details import (
    ItemDescription,
    ItemDetail,
    ItemRating,
    ItemSales,
    ItemShipping,
)
from tmapi_async.api.listings import parse_id

from .core import ClientCore
from .filters import RatingSort, Weight
from .inputs import (
    ItemIds,
    ItemWalkOptions,
    PlainWalkOptions,
    RequestOptions,
    read_request_options,
)
from .walk import Walk, read_detail


class ItemMethods:
    """Endpoints that are asked by product IDs; [`TMAPI`][tmapi_async.TMAPI] has these methods.

    Attributes:
        core: Makes the walks; for this package alone.
    """

    core: ClientCore

    async def item_detail(
        self,
        item_id: int | str,
        *,
        language: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> ItemDetail:
        """Fetch the details of one product (API document: `GET /1688/item_detail`).

        Args:
            item_id: Product ID.
            language: Language of the texts; Chinese if left out.
            **options: Options of the request.

        Raises:
            TMAPIError: The details could not be fetched, or not be decoded.
        """
        read_request_options("item_detail", options, urgent=True)
        value = parse_id(item_id, "item")
        page = await self.core.endpoint_walk(
            endpoints.ITEM_DETAIL, "item_id", value, options, language=language
        )
        return read_detail(page)

    def item_details(
        self,
        ids: ItemIds,
        *,
        language: str | None = None,
        **options: Unpack[ItemWalkOptions],
    ) -> Walk[ItemDetail]:
        """Walk the details of products, each of which is one request of `item_detail`.

        Args:
            ids: Product IDs; an item stands for its ID, so that another walk may give them.
            language: Language of the texts; Chinese if left out.
            **options: Options of the walk.
        """
        return self.core.endpoint_walk(
            endpoints.ITEM_DETAIL, "item_id", ids, options, language=language
        )

    def item_descriptions(
        self, ids: ItemIds, **options: Unpack[ItemWalkOptions]
    ) -> Walk[ItemDescription]:
        """Walk the descriptions of products (API document: `GET /1688/item_desc`).

        Args:
            ids: Product IDs, or items.
            **options: Options of the walk.
        """
        return self.core.endpoint_walk(endpoints.ITEM_DESCRIPTION, "item_id", ids, options)

    def item_shipping(
        self,
        ids: ItemIds,
        *,
        province: str,
        total_quantity: int | None = None,
        total_weight: Weight | None = None,
        **options: Unpack[ItemWalkOptions],
    ) -> Walk[ItemShipping]:
        """Walk the costs of shipping products (API document: `GET /1688/item/shipping`).

        Args:
            ids: Product IDs, or items.
            province: Province in China to ship to (`"广东"`, `"Guangdong"`).
            total_quantity: Number of pieces; one if left out.
            total_weight: Weight of all pieces in kg.
            **options: Options of the walk.
        """
        return self.core.endpoint_walk(
            endpoints.ITEM_SHIPPING, "item_id", ids, options,
            province=province, total_quantity=total_quantity, total_weight=total_weight,
        )  # fmt: skip

    def item_sales(
        self, ids: ItemIds, *, spec_id: str | None = None, **options: Unpack[ItemWalkOptions]
    ) -> Walk[ItemSales]:
        """Walk the sales of products over time (API document: `GET /1688/item/statistics/sales`).

        Args:
            ids: Product IDs, or items.
            spec_id: Only this variant (`specid` of a SKU).
            **options: Options of the walk.
        """
        return self.core.endpoint_walk(
            endpoints.ITEM_SALES, "item_id", ids, options, spec_id=spec_id
        )

    def item_ratings(
        self,
        ids: ItemIds,
        *,
        sort: RatingSort | None = None,
        **options: Unpack[PlainWalkOptions],
    ) -> Walk[ItemRating]:
        """Walk the ratings (reviews) of products (API document: `GET /1688/item/rating`).

        The API does not say how many ratings there are, nor if a page is the last one. So the walk
        of a product ends with an empty page, which is one more request.

        Args:
            ids: Product IDs, or items.
            sort: Order of the ratings: "latest" for the newest first.
            **options: Options of the walk. `max_pages=1` takes the first 10 ratings of a product.
        """
        return self.core.endpoint_walk(
            endpoints.ITEM_RATINGS, "item_id", ids, options, sort_type=sort
        )
