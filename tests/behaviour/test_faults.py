"""Faults of the server lose no item, and every attempt is counted."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.support.watching import FAST, all_slots_back, client, ids_by_category, truth, until
from tmapi_async import (
    TMAPI,
    ConcurrencyError,
    ConnectionFailedError,
    ListingsFailedError,
    MalformedReplyError,
    RedirectError,
    ReplyTooLargeError,
    RetrievalError,
    RetryPolicy,
    ServerError,
    TryAgainError,
    UnexpectedCodeError,
)
from tmapi_async.sandbox import Faults

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.slow]

SIX = ("417", "499", "500", "cut", "truncated", "html")
TRANSPORT = {"cut": "connection", "truncated": "connection", "html": "malformed"}


@pytest.mark.slow
@pytest.mark.parametrize("style", ["status", "body", "mixed"])
async def test_everything_arrives_through_six_faults_at_once(tmapi_sandboxes, style):
    """5 % each of six faults: every item, every attempt counted, never more than the gate lets."""
    sandbox = await tmapi_sandboxes(
        seed=3,
        categories=100,
        mean=60,
        latency=0.002,
        latency_sigma=0.5,
        limit=8,
        style=style,
        text="mixed",
        faults=Faults(dict.fromkeys(SIX, 0.05)),
    )
    async with client(sandbox) as api:
        walk = api.category_items(sandbox.catalogue.category_ids)
        assert await ids_by_category(walk.pages()) == truth(sandbox)
        seen = walk.statistics()
        assert seen.requests == api.statistics().requests == sandbox.stats.requests
        assert seen.retries == seen.requests - seen.pages - seen.wasted
        assert sandbox.stats.peak_in_flight <= 8
        assert (seen.complete, seen.failed) == (100, 0)
        codes: dict[str, int] = {}
        for code, count in sandbox.stats.codes.items():
            name = TRANSPORT.get(code, code)
            codes[name] = codes.get(name, 0) + count
        assert seen.codes == codes
        assert set(sandbox.stats.codes) == {"200", *SIX}
        await all_slots_back(api)


async def test_no_attempt_is_hidden_when_a_kept_connection_dies(tmapi_sandboxes):
    """A connection that worked and is then cut costs one counted attempt, not one more unseen."""
    script = {(1, 2): ["cut"], (1, 3): ["reset"], (1, 4): ["truncated"]}
    sandbox = await tmapi_sandboxes(categories={1: 100}, faults=Faults(script=script))
    async with client(sandbox, concurrency=1, lookahead="off") as api:
        walk = api.category_items(1)
        assert await ids_by_category(walk.pages()) == truth(sandbox)
        seen = walk.statistics()
        assert seen.requests == sandbox.stats.requests == api.statistics().requests == 8
        assert seen.retries == 3
        assert seen.codes == {"200": 5, "connection": 3}


async def test_the_same_holds_on_a_connector_of_the_callers(tmapi_sandboxes):
    """With the caller's own connector no attempt is hidden, its limit bounds the gate, it lives."""
    sandbox = await tmapi_sandboxes(
        seed=5, categories=30, limit=3, latency=0.002, faults=Faults({"cut": 0.1, "reset": 0.1})
    )
    async with aiohttp.TCPConnector(limit=3) as connector:
        async with client(sandbox, connector=connector, concurrency="auto") as api:
            walk = api.category_items(sandbox.catalogue.category_ids)
            assert await ids_by_category(walk.pages()) == truth(sandbox)
            assert walk.statistics().requests == sandbox.stats.requests
            assert sandbox.stats.peak_in_flight <= 3
            assert sandbox.stats.codes["503"] == 0
        assert not connector.closed


@pytest.mark.parametrize("retry_after", [None, 0.01, "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_503_is_back_pressure_and_fails_nothing(tmapi_sandboxes, retry_after):
    """A gate wider than the account learns from the refusals; no listing fails."""
    sandbox = await tmapi_sandboxes(
        categories=60, mean=60, limit=3, latency=0.004, retry_after=retry_after
    )
    async with client(sandbox, concurrency=12) as api:
        walk = api.category_items(sandbox.catalogue.category_ids)
        assert await ids_by_category(walk.pages()) == truth(sandbox)
        seen = walk.statistics()
        assert (seen.complete, seen.failed) == (60, 0)
        assert seen.codes["503"] == sandbox.stats.codes["503"] > 0
        assert seen.requests == sandbox.stats.requests
        assert sandbox.stats.peak_in_flight <= 3
        # Asking again and again without learning would be refused as often as answered.
        assert seen.codes["503"] < seen.pages / 2
        await all_slots_back(api)


async def test_429_is_back_pressure_too(tmapi_sandboxes):
    """429 is asked again, however often, and fails nothing."""
    sandbox = await tmapi_sandboxes(
        categories={1: 100}, faults=Faults(script={(1, 2): ["429"] * 6})
    )
    async with client(sandbox) as api:
        walk = api.category_items(1)
        assert await ids_by_category(walk.pages()) == truth(sandbox)
        assert walk.statistics().codes["429"] == 6


async def test_patience_with_503_has_an_end(tmapi_sandboxes):
    """A server that refuses for ever is given up after the time the policy allows."""
    sandbox = await tmapi_sandboxes(categories={1: 100}, limit=0)
    async with client(sandbox, retry=RetryPolicy(base=0, patience=0.05)) as api:
        with pytest.raises(ConcurrencyError) as raised:
            await api.category_items(1)
        assert raised.value.code == 503
        assert raised.value.attempts == sandbox.stats.requests > 1


PERMANENT = {
    "417": (RetrievalError, 8),
    "499": (TryAgainError, 8),
    "500": (ServerError, 8),
    "html-502": (MalformedReplyError, 8),
    "html": (MalformedReplyError, 8),
    "empty-body": (MalformedReplyError, 8),
    "not-json": (MalformedReplyError, 8),
    "no-code": (MalformedReplyError, 8),
    "cut": (ConnectionFailedError, 8),
    "reset": (ConnectionFailedError, 8),
    "truncated": (ConnectionFailedError, 8),
    "bad-gzip": (ConnectionFailedError, 8),
    "data-null": (MalformedReplyError, 3),
    "data-absent": (MalformedReplyError, 3),
    "items-object": (MalformedReplyError, 3),
    "no-paging": (MalformedReplyError, 3),
    "redirect": (RedirectError, 1),
    "oversized": (ReplyTooLargeError, 1),
    "oversized-gzip": (ReplyTooLargeError, 1),
}


@pytest.mark.parametrize("name", PERMANENT)
async def test_what_stays_broken_is_given_up_and_named(tmapi_sandboxes, name):
    """A page that cannot be had fails its listing after the documented number of attempts."""
    kind, attempts = PERMANENT[name]
    sandbox = await tmapi_sandboxes(
        categories={1: 60, 2: 60}, oversized=2**20, faults=Faults(script={(1, 2): name})
    )
    async with client(sandbox, max_body=2**18, lookahead="off") as api:
        outcomes = []
        walk = api.category_items([1], on_end=outcomes.append)
        found: dict[int, list[int]] = {}
        with pytest.raises(kind) as raised:
            await ids_by_category(walk.pages(), found)
        error = raised.value
        assert (error.listing, error.page, error.attempts) == (
            "category/items?cat_id=1",
            2,
            attempts,
        )
        assert error.endpoint == "category/items"
        assert (error.__cause__, error.__context__) == (None, None)
        assert found == {1: truth(sandbox)[1][:20]}
        assert [outcome.ending for outcome in outcomes] == ["failed"]
        assert sandbox.stats.requests == walk.statistics().requests == 1 + attempts
        # The client goes on working.
        assert await ids_by_category(api.category_items(2).pages()) == {2: truth(sandbox)[2]}
        await all_slots_back(api)


@pytest.mark.parametrize("name", ["gzip", "slow", "content-type"])
async def test_a_right_reply_in_odd_clothes_is_taken(tmapi_sandboxes, name):
    """Compressed, trickled or called text/html: the page is there, so it is taken, once."""
    sandbox = await tmapi_sandboxes(categories={1: 60}, slow=0.02, faults=Faults(script={1: name}))
    async with client(sandbox, lookahead="off") as api:
        assert await ids_by_category(api.category_items(1).pages()) == truth(sandbox)
        assert sandbox.stats.requests == 3


async def test_a_storm_of_failures_is_not_answered_with_a_storm_of_retries(tmapi_sandboxes):
    """With everything failing, retries stay within one for each first attempt, and 50 beside."""
    sandbox = await tmapi_sandboxes(categories=300, faults=Faults({"500": 1.0}))
    async with client(sandbox) as api:
        ended = []
        walk = api.category_items(sandbox.catalogue.category_ids, on_end=ended.append)
        with pytest.raises(ListingsFailedError, match="300 listings failed"):
            await ids_by_category(walk.pages())
        seen = walk.statistics()
        assert (seen.failed, len(ended)) == (300, 300)
        assert seen.retries <= 300 + 50
        assert seen.requests == sandbox.stats.requests == 300 + seen.retries


WILD = {
    "garbage": b"\x00\xff\xfegarbage\r\n\r\n",
    "nothing but lines": b"\r\n" * 2000,
    "no status": b"HTTP/1.1\r\n\r\n",
    "status 0": b"HTTP/1.1 000 Zero\r\nContent-Length: 2\r\n\r\n{}",
    "status 999": b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X-More: y\r\n" * 40_000 + b"\r\n",
    "bad header": b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}",
    "unknown coding": b"HTTP/1.1 200 OK\r\nContent-Encoding: odd\r\nContent-Length: 2\r\n\r\n{}",
    "not brotli": b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\nabcd",
    "not zstd": b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 4\r\n\r\nabcd",
    "not deflate": b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 4\r\n\r\nabcd",
    "bad charset": b"HTTP/1.1 200 OK\r\nContent-Type: text/x; charset=odd\r\n"
    b"Content-Length: 4\r\n\r\n\xff\xfe{}",
    "deep nesting": b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000,
    "a number": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42",
    "huge code": b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{" + b'"code":' + b"9" * 20 + b" }",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: odd\r\nConnection: upgrade\r\n\r\n",
    "a redirect to nowhere": b"HTTP/1.1 301 Moved\r\nLocation: ::::\r\nContent-Length: 0\r\n\r\n",
    "bad retry-after": b"HTTP/1.1 500 Odd\r\nRetry-After: \xb2\r\nContent-Length: 2\r\n\r\n{}",
    "endless retry-after": b"HTTP/1.1 500 Odd\r\nRetry-After: "
    + b"9" * 400
    + b'\r\nContent-Length: 12\r\n\r\n{"code":500}',
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
}


class Wild:
    """A server that answers every request with the same bytes and closes the connection."""

    def __init__(self, answer):
        self._answer = answer
        self.requests = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        writer.write(self._answer)
        writer.close()


@pytest.mark.parametrize("name", WILD)
async def test_a_wild_reply_is_a_typed_error(name):
    """Whatever bytes a server sends, the caller gets one of our errors, and no slot is lost."""
    policy = RetryPolicy(base=0, max_attempts=2, max_unreachable=2, longest_retry_after=0)
    async with (
        Wild(WILD[name]) as server,
        TMAPI("canary-token", base_url=server.url, retry=policy, timeout=5, concurrency=1) as api,
    ):
        with pytest.raises(
            (ConnectionFailedError, MalformedReplyError, RedirectError, ServerError)
            + ((UnexpectedCodeError,) if name == "huge code" else ())
        ) as raised:
            await api.category_items(1)
        assert "canary-token" not in str(raised.value) + repr(raised.value)
        assert raised.value.__context__ is None
        assert server.requests == api.statistics().requests == raised.value.attempts
        await until(lambda: api.statistics().in_flight == 0)


async def test_a_server_that_comes_up_late_is_waited_for(tmapi_sandboxes):
    """A refused connection is tried again, a few times, before the walk is given up."""
    sandbox = await tmapi_sandboxes(categories={1: 20})
    await sandbox.close()
    async with client(sandbox, retry=RetryPolicy(base=0)) as api:
        with pytest.raises(ConnectionFailedError, match=r"127\.0\.0\.1") as raised:
            await api.category_items(1)
        assert raised.value.attempts == 3
        assert api.statistics().requests == 0  # nothing was charged
        await all_slots_back(api)


async def test_an_outage_in_the_middle_is_outlasted(tmapi_sandboxes):
    """A server that goes and comes back within the retries costs attempts and no item."""
    script = {(1, page): ["cut", "cut", "500", "reset", "html", "417"] for page in range(1, 4)}
    sandbox = await tmapi_sandboxes(categories={1: 60}, faults=Faults(script=script))
    async with client(sandbox, retry=FAST) as api:
        assert await ids_by_category(api.category_items(1).pages()) == truth(sandbox)
