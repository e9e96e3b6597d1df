"""An API that is out for some time, below a real session, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import socket
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

import aiohttp

from tests.support.crawls import tasks
from tests.support.making import dumped, row
from tests.support.sessions import make_gate, open_session
from tests.support.virtual_time import virtual_loop
from tmapi_async import RetryPolicy, TMAPIError
from tmapi_async.api.listings import category_items
from tmapi_async.api.replies import Reply
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.frontier import Frontier
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.transport.http import mark_not_sent

if TYPE_CHECKING:
    from tmapi_async.api.replies import Page
    from tmapi_async.crawl.outcomes import ListingOutcome
    from tmapi_async.limits.gate import Gate

Kind = Literal["refused", "hanging", "blackholed", "reset", "500", "502"]
KINDS: tuple[Kind, ...] = ("refused", "hanging", "blackholed", "reset", "500", "502")

KEY: Any = aiohttp.client_reqrep.ConnectionKey("h", 80, False, False, None, None, None)
LATENCY = 0.05
PAGES = 5


class OutageApi:
    """HTTP transport of an API that is out between two times of the virtual clock.

    Args:
        kind: What an attempt meets during the outage.
        begins: Time at which the outage begins.
        ends: Time at which it ends.

    Attributes:
        sent: Times of all attempts.
        probing: Most attempts on their way at once that were sent in the outage, the first two
            seconds and the time-out of the first ones left out.
        served: Targets that were answered with a page, with the times.
        bad: Targets that always get a 500.
    """

    connector_closed = False

    def __init__(self, kind: Kind, begins: float, ends: float) -> None:
        self.kind, self.begins, self.ends = kind, begins, ends
        self.sent: list[float] = []
        self.served: list[tuple[float, str]] = []
        self.bad: set[str] = set()
        self.reached = 0
        self.quiet_from = math.inf
        self.probing = 0
        self._probes = 0

    def __call__(self, client: aiohttp.ClientSession, *_: Any) -> OutageApi:
        """Stand for the factory of transports."""
        self._client = client
        return self

    def take_kept(self) -> None:
        """Keep no connection."""

    async def exchange(self, target: str) -> Reply:
        """Answer one request."""
        now = virtual_loop().time()
        self.sent.append(now)
        if not self.begins <= now < self.ends:
            return await self._serve(target)
        is_probe = now >= self.quiet_from
        self._probes += is_probe
        self.probing = max(self.probing, self._probes)
        try:
            return await self._fail()
        finally:
            self._probes -= is_probe

    async def _serve(self, target: str) -> Reply:
        self.reached += 1
        await asyncio.sleep(LATENCY)
        target = target.partition("&apiToken")[0]
        if target in self.bad:
            return Reply(500, {}, dumped({"code": 500, "msg": "broken"}))
        if self.kind != "refused" and self.begins <= virtual_loop().time() < self.ends:
            raise aiohttp.ServerDisconnectedError  # the outage began while it was on its way
        self.served.append((virtual_loop().time(), target))
        params = dict(parse_qsl(urlsplit(target).query))
        cat, number = int(params["cat_id"]), int(params["page"])
        data = {"page": number, "has_next_page": number < PAGES, "items": [row(cat * 10 + number)]}
        return Reply(200, {}, dumped({"code": 200, "msg": "success", "data": data}))

    async def _fail(self) -> Reply:
        if self.kind == "refused":
            raise aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "refused"))
        if self.kind == "blackholed":
            await _connect_to_nobody()
        self.reached += 1
        if self.kind == "hanging":
            await asyncio.Event().wait()
        await asyncio.sleep(LATENCY)
        if self.kind == "reset":
            raise aiohttp.ServerDisconnectedError
        if self.kind == "502":
            return Reply(502, {}, b"<html><title>502 Bad Gateway</title></html>")
        return Reply(500, {}, dumped({"code": 500, "msg": "broken"}))

    async def close(self) -> None:
        """Close the client that prepares requests."""
        await self._client.close()

    def drop_idle(self) -> None:
        """Keep nothing."""


async def _connect_to_nobody() -> None:
    try:
        await asyncio.sleep(10)
        raise aiohttp.ConnectionTimeoutError
    except asyncio.CancelledError as error:
        mark_not_sent(error)
        raise


class Outcomes(CrawlSink):
    """Counts the endings of listings."""

    pending = 0

    def __init__(self) -> None:
        self.endings: dict[str, int] = {}

    def page(self, page: Page) -> None:
        """Keep nothing."""

    def ended(self, outcome: ListingOutcome) -> None:
        """Count an ending."""
        self.endings[outcome.ending] = self.endings.get(outcome.ending, 0) + 1


class WalkRecord:
    """Record of a walk over many listings.

    Attributes:
        endings: Ending -> number of listings.
        error: Error that ended the walk, or None.
        counts: Requests of the walk.
        gate: The gate.
        ended_at: Time at which the walk ended.
    """

    def __init__(self) -> None:
        self.endings: dict[str, int] = {}
        self.error: TMAPIError | None = None
        self.counts: Any = None
        self.gate: Gate | None = None
        self.ended_at = 0.0


async def walk_through(
    api: OutageApi,
    *,
    listings: int = 300,
    wait: float | None = 1800.0,
    gate: Gate | None = None,
    policy: RetryPolicy | None = None,
    **options: Any,
) -> WalkRecord:
    """Walk listings of five pages each through an outage."""
    record, sink = WalkRecord(), Outcomes()
    record.gate = gate or make_gate(8)
    policy = policy or RetryPolicy()
    async with open_session(
        record.gate, transport=api, wait=wait, policy=policy, **options
    ) as session:
        source: Any = tasks(*(category_items(cat) for cat in range(1, listings + 1)))
        crawler = Crawler(session, Frontier(lookahead=0), source, sink)
        try:
            await crawler.run()
        except TMAPIError as error:
            record.error = error
        finally:
            await crawler.close()
        record.counts, record.endings = crawler.request_counts(), sink.endings
        record.ended_at = virtual_loop().time()
        statistics = record.gate.statistics()
        assert statistics.in_flight == statistics.ghosts
    return record


class Line:
    """A line to a server on this machine that can be broken in several ways, over real sockets.

    Args:
        port: Port of the server behind the line.

    Attributes:
        port: Port of the line.
        attempts: Requests, or connections that never brought one, since the line was broken.
        at_once: Most of them that were on their way at once, those before the first pause left out.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.attempts = self.at_once = 0
        self._broken: Kind | None = None
        self._probes = 0
        self._server: asyncio.Server | None = None
        self._listener: socket.socket | None = None
        self._callers: list[socket.socket] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def mend(self) -> None:
        """Let the line work."""
        self._broken = None
        for sock in (*self._callers, *([self._listener] if self._listener else [])):
            sock.close()
        self._callers, self._listener = [], None
        self._hang_up()
        if self._server is None:
            self._server = await asyncio.start_server(
                self._relay, "127.0.0.1", self.port, reuse_address=True
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def tear(self, kind: Kind) -> None:
        """Break the line."""
        self._broken, self.attempts, self.at_once = kind, 0, 0
        if kind in ("refused", "blackholed"):
            assert self._server is not None
            self._server.close()
            self._server = None
        if kind == "blackholed":
            self._swallow()
        if kind != "hanging":
            self._hang_up()

    def _swallow(self) -> None:
        """Listen with a full backlog: packets that ask for a connection are dropped."""
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(0)
        for _ in range(4):
            caller = socket.socket()
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(("127.0.0.1", self.port))
            self._callers.append(caller)

    def _hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(server_writer)
            answers = asyncio.create_task(self._pass_answers(server_reader, writer))
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    if self._broken is None:
                        server_writer.write(head)
                    else:
                        await self._meet(reader, writer)
            finally:
                answers.cancel()
                server_writer.close()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Treat one request while the line is broken."""
        self.attempts += 1
        self._probes += 1
        self.at_once = max(self.at_once, self._probes)
        try:
            if self._broken == "500":
                await asyncio.sleep(0.02)
                body = dumped({"code": 500, "msg": "broken"})
                writer.write(b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            elif self._broken == "reset":
                writer.transport.abort()
            else:
                await reader.read()  # until the client gives up
        finally:
            self._probes -= 1

    async def _pass_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(2**16):
            if self._broken is None:
                writer.write(data)

    def restart_count(self) -> None:
        """Count the attempts at once anew."""
        self.at_once = 0

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in (*self._callers, *([self._listener] if self._listener else [])):
            sock.close()
