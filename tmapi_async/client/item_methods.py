"""Methods of the client for the endpoints of one product."""

from __future__ import annotations

from typing import Unpack

from tmapi_async.api import endpoints
from tmapi_async.api.details import ItemDetail
from tmapi_async.api.listings import parse_id

from .core import ClientCore
from .inputs import ItemIds, ItemWalkOptions
from .walk import Walk, read_detail


class ItemMethods:
    """Endpoints that are asked by product IDs; [`TMAPI`][tmapi_async.TMAPI] has these methods.

    Attributes:
        core: Makes the walks; for this package alone.
    """

    core: ClientCore

    async def item_detail(self, item_id: int | str, *, language: str | None = None) -> ItemDetail:
        """Fetch the details of one product (API document: `GET /1688/item_detail`).

        Args:
            item_id: Product ID.
            language: Language of the texts; Chinese if left out.

        Raises:
            TMAPIError: The details could not be fetched, or not be decoded.
        """
        page = await self.core.endpoint_walk(
            endpoints.ITEM_DETAIL, "item_id", parse_id(item_id, "item"), {}, language=language
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
