"""Proxies that the environment names. `~/.netrc` is never read.

aiohttp's `trust_env` would take proxies from the environment too. But then it also looks into
`~/.netrc`: the login of a `default` entry would be sent to the API and to the proxy.
"""

from __future__ import annotations

import logging
import urllib.request
from urllib.parse import SplitResult

from yarl import URL

from tmapi_async.errors import InvalidRequestError

log = logging.getLogger("tmapi_async")


def environment_proxy(prefix: SplitResult) -> URL | None:
    """Return the proxy that the environment names for a base URL.

    Args:
        prefix: Base URL, in parts.

    Returns:
        The proxy, with its login if the environment contains one. None if there is no proxy, if
        `no_proxy` names the host, or if the proxy itself must be reached over TLS.

    Raises:
        InvalidRequestError: The environment names something that is no HTTP proxy: a SOCKS proxy,
            or a proxy without http://, without a host or with a bad port.
    """
    proxies = urllib.request.getproxies()
    name = f"{prefix.scheme}_proxy" if proxies.get(prefix.scheme) else "all_proxy"
    text = proxies.get(name.removesuffix("_proxy"))
    if not text or (prefix.hostname and urllib.request.proxy_bypass(prefix.hostname)):
        return None
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme.startswith("socks"):
        raise InvalidRequestError(
            f"{name} names a SOCKS proxy, which is not supported: name an HTTP proxy, or unset the "
            "variable and pass a connector of yours that speaks SOCKS"
        )
    if scheme not in ("http", "https"):
        raise InvalidRequestError(f"{name} names a proxy without http:// before it; {_EXAMPLE}")
    try:
        proxy = URL(text)
        host = proxy.host
    except ValueError:
        host = None
    if not host:
        raise InvalidRequestError(
            f"{name} names a proxy without a host, or with a bad port; {_EXAMPLE}"
        )
    if scheme == "https":
        log.warning("%s: a proxy over https is not supported and not used", name)
        return None
    return proxy


_EXAMPLE = "a proxy looks like http://proxy.example:3128"
