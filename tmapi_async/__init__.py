"""asyncio client and bulk category harvester for TMAPI's 1688.com product API."""

from .address import DEFAULT_BASE_URL, InsecureTransportWarning
from .client import TMAPI
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
from .limits.gate import GateStatistics
from .listings import Listing, PageRequest
from .models import Item, PriceInfo, Reject, SaleInfo, ShopInfo, count, money, percent
from .outcomes import ListingOutcome, WalkStatistics
from .replies import Page
from .retry import RetryPolicy
from .walk import Walk

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_BASE_URL",
    "TMAPI",
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
    "GateStatistics",
    "GuardPolicy",
    "InsecureTransportWarning",
    "InvalidRequestError",
    "Item",
    "Listing",
    "ListingOutcome",
    "ListingsFailedError",
    "MalformedReplyError",
    "Page",
    "PageRequest",
    "ParameterError",
    "PriceInfo",
    "Progress",
    "RateLimitError",
    "Recovery",
    "RedirectError",
    "Reject",
    "ReplyTooLargeError",
    "RetrievalError",
    "RetryPolicy",
    "RouteError",
    "SaleInfo",
    "ServerError",
    "ShopInfo",
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
