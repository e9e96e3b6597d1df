"""One connection of aiohttp's connector, which carries one exchange after another."""

from __future__ import annotations

import asyncio
import functools
import math
import select
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp

from tmapi_async.api.replies import Reply
from tmapi_async.transport.http import BodyTooLargeError, InvalidHttpError

from .read_memory import ReadMemory
from .reply_reader import ReplyReader

if TYPE_CHECKING:  # not at run time: a version of aiohttp without it must still import this module
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection


class PageConnection(asyncio.BufferedProtocol):
    """A connection that writes one request at a time and collects its reply.

    It takes the place of aiohttp's own protocol while the connection is used, and puts that back
    when the connection is returned to the connector.

    Args:
        connection: Connection of the connector.
        handler: aiohttp's protocol of the connection.
        transport: Transport of the connection.
        max_body: Longest body accepted, in bytes.
        memory: Memory that the loop reads into; connections of one loop share it.

    Attributes:
        handler: aiohttp's protocol of the connection; None while the connector has it, and once the
            connection has ended.
        ended_at: Time of the end of the last exchange on the monotonic clock; if there was none, a
            time in the future.
        idle: Seconds from then until the present exchange.
        unread: Function that returns something true if bytes or the end of the connection wait,
            unread by the loop; its argument is the time to wait for them, 0 milliseconds.
    """

    __slots__ = (
        "_arrived", "_buffer", "_connection", "_is_open", "_is_tls", "_last_handler", "_loop",
        "_reader", "_transport", "ended_at", "handler", "idle", "unread",
    )  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        handler: ResponseHandler,
        transport: asyncio.Transport,
        max_body: int,
        memory: ReadMemory,
    ) -> None:
        self.handler: Any = None
        self._transport: Any = None
        self._connection: Connection | None = None
        # Weak: the connector owns a connection that was returned to it.
        self._last_handler = weakref.ref(handler)
        self._loop = loop = asyncio.get_running_loop()
        self._buffer = memory.view
        self._reader = ReplyReader(loop, max_body, self, memory)
        self._arrived: Callable[[Reply | Exception], None] | None = None
        self._is_open = True
        self.ended_at = math.inf
        self.idle = -math.inf
        self.unread = _poll_of(transport)
        self._is_tls = transport.get_extra_info("sslcontext") is not None
        self.take(connection, handler, transport)

    def take(
        self, connection: Connection, handler: ResponseHandler, transport: asyncio.Transport
    ) -> None:
        """Take the connection from the connector, which has handed it out, perhaps again."""
        self._connection, self.handler, self._transport = connection, handler, transport
        transport.set_protocol(self)

    @property
    def is_usable(self) -> bool:
        """True if a request may be sent: nothing has come or ended since the last exchange."""
        return (
            self._is_open
            and self._reader.is_reusable
            and not self._transport.is_closing()
            # Before the first reply over TLS, session tickets of the server wait: they are none.
            and (not self.unread(0) or (self._is_tls and self.ended_at == math.inf))
        )

    def send(self, data: bytes) -> asyncio.Future[Reply]:
        """Write a request; return the future of its reply.

        Its exceptions: `BodyTooLargeError`, `InvalidHttpError`, those of aiohttp.
        """
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self.start(data, functools.partial(_resolve, waiter))
        return waiter

    def start(self, data: bytes, arrived: Callable[[Reply | Exception], None]) -> None:
        """Write a request.

        Args:
            data: The request.
            arrived: Called with the reply, or with an exception as of `send`; not called after
                `close`.
        """
        self._arrived = arrived
        self._transport.write(data)

    def release(self) -> ResponseHandler | None:
        """Return the connection to the connector, after an exchange.

        Returns:
            aiohttp's protocol, with which the connector may hand the connection out again; None if
            the connection is closed.
        """
        connection, handler = self._connection, self.handler
        if connection is None:
            return None
        if not (self._is_open and self._reader.is_reusable):
            self.close()
            return None
        self._transport.set_protocol(handler)
        connection.release()
        self._connection = self.handler = self._transport = None
        return handler  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the connection: a part of a reply may still be on its way."""
        self._is_open, self._arrived = False, None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._transport.close()
            return
        handler = self._last_handler()
        if handler is not None and handler.transport is not None:
            handler.transport.close()

    # -- called by the event loop

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop passes it
        """Return the memory that the loop reads into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Read a part of the reply."""
        arrived = self._arrived
        if arrived is None:
            self._fail(aiohttp.ServerDisconnectedError())  # nobody asked for it
            return
        try:
            reply = self._reader.feed_memory(nbytes)
        except (BodyTooLargeError, aiohttp.ClientPayloadError) as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - the parser may raise anything
            failure = InvalidHttpError()
            failure.__cause__ = error
            self._fail(failure)
        else:
            if reply is not None:
                self._arrived = None
                arrived(reply)

    def eof_received(self) -> None:
        """Let the connection end, as the server has ended it."""

    def connection_lost(self, error: Exception | None) -> None:
        """End the exchange; a body without length ends with the connection."""
        self._is_open = False
        self.handler.connection_lost(error)  # aiohttp waits for it when a connector is closed
        self.handler = None  # by which an ended connection would be remembered for ever
        arrived, self._arrived = self._arrived, None
        if arrived is None:
            return
        try:
            reply = self._reader.feed_eof()
        except (BodyTooLargeError, aiohttp.ClientPayloadError) as failure:
            arrived(failure)
            return
        if reply is not None:
            arrived(reply)
        elif isinstance(error, OSError):
            arrived(aiohttp.ClientOSError(*error.args))
        else:
            arrived(error or aiohttp.ServerDisconnectedError())

    def _fail(self, error: Exception) -> None:
        self._is_open = False
        self._transport.close()
        arrived, self._arrived = self._arrived, None
        if arrived is not None:
            arrived(error)

    def __repr__(self) -> str:
        state = "closed" if not self._is_open else "idle" if self._arrived is None else "busy"
        return f"<PageConnection: {state}>"


def _resolve(waiter: asyncio.Future[Reply], end: Reply | Exception) -> None:
    if waiter.done():
        return
    if isinstance(end, Exception):
        waiter.set_exception(end)
    else:
        waiter.set_result(end)


def _poll_of(transport: asyncio.Transport) -> Callable[[int], object]:
    """Return a function that looks for unread bytes in the socket of a connection."""
    sock = transport.get_extra_info("socket")
    if sys.platform == "win32" or sock is None:  # Windows has no poll
        return _nothing_unread
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return poll.poll


def _nothing_unread(_: int) -> object:
    return None
