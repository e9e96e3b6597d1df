"""asyncio client and bulk category harvester for TMAPI's 1688.com product API.

Names are imported when they are first used (PEP 562), so that `import tmapi_async.export` loads no
HTTP client.
"""

from __future__ import annotations

# `typing` and `importlib` take longer to load than the rest of this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from tmapi_async.api.details import (
        Category,
        CategoryChild,
        ItemDescription,
        ItemDetail,
        ItemRating,
        ItemSales,
        ItemShipping,
    )
    from tmapi_async.api.endpoints import (
        CATEGORY_INFO,
        CATEGORY_ITEMS,
        CATEGORY_ITEMS_V2,
        ENDPOINTS,
        GLOBAL_SEARCH_ITEMS,
        ITEM_DESCRIPTION,
        ITEM_DETAIL,
        ITEM_RATINGS,
        ITEM_SALES,
        ITEM_SHIPPING,
        SEARCH_ITEMS,
        SHOP_ITEMS,
        SHOP_ITEMS_V2,
        Endpoint,
    )
    from tmapi_async.api.items import (
        CategoryItemV2,
        GlobalSearchItem,
        Item,
        PriceInfo,
        SaleInfo,
        SearchItem,
        ShopInfo,
        ShopItem,
        ShopItemV2,
    )
    from tmapi_async.api.listings import Listing, PageRequest, category_items, describe
    from tmapi_async.api.replies import Page
    from tmapi_async.api.values import Reject, count, money, percent
    from tmapi_async.client.category_tree import CategoryNode, CategoryTree, CategoryWalk
    from tmapi_async.client.client import TMAPI
    from tmapi_async.client.inputs import ItemWalkOptions, RequestOptions, WalkOptions
    from tmapi_async.client.settings import ClientOptions
    from tmapi_async.client.walk import Walk
    from tmapi_async.crawl.loop_guard import GuardPolicy
    from tmapi_async.crawl.outcomes import ListingOutcome, WalkStatistics
    from tmapi_async.crawl.splitting import Expectation, Reconciliation
    from tmapi_async.crawl.splitting.driver import Split
    from tmapi_async.errors import (
        AccountError,
        AuthenticationError,
        BalanceError,
        BudgetSpentError,
        CertificateError,
        ClosedError,
        ConcurrencyError,
        ConnectionFailedError,
        DeadlineError,
        EndlessListingError,
        IncompleteListingError,
        InvalidRequestError,
        ListingsFailedError,
        LocalLimitError,
        MalformedReplyError,
        MixedUpReplyError,
        OutageError,
        ParameterError,
        Progress,
        RateLimitError,
        Recovery,
        RedirectError,
        ReplyTooLargeError,
        RequestRefusedError,
        RetrievalError,
        RouteError,
        ServerError,
        StaleReplyError,
        TMAPIError,
        TransportError,
        TryAgainError,
        UnavailableError,
        UnexpectedCodeError,
        UnreachableError,
    )
    from tmapi_async.limits.budget import Budget
    from tmapi_async.limits.gate import GateStatistics
    from tmapi_async.limits.outage_queue import OutageReport
    from tmapi_async.transport.credentials import DEFAULT_BASE_URL, InsecureTransportWarning
    from tmapi_async.transport.observers import AttemptReport, Observer, PageReport
    from tmapi_async.transport.retry import RetryPolicy

__version__ = "0.1.0"

__all__ = [
    "CATEGORY_INFO",
    "CATEGORY_ITEMS",
    "CATEGORY_ITEMS_V2",
    "DEFAULT_BASE_URL",
    "ENDPOINTS",
    "GLOBAL_SEARCH_ITEMS",
    "ITEM_DESCRIPTION",
    "ITEM_DETAIL",
    "ITEM_RATINGS",
    "ITEM_SALES",
    "ITEM_SHIPPING",
    "SEARCH_ITEMS",
    "SHOP_ITEMS",
    "SHOP_ITEMS_V2",
    "TMAPI",
    "AccountError",
    "AttemptReport",
    "AuthenticationError",
    "BalanceError",
    "Budget",
    "BudgetSpentError",
    "Category",
    "CategoryChild",
    "CategoryItemV2",
    "CategoryNode",
    "CategoryTree",
    "CategoryWalk",
    "CertificateError",
    "ClientOptions",
    "ClosedError",
    "ConcurrencyError",
    "ConnectionFailedError",
    "DeadlineError",
    "EndlessListingError",
    "Endpoint",
    "Expectation",
    "GateStatistics",
    "GlobalSearchItem",
    "GuardPolicy",
    "IncompleteListingError",
    "InsecureTransportWarning",
    "InvalidRequestError",
    "Item",
    "ItemDescription",
    "ItemDetail",
    "ItemRating",
    "ItemSales",
    "ItemShipping",
    "ItemWalkOptions",
    "Listing",
    "ListingOutcome",
    "ListingsFailedError",
    "LocalLimitError",
    "MalformedReplyError",
    "MixedUpReplyError",
    "Observer",
    "OutageError",
    "OutageReport",
    "Page",
    "PageReport",
    "PageRequest",
    "ParameterError",
    "PriceInfo",
    "Progress",
    "RateLimitError",
    "Reconciliation",
    "Recovery",
    "RedirectError",
    "Reject",
    "ReplyTooLargeError",
    "RequestOptions",
    "RequestRefusedError",
    "RetrievalError",
    "RetryPolicy",
    "RouteError",
    "SaleInfo",
    "SearchItem",
    "ServerError",
    "ShopInfo",
    "ShopItem",
    "ShopItemV2",
    "Split",
    "StaleReplyError",
    "TMAPIError",
    "TransportError",
    "TryAgainError",
    "UnavailableError",
    "UnexpectedCodeError",
    "UnreachableError",
    "Walk",
    "WalkOptions",
    "WalkStatistics",
    "category_items",
    "count",
    "describe",
    "money",
    "percent",
]

_MODULES = {
    "tmapi_async.api.details": (
        "Category",
        "CategoryChild",
        "ItemDescription",
        "ItemDetail",
        "ItemRating",
        "ItemSales",
        "ItemShipping",
    ),
    "tmapi_async.api.endpoints": (
        "CATEGORY_INFO",
        "CATEGORY_ITEMS",
        "CATEGORY_ITEMS_V2",
        "ENDPOINTS",
        "Endpoint",
        "GLOBAL_SEARCH_ITEMS",
        "ITEM_DESCRIPTION",
        "ITEM_DETAIL",
        "ITEM_RATINGS",
        "ITEM_SALES",
        "ITEM_SHIPPING",
        "SEARCH_ITEMS",
        "SHOP_ITEMS",
        "SHOP_ITEMS_V2",
    ),
    "tmapi_async.api.items": (
        "CategoryItemV2",
        "GlobalSearchItem",
        "Item",
        "PriceInfo",
        "SaleInfo",
        "SearchItem",
        "ShopInfo",
        "ShopItem",
        "ShopItemV2",
    ),
    "tmapi_async.api.listings": ("Listing", "PageRequest", "category_items", "describe"),
    "tmapi_async.api.replies": ("Page",),
    "tmapi_async.api.values": ("Reject", "count", "money", "percent"),
    "tmapi_async.client.category_tree": ("CategoryNode", "CategoryTree", "CategoryWalk"),
    "tmapi_async.client.client": ("TMAPI",),
    "tmapi_async.client.inputs": ("ItemWalkOptions", "RequestOptions", "WalkOptions"),
    "tmapi_async.client.settings": ("ClientOptions",),
    "tmapi_async.client.walk": ("Walk",),
    "tmapi_async.crawl.loop_guard": ("GuardPolicy",),
    "tmapi_async.crawl.outcomes": ("ListingOutcome", "WalkStatistics"),
    "tmapi_async.crawl.splitting": ("Expectation", "Reconciliation"),
    "tmapi_async.crawl.splitting.driver": ("Split",),
    "tmapi_async.errors": (
        "AccountError",
        "AuthenticationError",
        "BalanceError",
        "BudgetSpentError",
        "CertificateError",
        "ClosedError",
        "ConcurrencyError",
        "ConnectionFailedError",
        "DeadlineError",
        "EndlessListingError",
        "IncompleteListingError",
        "InvalidRequestError",
        "ListingsFailedError",
        "LocalLimitError",
        "MalformedReplyError",
        "MixedUpReplyError",
        "OutageError",
        "ParameterError",
        "Progress",
        "RateLimitError",
        "Recovery",
        "RedirectError",
        "ReplyTooLargeError",
        "RequestRefusedError",
        "RetrievalError",
        "RouteError",
        "ServerError",
        "StaleReplyError",
        "TMAPIError",
        "TransportError",
        "TryAgainError",
        "UnavailableError",
        "UnexpectedCodeError",
        "UnreachableError",
    ),
    "tmapi_async.limits.budget": ("Budget",),
    "tmapi_async.limits.gate": ("GateStatistics",),
    "tmapi_async.limits.outage_queue": ("OutageReport",),
    "tmapi_async.transport.credentials": ("DEFAULT_BASE_URL", "InsecureTransportWarning"),
    "tmapi_async.transport.observers": ("AttemptReport", "Observer", "PageReport"),
    "tmapi_async.transport.retry": ("RetryPolicy",),
}
_MODULE_OF: dict[str, str] = {}


def __getattr__(name: str) -> object:
    if not _MODULE_OF:  # not at the import, which every start of the command line waits for
        _MODULE_OF.update((name, module) for module, names in _MODULES.items() for name in names)
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - see the top of the module

    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
