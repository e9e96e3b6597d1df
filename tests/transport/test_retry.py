from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async import (
    AuthenticationError,
    BalanceError,
    ConcurrencyError,
    ConnectionFailedError,
    DeadlineError,
    InvalidRequestError,
    MalformedReplyError,
    ParameterError,
    RateLimitError,
    RedirectError,
    ReplyTooLargeError,
    RetrievalError,
    RetryPolicy,
    RouteError,
    ServerError,
    TMAPIError,
    TryAgainError,
    UnexpectedCodeError,
)
from tmapi_async.errors import BudgetSpentError, CertificateError
from tmapi_async.transport.retry import RetryBudget, RetryState, next_delay

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILURES = (RetrievalError, TryAgainError, ServerError, DeadlineError, MalformedReplyError)
REFUSALS = (ConcurrencyError, RateLimitError)
ENDS = (ParameterError, UnexpectedCodeError, RedirectError, ReplyTooLargeError, CertificateError)
HALTS = (BalanceError, AuthenticationError, RouteError, BudgetSpentError)
DICE = st.floats(0, 1)
STEPS = st.lists(st.sampled_from(["first", "retry"]), max_size=400)


def decide(
    errors: Iterable[TMAPIError],
    policy: RetryPolicy | None = None,
    *,
    now: float = 0.0,
    interval: float = 1.0,
    jitter: float = 1.0,
    understood: bool = True,
) -> list[float | None]:
    """Return the decision after each of these errors, one second apart, up to giving up."""
    trial, decisions = RetryState(), []
    for number, error in enumerate(errors):
        chosen = policy or RetryPolicy()
        at = now + number * interval
        decisions.append(
            next_delay(chosen, trial, error, now=at, jitter=jitter, understood=understood)
        )
        if decisions[-1] is None:
            break
    return decisions


@pytest.mark.parametrize("kind", [*FAILURES, ConnectionFailedError])
def test_a_failure_is_tried_eight_times(kind: type[TMAPIError]) -> None:
    """417, 499, 500 and failures of transport are retried until the eighth attempt."""
    decisions = decide(kind() for _ in range(20))
    assert len(decisions) == 8
    assert decisions[-1] is None
    assert None not in decisions[:-1]


@given(st.lists(st.sampled_from([*FAILURES, *REFUSALS]), min_size=30), DICE)
def test_refusals_are_not_counted_as_failures(kinds: list[type[TMAPIError]], jitter: float) -> None:
    """A page is given up at its eighth failure, not before, whatever refusals come in between."""
    decisions = decide((kind() for kind in kinds), jitter=jitter)
    failures = [kind for kind in kinds[: len(decisions)] if kind in FAILURES]
    assert len(failures) == 8 if decisions[-1] is None else len(failures) < 8


@pytest.mark.parametrize("kind", [*ENDS, *HALTS])
def test_what_cannot_get_better_is_not_asked_again(kind: type[TMAPIError]) -> None:
    """Invalid requests, and errors that end all work, are never retried."""
    assert decide([kind(retry_after=1)]) == [None]


def test_a_page_that_cannot_be_read_is_not_paid_for_eight_times() -> None:
    """A reply of code 200 that cannot be read was probably billed: three of them are enough."""
    assert len(decide(MalformedReplyError(code=200) for _ in range(20))) == 3
    mixed = [MalformedReplyError(code=200), ServerError(), MalformedReplyError(code=200)]
    assert None not in decide([*mixed, ServerError(), MalformedReplyError()])
    assert decide([*mixed, MalformedReplyError(code=200)])[-1] is None


def test_a_server_that_never_answered_is_given_up_early() -> None:
    """If no connection ever worked, a page is given up after three attempts."""
    assert len(decide((ConnectionFailedError() for _ in range(9)), understood=False)) == 3
    assert len(decide((DeadlineError() for _ in range(9)), understood=False)) == 8
    few = RetryPolicy(max_attempts=2)
    assert len(decide((ConnectionFailedError() for _ in range(9)), few, understood=False)) == 2


@given(st.integers(1, 12), DICE, st.floats(0, 5), st.floats(0, 60), st.floats(0, 500))
def test_back_off_is_full_jitter_below_a_doubling_ceiling(
    attempts: int, jitter: float, base: float, cap: float, asked: float
) -> None:
    """The delay is below a ceiling that doubles up to the cap, or as long as the server asks."""
    policy = RetryPolicy(max_attempts=attempts + 1, base=base, cap=cap)
    errors = [ServerError() for _ in range(attempts - 1)]
    delay = decide([*errors, ServerError(retry_after=asked)], policy, jitter=jitter)[-1]
    assert delay is not None
    ceiling = min(cap, base * 2 ** (attempts - 1))
    assert delay == max(jitter * ceiling, min(asked, 120.0))


def test_the_ceiling_never_overflows() -> None:
    """Thousands of attempts do not make the back-off overflow."""
    decisions = decide((ServerError() for _ in range(5000)), RetryPolicy(max_attempts=5001))
    assert decisions[-1] == 30.0


@pytest.mark.parametrize("kind", [*FAILURES, *REFUSALS])
@pytest.mark.parametrize("asked", [0.0, 7.0, 119.0, 120.0])
def test_retry_after_is_honoured(kind: type[TMAPIError], asked: float) -> None:
    """No request is retried before the time that the server asked for."""
    for jitter in (0.0, 0.5, 1.0):
        (delay,) = decide([kind(retry_after=asked)], jitter=jitter)
        assert delay is not None
        assert asked <= delay <= asked + 0.5


@pytest.mark.parametrize("kind", [ServerError, ConcurrencyError])
@pytest.mark.parametrize("asked", [121.0, 1e9, math.inf])
def test_retry_after_is_cut(kind: type[TMAPIError], asked: float) -> None:
    """A very long Retry-After is cut to two minutes, or to the policy's maximum."""
    assert decide([kind(retry_after=asked)], jitter=0.0) == [120.0]
    assert decide([kind(retry_after=asked)], RetryPolicy(longest_retry_after=3), jitter=0.0) == [
        3.0
    ]


@pytest.mark.parametrize("kind", REFUSALS)
@given(interval=st.floats(0.1, 100), now=st.floats(-1e6, 1e6))
def test_refusals_are_bounded_in_time(kind: type[TMAPIError], interval: float, now: float) -> None:
    """An unbroken series of refusals is retried for a time, not for a number of attempts."""
    policy = RetryPolicy(patience=20)
    decisions = decide((kind() for _ in range(300)), policy, interval=interval, now=now)
    assert decisions[-1] is None
    lasted = (len(decisions) - 1) * interval
    assert 20 - 1e-6 <= lasted <= 20 + interval + 1e-6


def test_patience_begins_anew_after_anything_else() -> None:
    """A failure between two refusals ends the series of refusals."""
    policy = RetryPolicy(patience=10)
    row = [ConcurrencyError() for _ in range(9)]
    decisions = decide([*row, ServerError(), *row, ServerError(), *row], policy)
    assert len(decisions) == 29
    assert None not in decisions
    assert decide([*row, ConcurrencyError(), ConcurrencyError()], policy)[-1] is None


def test_refusals_of_one_burst_come_back_apart() -> None:
    """Refused requests wait for different times up to the base, and not longer each time."""
    for jitter in (0.0, 0.25, 1.0):
        decisions = decide((ConcurrencyError() for _ in range(50)), jitter=jitter)
        assert set(decisions) == {jitter * 0.5}


@pytest.mark.parametrize(
    "fields",
    [
        {"max_attempts": 0},
        {"max_billed": 0},
        {"max_unreachable": -1},
        {"base": -0.1},
        {"cap": -1},
        {"patience": -1},
        {"longest_retry_after": -1},
        {"base": math.nan},
        {"cap": math.nan},
        {"patience": math.nan},
        {"longest_retry_after": math.nan},
    ],
)
def test_a_policy_makes_sense_or_is_refused(fields: dict[str, float]) -> None:
    """A policy without an attempt, or with an invalid time, is refused."""
    with pytest.raises(InvalidRequestError, match="retry policy"):
        RetryPolicy(**fields)  # type: ignore[arg-type]


def test_the_least_policy_is_one_attempt_without_waiting() -> None:
    """A policy of one attempt and no time at all is valid."""
    policy = RetryPolicy(max_attempts=1, base=0, cap=0, patience=0, longest_retry_after=0)
    assert decide([ServerError(retry_after=9)], policy) == [None]
    assert decide([ConcurrencyError(retry_after=9)], policy) == [None]


def granted(steps: list[str]) -> list[str]:
    """Return the steps that happen: first attempts, and the retries that the budget allows."""
    budget = RetryBudget()
    happened = []
    for step in steps:
        if step == "first":
            budget.first()
            happened.append(step)
        elif budget.take():
            happened.append(step)
    return happened


def excess(steps: list[str]) -> int:
    """Return the largest excess of retries over first attempts in any series of steps."""
    peak = running = 0
    for step in steps:
        running = max(0, running + (1 if step == "retry" else -1))
        peak = max(peak, running)
    return peak


@given(STEPS)
def test_one_retry_for_each_first_attempt_is_always_there(steps: list[str]) -> None:
    """Retries that exceed first attempts by no more than the reserve are never refused."""
    if excess(steps) <= 50:
        assert granted(steps) == steps
    alternating = [step for step in steps for step in ("first", "retry")]
    assert granted(alternating) == alternating


def test_a_hundred_failures_at_once_all_get_their_retry() -> None:
    """After any hundred first attempts there are a hundred retries, and fifty more."""
    for earlier in (0, 50, 1000):
        assert (
            granted(["retry"] * 999 + ["first"] * earlier + ["first"] * 100 + ["retry"] * 100)[
                -100:
            ]
            == ["retry"] * 100
        )
    fresh = granted(["first"] * 100 + ["retry"] * 999)
    assert fresh.count("retry") == 150
    assert granted(["first"] * 5000 + ["retry"] * 999).count("retry") == 150


@given(STEPS.map(lambda steps: ["first"] * 120 + steps + ["retry"] * 100))
def test_retries_are_bounded(steps: list[str]) -> None:
    """No series of steps has more retries than first attempts, window and reserve together."""
    happened = granted(steps)
    assert excess(happened) <= 150
    assert happened.count("retry") <= happened.count("first") + 50


def test_an_outage_is_not_answered_with_a_storm() -> None:
    """While everything fails, requests no more than double."""
    happened = granted((["first"] + ["retry"] * 7) * 500)
    assert happened.count("retry") <= 550


def test_a_budget_tells_what_is_left() -> None:
    """The repr of a retry budget shows the retries left and their maximum."""
    budget = RetryBudget(window=10, reserve=5)
    assert repr(budget) == "<RetryBudget: 5 of 15 left>"
    assert [budget.take() for _ in range(6)] == [True] * 5 + [False]
    assert budget.remaining == 0
