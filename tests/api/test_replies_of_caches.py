"""Replies that a cache in between had kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.making import NOW, envelope, read
from tmapi_async import BalanceError, Page, ParameterError, Recovery, StaleReplyError, TMAPIError
from tmapi_async.api.replies import read_age


def test_a_page_of_a_cache_says_how_old_it_is() -> None:
    """A page with an Age was fetched by the cache, so many seconds before."""
    page = read(envelope(), headers={"age": "37"})
    assert isinstance(page, Page)
    assert (page.age, page.fetched_at) == (37, NOW - timedelta(seconds=37))
    fresh = read(envelope())
    assert isinstance(fresh, Page)
    assert (fresh.age, fresh.fetched_at) == (0, NOW)


@pytest.mark.parametrize("code", [417, 499, 500, 503, 429])
@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"age": "20", "cache-control": "public, max-age=120"}, 100),
        ({"age": "120", "cache-control": "max-age=120"}, 1),
        ({"age": "20"}, 5),
        ({"x-cache": "HIT from squid"}, 5),
        ({"x-cache-status": "HIT"}, 5),
        ({"cf-cache-status": "hit"}, 5),
    ],
)
def test_a_kept_failure_is_waited_for(
    code: int, status: int, headers: dict[str, str], wait: float
) -> None:
    """A failure that a cache repeats is no attempt of the API: it passes when it is forgotten."""
    error = read({"code": code, "msg": "why"}, status, headers)
    assert type(error) is StaleReplyError
    assert (error.recovery, error.retry_after) == (Recovery.BACK_PRESSURE, wait)
    assert "why" in str(error)


@pytest.mark.parametrize(("code", "kind"), [(439, BalanceError), (422, ParameterError)])
def test_a_kept_refusal_stays_a_refusal(code: int, kind: type[TMAPIError]) -> None:
    """A spent balance ends all work, from a cache, too."""
    assert type(read({"code": code}, headers={"age": "9"})) is kind


@pytest.mark.parametrize("headers", [{}, {"age": "0"}, {"x-cache": "MISS"}, {"age": "soon"}])
def test_a_fresh_failure_is_an_attempt(headers: Any) -> None:
    """A cache that passes requests on takes nothing away from the attempts."""
    error = read({"code": 500}, headers=headers)
    assert isinstance(error, TMAPIError)
    assert error.recovery is Recovery.RETRY


@given(st.text(max_size=30) | st.integers().map(str))
def test_any_age_is_read(text: str) -> None:
    """No Age raises an error, or makes a time that cannot be computed with."""
    age = read_age({"age": text})
    assert age >= 0
    assert NOW - timedelta(seconds=age) <= NOW
