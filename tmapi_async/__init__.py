"""asyncio client and bulk category harvester for TMAPI's 1688.com product API."""

from .address import DEFAULT_BASE_URL, InsecureTransportWarning
from .categories import CategoryNode, CategoryTree, CategoryWalk
from .client import TMAPI
from .details import Category, CategoryChild, ItemDetail
from .errors import (
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
    InvalidRequestError,
    ListingsFailedError,
    MalformedReplyError,
    ParameterError,
    Progress,
    RateLimitError,
    Recovery,
    RedirectError,
    ReplyTooLargeError,
    RetrievalError,
    RouteError,
    ServerError,
    TMAPIError,
    TransportError,
    TryAgainError,
    UnexpectedCodeError,
)
from .guard import GuardPolicy
from .items import (
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
from .limits.gate import GateStatistics
from .listings import Listing, PageRequest
from .models import Reject, count, money, percent
from .observing import AttemptReport, Observer, PageReport
from .outcomes import ListingOutcome, WalkStatistics
from .replies import Page
from .retry import RetryPolicy
from .splitter import Split
from .splitting import Expectation, Reconciliation
from .walk import Walk

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_BASE_URL",
    "TMAPI",
    "AccountError",
    "AttemptReport",
    "AuthenticationError",
    "BalanceError",
    "BudgetSpentError",
    "Category",
    "CategoryChild",
    "CategoryItemV2",
    "CategoryNode",
    "CategoryTree",
    "CategoryWalk",
    "CertificateError",
    "ClosedError",
    "ConcurrencyError",
    "ConnectionFailedError",
    "DeadlineError",
    "EndlessListingError",
    "Expectation",
    "GateStatistics",
    "GlobalSearchItem",
    "GuardPolicy",
    "InsecureTransportWarning",
    "InvalidRequestError",
    "Item",
    "ItemDetail",
    "Listing",
    "ListingOutcome",
    "ListingsFailedError",
    "MalformedReplyError",
    "Observer",
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
    "TMAPIError",
    "TransportError",
    "TryAgainError",
    "UnexpectedCodeError",
    "Walk",
    "WalkStatistics",
    "count",
    "money",
    "percent",
]
