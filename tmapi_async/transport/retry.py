"""When to ask again, as data and pure decisions: no I/O, no clock, no randomness of its own."""

from __future__ import annotations

import msgspec

from tmapi_async.errors import (
    ConnectionFailedError,
    InvalidRequestError,
    MalformedReplyError,
    Recovery,
    TMAPIError,
)


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long to try.

    Attributes:
        max_attempts: Attempts a page may take for 417, 499, 500 and transport failures.
        max_billed: Attempts where each failure was a reply of code 200 in a shape that cannot be
            read: each of them was probably billed.
        max_unreachable: Attempts on a connection that never once worked.
        base: Mean of the first back-off, in seconds, is half of this; it doubles each time.
        cap: Longest back-off, in seconds.
        patience: Seconds for which a page is asked again on 503 and 429, measured from the first
            of an unbroken row of refusals.
        longest_retry_after: A `Retry-After` above this many seconds is cut to it.
    """

    max_attempts: int = 8
    max_billed: int = 3
    max_unreachable: int = 3
    base: float = 0.5
    cap: float = 30.0
    patience: float = 900.0
    longest_retry_after: float = 120.0

    def __post_init__(self) -> None:
        counts = (self.max_attempts, self.max_billed, self.max_unreachable)
        times = (self.base, self.cap, self.patience, self.longest_retry_after)
        if min(counts) < 1 or not all(seconds >= 0 for seconds in times):  # NaN is not, either
            raise InvalidRequestError(
                "a retry policy needs at least 1 attempt, and no time below 0 seconds"
            )


class RetryBudget:
    """Shared allowance of retries, so that an outage is not answered with a storm.

    A bucket: it starts with the reserve, each first attempt adds one, each retry takes one, and it
    never holds more than the window and the reserve. So there is at least one retry for each first
    attempt over any 100, and 50 beside.
    """

    def __init__(self, window: int = 100, reserve: int = 50) -> None:
        self._most = window + reserve
        self.left = reserve

    def first(self) -> None:
        """Count a first attempt."""
        self.left = min(self._most, self.left + 1)

    def take(self) -> bool:
        """Take one retry, if there is one."""
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def __repr__(self) -> str:
        return f"<RetryBudget: {self.left} of {self._most} left>"


class RetryState(msgspec.Struct):
    """What one page request has been through.

    Attributes:
        attempts: Attempts made.
        failures: Attempts that failed, refusals not counted.
        billed: Failures whose reply was probably billed.
        refused_since: Clock time of the first refusal of the present unbroken row, or None.
    """

    attempts: int = 0
    failures: int = 0
    billed: int = 0
    refused_since: float | None = None


def next_delay(
    policy: RetryPolicy,
    trial: RetryState,
    error: TMAPIError,
    *,
    now: float,
    dice: float,
    understood: bool,
) -> float | None:
    """Decide whether to ask again after a failed attempt; counts it in `trial`.

    Args:
        policy: How often and how long to try.
        trial: What the page request has been through, without this failure; updated.
        error: What went wrong.
        now: Clock time in seconds.
        dice: A random number from 0 to 1, for full jitter.
        understood: Whether this server has ever given a reply that could be understood.

    Returns:
        Seconds to wait before the next attempt, or None to give up.
    """
    if error.recovery is Recovery.BACK_PRESSURE:
        return _refused(policy, trial, error, now, dice)
    trial.refused_since = None
    if error.recovery is not Recovery.RETRY:
        return None
    trial.failures += 1
    trial.billed += isinstance(error, MalformedReplyError) and error.code is not None
    if trial.failures >= _most(policy, trial, error, understood=understood):
        return None
    return max(dice * _ceiling(policy, trial.failures), _asked_for(policy, error))


def _refused(
    policy: RetryPolicy, trial: RetryState, error: TMAPIError, now: float, dice: float
) -> float | None:
    if trial.refused_since is None:
        trial.refused_since = now
    if now - trial.refused_since >= policy.patience:
        return None
    # The gate narrows and cools down by itself; this delay only keeps the retries of one burst
    # from coming back together.
    return _asked_for(policy, error) + dice * min(policy.base, policy.cap)


def _most(policy: RetryPolicy, trial: RetryState, error: TMAPIError, *, understood: bool) -> int:
    if not understood and isinstance(error, ConnectionFailedError):
        return min(policy.max_attempts, policy.max_unreachable)
    if trial.billed >= policy.max_billed:
        return 0
    return policy.max_attempts


def _ceiling(policy: RetryPolicy, failures: int) -> float:
    # 2 ** 20 is far above any cap: the exponent must not overflow a float.
    return min(policy.cap, policy.base * 2.0 ** min(failures - 1, 20))


def _asked_for(policy: RetryPolicy, error: TMAPIError) -> float:
    return min(error.retry_after or 0.0, policy.longest_retry_after)
