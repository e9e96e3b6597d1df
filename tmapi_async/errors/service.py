"""Errors that the API reports, one class for each documented meaning of a code.

Source: API document, `GET /1688/category/items`, "Response codes".
"""

from __future__ import annotations

from .base_error import Recovery, TMAPIError


class AccountError(TMAPIError):
    """The account cannot be used: every other request would be refused too."""

    recovery = Recovery.HALT


class AuthenticationError(AccountError):
    """Code 401 (body code 4011) or 403: the token is missing, wrong or not allowed."""

    kind = "auth"
    meaning = "the token was refused"
    advice = (
        "check TMAPI_TOKEN and how it is sent (query or header), then run the same command again"
    )


class BalanceError(AccountError):
    """Code 439 or 402: the subscription has expired or the balance is spent."""

    kind = "balance"
    meaning = "the balance is spent or the subscription has expired"
    advice = (
        "top up the account and start again: work with a journal continues where it stopped, other "
        "work begins anew"
    )


class RouteError(TMAPIError):
    """Code 404: the path is wrong, or the plan does not include this endpoint."""

    recovery = Recovery.HALT
    kind = "route"
    meaning = "the server does not offer this endpoint"
    advice = "check the base URL and that your plan includes the endpoint"


class ParameterError(TMAPIError):
    """Code 422: the server refused a parameter; sending the request again cannot help."""

    kind = "parameter"
    meaning = "the server refused a parameter"
    advice = "check the ID and the filters"


class RetrievalError(TMAPIError):
    """Code 417: the API failed to retrieve the data; may be permanent for one page."""

    recovery = Recovery.RETRY
    kind = "retrieval"
    meaning = "the API failed to retrieve the data"
    advice = "run the same command again later; for some pages the API fails each time"


class TryAgainError(TMAPIError):
    """Code 499: the API asks the client to try again, with a time-out of 60 s."""

    recovery = Recovery.RETRY
    kind = "try-again"
    meaning = "the API asks to try again"
    advice = "run the same command again later"


class ServerError(TMAPIError):
    """Code 500, or another code from 500 to 599: an unexpected error in the API."""

    recovery = Recovery.RETRY
    kind = "server"
    meaning = "unexpected error in the API"
    advice = "run the same command again later"


class ConcurrencyError(TMAPIError):
    """Code 503: too many requests ran at once, for longer than the retries last."""

    recovery = Recovery.BACK_PRESSURE
    kind = "concurrency"
    meaning = "the account's concurrency limit is exceeded"
    advice = (
        "stop other jobs of the same account, lower --concurrency, or run the same command later"
    )


class UnavailableError(ConcurrencyError):
    """Status 503 without a code: a gateway in between, or the server, takes no more requests now.

    Load balancers and proxies limit requests and connections in this way, and some services answer
    so while they are down. Treated as a code 503.
    """

    kind = "unavailable"
    meaning = "the server or a gateway in between accepts no more requests now"
    advice = "lower --concurrency or --rate, or run the same command later"


class RateLimitError(ConcurrencyError):
    """Code or status 429: too many requests in a period of time; treated as 503."""

    kind = "rate"
    meaning = "the account's rate limit is exceeded"
    advice = "lower --rate or --concurrency, or run the same command later"


class UnexpectedCodeError(TMAPIError):
    """A code that is not documented; not retried, because its meaning is unknown."""

    kind = "unexpected"
    meaning = "the API answered with a code that is not documented"
    advice = "ask the support of TMAPI about this code"
