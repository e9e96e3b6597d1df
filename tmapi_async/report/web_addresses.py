"""Addresses of pictures, products and shops in a report. They come from sellers. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from tmapi_async.api.values import picture

MAX_PICTURE_HOSTS = 20
"""Hosts that a page may load pictures from."""

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def picture_url(text: str | None) -> str | None:
    """Return the https address of a picture, or None.

    Args:
        text: Address as sent, or a JSON list of addresses, whose first one is taken.
    """
    address = picture(_first(text) if text and text.startswith("[") else text)
    if address is None or not address.startswith(("https://", "http://")):
        return None
    return f"https://{address.partition('//')[2]}"


def _first(text: str) -> str | None:
    try:
        addresses = msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError:
        return None
    return addresses[0] if addresses else None


def picture_host(url: str | None) -> str | None:
    """Return the host of a picture, or None.

    A content policy can name the host: it has letters, digits, dots and hyphens only.
    """
    try:
        parts = urlsplit(url or "")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    return host if port is None and _HOST.fullmatch(host) else None


def picture_hosts(urls: Iterable[str | None]) -> list[str]:
    """Return the hosts of pictures in alphabetical order, at most those that have the most."""
    hosts = Counter(host for url in urls if (host := picture_host(url)))
    return sorted(host for host, _ in hosts.most_common(MAX_PICTURE_HOSTS))


def web_link(url: str | None) -> str | None:
    """Return the address of a page, or None if the scheme is not http or https."""
    if url and url.startswith("//"):
        url = f"https:{url}"
    return url if url and url.startswith(("https://", "http://")) else None


def product_link(item_id: int, url: str | None = None) -> str:
    """Return the address of a product page: the one that was sent, else the one on 1688.com."""
    return web_link(url) or f"https://detail.1688.com/offer/{item_id}.html"
