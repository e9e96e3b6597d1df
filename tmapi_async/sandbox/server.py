"""The sandbox: a local server that behaves as the API does, faults included."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from . import replies, wire
from .catalogue import Catalogue
from .config import Config, check_names
from .endpoints import GENERATED, Endpoint, ParameterError
from .faults import KINDS, Attempt, Faults
from .hashing import chance, normal
from .pages import Pages
from .recorded import Recordings
from .stats import Listing, Stats

if TYPE_CHECKING:
    from collections.abc import Callable
    from .replies import Reply

_LIVE = ("limit", "latency", "latency_sigma", "quota", "retry_after")
_GRACE = 0.05


class Sandbox:
    """A running sandbox.

        async with Sandbox(seed=1, limit=8, latency=0.05) as sandbox:
            ...  # requests to sandbox.url with the token "sandbox"
            assert sandbox.stats.peak_in_flight <= 8

    Args:
        config: How it behaves; everything has a default.
        options: Fields of [`Config`][tmapi_async.sandbox.Config], as keywords.

    Attributes:
        config: The configuration in force; change it with `change` or the properties.
        catalogue: What is sold: the truth that a walk must find.
        stats: What has been seen.
        recordings: The recorded bodies, if `bodies` was given.

    Raises:
        TypeError: An option is unknown.
        ValueError: An option has a bad value.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        check_names(options)
        self.config = replace(config or Config(), **options)
        self.catalogue = self.config.catalogue or Catalogue(
            self.config.seed,
            self.config.categories,
            mean=self.config.mean,
            page_size=self.config.page_size,
        )
        self.stats = Stats()
        self.recordings: Recordings | None = None
        if self.config.bodies is not None:
            self.recordings = Recordings(self.config.bodies, verbatim=self.config.verbatim)
        self._check_faults(self.config.faults)
        self._endpoints: dict[str, Endpoint] = dict(GENERATED)
        if self.recordings is not None:
            self._endpoints |= self.recordings.endpoints
        self._pages = Pages(self.config, self.catalogue)
        self._tasks: set[asyncio.Task[Any]] = set()
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
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
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
        for task in tuple(self._tasks):
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

    # Changing it while it runs

    def change(self, **options: Any) -> None:
        """Change options of the running sandbox; what is in flight keeps what it was sent with.

        Raises:
            TypeError: An option is unknown.
            ValueError: An option has a bad value.
        """
        check_names(options)
        changed = replace(self.config, **options)
        self._check_faults(changed.faults)
        self.config = changed
        self._pages = Pages(changed, self.catalogue)

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
        future = asyncio.get_running_loop().create_future()
        entry = (holds, future)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(within):
                await future
        except TimeoutError:
            raise TimeoutError(f"not within {within} s; the sandbox saw {self.stats}") from None
        finally:
            self._waiters.remove(entry)

    # Answering

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path.startswith("/__"):
            return await self._control(request, path)
        self.stats.requests += 1
        config = self.config
        query = dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))
        try:
            listing, page = self._admit(config, request, path, query)
        except _RefusedError as refused:
            return await self._send(request, refused.reply, config, _nothing)
        return await self._work(request, config, query, listing, page)

    def _admit(
        self, config: Config, request: web.BaseRequest, path: str, query: dict[str, str]
    ) -> tuple[Listing, int]:
        """Token, path, limit, parameters: in the order in which a gateway and its API look."""
        if path not in self._endpoints or request.method != "GET":
            raise _RefusedError(replies.error(config, 404))
        sent = query.get("apiToken", request.headers.get("apikey", ""))
        if sent not in config.tokens:
            text = "Invalid authentication credentials" if sent else None
            raise _RefusedError(replies.error(config, 401, self.stats.requests, text=text))
        if config.limit is not None and self.stats.in_flight >= config.limit:
            raise _RefusedError(replies.error(config, 503, self.stats.requests))
        try:
            listing, page = self._endpoints[path].read(query)
        except ParameterError as problem:
            raise _RefusedError(replies.error(config, 422, path, text=str(problem))) from None
        return listing, page

    async def _work(
        self,
        request: web.BaseRequest,
        config: Config,
        query: dict[str, str],
        listing: Listing,
        page: int,
    ) -> web.StreamResponse:
        slot = _Slot(self)
        nth = self.stats.enter(listing, page)
        self._notify()
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._labour(config, listing, page, nth)
            if request.transport is None:
                self.stats.aborted += 1
            attempt = Attempt(listing.path, listing.params, listing.cat_id, page, nth)
            reply = self._result(attempt, listing, query)
            return await self._send(request, reply, config, slot.release, listing, page)
        except asyncio.CancelledError:
            self.stats.aborted += not self._closing
            raise
        finally:
            self._tasks.discard(task)
            slot.release()

    async def _labour(self, config: Config, listing: Listing, page: int, nth: int) -> None:
        if config.latency:
            await asyncio.sleep(_delay(config, listing, page, nth))
        while (held := self._held) is not None:
            await held.wait()

    def _result(self, attempt: Attempt, listing: Listing, query: dict[str, str]) -> Reply:
        config = self.config  # quota and faults as they are now, not as the request came in
        if config.quota is not None and self.stats.billed >= config.quota:
            return replies.error(config, 439, attempt)
        name = config.faults.pick(config.seed, attempt)
        if self.recordings is not None and name in self.recordings.errors:
            status, body = self.recordings.errors[name]
            return replies.Reply(status, body, name)
        if name is None and self._is_unknown(config, attempt):
            return replies.error(config, 422, attempt, text="parameter error: no such category")
        right = self._page(listing, attempt.page, query)
        return replies.page(right) if name is None else replies.fault(config, name, right, attempt)

    def _page(self, listing: Listing, page: int, query: dict[str, str]) -> bytes:
        if self.recordings is not None and listing.path in self.recordings.endpoints:
            return self.recordings.body(listing.path, query, page)
        return self._pages.body(listing, page)

    def _is_unknown(self, config: Config, attempt: Attempt) -> bool:
        return (
            config.unknown == "422"
            and self.recordings is None
            and attempt.cat_id not in self.catalogue
        )

    async def _send(
        self,
        request: web.BaseRequest,
        reply: Reply,
        config: Config,
        release: Callable[[], None],
        listing: Listing | None = None,
        page: int = 0,
    ) -> web.StreamResponse:
        self.stats.codes[reply.label] += 1
        if reply.billed and listing is not None:
            self.stats.bill(listing, page, whole=reply.whole)
        if config.compress and reply.how == "whole" and _accepts_gzip(request, reply):
            reply = replies.compressed(reply)
        return await wire.send(request, reply, config, release)

    # Looking at it and changing it over HTTP

    async def _control(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if (path, request.method) == ("/__stats__", "GET"):
            return _json(self.stats.as_dict())
        if (path, request.method) == ("/__catalogue__", "GET"):
            sizes = {str(cat_id): self.catalogue.size(cat_id) for cat_id in self.catalogue}
            return _json({"seed": self.config.seed, "categories": sizes})
        if (path, request.method) == ("/__set__", "POST"):
            return self._set(await request.read())
        return _json({"message": "there are /__stats__, /__catalogue__ and POST /__set__"}, 404)

    def _set(self, body: bytes) -> web.Response:
        try:
            options = msgspec.json.decode(body, type=dict[str, float | str | None])
            if not set(options) <= set(_LIVE):
                raise ValueError(f"only {', '.join(_LIVE)} can be set")
            whole = {k: int(v) if k in ("limit", "quota") and v else v for k, v in options.items()}
            self.change(**whole)
        except (ValueError, TypeError, msgspec.DecodeError) as problem:
            return _json({"message": str(problem)}, 422)
        return _json({name: getattr(self.config, name) for name in _LIVE})

    def _check_faults(self, faults: Faults) -> None:
        known = set(KINDS) | set(self.recordings.errors if self.recordings else ())
        unknown = sorted(faults.names() - known)
        if unknown:
            raise ValueError(f"unknown faults {unknown}; there are {', '.join(sorted(known))}")

    def _leave(self) -> None:
        self.stats.in_flight -= 1
        self._notify()

    def _notify(self) -> None:
        for holds, future in self._waiters:
            if not future.done() and holds(self.stats):
                future.set_result(None)


class _RefusedError(Exception):
    """A request is turned away before any work is done for it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.label)
        self.reply = reply


class _Slot:
    """A slot of the server; giving it back twice is harmless."""

    __slots__ = ("_sandbox",)

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox: Sandbox | None = sandbox

    def release(self) -> None:
        if self._sandbox is not None:
            self._sandbox._leave()
            self._sandbox = None


def _nothing() -> None:
    """Refusals hold no slot."""


def _delay(config: Config, listing: Listing, page: int, nth: int) -> float:
    """Seconds of work: log-normal about the mean, the same for the same attempt."""
    sigma = config.latency_sigma
    if not sigma:
        return config.latency
    quantile = chance(config.seed, "latency", listing, page, nth)
    return config.latency * math.exp(sigma * normal(quantile) - sigma * sigma / 2)


def _accepts_gzip(request: web.BaseRequest, reply: Reply) -> bool:
    accepted = "gzip" in request.headers.get("Accept-Encoding", "")
    return accepted and bool(reply.body) and "Content-Encoding" not in reply.headers


def _json(body: object, status: int = 200) -> web.Response:
    content = msgspec.json.encode(body)
    return web.Response(status=status, body=content, content_type="application/json")
