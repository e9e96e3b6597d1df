"""Errors that the API answers with, one class for each documented meaning of a code.

Source: API document, `GET /1688/category/items`, "Response codes".
"""

from __future__ import annotations

from .base import Recovery, TMAPIError


class AccountError(TMAPIError):
    """The account cannot go on: every other request would be refused too."""

    recovery = Recovery.HALT


class AuthenticationError(AccountError):
    """Code 401 (body code 4011) or 403: the token is missing, wrong or not allowed."""

    kind = "auth"
    meaning = "the token was refused"
    advice = "check TMAPI_TOKEN and how it is sent (query or header), then run the same again"


class BalanceError(AccountError):
    """Code 439 or 402: the subscription has expired or the balance is gone."""

    kind = "balance"
    meaning = "the balance is spent or the subscription has expired"
    advice = "top up the account, then run the same again to go on"


class RouteError(TMAPIError):
    """Code 404: the path is wrong, or the plan does not include this endpoint."""

    recovery = Recovery.HALT
    kind = "route"
    meaning = "the server does not offer this endpoint"
    advice = "check the base URL and that your plan includes the endpoint"


class ParameterError(TMAPIError):
    """Code 422: the server refused a parameter; asking again cannot help."""

    kind = "parameter"
    meaning = "the server refused a parameter"
    advice = "check the category ID and the filters"


class RetrievalError(TMAPIError):
    """Code 417: the API failed to retrieve the data; may be permanent for one page."""

    recovery = Recovery.RETRY
    kind = "retrieval"
    meaning = "the API failed to retrieve the data"


class TryAgainError(TMAPIError):
    """Code 499: the API asks to try again, with a time-out of 60 s."""

    recovery = Recovery.RETRY
    kind = "try-again"
    meaning = "the API asks to try again"


class ServerError(TMAPIError):
    """Code 500, or another code from 500 to 599: an unexpected error of the API."""

    recovery = Recovery.RETRY
    kind = "server"
    meaning = "unexpected error of the API"


class ConcurrencyError(TMAPIError):
    """Code 503: too many requests ran at once, and went on being too many."""

    recovery = Recovery.BACK_PRESSURE
    kind = "concurrency"
    meaning = "the account's concurrency limit is exceeded"
    advice = "is another job using the same account? Lower --concurrency, or run the same later"


class RateLimitError(ConcurrencyError):
    """Code 429: too many requests in a time; treated as 503."""

    kind = "rate"
    meaning = "the account's rate limit is exceeded"
    advice = "lower --rate or --concurrency, or run the same later"


class UnexpectedCodeError(TMAPIError):
    """A code that no document names; not retried, because nobody knows what it means."""

    kind = "unexpected"
    meaning = "the API answered with a code that is not documented"
