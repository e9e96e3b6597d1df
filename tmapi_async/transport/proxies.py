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
        InvalidRequestError: The environment names a proxy without a host, or with a bad port.
    """
    text = urllib.request.getproxies().get(prefix.scheme)
    if not text or (prefix.hostname and urllib.request.proxy_bypass(prefix.hostname)):
        return None
    try:
        proxy = URL(text)
        host = proxy.host
    except ValueError:
        host = None
    if not host:
        raise InvalidRequestError(
            f"{prefix.scheme}_proxy names a proxy without a host, or with a bad port; "
            "a proxy looks like http://proxy.example:3128"
        )
    if proxy.scheme == "https":
        log.warning("%s_proxy: a proxy over https is not supported and not used", prefix.scheme)
        return None
    return proxy
