"""The client that applications use: `TMAPI`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from pathlib import Path
from typing import Any, Literal, Self, Unpack, overload

from tmapi_async.api import endpoints
from tmapi_async.api.items import (
    CategoryItemV2,
    GlobalSearchItem,
    Item,
    SearchItem,
    ShopItem,
    ShopItemV2,
)
from tmapi_async.api.listings import Listing, check_listing
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.crawl.splitting.driver import Split
from tmapi_async.errors import InvalidRequestError
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.gate import GateStatistics
from tmapi_async.transport.credentials import DEFAULT_BASE_URL
from tmapi_async.transport.frames import forgets_locals
from tmapi_async.transport.observers import Observer
from tmapi_async.transport.retry import RetryPolicy
from tmapi_async.transport.session import Auth, Connector

from .category_tree import CategoryCache, CategoryWalk
from .core import ClientCore
from .environment import read_environment
from .filters import Language, Price, ShopSort, Sort
from .inputs import Ids, Lookahead, PlainWalkOptions, RequestOptions, Source, Texts, WalkOptions
from .item_methods import ItemMethods
from .settings import DEFAULT_MAX_BODY, DEFAULT_TIMEOUT, ClientOptions, Concurrency
from .walk import Walk


class TMAPI(ItemMethods):
    """A client of TMAPI's 1688 endpoints. One client may serve many tasks; they share its gate.

    Each endpoint is a method that makes a walk over one ID (or keyword, or shop), an iterable, or
    an async iterable that is read as the walk goes on. A value that comes again while it is being
    walked is left out. Nothing is sent until the walk is awaited or iterated, nor a filter of None.
    Tasks that ask for one page share one request.

    Every method, and the constructor, raises `InvalidRequestError` where an argument makes no
    sense, before anything is sent. Values of an iterator are checked when they are reached.

    Args:
        token: The account's token. Never shown in any message, log or repr.
        base_url: See [`ClientOptions`][tmapi_async.ClientOptions] for this and the others.

    Attributes:
        core: Makes the walks; for this package alone.
        base_url: Address of the API.
        host: Host and port of the API.
        settings: Options of the client; the token is not among them.
        gate: Limits the requests of the client.
        portable: True without a connector or observer of yours: another process can do the same.
    """

    @forgets_locals
    def __init__(
        self,
        token: str,
        *,
        base_url: str = DEFAULT_BASE_URL,
        auth: Auth = "query",
        concurrency: Concurrency = "auto",
        rate: float | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        lookahead: Lookahead = "auto",
        max_requests: int | Budget | None = None,
        retry: RetryPolicy | None = None,
        guard: GuardPolicy | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        connector: Connector | None = None,
        trust_env: bool = False,
        observer: Observer | None = None,
        wait: float | None = None,
        shared: bool = True,
        cache: str | Path | None = None,
        max_age: float | None = None,
        stale_if_error: float | bool = False,
        cache_bytes: int | None = None,
    ) -> None:
        self.core = core = ClientCore(token, shared=shared, connector=connector, observer=observer,
            concurrency=concurrency, rate=rate, max_requests=max_requests, base_url=base_url,
            auth=auth, timeout=timeout, wait=wait, lookahead=lookahead, retry=retry, guard=guard,
            max_body=max_body, trust_env=trust_env, cache=cache, max_age=max_age,
            stale_if_error=stale_if_error, cache_bytes=cache_bytes)  # fmt: skip
        self.base_url = core.settings.base_url
        self.settings = core.settings
        self.host = core.host
        self.gate = core.gate
        self.portable = core.portable

    @classmethod
    @forgets_locals
    def from_env(cls, **options: Unpack[ClientOptions]) -> Self:
        """Make a client with the token and the options of the environment.

        Reads `TMAPI_TOKEN`, and if set `TMAPI_BASE_URL`, `TMAPI_CONCURRENCY`, `TMAPI_RATE`,
        `TMAPI_TIMEOUT`, `TMAPI_MAX_REQUESTS` and `TMAPI_CACHE`. A `.env` file is not read.

        Args:
            **options: Options of the constructor; they win over the environment.

        Raises:
            InvalidRequestError: `TMAPI_TOKEN` is not set, or another variable makes no sense.
        """
        return cls(**{**read_environment(), **options})

    async def __aenter__(self) -> Self:
        await self.core.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every walk that is still open, and close the connections."""
        await self.core.close()

    def reveal_token(self) -> str:
        """Return the token, to send it. Never show or store it."""
        return self.core.token

    def statistics(self) -> GateStatistics:
        """Return a snapshot of the gate: width, slots in use, requests sent, cache hits."""
        return self.core.statistics()

    def __repr__(self) -> str:
        return f"<TMAPI {self.host}: {self.gate!r}>"

    def categories(
        self,
        root: int | str | None = None,
        *,
        depth: int | None = None,
        cache: CategoryCache | None = None,
        **options: Unpack[RequestOptions],
    ) -> CategoryWalk:
        """Walk the tree of categories (API document: `GET /1688/category/info`).

        Args:
            root: Category to begin at, or None for those of the first level.
            depth: Number of levels to look below it, from 1; None for all.
            cache: Keeps answers, so that each is paid for once: a
                [`JournalCategories`][tmapi_async.harvest.JournalCategories].
            **options: Options of every request.

        Returns:
            A walk: await it for the whole tree, iterate over it for categories as they come. It
            sends one request for each category that has others below it.
        """
        return self.core.category_walk(root, depth, cache, options)

    def walk(
        self,
        listings: Listing | Iterable[Listing] | AsyncIterable[Listing],
        **options: Unpack[WalkOptions],
    ) -> Walk[Any]:
        """Walk described listings, of one endpoint or of several.

        Args:
            listings: One listing, or several; see [`describe`][tmapi_async.describe].
            **options: Options of every walk.
        """
        return self.core.walk(Source(listings, "listing"), check_listing, options)

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
            split: Splitting of the listings, as for every walk. This endpoint has no filter to
                split by: `category_items_v2` is walked instead, with its type of items.
            **options: Options of every walk.
        """
        return self.core.endpoint_walk(
            endpoints.CATEGORY_ITEMS, "cat_id", ids, {**options, "split": split},
            super_factory=super_factory, support_dropshipping=support_dropshipping,
            free_shipping=free_shipping,
        )  # fmt: skip

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
            page_size: Rows per page, at most 20; the server decides.
            sort: Order of the rows.
            price_start: Lowest price in yuan.
            price_end: Highest price in yuan. Whether either bound is included is not documented.
            new_arrival: Only new items.
            support_dropshipping: Only items that can be drop-shipped.
            free_shipping: Only items shipped free.
            is_super_factory: Only super factories.
            **options: Options of every walk.
        """
        return self.core.endpoint_walk(
            endpoints.CATEGORY_ITEMS_V2, "cat_id", ids, options,
            language=language, page_size=page_size, sort=sort, price_start=price_start,
            price_end=price_end, new_arrival=new_arrival, support_dropshipping=support_dropshipping,
            free_shipping=free_shipping, is_super_factory=is_super_factory,
        )  # fmt: skip

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
            keywords: Text to search for; each keyword is a listing of its own.
            page_size: Rows per page, at most 20.
            sort: Order of the rows.
            moq: Only items whose minimum order is at most this number of pieces.
            price_start: Lowest price in yuan.
            price_end: Highest price in yuan.
            new_arrival: Only new items.
            support_dropshipping: Only items that can be drop-shipped.
            free_shipping: Only items shipped free.
            is_super_factory: Only super factories.
            **options: Options of every walk.
        """
        return self.core.endpoint_walk(
            endpoints.SEARCH_ITEMS, "keyword", keywords, options,
            page_size=page_size, sort=sort, moq=moq, price_start=price_start, price_end=price_end,
            new_arrival=new_arrival, support_dropshipping=support_dropshipping,
            free_shipping=free_shipping, is_super_factory=is_super_factory,
        )  # fmt: skip

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
            page_size: Rows per page, at most 20.
            sort: Order of the rows.
            shop_cat_id: Only this one of the shop's own categories.
            price_start: Lowest price in yuan.
            price_end: Highest price in yuan.
            **options: Options of every walk.
        """
        return self.core.endpoint_walk(
            endpoints.SHOP_ITEMS, "member_id", member_ids, options,
            page_size=page_size, sort=sort, shop_cat_id=shop_cat_id, price_start=price_start,
            price_end=price_end,
        )  # fmt: skip

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
            page_size: Rows per page, at most 20.
            sort: Order of the rows.
            cat: Only this category of the shop.
            cat_type: Kind of that category.
            **options: Options of every walk.
        """
        return self.core.endpoint_walk(
            endpoints.SHOP_ITEMS_V2, "shop_url", shop_urls, options,
            page_size=page_size, sort=sort, cat=cat, cat_type=cat_type,
        )  # fmt: skip

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
        """Walk products of the international site (API document: `GET /1688/global/search/items`).

        Args:
            keywords: Text to search for; may be left out where a category is given.
            cat_id: Only this category.
            page_size: Rows per page, at most 20.
            language: Language of the titles.
            sort: Order of the rows.
            price_start: Lowest price in yuan.
            price_end: Highest price in yuan.
            new_arrival: Only new items.
            support_dropshipping: Only items that can be drop-shipped.
            free_shipping: Only items shipped free.
            is_super_factory: Only super factories.
            **options: Options of every walk.
        """
        if keywords is None and cat_id is None:
            raise InvalidRequestError("global_search_items needs a keyword or a cat_id")
        key, values = ("cat_id", cat_id) if keywords is None else ("keyword", keywords)
        return self.core.endpoint_walk(
            endpoints.GLOBAL_SEARCH_ITEMS, key, values, options,
            cat_id=cat_id, page_size=page_size, language=language, sort=sort,
            price_start=price_start, price_end=price_end, new_arrival=new_arrival,
            support_dropshipping=support_dropshipping, free_shipping=free_shipping,
            is_super_factory=is_super_factory,
        )  # fmt: skip
