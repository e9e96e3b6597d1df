"""What can be asked of the API, as methods: one for each endpoint. `TMAPI` has them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeAlias, Unpack, overload

from tmapi_async.api import endpoints
from tmapi_async.api.details import ItemDetail
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.items import (
    CategoryItemV2,
    GlobalSearchItem,
    Item,
    SearchItem,
    ShopItem,
    ShopItemV2,
)
from tmapi_async.api.listings import (
    Listing,
    PageRequest,
    make_listing,
    read_params,
    unknown_parameter,
)
from tmapi_async.crawl.outcomes import ListingOutcome, ListingTask
from tmapi_async.crawl.splitting import splittable_listing
from tmapi_async.crawl.splitting.driver import Split, read_split
from tmapi_async.errors import InvalidRequestError, MalformedReplyError

from .inputs import Ids, Lookahead, PlainWalkOptions, Source, Texts, WalkOptions, check_whole
from .walk import Walk

Language: TypeAlias = Literal["en", "zh", "ru", "vi", "ja", "ko"]
Sort: TypeAlias = Literal["default", "sales", "price_up", "price_down"]
ShopSort: TypeAlias = Literal["default", "sales", "price_up", "price_down", "time_up", "time_down"]
Price: TypeAlias = Decimal | int | float | str
"""Yuan, from 0; text is read exactly."""


class EndpointMethods(ABC):
    """The endpoints of the API, as methods that make walks.

    All take a single ID (or keyword, or shop), an iterable, or an async iterable of them that is
    read as the walk goes on; one that comes again is walked again, unless it is still being walked.
    Nothing is sent until the walk is awaited or iterated. `options` are those of
    [`WalkOptions`][tmapi_async.WalkOptions]. A filter that is None is left out.

    Every one raises `InvalidRequestError` where an ID or an option makes no sense, before anything
    is sent; those of an iterator are checked when they are reached.
    """

    @abstractmethod
    def _walk(
        self,
        openings: Callable[[], AsyncGenerator[ListingTask]],
        *,
        first: Callable[[], PageRequest],
        unique: bool = False,
        lookahead: Lookahead | None = None,
        on_end: Callable[[ListingOutcome], None] | None = None,
        split: Split | None = None,
    ) -> Walk[Any]:
        """The walk over openings."""

    def walk(
        self,
        listings: Listing | Iterable[Listing] | AsyncIterable[Listing],
        **options: Unpack[WalkOptions],
    ) -> Walk[Any]:
        """Walk listings that were described elsewhere, of one endpoint or of several.

        Args:
            listings: One, or many; see [`describe`][tmapi_async.describe].
            **options: As for every walk.
        """
        return self._over(Source(listings, "listing"), lambda listing: listing, options)

    @overload
    def category_items(
        self,
        ids: Ids,
        *,
        super_factory: bool | None = None,
        support_dropshipping: bool | None = None,
        free_shipping: bool | None = None,
        split: Literal[False] = False,
        **options: Unpack[PlainWalkOptions],
    ) -> Walk[Item]: ...

    @overload
    def category_items(
        self,
        ids: Ids,
        *,
        super_factory: bool | None = None,
        support_dropshipping: bool | None = None,
        free_shipping: bool | None = None,
        split: Literal[True] | Split,
        **options: Unpack[PlainWalkOptions],
    ) -> Walk[CategoryItemV2]: ...

    def category_items(
        self,
        ids: Ids,
        *,
        super_factory: bool | None = None,
        support_dropshipping: bool | None = None,
        free_shipping: bool | None = None,
        split: bool | Split = False,
        **options: Unpack[PlainWalkOptions],
    ) -> Walk[Item] | Walk[CategoryItemV2]:
        """Walk the products of categories (API document: `GET /1688/category/items`).

        Args:
            ids: Category IDs.
            super_factory: Only super factories.
            support_dropshipping: Only items that can be drop-shipped.
            free_shipping: Only items shipped free.
            split: As for every walk. This endpoint has nothing to divide by, so that then
                `category_items_v2` is asked, with its items.
            **options: As for every walk.
        """
        params = {
            "super_factory": super_factory,
            "support_dropshipping": support_dropshipping,
            "free_shipping": free_shipping,
        }
        return self._ask(
            endpoints.CATEGORY_ITEMS, "cat_id", ids, params, {**options, "split": split}
        )

    def category_items_v2(
        self,
        ids: Ids,
        *,
        language: Language | None = None,
        page_size: int | None = None,
        sort: Sort | None = None,
        price_start: Price | None = None,
        price_end: Price | None = None,
        new_arrival: bool | None = None,
        support_dropshipping: bool | None = None,
        free_shipping: bool | None = None,
        is_super_factory: bool | None = None,
        **options: Unpack[WalkOptions],
    ) -> Walk[CategoryItemV2]:
        """Walk the products of categories (API document: `GET /1688/category/items/v2`).

        Args:
            ids: Category IDs.
            language: Language of the titles.
            page_size: Rows of a page, at most 20; the server's word on it counts.
            sort: Order of the rows.
            price_start: Lowest price in yuan.
            price_end: Highest price in yuan. Whether either bound is included is not documented.
            new_arrival: Only new items.
            support_dropshipping: Only items that can be drop-shipped.
            free_shipping: Only items shipped free.
            is_super_factory: Only super factories.
            **options: As for every walk.
        """
        params = {
            "language": language,
            "page_size": page_size,
            "sort": sort,
            "price_start": price_start,
            "price_end": price_end,
            "new_arrival": new_arrival,
            "support_dropshipping": support_dropshipping,
            "free_shipping": free_shipping,
            "is_super_factory": is_super_factory,
        }
        return self._ask(endpoints.CATEGORY_ITEMS_V2, "cat_id", ids, params, options)

    def search_items(
        self,
        keywords: Texts,
        *,
        page_size: int | None = None,
        sort: Sort | None = None,
        moq: int | None = None,
        price_start: Price | None = None,
        price_end: Price | None = None,
        new_arrival: bool | None = None,
        support_dropshipping: bool | None = None,
        free_shipping: bool | None = None,
        is_super_factory: bool | None = None,
        **options: Unpack[WalkOptions],
    ) -> Walk[SearchItem]:
        """Walk the products that keywords find (API document: `GET /1688/search/items`).

        Args:
            keywords: What is looked for; each keyword is a listing of its own.
            page_size: Rows of a page, at most 20.
            sort: Order of the rows.
            moq: Largest smallest order, in pieces.
            price_start: Lowest price in yuan.
            price_end: Highest price in yuan.
            new_arrival: Only new items.
            support_dropshipping: Only items that can be drop-shipped.
            free_shipping: Only items shipped free.
            is_super_factory: Only super factories.
            **options: As for every walk.
        """
        params = {
            "page_size": page_size,
            "sort": sort,
            "moq": moq,
            "price_start": price_start,
            "price_end": price_end,
            "new_arrival": new_arrival,
            "support_dropshipping": support_dropshipping,
            "free_shipping": free_shipping,
            "is_super_factory": is_super_factory,
        }
        return self._ask(endpoints.SEARCH_ITEMS, "keyword", keywords, params, options)

    def shop_items(
        self,
        member_ids: Texts,
        *,
        page_size: int | None = None,
        sort: ShopSort | None = None,
        shop_cat_id: str | None = None,
        price_start: Price | None = None,
        price_end: Price | None = None,
        **options: Unpack[WalkOptions],
    ) -> Walk[ShopItem]:
        """Walk the products of shops (API document: `GET /1688/shop/items`).

        Args:
            member_ids: Member IDs of the shops (`"b2b-2209657723055e41d3"`).
            page_size: Rows of a page, at most 20.
            sort: Order of the rows.
            shop_cat_id: Only this category of the shop's own.
            price_start: Lowest price in yuan.
            price_end: Highest price in yuan.
            **options: As for every walk.
        """
        params = {
            "page_size": page_size,
            "sort": sort,
            "shop_cat_id": shop_cat_id,
            "price_start": price_start,
            "price_end": price_end,
        }
        return self._ask(endpoints.SHOP_ITEMS, "member_id", member_ids, params, options)

    def shop_items_v2(
        self,
        shop_urls: Texts,
        *,
        page_size: int | None = None,
        sort: ShopSort | None = None,
        cat: str | None = None,
        cat_type: Literal["0", "1"] | None = None,
        **options: Unpack[WalkOptions],
    ) -> Walk[ShopItemV2]:
        """Walk the products of shops (API document: `GET /1688/shop/items/v2`).

        Args:
            shop_urls: Addresses of the shops (`"https://shop5o52040l89801.1688.com"`).
            page_size: Rows of a page, at most 20.
            sort: Order of the rows.
            cat: Only this category of the shop.
            cat_type: Which kind of category that is.
            **options: As for every walk.
        """
        params = {"page_size": page_size, "sort": sort, "cat": cat, "cat_type": cat_type}
        return self._ask(endpoints.SHOP_ITEMS_V2, "shop_url", shop_urls, params, options)

    def global_search_items(
        self,
        keywords: Texts | None = None,
        *,
        cat_id: int | str | None = None,
        page_size: int | None = None,
        language: Language | None = None,
        sort: Sort | None = None,
        price_start: Price | None = None,
        price_end: Price | None = None,
        new_arrival: bool | None = None,
        support_dropshipping: bool | None = None,
        free_shipping: bool | None = None,
        is_super_factory: bool | None = None,
        **options: Unpack[WalkOptions],
    ) -> Walk[GlobalSearchItem]:
        """Walk products of the site for abroad (API document: `GET /1688/global/search/items`).

        Args:
            keywords: What is looked for; may be left out where a category is given.
            cat_id: Only this category.
            page_size: Rows of a page, at most 20.
            language: Language of the titles.
            sort: Order of the rows.
            price_start: Lowest price in yuan.
            price_end: Highest price in yuan.
            new_arrival: Only new items.
            support_dropshipping: Only items that can be drop-shipped.
            free_shipping: Only items shipped free.
            is_super_factory: Only super factories.
            **options: As for every walk.
        """
        params = {
            "cat_id": cat_id,
            "page_size": page_size,
            "language": language,
            "sort": sort,
            "price_start": price_start,
            "price_end": price_end,
            "new_arrival": new_arrival,
            "support_dropshipping": support_dropshipping,
            "free_shipping": free_shipping,
            "is_super_factory": is_super_factory,
        }
        if keywords is None and cat_id is None:
            raise InvalidRequestError("global_search_items needs a keyword or a cat_id")
        key, given = ("cat_id", cat_id) if keywords is None else ("keyword", keywords)
        return self._ask(endpoints.GLOBAL_SEARCH_ITEMS, key, given, params, options)

    async def item_detail(self, item_id: int | str, *, language: str | None = None) -> ItemDetail:
        """One product in detail (API document: `GET /1688/item_detail`).

        Args:
            item_id: Product ID.
            language: Language of its texts; Chinese if left out.

        Raises:
            InvalidRequestError: The ID is none; nothing was sent.
            TMAPIError: It could not be had, or not be decoded.
        """
        params = {"language": language}
        page = await self._ask(endpoints.ITEM_DETAIL, "item_id", item_id, params, {})
        if not page.items:
            reason = page.rejects[0].reason if page.rejects else "nothing was sent"
            error = MalformedReplyError(f"the product cannot be decoded: {reason}")
            listing = page.request.listing
            error.locate(listing.endpoint, listing.identity, 1, page.attempts)
            raise error
        detail: ItemDetail = page.items[0]
        return detail

    def _ask(
        self,
        endpoint: Endpoint,
        key: str,
        given: object,
        params: Mapping[str, Any],
        options: WalkOptions | Mapping[str, Any],
    ) -> Walk[Any]:
        """The walk over the listings that differ in the parameter `key` alone."""
        for name in options.keys() - WalkOptions.__annotations__.keys():
            # No walk knows it, so it was meant as a parameter: say what that is called here.
            raise unknown_parameter(endpoint, name)
        fixed = read_params(endpoint, params)

        def listing(value: int | str) -> Listing:
            return make_listing(endpoint, {**fixed, **read_params(endpoint, {key: value})})

        return self._over(Source(given, key), listing, options)

    def _over(
        self,
        source: Source,
        listing: Callable[[Any], Listing],
        options: WalkOptions | Mapping[str, Any],
    ) -> Walk[Any]:
        rest: dict[str, Any] = dict(options)
        first = rest.pop("start_page", 1)
        most = rest.pop("max_pages", None)
        check_whole("start_page", first)
        if most is not None:
            check_whole("max_pages", most)
        split = rest["split"] = read_split(rest.get("split"))
        if split is not None:
            if first != 1 or most is not None:
                raise InvalidRequestError("split walks all of a listing: no start_page, max_pages")
            listing = _divided(listing)

        def opening(value: object) -> ListingTask:
            return ListingTask(listing=listing(value), first=first, max_pages=most)

        source.check(listing)
        return self._walk(
            lambda: source.openings(opening),
            first=lambda: PageRequest(listing(source.only()), first),
            **rest,
        )


def _divided(listing: Callable[[Any], Listing]) -> Callable[[Any], Listing]:
    return lambda value: splittable_listing(listing(value))
