"""Connections that end or stall at any point, and callers that give up at any point."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.sessions import (
    Server,
    head,
    make_gate,
    new_state,
    open_session,
    page,
    request,
    send_reply,
)
from tmapi_async import Page, RetryPolicy
from tmapi_async.errors import DeadlineError, InvalidRequestError, TMAPIError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("transport")  # each test runs on both HTTP transports
ONCE = RetryPolicy(base=0, max_attempts=1)
BODY = page()
CHUNKED = b"%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    ("reply", "ends"),
    [
        (head(None, "200 OK", "Transfer-Encoding: chunked") + CHUNKED, False),
        (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, True),
        (head(None) + BODY, True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY, True),
    ],
    ids=["trailers", "1.0 until close", "1.1 until close", "1.0 with length"],
)
async def test_a_reply_is_read_however_it_ends(reply: bytes, ends: bool) -> None:
    """A body that ends in any way that HTTP allows gives the page, and so does the next one."""

    async def answer(_: Server, __: str, writer: Any) -> None:
        writer.write(reply)
        await writer.drain()
        if ends:
            writer.close()

    async with Server(answer) as server, open_session(base_url=server.url, policy=ONCE) as session:
        for _ in range(3):
            assert isinstance(await session.fetch(request(), new_state(session)), Page)
        assert len(server.heads) == 3


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_a_reply_without_body_leaves_the_connection_in_step(status: str) -> None:
    """A status that has no body is a failed attempt, and the next attempt gets its own answer."""

    async def answer(server: Server, _: str, writer: Any) -> None:
        if len(server.heads) == 1:
            writer.write(head(None, status))
            await writer.drain()
        else:
            await send_reply(writer, BODY)

    async with Server(answer) as server, open_session(base_url=server.url, timeout=5) as session:
        with contextlib.suppress(TMAPIError):  # whether it is tried again is not the rule here
            await session.fetch(request(), new_state(session))
        result = await session.fetch(request(), new_state(session))
        assert isinstance(result, Page)


def _stall(sent: bytes) -> Callable[[Server, str, Any], Any]:
    async def answer(server: Server, _: str, writer: Any) -> None:
        if len(server.heads) == 1:
            writer.write(sent)
            await writer.drain()
            await asyncio.sleep(60)
        await send_reply(writer, page(2))

    return answer


PLACES = [b"", b"HTTP/1.1 20", head(len(BODY)), head(len(BODY)) + BODY[:9]]
NAMES = ["nothing", "in the head", "before the body", "in the body"]


@pytest.mark.slow
@pytest.mark.parametrize("sent", PLACES, ids=NAMES)
async def test_a_stall_ends_at_the_deadline(sent: bytes) -> None:
    """If the server stops at any point, the next page is not read from the rest of the reply."""
    async with Server(_stall(sent)) as server:
        gate = make_gate(2)
        async with open_session(gate, base_url=server.url, policy=ONCE, timeout=0.2) as session:
            with pytest.raises(DeadlineError):
                await session.fetch(request(), new_state(session))
            result: object = None
            for _ in range(20):  # on a busy machine a whole reply may miss so short a deadline
                with contextlib.suppress(DeadlineError):
                    result = await session.fetch(request(2), new_state(session))
                    break
            assert isinstance(result, Page)
            assert result.echoed_page == 2


@pytest.mark.parametrize("sent", PLACES, ids=NAMES)
async def test_who_gives_up_leaves_no_dirty_connection(sent: bytes) -> None:
    """After a cancellation the next page is not read from the rest of the reply."""
    async with Server(_stall(sent)) as server:
        gate = make_gate(2)
        async with open_session(gate, base_url=server.url, policy=ONCE, timeout=20) as session:
            task = asyncio.create_task(session.fetch(request(), new_state(session)))
            while not server.heads:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            result = await session.fetch(request(2), new_state(session))
            assert isinstance(result, Page)
            assert result.echoed_page == 2


@pytest.mark.parametrize("steps", range(8))
async def test_who_gives_up_early_keeps_the_gate_in_balance(steps: int) -> None:
    """A cancellation at any turn of the loop costs at most one slot, kept for a time."""

    async def answer(_: Server, __: str, writer: Any) -> None:
        await send_reply(writer, BODY)

    async with Server(answer) as server:
        gate = make_gate(2)
        async with open_session(gate, base_url=server.url, policy=ONCE, timeout=20) as session:
            task = asyncio.create_task(session.fetch(request(), new_state(session)))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            before = gate.statistics()
            assert before.in_flight == before.ghosts == gate.at_server == before.requests
            assert isinstance(await session.fetch(request(), new_state(session)), Page)
            after = gate.statistics()
            assert (after.in_flight, after.requests) == (before.ghosts, before.requests + 1)


async def test_two_sessions_on_one_connector_keep_their_heads() -> None:
    """Two sessions on one connector do not send each other's token, prefix or headers."""

    async def answer(_: Server, __: str, writer: Any) -> None:
        await send_reply(writer, BODY)

    connector = aiohttp.TCPConnector(limit=1)
    async with Server(answer) as server, connector:
        one = {"token": "aaa", "auth": "query", "base_url": server.url + "/one"}
        two = {"token": "bbb", "auth": "header", "base_url": server.url + "/two"}
        async with (
            open_session(connector=connector, **one) as first,
            open_session(connector=connector, **two) as second,
        ):
            for _ in range(3):
                await asyncio.gather(*(s.fetch(request(), new_state(s)) for s in (first, second)))
        assert len(server.heads) == 6
        for sent in server.heads:
            assert (" /one/" in sent) == ("apiToken=aaa" in sent)
            assert (" /two/" in sent) == ("apikey: bbb" in sent)
            assert ("aaa" in sent) != ("bbb" in sent)


@pytest.mark.parametrize("auth", ["query", "header"])
@pytest.mark.parametrize("token", ["a\r\nX: y", "a\nb", "a\0b", "t\u00f6ken", "\u540d"])
async def test_a_token_that_no_head_can_carry_is_refused(token: str, auth: str) -> None:
    """Line ends would forge headers: such a token is refused and not shown."""
    with pytest.raises(InvalidRequestError) as caught:
        async with open_session(token=token, auth=auth):
            pass
    assert token not in str(caught.value)
