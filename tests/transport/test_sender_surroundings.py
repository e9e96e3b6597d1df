"""A session with a caller's connector, with proxies, and with odd base URLs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.sessions import Server, new_state, open_session, page, request, send_reply
from tmapi_async import Page, RetryPolicy
from tmapi_async.errors import ClosedError, ConnectionFailedError, InvalidRequestError

if TYPE_CHECKING:
    from tmapi_async.transport.session import Session

pytestmark = pytest.mark.usefixtures("transport")  # each test runs on both HTTP transports
ONCE = RetryPolicy(base=0, max_attempts=1)


async def ask(session: Session) -> object:
    """The page."""
    return await session.fetch(request(), new_state(session))


async def answer(_: Server, __: str, writer: Any) -> None:
    """Answer every request with a page."""
    await send_reply(writer, page())


@pytest.mark.parametrize("used", [False, True])
async def test_a_connector_that_was_closed_is_told_of(used: bool) -> None:
    """A connector that was closed too early gives a typed error that says so, at once."""
    async with Server(answer) as server:
        connector = aiohttp.TCPConnector()
        async with open_session(base_url=server.url, connector=connector) as session:
            if used:
                assert isinstance(await ask(session), Page)
            await connector.close()
            with pytest.raises(ClosedError, match="connector") as caught:
                await ask(session)
        assert "after the client" in str(caught.value)
        assert len(server.heads) == used


async def test_a_proxy_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the proxy, not the API, and shows no password."""
    monkeypatch.setenv("http_proxy", "http://me:s3cret@127.0.0.1:1")
    options: dict[str, Any] = {"trust_env": True, "policy": ONCE}
    async with open_session(base_url="http://api.localhost", **options) as session:
        with pytest.raises(ConnectionFailedError, match=r"the proxy 127\.0\.0\.1:1: ") as caught:
            await ask(session)
    assert "s3cret" not in str(caught.value)


async def test_a_proxy_that_refuses_a_tunnel_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the proxy as the cause, with its status."""

    async def deny(_: Server, __: str, writer: Any) -> None:
        await send_reply(writer, b"no", "407 Proxy Authentication Required")

    async with Server(deny) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        options: dict[str, Any] = {"trust_env": True, "policy": ONCE}
        async with open_session(base_url="https://api.localhost", **options) as session:
            with pytest.raises(ConnectionFailedError, match="the proxy answered HTTP 407"):
                await ask(session)


@pytest.mark.parametrize(
    ("given", "sent"), [("/ä", "/%C3%A4"), ('/a"<b', "/a%22%3Cb"), ("/a%20b/", "/a%20b")]
)
async def test_a_prefix_is_sent_in_ascii(given: str, sent: str) -> None:
    """Characters that a request line cannot carry are quoted, as aiohttp's own session does."""
    async with Server(answer) as server:
        async with open_session(base_url=server.url + given, policy=ONCE) as session:
            assert isinstance(await ask(session), Page)
        assert server.heads[0].startswith(f"GET {sent}/1688/")


async def test_a_host_is_sent_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name in another script is sent in its IDNA form; a proxy sees it here."""
    async with Server(answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        options: dict[str, Any] = {"trust_env": True, "policy": ONCE}
        async with open_session(base_url="http://bücher.localhost", **options) as session:
            assert isinstance(await ask(session), Page)
    assert proxy.heads[0].startswith("GET http://xn--bcher-kva.localhost/1688/")
    assert "\r\nHost: xn--bcher-kva.localhost\r\n" in proxy.heads[0]


@pytest.mark.parametrize("host", ["a" * 70 + "ä", "ä..b"])
async def test_a_host_that_is_none_is_refused(host: str) -> None:
    """A host name without an IDNA form is invalid input, not a failed connection."""
    with pytest.raises(InvalidRequestError, match="bad host"):
        async with open_session(base_url=f"http://{host}"):
            pass


async def fault_of(sent: bytes, scheme: str = "http") -> str:
    """Return the message about a server that sends these bytes whatever it receives."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_session(base_url=f"{scheme}://127.0.0.1:{port}", policy=ONCE) as session:
        with pytest.raises(ConnectionFailedError) as caught:
            await ask(session)
    server.close()
    await server.wait_closed()
    return str(caught.value)


@pytest.mark.parametrize("sent", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n"])
async def test_tls_spoken_to_a_plain_port_is_named(sent: bytes) -> None:
    """OpenSSL has numbers of its own: 1 is no "Operation not permitted"."""
    message = await fault_of(sent, "https")
    assert "does not speak TLS" in message
    assert "not permitted" not in message


async def test_another_failure_of_tls_has_its_reason() -> None:
    """An alert of the server is shown in words."""
    assert "TLS failed: " in await fault_of(b"\x15\x03\x01\x00\x02\x02\x28", "https")


@pytest.mark.parametrize(
    "alert", [b"\x15\x03\x01\x00\x02\x02\x46", b"\x15\x03\x03\x00\x02\x02\x0a"]
)
async def test_plain_http_spoken_to_a_tls_port_is_named(alert: bytes) -> None:
    """A server that expected TLS sends an alert, which is no HTTP."""
    assert "use https://" in await fault_of(alert)


async def test_a_closed_connection_is_named() -> None:
    """A server that hangs up is told in words, not by the class of an exception."""
    assert "closed before a reply came" in await fault_of(b"")


@pytest.mark.parametrize(
    "field",
    ["X: " + "x" * 70_000, "\r\n".join(f"X{number}: x" for number in range(5_000))],
    ids=["long", "many"],
)
async def test_a_header_that_is_too_big_is_named(field: str) -> None:
    """A header that is not read is the fault, and not the HTTP of the server."""
    message = await fault_of(f"HTTP/1.1 200 OK\r\n{field}\r\n\r\n".encode())
    assert "the header of the reply is too big" in message
    assert "xxxx" not in message


async def test_a_big_cookie_is_no_fault() -> None:
    """Gateways set cookies of more than 8 KB, which this client has no use for."""

    async def behave(_: Server, __: str, writer: Any) -> None:
        await send_reply(writer, page(), "200 OK", "Set-Cookie: session=" + "x" * 60_000)

    async with Server(behave) as server, open_session(base_url=server.url, policy=ONCE) as session:
        for _ in range(2):
            assert isinstance(await ask(session), Page)
