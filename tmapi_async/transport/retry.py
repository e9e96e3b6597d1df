"""Decisions to try again, and after which delay. No I/O, no clock, no random numbers of its own."""

from __future__ import annotations

import msgspec

from tmapi_async.api.listings import PageRequest
from tmapi_async.errors import (
    ConnectionFailedError,
    DeadlineError,
    InvalidRequestError,
    MalformedReplyError,
    MixedUpReplyError,
    Recovery,
    ServerError,
    TMAPIError,
    UnreachableError,
)
from tmapi_async.errors.argument_checks import check_numbers
from tmapi_async.limits.circuit_breaker import Permit, Trouble


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Number, delays and time limit of the attempts for a page.

    Attributes:
        max_attempts: Maximum number of attempts for a page, for 417, 499, 500 and transport
            failures.
        max_billed: Maximum number of attempts for a page whose replies have code 200 but cannot be
            read: each of them was probably billed.
        max_unreachable: Maximum number of attempts on a connection that never worked.
        base: Longest first back-off, in seconds; the mean is half of it. Doubles each time.
        cap: Longest back-off, in seconds.
        patience: Seconds for which a page is tried again on 503 and 429, measured from the first
            of an unbroken series of refusals.
        longest_retry_after: Longest `Retry-After` that is respected, in seconds.
    """

    max_attempts: int = 8
    max_billed: int = 3
    max_unreachable: int = 3
    base: float = 0.5
    cap: float = 30.0
    patience: float = 900.0
    longest_retry_after: float = 120.0

    def __post_init__(self) -> None:
        check_numbers(self)
        counts = (self.max_attempts, self.max_billed, self.max_unreachable)
        times = (self.base, self.cap, self.patience, self.longest_retry_after)
        if min(counts) < 1 or not all(seconds >= 0 for seconds in times):  # NaN is not, either
            raise InvalidRequestError(
                "a retry policy needs at least 1 attempt, and no time below 0 seconds"
            )

    @property
    def seconds(self) -> float:
        """Longest time that the pauses between the attempts for a page take together."""
        return sum(_max_delay(self, failures) for failures in range(1, self.max_attempts))


class RetryBudget:
    """Shared allowance of retries, so that an outage does not multiply the requests.

    A bucket: it starts with the reserve, each first attempt adds one, each retry takes one, and it
    never holds more than the window and the reserve. So there is at least one retry for each first
    attempt over any 100, and 50 in addition.

    Args:
        window: Number of first attempts that may save a retry each.
        reserve: Number of retries available at the start.

    Attributes:
        remaining: Number of retries left.
    """

    def __init__(self, window: int = 100, reserve: int = 50) -> None:
        self._maximum = window + reserve
        self.remaining = reserve

    def first(self) -> None:
        """Count a first attempt."""
        if self.remaining < self._maximum:
            self.remaining += 1

    def take(self) -> bool:
        """Take one retry. Returns False if none is left."""
        if self.remaining < 1:
            return False
        self.remaining -= 1
        return True

    def __repr__(self) -> str:
        return f"<RetryBudget: {self.remaining} of {self._maximum} left>"


class RetryState(msgspec.Struct):
    """Attempts and failures of one page request so far.

    Attributes:
        attempts: Number of attempts made.
        failures: Number of attempts that failed, refusals not counted.
        billed: Number of failures whose reply was probably billed.
        refused_since: Clock time of the first refusal of the present unbroken series, or None.
        permit: Leave to send the next attempt during an outage, or None.
        last_page: Last page that had come for any request when this one began, or None.
    """

    attempts: int = 0
    failures: int = 0
    billed: int = 0
    refused_since: float | None = None
    permit: Permit | None = None
    last_page: PageRequest | None = None


def next_delay(
    policy: RetryPolicy,
    state: RetryState,
    error: TMAPIError,
    *,
    now: float,
    jitter: float,
    understood: bool,
) -> float | None:
    """Decide whether to try again after a failed attempt, and count the failure in `state`.

    Args:
        policy: Number and duration of attempts.
        state: Attempts and failures so far, without this failure; updated.
        error: Failure of the attempt.
        now: Clock time in seconds.
        jitter: A random number from 0 to 1, for full jitter.
        understood: True if this server has ever given a reply that could be understood.

    Returns:
        Seconds to wait before the next attempt, or None to give up.
    """
    if error.recovery is Recovery.BACK_PRESSURE:
        return _delay_after_refusal(policy, state, error, now, jitter)
    state.refused_since = None
    if error.recovery is not Recovery.RETRY:
        return None
    state.failures += 1
    state.billed += isinstance(error, MalformedReplyError) and error.code is not None
    if state.failures >= _max_failures(policy, state, error, understood=understood):
        return None
    return max(jitter * _max_delay(policy, state.failures), _retry_after(policy, error))


def _delay_after_refusal(
    policy: RetryPolicy, state: RetryState, error: TMAPIError, now: float, jitter: float
) -> float | None:
    if state.refused_since is None:
        state.refused_since = now
    if now - state.refused_since >= policy.patience:
        return None
    # The gate narrows and cools down by itself. This delay only keeps the retries of one burst
    # from coming back together.
    return _retry_after(policy, error) + jitter * min(policy.base, policy.cap)


def _max_failures(
    policy: RetryPolicy, state: RetryState, error: TMAPIError, *, understood: bool
) -> int:
    if not understood and isinstance(error, ConnectionFailedError):
        return min(policy.max_attempts, policy.max_unreachable)
    if state.billed >= policy.max_billed:
        return 0
    return policy.max_attempts


def _max_delay(policy: RetryPolicy, failures: int) -> float:
    # 2 ** 20 is far above any cap: the exponent must not overflow a float.
    return min(policy.cap, policy.base * 2.0 ** min(failures - 1, 20))


def _retry_after(policy: RetryPolicy, error: TMAPIError) -> float:
    return min(error.retry_after or 0.0, policy.longest_retry_after)


def may_be_outage(error: TMAPIError) -> bool:
    """Return True for a failure that every page has while the line or the whole service is out.

    Not so for refusals, and for what only the API itself can say.
    """
    if isinstance(error, MalformedReplyError):
        return error.code is None and not isinstance(error, MixedUpReplyError)
    return isinstance(error, ConnectionFailedError | DeadlineError | ServerError)


def read_trouble(
    error: TMAPIError, request: PageRequest, sent_at: float, policy: RetryPolicy
) -> Trouble:
    """Return a failure, one that may be an outage, as the circuit breaker sees it.

    Args:
        error: The failure.
        request: Page request of the attempt.
        sent_at: Clock time at which it was sent.
        policy: Number and duration of attempts.
    """
    return Trouble(
        page=request,
        listing=request.listing,
        sent_at=sent_at,
        reason=error.reason,
        reached=not isinstance(error, UnreachableError),
        timed_out=isinstance(error, DeadlineError),
        retry_after=_retry_after(policy, error),
    )
