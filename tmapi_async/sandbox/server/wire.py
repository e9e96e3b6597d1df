"""How a reply goes out: whole, or broken in the ways that connections break."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tmapi_async.sandbox.responses.config import Config
    from tmapi_async.sandbox.responses.envelopes import SandboxReply

_PIECES = 10
_WITHOUT_REPLY = ("cut", "reset", "hang")
_SPACES = b" " * 2**18
_LINGER_NOT = struct.pack("ii", 1, 0)


async def send(
    request: web.BaseRequest, reply: SandboxReply, config: Config, release: Callable[[], None]
) -> web.StreamResponse:
    """Send a reply.

    Args:
        request: What is answered.
        reply: The reply.
        config: Supplies the times and sizes of slow and oversized replies.
        release: Gives the slot back. Called before the client can see the end of the reply, so
            that a client that sends its next request at once never finds its own slot taken.
    """
    if reply.how == "whole":
        release()
        return web.Response(status=reply.status, body=reply.body or None, headers=_headers(reply))
    if reply.how in _WITHOUT_REPLY:
        return await _cut(request, reply, config, release)
    try:
        if reply.how == "truncated":
            return await _truncated(request, reply, release)
        return await _streamed(request, reply, config, release)
    except ConnectionError:
        release()  # the client went away: nothing can be sent, and nobody is left to tell
        return web.Response()


def _headers(reply: SandboxReply) -> dict[str, str]:
    return {"Content-Type": reply.content_type, **reply.headers}


async def _cut(
    request: web.BaseRequest, reply: SandboxReply, config: Config, release: Callable[[], None]
) -> web.StreamResponse:
    if reply.how == "hang":
        await asyncio.sleep(config.hang)
    release()
    transport = request.transport
    if transport is not None:
        if reply.how == "reset":
            # Without lingering, closing a socket sends RST in place of FIN.
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()
    return web.Response()


async def _truncated(
    request: web.BaseRequest, reply: SandboxReply, release: Callable[[], None]
) -> web.StreamResponse:
    response = await _begun(request, reply, len(reply.body))
    release()
    await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.close()  # flushes what was written, then closes
    return response


async def _streamed(
    request: web.BaseRequest, reply: SandboxReply, config: Config, release: Callable[[], None]
) -> web.StreamResponse:
    body, size = reply.body, len(reply.body)
    if reply.how == "padded":
        size = max(config.oversized, size)
        pieces = _padded(body, size)
    else:
        pieces = _trickled(body, config.slow)
    response, left = await _begun(request, reply, size), size
    async for piece in pieces:
        left -= len(piece)
        if left <= 0:
            release()
        await response.write(piece)
    return response


async def _begun(request: web.BaseRequest, reply: SandboxReply, size: int) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=_headers(reply))
    response.content_length = size
    await response.prepare(request)
    return response


async def _trickled(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    step = max(1, -(-len(body) // _PIECES))
    for start in range(0, len(body), step):
        await asyncio.sleep(seconds / _PIECES)
        yield body[start : start + step]


async def _padded(body: bytes, size: int) -> AsyncIterator[bytes]:
    yield body
    left = size - len(body)
    while left > 0:
        yield _SPACES[:left]
        left -= len(_SPACES)
