"""Both HTTP transports with proxies, TLS, interim replies, and a caller's connector."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from typing import Any

import aiohttp
import pytest
import trustme

from tests.support.outages import Line
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
from tmapi_async import Page
from tmapi_async.errors import CertificateError, TMAPIError, UnreachableError
from tmapi_async.transport.retry import RetryPolicy
from tmapi_async.transport.session import Session

pytestmark = pytest.mark.usefixtures("transport")  # each test runs on both HTTP transports
ONCE = RetryPolicy(base=0, max_attempts=1)


async def fetched(session: Session, number: int = 1) -> Page | TMAPIError:
    """Return the page, or the error raised in its place."""
    try:
        return await session.fetch(request(number), new_state(session))
    except TMAPIError as error:
        return error


async def answer(_: Server, request_head: str, writer: Any) -> None:
    """Answer every request with the page it asks for."""
    await send_reply(writer, page(int(re.search(r"page=(\d+)", request_head)[1])))  # type: ignore[index]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("who", ["", "me:s3cret@"])
async def test_a_proxy_is_told_the_whole_url(monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    """Plain http through a proxy of the environment: absolute URL, host of the API, credentials."""
    async with Server(answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", f"//{who}"))
        async with open_session(base_url="http://api.localhost/v1", trust_env=True) as session:
            for number in (1, 2):
                assert isinstance(await fetched(session, number), Page)
    for number, sent in enumerate(proxy.heads, 1):
        target = f"http://api.localhost/v1/1688/category/items?cat_id=5&page={number}"
        assert sent.startswith(f"GET {target}&apiToken=t0ken HTTP/1.1\r\n")
        assert "\r\nHost: api.localhost\r\n" in sent
        credentials = re.findall(r"Proxy-Authorization: Basic (\S+)", sent)
        assert [base64.b64decode(one).decode() for one in credentials] == (
            [who[:-1]] if who else []
        )


async def test_the_environment_is_not_asked_for_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `trust_env` a proxy of the environment sees nothing."""
    async with Server(answer) as proxy, Server(answer) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with open_session(base_url=server.url) as session:
            assert isinstance(await fetched(session), Page)
    assert (len(proxy.heads), len(server.heads)) == (0, 1)


class Tunnel:
    """A proxy that obeys CONNECT, but connects to one port for any name; records the heads."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.heads: list[str] = []
        self._pumps: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        there = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        for source, sink in ((reader, there[1]), (there[0], writer)):
            self._pumps.append(asyncio.create_task(self._pump(source, sink)))

    @staticmethod
    async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(2**16):
                    sink.write(data)
                    await sink.drain()
        finally:
            sink.close()


@contextlib.asynccontextmanager
async def over_tls(authority: trustme.CA, heads: list[str]) -> Any:
    """Serve `api.localhost` over TLS, and yield the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("api.localhost").configure_cert(context)
    serving: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                body = page(len(heads))
                writer.write(head(len(body)) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in serving:
        writer.transport.abort()
    await server.wait_closed()
    await asyncio.sleep(0)


@pytest.mark.parametrize("auth", ["query", "header"])
@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_goes_through_a_tunnel(
    monkeypatch: pytest.MonkeyPatch, trusted: bool, auth: str
) -> None:
    """TLS through a proxy uses CONNECT, without the token, and is checked by the caller's CA."""
    authority, heads = trustme.CA(), list[str]()
    context = ssl.create_default_context()
    if trusted:
        authority.configure_trust(context)
    async with over_tls(authority, heads) as port:
        tunnel = Tunnel(port)
        async with tunnel as proxy:
            monkeypatch.setenv("https_proxy", proxy.replace("//", "//me:s3cret@"))
            connector = aiohttp.TCPConnector(ssl=context)
            options: dict[str, Any] = {"connector": connector, "trust_env": True, "policy": ONCE}
            options["auth"] = auth
            async with open_session(base_url=f"https://api.localhost:{port}", **options) as session:
                outcomes = [await fetched(session, number) for number in (1, 2)]
            await connector.close()
    if trusted:
        assert all(isinstance(result, Page) for result in outcomes)
        assert [re.split(r"[? ]|&apiToken", sent)[2] for sent in heads] == [
            "cat_id=5&page=1",
            "cat_id=5&page=2",
        ]
        assert all(sent.startswith("GET /1688/") for sent in heads)
        assert all("Proxy-Authorization" not in sent for sent in heads)
        assert len(tunnel.heads) == 1  # used again
    else:
        assert [type(result) for result in outcomes] == [CertificateError, CertificateError]
        assert heads == []
    for sent in tunnel.heads:
        assert sent.startswith(f"CONNECT api.localhost:{port} HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic" in sent
        assert "t0ken" not in sent


async def test_interim_replies_are_passed_over() -> None:
    """Interim replies of a server (RFC 9110, 15.2) are not taken for the reply."""

    async def hinting(_: Server, request_head: str, writer: Any) -> None:
        for status in ("102 Processing", "103 Early Hints"):
            writer.write(head(None, status, "Link: </x>; rel=preload"))
        await answer(_, request_head, writer)

    async with Server(hinting) as server, open_session(base_url=server.url) as session:
        for number in (1, 2):
            result = await fetched(session, number)
            assert isinstance(result, Page)
            assert (result.number, result.echoed_page, result.attempts) == (number, number, 1)


async def test_a_connection_that_the_server_closes_is_not_asked_again() -> None:
    """After `Connection: close` the next page has a new connection, and no attempt fails."""
    ports = []

    async def closing(_: Server, request_head: str, writer: Any) -> None:
        ports.append(writer.get_extra_info("peername"))
        await send_reply(
            writer, page(int(request_head.split("page=")[1][0])), "200 OK", "Connection: close"
        )

    async with Server(closing) as server, open_session(base_url=server.url) as session:
        for number in (1, 2, 3):
            result = await fetched(session, number)
            assert isinstance(result, Page)
            assert result.attempts == 1
    assert len(set(ports)) == len(server.heads) == 3


async def test_a_connector_may_close_each_connection() -> None:
    """A connector that keeps no connection: the server is informed, and each page has a new one."""
    ports = []

    async def note(_: Server, request_head: str, writer: Any) -> None:
        ports.append(writer.get_extra_info("peername"))
        await answer(_, request_head, writer)

    async with (
        Server(note) as server,
        aiohttp.TCPConnector(force_close=True) as connector,
        open_session(base_url=server.url, connector=connector) as session,
    ):
        for number in (1, 2, 3):
            assert isinstance(await fetched(session, number), Page)
    assert all("\r\nConnection: close\r\n" in sent for sent in server.heads)
    assert len(set(ports)) == 3


async def test_a_callers_connector_is_free_between_pages() -> None:
    """No connection is held between pages: a connector with one connection serves others too."""
    async with (
        Server(answer) as server,
        aiohttp.TCPConnector(limit=1) as connector,
        aiohttp.ClientSession(connector=connector) as others,
        open_session(make_gate(1), base_url=server.url, connector=connector) as session,
    ):
        for number in (1, 2, 3):
            assert isinstance(await fetched(session, number), Page)
            async with asyncio.timeout(20), others.get(f"{server.url}/?page=9") as reply:
                assert await reply.read() == page(9)
        assert len(server.heads) == 6


async def test_a_host_that_drops_packets_is_not_charged_for() -> None:
    """A connection that is not made in time is told from a reply that does not come."""
    async with Line(9) as line:
        await line.tear("blackholed")
        base_url = f"http://127.0.0.1:{line.port}"
        async with open_session(base_url=base_url, timeout=0.5, policy=ONCE) as session:
            error = await fetched(session)
            assert type(error) is UnreachableError
            assert "no connection within 0.45 s" in str(error)
            assert session.gate.budget.spent == 0
