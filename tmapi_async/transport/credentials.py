"""Checks of the base URL and the token, before anything is sent."""

from __future__ import annotations

import hashlib
import ipaddress
import warnings
from urllib.parse import urlsplit

from tmapi_async.errors import InvalidRequestError

DEFAULT_BASE_URL = "https://api.tmapi.top"
_MAX_TOKEN = 4096
# The path of an endpoint is appended to the base URL: after one of these characters it would no
# longer be a path.
_FORBIDDEN = frozenset(" ?#\\")


class InsecureTransportWarning(UserWarning):
    """Warning: the token is sent over plain http to another machine."""


def check_token(token: object, name: str = "the token") -> str:
    """Return a token if a header and a query can carry it. No message shows the token.

    Args:
        token: The token.
        name: Words that name the token in a message, such as the line of a file.

    Raises:
        InvalidRequestError: The token is empty, not text, or has characters that no token has.
    """
    if not isinstance(token, str) or not token:
        raise InvalidRequestError(
            "there is no token: set TMAPI_TOKEN, or pass the token of your TMAPI account"
        )
    if not (token.isascii() and token.isprintable()) or " " in token or len(token) > _MAX_TOKEN:
        raise InvalidRequestError(
            f"{name} contains white space or characters that no token has: copy it again, whole"
        )
    return token


def check_base_url(base_url: object) -> str:
    """Check that a base URL is http(s)://HOST[:PORT][/PREFIX].

    Returns:
        Host and port, for messages.

    Raises:
        InvalidRequestError: The base URL has another form.
    """
    advice = "a base URL looks like https://api.tmapi.top"
    if isinstance(base_url, str) and not (
        base_url.isprintable() and _FORBIDDEN.isdisjoint(base_url)
    ):
        raise InvalidRequestError(f"the base URL contains white space, ?, # or \\; {advice}")
    try:
        parts = urlsplit(base_url if isinstance(base_url, str) else "")
        port = parts.port
    except ValueError:
        raise InvalidRequestError(f"the base URL has a bad host or port; {advice}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequestError(f"the base URL needs http:// or https:// and a host; {advice}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidRequestError(
            f"the base URL must not contain a user, a password, a query or a fragment; {advice}"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}" if port else host


def account_digest(token: str) -> str:
    """Return a short name for an account, the same on every machine.

    The token cannot be computed from the name.

    Args:
        token: Token of the account.

    Returns:
        32 hexadecimal digits.
    """
    keyed = hashlib.blake2b(token.encode(), digest_size=16, person=b"tmapi account")
    return keyed.hexdigest()


warned_hosts: set[str] = set()


def warn_if_exposed(base_url: str) -> None:
    """Warn, once for each host, that plain http shows the token to the network."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme != "http" or is_loopback(host) or host in warned_hosts:
        return
    warned_hosts.add(host)
    warnings.warn(
        f"plain http to {host}: others on the network can read the token; use https if the host "
        "offers it",
        InsecureTransportWarning,
        stacklevel=4,
    )


def is_loopback(host: str) -> bool:
    """Return True if a host name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
