"""The sandbox: a local server that behaves as the API does, faults included."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from aiohttp import web

from tmapi_async.sandbox.responses import envelopes as replies
from tmapi_async.sandbox.responses.config import Config, check_names

from . import control, wire
from .backend import Backend, ServedRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tmapi_async.sandbox.catalogue.catalogue import Catalogue
    from tmapi_async.sandbox.responses.envelopes import SandboxReply
    from tmapi_async.sandbox.responses.faults import Faults
    from tmapi_async.sandbox.responses.recordings import Recordings
    from tmapi_async.sandbox.responses.stats import Stats

_GRACE = 0.05


class Sandbox:
    """A running sandbox.

        async with Sandbox(seed=1, limit=8, latency=0.05) as sandbox:
            ...  # requests to sandbox.url with the token "sandbox"
            assert sandbox.stats.peak_in_flight <= 8

    Args:
        config: How it behaves; everything has a default.
        options: Fields of [`Config`][tmapi_async.sandbox.Config], as keywords.

    Raises:
        TypeError: An option is unknown.
        ValueError: An option has a bad value.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        check_names(options)
        self._backend = Backend(replace(config or Config(), **options))
        self._working: dict[asyncio.Task[None], tuple[web.BaseRequest, _Once]] = {}
        self._waiters: list[tuple[Callable[[Stats], bool], asyncio.Future[None]]] = []
        self._held: asyncio.Event | None = None
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
        seen = self.stats
        where = self._url or "not started"
        return f"<Sandbox {where} requests={seen.requests} in_flight={seen.in_flight}>"

    # Life

    async def start(self) -> None:
        """Bind and serve.

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
        """Stop listening, drop every request being worked on, and close all connections."""
        if self._listener is None or self._server is None:
            return
        self._closing = True
        self._listener.close()
        for task in tuple(self._working):
            task.cancel()
        self._server.pre_shutdown()
        await self._server.shutdown(_GRACE)
        await self._listener.wait_closed()
        self._listener = self._server = None

    @property
    def url(self) -> str:
        """Base URL (`http://127.0.0.1:40123`).

        Raises:
            RuntimeError: The sandbox was not started.
        """
        if not self._url:
            raise RuntimeError("the sandbox is not running: use `async with` or call start()")
        return self._url

    # What it is

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._backend.config

    @property
    def catalogue(self) -> Catalogue:
        """What is sold: the truth that a walk must find."""
        return self._backend.catalogue

    @property
    def recordings(self) -> Recordings | None:
        """The recorded bodies, if `bodies` was given."""
        return self._backend.recordings

    @property
    def stats(self) -> Stats:
        """What has been seen."""
        return self._backend.stats

    # Changing it while it runs

    def change(self, **options: Any) -> None:
        """Change options of the running sandbox.

        Balance, limit and faults count from now on, for what is in flight too. `catalogue` and
        the options it is made from, `bodies`, `ghosts`, `host`, `port` and `ssl` are only read at
        the start.

        Raises:
            TypeError: An option is unknown.
            ValueError: An option has a bad value.
        """
        check_names(options)
        self._backend.change(**options)

    @property
    def limit(self) -> int | None:
        """Requests worked on at once before the rest get 503. May be set."""
        return self.config.limit

    @limit.setter
    def limit(self, value: int | None) -> None:
        self.change(limit=value)

    @property
    def latency(self) -> float:
        """Mean seconds of work for one request. May be set."""
        return self.config.latency

    @latency.setter
    def latency(self, value: float) -> None:
        self.change(latency=value)

    @property
    def quota(self) -> int | None:
        """Billed replies that the balance pays for. May be set, as topping it up does."""
        return self.config.quota

    @quota.setter
    def quota(self, value: int | None) -> None:
        self.change(quota=value)

    @property
    def faults(self) -> Faults:
        """What goes wrong. May be set."""
        return self.config.faults

    @faults.setter
    def faults(self, value: Faults) -> None:
        self.change(faults=value)

    # For tests that must not sleep

    def hold(self) -> None:
        """Keep every request that is let in from being answered, until `release`."""
        if self._held is None:
            self._held = asyncio.Event()

    def release(self) -> None:
        """Answer what `hold` kept, and what comes."""
        if self._held is not None:
            self._held.set()
            self._held = None

    async def until(self, holds: Callable[[Stats], bool], within: float = 10.0) -> None:
        """Wait until the statistics satisfy a condition.

        Args:
            holds: The condition, looked at after each change.
            within: Seconds after which to give up.

        Raises:
            TimeoutError: It did not become true in time.
        """
        if holds(self.stats):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (holds, future)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(within):
                await future
        except TimeoutError:
            seen = self.stats.as_dict()
            raise TimeoutError(f"not within {within} s; the sandbox has seen {seen}") from None
        finally:
            self._waiters.remove(entry)

    # Answering

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        url = request.rel_url
        path, text = url.raw_path, url.raw_query_string
        if control.is_control(path):
            return control.answer(self, request.method, path, await request.read())
        query = dict(parse_qsl(text, keep_blank_values=True))
        key = request.headers.get("apikey", "")
        self._reap()
        admitted = self._backend.admit(request.method, path, query, key)
        if isinstance(admitted, ServedRequest):
            return await self._work(request, admitted)
        return await self._send(request, admitted, self._notify)

    async def _work(self, request: web.BaseRequest, visit: ServedRequest) -> web.StreamResponse:
        release, task = _Once(self._leave), request.task
        self._working[task] = (request, release)
        try:
            self._notify()
            await self._labour(visit.seconds)
            if request.transport is None:  # only a ghost gets here
                self.stats.aborted += 1
            return await self._send(request, self._backend.answer(visit), release)
        except asyncio.CancelledError:
            self.stats.aborted += not self._closing
            raise
        finally:
            del self._working[task]
            release()
            self._notify()

    async def _labour(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        while (held := self._held) is not None:
            await held.wait()

    async def _send(
        self, request: web.BaseRequest, reply: SandboxReply, release: Callable[[], None]
    ) -> web.StreamResponse:
        self.stats.codes[reply.label] += 1
        config = self.config
        if config.compress and "gzip" in request.headers.get("Accept-Encoding", ""):
            reply = replies.compressed(reply)
        return await wire.send(request, reply, config, release)

    def _reap(self) -> None:
        """Free the slots of clients that are known to be gone, before they are counted.

        A closed connection cancels its handler two turns of the loop later; a request that came
        after it would meet a slot that its client has already given back.
        """
        seen, config = self.stats, self.config
        full = config.limit is not None and seen.in_flight >= config.limit
        if config.ghosts or not (full or seen.in_flight == seen.peak_in_flight):
            return
        for request, release in tuple(self._working.values()):
            transport = request.transport
            if transport is None or transport.is_closing():
                release()

    def _leave(self) -> None:
        self.stats.in_flight -= 1
        self._notify()

    def _notify(self) -> None:
        for holds, future in self._waiters:
            if not future.done() and holds(self.stats):
                future.set_result(None)


class _Once:
    """Calls a function the first time that it is called itself."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
