"""Delivery of replies: complete, or broken in the ways in which connections break."""

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
_NO_LINGER = struct.pack("ii", 1, 0)


async def send(
    request: web.BaseRequest, reply: SandboxReply, config: Config, release: Callable[[], None]
) -> web.StreamResponse:
    """Send a reply.

    Args:
        request: The request.
        reply: The reply.
        config: Supplies the times and sizes of slow and oversized replies.
        release: Returns the slot. Called before the client can see the end of the reply, so that
            a client that sends its next request immediately never finds its own slot taken.
    """
    if reply.delivery == "whole":
        release()
        return web.Response(status=reply.status, body=reply.body or None, headers=_headers(reply))
    if reply.delivery in _WITHOUT_REPLY:
        return await _send_nothing(request, reply, config, release)
    try:
        if reply.delivery == "truncated":
            return await _send_half(request, reply, release)
        return await _stream(request, reply, config, release)
    except ConnectionError:
        release()  # the client has disconnected
        return web.Response()


def _headers(reply: SandboxReply) -> dict[str, str]:
    return {"Content-Type": reply.content_type, **reply.headers}


async def _send_nothing(
    request: web.BaseRequest, reply: SandboxReply, config: Config, release: Callable[[], None]
) -> web.StreamResponse:
    if reply.delivery == "hang":
        await asyncio.sleep(config.hang)
    release()
    transport = request.transport
    if transport is not None:
        if reply.delivery == "reset":
            # With SO_LINGER and a time of 0, closing a socket sends RST instead of FIN.
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    return web.Response()


async def _send_half(
    request: web.BaseRequest, reply: SandboxReply, release: Callable[[], None]
) -> web.StreamResponse:
    response = await _start_response(request, reply, len(reply.body))
    release()
    await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.close()  # flushes the written bytes, then closes
    return response


async def _stream(
    request: web.BaseRequest, reply: SandboxReply, config: Config, release: Callable[[], None]
) -> web.StreamResponse:
    body, size = reply.body, len(reply.body)
    if reply.delivery == "padded":
        size = max(config.oversized, size)
        pieces = _padded_pieces(body, size)
    else:
        pieces = _slow_pieces(body, config.slow)
    response, remaining = await _start_response(request, reply, size), size
    async for piece in pieces:
        remaining -= len(piece)
        if remaining <= 0:
            release()
        await response.write(piece)
    return response


async def _start_response(
    request: web.BaseRequest, reply: SandboxReply, size: int
) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=_headers(reply))
    response.content_length = size
    await response.prepare(request)
    return response


async def _slow_pieces(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    step = max(1, -(-len(body) // _PIECES))
    for start in range(0, len(body), step):
        await asyncio.sleep(seconds / _PIECES)
        yield body[start : start + step]


async def _padded_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    yield body
    remaining = size - len(body)
    while remaining > 0:
        yield _SPACES[:remaining]
        remaining -= len(_SPACES)
