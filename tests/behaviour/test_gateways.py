"""Real gateways between the client and the server: every item once, and no listing failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import gateways
from tests.support.watching import ids_by_category, truth
from tmapi_async import TMAPI, RetryPolicy
from tmapi_async.sandbox import Faults

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tmapi_async import WalkStatistics
    from tmapi_async.sandbox import Sandbox

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.slow]

CATALOGUE = {"categories": 40, "mean": 60, "latency": 0.02, "latency_sigma": 0.5}
ZONES = """
  limit_req_zone $server_port zone=rate:1m rate=150r/s;
  limit_conn_zone $server_port zone=connections:1m;
"""
BARE = "error_page {status} = @bare;"


async def walk_through(
    gateway: AbstractContextManager[str], sandbox: Sandbox, **options: Any
) -> WalkStatistics:
    """Walk the whole catalogue through a gateway. Returns the statistics of the walk."""
    with gateway as url:
        async with TMAPI("sandbox", base_url=url, **options) as api:
            walk = api.category_items(sandbox.catalogue.category_ids)
            assert await ids_by_category(walk.pages()) == truth(sandbox)
            statistics = walk.statistics()
    assert (statistics.complete, statistics.failed) == (CATALOGUE["categories"], 0)
    return statistics


@pytest.mark.parametrize("burst", ["", "burst=10 nodelay", "burst=10"])
@pytest.mark.parametrize(("status", "bare"), [(503, ""), (429, ""), (429, BARE)])
async def test_a_limited_rate_is_walked_whole(tmapi_sandboxes, status, bare, burst):
    """The `limit_req` of nginx, in HTML and in the bare JSON of Kong: it is no failure."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    gateway = gateways.nginx(
        sandbox.url,
        http=f"{ZONES} limit_req_status {status};",
        location=f"limit_req zone=rate {burst}; {bare.format(status=status)}",
        status=status,
    )
    statistics = await walk_through(gateway, sandbox, concurrency=16)
    assert statistics.codes.keys() <= {"200", str(status)}
    assert burst == "burst=10" or statistics.codes[str(status)] > 0


@pytest.mark.parametrize("status", [503, 429])
async def test_a_limited_number_of_requests_is_walked_whole(tmapi_sandboxes, status):
    """The `limit_conn` of nginx counts the connections that have a request."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    gateway = gateways.nginx(
        sandbox.url,
        http=f"{ZONES} limit_conn_status {status};",
        location="limit_conn connections 4;",
    )
    statistics = await walk_through(gateway, sandbox, concurrency=16)
    assert statistics.codes[str(status)] > 0


async def test_a_limited_number_of_connections_is_walked_whole(tmapi_sandboxes):
    """A gateway that counts idle connections, too, must not refuse the last one for ever."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    gateway = gateways.haproxy(
        sandbox.url,
        sections="backend counted\n  stick-table type ip size 1k expire 1m store conn_cur",
        frontend="tcp-request connection track-sc0 src table counted\n"
        "  http-request deny deny_status 429 if { sc0_conn_cur(counted) gt 4 }",
    )
    statistics = await walk_through(gateway, sandbox, concurrency=16)
    assert statistics.codes["429"] > 0


async def test_a_full_queue_is_walked_whole(tmapi_sandboxes):
    """HAProxy answers 503 for a request that waited too long for one of its connections."""
    sandbox = await tmapi_sandboxes(**{**CATALOGUE, "latency": 0.1})
    gateway = gateways.haproxy(sandbox.url, server="maxconn 4")
    statistics = await walk_through(gateway, sandbox, concurrency=64)
    assert statistics.codes["503"] > 0


LATE_CLOSES = 3


async def test_a_proxy_that_closes_connections_is_walked_through(tmapi_sandboxes, monkeypatch):
    """The tinyproxy of a company closes idle connections without a word."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    with gateways.tinyproxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with TMAPI("sandbox", base_url=sandbox.url, trust_env=True) as api:
            walk = api.category_items(sandbox.catalogue.category_ids)
            assert await ids_by_category(walk.pages()) == truth(sandbox)
            # The proxy may close a connection at the instant in which a request leaves.
            assert walk.statistics().codes.get("connection", 0) <= LATE_CLOSES


async def test_a_cache_is_asked_to_pass_requests_on(tmapi_sandboxes):
    """The cache of HAProxy gives a kept page to nobody who says no-cache."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    kept = "http-request cache-use pages\n  http-response set-header cache-control max-age=600\n"
    gateway = gateways.haproxy(
        sandbox.url,
        sections="cache pages\n  total-max-size 64\n  max-object-size 200000\n  max-age 600",
        backend=f"{kept}  http-response cache-store pages",
    )
    ids = sandbox.catalogue.category_ids[:5]
    with gateway as url:
        async with TMAPI("sandbox", base_url=url) as api:
            for _ in range(2):
                async for page in api.category_items(ids).pages():
                    assert page.age == 0
    assert sandbox.stats.pages_served_twice > 0


async def test_failures_that_a_cache_keeps_are_waited_for(tmapi_sandboxes):
    """Errors in HTTP 200, kept by nginx for longer than the retries last: every item once."""
    sandbox = await tmapi_sandboxes(**CATALOGUE, style="body", faults=Faults({"500": 0.1}))
    gateway = gateways.nginx(
        sandbox.url,
        http="proxy_cache_path cache keys_zone=pages:1m;",
        location="proxy_cache pages; proxy_cache_valid any 4s;"
        " add_header X-Cache-Status $upstream_cache_status always;",
    )
    statistics = await walk_through(gateway, sandbox, retry=RetryPolicy(base=0.05, cap=0.1))
    assert statistics.codes["stale"] > 0
