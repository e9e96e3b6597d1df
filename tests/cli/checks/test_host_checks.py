"""Trouble on the way to a host is named at the step where it is."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from tmapi_async.cli.checks.host_checks import check_host

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tmapi_async.cli.checks.finding import Finding


@asynccontextmanager
async def server(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Accept connections on a port of this machine."""

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def findings(base_url: str, *, trust_env: bool = False) -> dict[str, Finding]:
    """Return the findings about a host by their names."""
    found = [finding async for finding in check_host(base_url, trust_env=trust_env)]
    return {finding.check: finding for finding in found}


async def test_a_certificate_of_an_unknown_authority_is_told(tmp_path: Path, monkeypatch) -> None:
    """The certificate is checked as by a request, and a trusted authority makes it fine."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with server(context) as port:
        found = await findings(f"https://127.0.0.1:{port}")
        assert found["TLS"].result == "failed"
        assert "cannot be verified" in found["TLS"].text
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        found = await findings(f"https://127.0.0.1:{port}")
        assert found["TLS"].result in ("fine", "warning")
        assert "TLSv1.3 and a valid certificate" in found["TLS"].text


async def test_a_host_that_does_not_listen_is_told() -> None:
    """The address is found, the connection is not."""
    async with server() as port:
        assert (await findings(f"http://127.0.0.1:{port}"))["connection"].result == "fine"
    found = await findings(f"http://127.0.0.1:{port}")
    assert (found["name"].result, found["connection"].result) == ("fine", "failed")


async def test_a_name_that_does_not_exist_ends_the_checks() -> None:
    """Nothing is connected to."""
    found = await findings("https://no-such-host.invalid")
    assert (found["name"].result, "TLS" in found) == ("failed", False)


async def test_plain_http_to_another_machine_is_warned_of() -> None:
    """The token could be read on the way."""
    found = await findings("http://no-such-host.invalid")
    assert found["address"].result == "warning"
    assert (await findings("http://127.0.0.1:1"))["address"].result == "fine"


async def test_the_proxy_is_shown_without_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection that is tried is the one to the proxy."""
    async with server() as port:
        monkeypatch.setenv("https_proxy", f"http://user:s3cret@127.0.0.1:{port}")
        found = await findings("https://api.example", trust_env=True)
        monkeypatch.setenv("no_proxy", "api.example")
        without = await findings("https://api.example.invalid", trust_env=False)
    assert found["connection"].result == "fine"
    assert found["proxy"].text == (
        f"requests go through http://127.0.0.1:{port}, with a login that is not shown"
    )
    assert without["proxy"].text == "none is used"
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    monkeypatch.delenv("no_proxy")
    assert (await findings("https://api.example", trust_env=True))["proxy"].result == "failed"
