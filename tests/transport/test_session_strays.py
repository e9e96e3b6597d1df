"""Connections that are not fit for another request, though the connector still has them."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from tests.support.sessions import Server, flight, head, opened, page, request
from tmapi_async import Page, RetryPolicy
from tmapi_async.errors import ConnectionFailedError


def whole(number: int) -> bytes:
    """A reply, from head to end."""
    body = page(number)
    return head(len(body)) + body


async def test_a_reply_that_nobody_asked_for_is_not_taken_for_the_next() -> None:
    """What came over an idle connection is no answer: the next page goes over another one."""
    sent = asyncio.Event()

    async def straying(_: Server, asked: str, writer: Any) -> None:
        writer.write(whole(int(re.search(r"page=(\d+)", asked)[1])))  # type: ignore[index]
        await writer.drain()
        await asyncio.sleep(0.02)  # else it comes with the reply, and aiohttp sees it itself
        writer.write(whole(99))
        sent.set()

    async with Server(straying) as server, opened(base_url=server.url) as session:
        for number in (1, 2, 3):
            sent.clear()
            got = await session.fetch(request(number), flight(session))
            assert isinstance(got, Page)
            assert (got.echoed_page, got.attempts) == (number, 1)
            await sent.wait()
            await asyncio.sleep(0.02)
        assert len(server.heads) == 3


async def test_a_server_that_speaks_first_is_not_called_without_end() -> None:
    """Each connection brings a reply before any request: that fails, after a few connections."""
    calls = []

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(writer)
        writer.write(whole(99))

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    once = RetryPolicy(base=0, max_attempts=1)
    async with opened(base_url=url, policy=once) as session:
        session._wire._connector = _Late(session._wire._connector)  # type: ignore[union-attr, assignment]
        try:
            got: object = await session.fetch(request(), flight(session))
        except ConnectionFailedError as error:
            got = error
    assert isinstance(got, ConnectionFailedError)
    assert 1 < len(calls) < 20
    for writer in calls:
        writer.close()
    server.close()
    await server.wait_closed()


class _Late:
    """A connector whose connections are handed on after the server has spoken."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def connect(self, *args: Any, **options: Any) -> Any:
        """A connection of the real connector."""
        found = await self._real.connect(*args, **options)
        async with asyncio.timeout(20):
            while not found.protocol.should_close:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.001)
        return found
