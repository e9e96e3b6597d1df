"""The transport on aiohttp's public interface: a request is sent once."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.support.sessions import (
    Server,
    make_gate,
    new_state,
    open_session,
    page,
    request,
    send_reply,
)
from tmapi_async import Page, RetryPolicy
from tmapi_async.errors import ConnectionFailedError
from tmapi_async.transport.http_client_session import ClientSessionTransport


async def drop_second(server: Server, _: str, writer: Any) -> None:
    """Answer the first request, and drop the connection at every other one."""
    if len(server.heads) == 1:
        await send_reply(writer, page(1))
    else:
        writer.close()


async def test_aiohttp_itself_sends_a_request_twice() -> None:
    """Without our middleware a dropped connection costs two requests: the reason to have one."""
    async with Server(drop_second) as server, aiohttp.ClientSession() as client:
        async with client.get(server.url) as reply:
            await reply.read()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.get(server.url)
        assert len(server.heads) == 3


async def test_a_dropped_connection_is_not_tried_again() -> None:
    """The second request is sent once, fails, and is counted once."""
    once = RetryPolicy(base=0, max_attempts=1)
    options: dict[str, Any] = {"policy": once, "transport": ClientSessionTransport}
    async with (
        Server(drop_second) as server,
        open_session(make_gate(1), base_url=server.url, **options) as session,
    ):
        assert isinstance(await session.fetch(request(1), new_state(session)), Page)
        with pytest.raises(ConnectionFailedError, match="closed before a reply came"):
            await session.fetch(request(2), new_state(session))
        assert len(server.heads) == 2
        assert session.gate.statistics().requests == 2
