"""The sandbox: a local server that behaves like the API, including its faults."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from aiohttp import web

from tmapi_async.sandbox.responses import envelopes as replies
from tmapi_async.sandbox.responses.config import Config, check_names

from . import control, delivery
from .backend import Backend, ServedRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tmapi_async.sandbox.catalogue.catalogue import Catalogue
    from tmapi_async.sandbox.responses.envelopes import SandboxReply
    from tmapi_async.sandbox.responses.faults import Faults
    from tmapi_async.sandbox.responses.recordings import Recordings
    from tmapi_async.sandbox.responses.stats import Stats

_ACCEPTING_TURNS = 10  # of the event loop, from accepting a connection to `connection_made`
_SHUTDOWN_SECONDS = 0.05


class Sandbox:
    """A running sandbox.

        async with Sandbox(seed=1, limit=8, latency=0.05) as sandbox:
            ...  # requests to sandbox.url with the token "sandbox"
            assert sandbox.stats.peak_in_flight <= 8

    Args:
        config: Configuration of the sandbox; every option has a default.
        options: Fields of [`Config`][tmapi_async.sandbox.Config], as keywords.

    Raises:
        TypeError: An option is unknown.
        ValueError: An option has a bad value.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        check_names(options)
        self._backend = Backend(replace(config or Config(), **options))
        self._working: dict[asyncio.Task[None], tuple[web.BaseRequest, _CallOnce]] = {}
        self._waiters: list[tuple[Callable[[Stats], bool], asyncio.Future[None]]] = []
        self._released: asyncio.Event | None = None
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._closing = False
        self._url = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        stats = self.stats
        where = self._url or "not started"
        return f"<Sandbox {where} requests={stats.requests} in_flight={stats.in_flight}>"

    # Start and end

    async def start(self) -> None:
        """Bind the address and serve requests.

        Raises:
            OSError: The address cannot be bound.
        """
        config = self.config
        self._server = web.Server(
            self._handle, handler_cancellation=not config.ghosts, access_log=None
        )
        self._listener = await asyncio.get_running_loop().create_server(
            self._server, config.host, config.port, ssl=config.ssl, backlog=1024
        )
        port = self._listener.sockets[0].getsockname()[1]
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._url = f"{'https' if config.ssl else 'http'}://{host}:{port}"
        self._closing = False

    async def close(self) -> None:
        """Stop listening, drop all requests in progress, and close all connections."""
        if self._listener is None or self._server is None:
            return
        self._closing = True
        # asyncio loses a connection that it has accepted but not yet made when the listener is
        # closed: nothing closes it, and `wait_closed` may wait for it. Accept no more, then wait.
        loop = asyncio.get_running_loop()
        for listening in self._listener.sockets:
            with contextlib.suppress(NotImplementedError):  # of loops without readers (Windows)
                loop.remove_reader(listening.fileno())
        for _ in range(_ACCEPTING_TURNS):
            await asyncio.sleep(0)
        self._listener.close()
        for task in tuple(self._working):
            task.cancel()
        self._server.pre_shutdown()
        await self._server.shutdown(_SHUTDOWN_SECONDS)
        await self._listener.wait_closed()
        await asyncio.sleep(0)  # closed transports let go of their sockets in the next turn
        self._listener = self._server = None

    @property
    def url(self) -> str:
        """Base URL (`http://127.0.0.1:40123`).

        Raises:
            RuntimeError: The sandbox is not started.
        """
        if not self._url:
            raise RuntimeError("the sandbox is not running: use `async with` or call start()")
        return self._url

    # State

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._backend.config

    @property
    def catalogue(self) -> Catalogue:
        """The products: the items that a complete walk must find."""
        return self._backend.catalogue

    @property
    def recordings(self) -> Recordings | None:
        """The recorded bodies, if `bodies` is set."""
        return self._backend.recordings

    @property
    def stats(self) -> Stats:
        """Statistics of the requests so far."""
        return self._backend.stats

    # Changes while the sandbox runs

    def change(self, **options: Any) -> None:
        """Change options of the running sandbox.

        Changes of balance, limit and faults also apply to requests in flight. `catalogue` and the
        options that generate it, `bodies`, `ghosts`, `host`, `port` and `ssl` are only read at the
        start.

        Raises:
            TypeError: An option is unknown.
            ValueError: An option has a bad value.
        """
        check_names(options)
        self._backend.change(**options)

    @property
    def limit(self) -> int | None:
        """Concurrent requests before further ones get 503. Can be set."""
        return self.config.limit

    @limit.setter
    def limit(self, value: int | None) -> None:
        self.change(limit=value)

    @property
    def latency(self) -> float:
        """Mean processing time of a request, in seconds. Can be set."""
        return self.config.latency

    @latency.setter
    def latency(self, value: float) -> None:
        self.change(latency=value)

    @property
    def quota(self) -> int | None:
        """Billed replies that the balance pays for. Can be set, for example to top up."""
        return self.config.quota

    @quota.setter
    def quota(self, value: int | None) -> None:
        self.change(quota=value)

    @property
    def faults(self) -> Faults:
        """Faults to produce. Can be set."""
        return self.config.faults

    @faults.setter
    def faults(self, value: Faults) -> None:
        self.change(faults=value)

    # Control for tests without sleeps

    def hold(self) -> None:
        """Hold back the replies to all admitted requests until `release` is called."""
        if self._released is None:
            self._released = asyncio.Event()

    def release(self) -> None:
        """Send the replies held back by `hold`, and all later ones."""
        if self._released is not None:
            self._released.set()
            self._released = None

    async def until(self, holds: Callable[[Stats], bool], within: float = 10.0) -> None:
        """Wait until the statistics satisfy a condition.

        Args:
            holds: The condition; called after each change.
            within: Maximum time to wait, in seconds.

        Raises:
            TimeoutError: The condition did not become true in time.
        """
        if holds(self.stats):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (holds, future)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(within):
                await future
        except TimeoutError:
            stats = self.stats.as_dict()
            raise TimeoutError(
                f"the condition was not true within {within} s; statistics: {stats}"
            ) from None
        finally:
            self._waiters.remove(waiter)

    # Requests

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        url = request.rel_url
        path, text = url.raw_path, url.raw_query_string
        if control.is_control(path):
            return control.answer(self, request.method, path, await request.read())
        query = dict(parse_qsl(text, keep_blank_values=True))
        key = request.headers.get("apikey", "")
        self._release_closed()
        admitted = self._backend.admit(request.method, path, query, key)
        if isinstance(admitted, ServedRequest):
            return await self._work(request, admitted)
        return await self._send(request, admitted, self._notify)

    async def _work(self, request: web.BaseRequest, served: ServedRequest) -> web.StreamResponse:
        release, task = _CallOnce(self._leave_slot), request.task
        self._working[task] = (request, release)
        try:
            self._notify()
            await self._simulate_work(served.seconds)
            if request.transport is None:  # the client has disconnected, and `ghosts` is set
                self.stats.aborted += 1
            return await self._send(request, self._backend.answer(served), release)
        except asyncio.CancelledError:
            self.stats.aborted += not self._closing
            raise
        finally:
            del self._working[task]
            release()
            self._notify()

    async def _simulate_work(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        while (released := self._released) is not None:
            await released.wait()

    async def _send(
        self, request: web.BaseRequest, reply: SandboxReply, release: Callable[[], None]
    ) -> web.StreamResponse:
        self.stats.codes[reply.label] += 1
        config = self.config
        if config.compress and "gzip" in request.headers.get("Accept-Encoding", ""):
            reply = replies.compressed(reply)
        return await delivery.send(request, reply, config, release)

    def _release_closed(self) -> None:
        """Release the slots of clients that have disconnected, before slots are counted.

        A closed connection cancels its handler only two iterations of the event loop later. Until
        then the next request of the same client would find its own former slot taken.
        """
        stats, config = self.stats, self.config
        full = config.limit is not None and stats.in_flight >= config.limit
        if config.ghosts or not (full or stats.in_flight == stats.peak_in_flight):
            return
        for request, release in tuple(self._working.values()):
            transport = request.transport
            if transport is None or transport.is_closing():
                release()

    def _leave_slot(self) -> None:
        self.stats.in_flight -= 1
        self._notify()

    def _notify(self) -> None:
        for holds, future in self._waiters:
            if not future.done() and holds(self.stats):
                future.set_result(None)


class _CallOnce:
    """Calls a function on the first call only."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
