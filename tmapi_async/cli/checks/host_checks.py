"""Checks of the way to the API's host: proxy, name, connection and certificate. Nothing is paid."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from urllib.parse import SplitResult, urlsplit

from tmapi_async.errors import CertificateError, InvalidRequestError
from tmapi_async.transport.credentials import is_loopback
from tmapi_async.transport.proxies import environment_proxy

from .finding import Finding

_SECONDS = 10.0
_SOON_DAYS = 14
_DAY = 86_400.0


async def check_host(base_url: str, *, trust_env: bool) -> AsyncIterator[Finding]:
    """Yield the findings about the way to a host, in the order of a connection.

    Args:
        base_url: Address of the API, already checked.
        trust_env: True if requests take their proxy from the environment.
    """
    parts = urlsplit(base_url)
    yield _scheme(parts, base_url)
    try:
        proxy = environment_proxy(parts) if trust_env else None
    except InvalidRequestError as error:
        yield Finding("proxy", "failed", error.message)
        return
    if proxy is None:
        yield Finding("proxy", "fine", "none is used" if not trust_env else _why_no_proxy(parts))
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    else:
        login = ", with a login that is not shown" if proxy.user or proxy.password else ""
        address = f"http://{proxy.host}:{proxy.port}"
        yield Finding("proxy", "fine", f"requests go through {address}{login}")
        host, port = proxy.host or "", proxy.port or 80
    name = await _check_name(host, port)
    yield name
    if name.result != "failed":
        secure = parts.scheme == "https" and proxy is None
        yield await _check_connection(host, port, secure=secure)


def _scheme(parts: SplitResult, base_url: str) -> Finding:
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return Finding("address", "fine", base_url)
    return Finding(
        "address",
        "warning",
        f"{base_url}: over plain http others on the network can read the token",
        "use https if the host offers it",
    )


def _why_no_proxy(parts: SplitResult) -> str:
    return f"the environment names none for {parts.scheme}://{parts.hostname}"


async def _check_name(host: str, port: int) -> Finding:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        text = f"{host} could not be looked up within {_SECONDS:.0f} s"
        return Finding("name", "failed", text, "check the network and its DNS server")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no host name"
        return Finding(
            "name", "failed", f"{host} was not found ({reason})", "check the base URL and the DNS"
        )
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    more = f" and {len(addresses) - 2} more" if len(addresses) > 2 else ""  # noqa: PLR2004 - two are shown
    return Finding("name", "fine", f"{host} is {', '.join(addresses[:2])}{more}")


async def _check_connection(host: str, port: int, *, secure: bool) -> Finding:
    check, began = "TLS" if secure else "connection", time.monotonic()
    context = ssl.create_default_context() if secure else None
    place = f"{host}:{port}"
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=host if secure else None
            )
    except ssl.SSLCertVerificationError as error:
        text = f"the certificate of {place} cannot be verified ({error.verify_message})"
        return Finding(check, "failed", text, CertificateError.advice)
    except TimeoutError:
        text = f"{place} did not answer within {_SECONDS:.0f} s"
        return Finding(check, "failed", text, "check the network, the proxy and the firewall")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        text = f"no connection to {place} ({reason})"
        return Finding(check, "failed", text, "check the base URL, the network and the firewall")
    seconds = time.monotonic() - began
    try:
        return _connected(check, place, writer, seconds)
    finally:
        writer.transport.abort()


def _connected(check: str, place: str, writer: asyncio.StreamWriter, seconds: float) -> Finding:
    text = f"{place} accepts connections, in {1000 * seconds:.0f} ms"
    tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    if tls is None:
        return Finding(check, "fine", text)
    text = f"{text}, with {tls.version()} and a valid certificate"
    end = (tls.getpeercert() or {}).get("notAfter")
    days = (ssl.cert_time_to_seconds(str(end)) - time.time()) / _DAY if end else None
    if days is not None and days < _SOON_DAYS:
        return Finding(check, "warning", f"{text}, which ends in {max(0, int(days))} days")
    return Finding(check, "fine", text)
