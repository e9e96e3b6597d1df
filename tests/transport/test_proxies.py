"""Proxies of the environment, and a `~/.netrc` that must stay unread."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.sessions import Server, new_state, open_session, page, request, send_reply
from tmapi_async import Page, RetryPolicy
from tmapi_async.errors import InvalidRequestError
from tmapi_async.transport.proxies import environment_proxy

if TYPE_CHECKING:
    from pathlib import Path

ONCE = RetryPolicy(base=0, max_attempts=1)
PREFIX = urlsplit("http://api.localhost")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def answer(_: Server, __: str, writer: Any) -> None:
    """Answer every request with a page."""
    await send_reply(writer, page())


@pytest.mark.usefixtures("transport")  # the test runs on both HTTP transports
@pytest.mark.parametrize("machine", ["default", "machine api.localhost", "machine 127.0.0.1"])
@pytest.mark.parametrize("proxied", [False, True])
async def test_no_login_of_netrc_is_sent(
    machine: str, proxied: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither the API nor the proxy receives a login of `~/.netrc`, whichever host it names."""
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"{machine} login joe password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with Server(answer) as server:
        base_url = server.url
        if proxied:
            monkeypatch.setenv("http_proxy", server.url)
            base_url = "http://api.localhost"
        async with open_session(base_url=base_url, trust_env=True, policy=ONCE) as session:
            assert isinstance(await session.fetch(request(), new_state(session)), Page)
    head = server.heads[0]
    assert base64.b64encode(b"joe:s3cret").decode() not in head
    assert "Authorization" not in head


def test_a_proxy_is_used_for_the_scheme_and_hosts_it_is_named_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`https_proxy` says nothing about http, and `no_proxy` excludes hosts."""
    monkeypatch.setenv("https_proxy", "http://proxy.test:1")
    assert environment_proxy(PREFIX) is None
    monkeypatch.setenv("http_proxy", "http://proxy.test:1")
    assert str(environment_proxy(PREFIX)) == "http://proxy.test:1"
    monkeypatch.setenv("no_proxy", "api.localhost")
    assert environment_proxy(PREFIX) is None


def test_a_proxy_over_tls_is_not_used_and_that_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The user must learn that requests do not go through the proxy; the login is not logged."""
    monkeypatch.setenv("http_proxy", "https://me:s3cret@proxy.test:1")
    assert environment_proxy(PREFIX) is None
    assert "not used" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("proxy", ["http://", "http://me:s3cret@:3128", "http://proxy.test:none"])
def test_a_proxy_that_cannot_be_one_is_refused(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy without a host or with a bad port is invalid input; the message shows no password."""
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(InvalidRequestError, match="http_proxy") as caught:
        environment_proxy(PREFIX)
    assert "s3cret" not in str(caught.value)


SOCKS = ("socks5://me:s3cret@127.0.0.1:1080", "socks5h://proxy.test:1080", "SOCKS4://proxy.test")


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        *((proxy, "a SOCKS proxy") for proxy in SOCKS),
        ("127.0.0.1:3128", "without http://"),
        ("proxy.test", "without http://"),
        ("me:s3cret@proxy.test:3128", "without http://"),
        ("ftp://proxy.test:3128", "without http://"),
    ],
)
async def test_a_proxy_that_is_none_of_http_is_refused_before_anything_is_sent(
    name: str, proxy: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is not sent to a SOCKS port, nor past a proxy that the user has named."""
    monkeypatch.setenv(name, proxy)
    with pytest.raises(InvalidRequestError, match=f"{name.lower()} names .*{reason}") as caught:
        async with open_session(base_url="http://api.localhost", trust_env=True):
            pass
    assert "s3cret" not in str(caught.value)


def test_all_proxy_stands_in_for_a_scheme_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ALL_PROXY` is used as curl uses it: for every scheme that has no variable of its own."""
    monkeypatch.setenv("ALL_PROXY", "http://all.test:1")
    assert str(environment_proxy(PREFIX)) == "http://all.test:1"
    monkeypatch.setenv("http_proxy", "http://proxy.test:1")
    assert str(environment_proxy(PREFIX)) == "http://proxy.test:1"
    monkeypatch.setenv("no_proxy", "api.localhost")
    assert environment_proxy(PREFIX) is None
