"""Replies as data: what is sent, how it is labelled, and whether it is paid for."""

from __future__ import annotations

import gzip
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from tmapi_async.sandbox.catalogue.hashing import coin

from .faults import KINDS, RIGHT_REPLIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .config import Config

JSON = "application/json"
HTML = "text/html; charset=utf-8"
How = Literal["whole", "cut", "reset", "truncated", "slow", "padded", "hang"]


class SandboxReply(NamedTuple):
    """A reply that is ready to be sent.

    Attributes:
        status: HTTP status.
        body: Its bytes.
        label: Under which name the statistics count it.
        billed: Whether it has code 200 and is paid for.
        whole: Whether it brings the page that was asked for.
        how: How the bytes go out.
        content_type: Value of that header.
        headers: Other headers.
    """

    status: int
    body: bytes
    label: str
    billed: bool = False
    whole: bool = False
    how: How = "whole"
    content_type: str = JSON
    headers: Mapping[str, str] = {}


TEXTS: Mapping[int, str] = {
    401: "no API key found in request",
    402: "payment required",
    403: "forbidden",
    404: "no Route matched with those values",
    417: "failed to retrieve data, please try again or contact support",
    422: "parameter error",
    429: "too many requests",
    439: "subscription expired or insufficient balance",
    499: "please try again, or set the request timeout to 60s",
    500: "unexpected error, please contact support",
    503: "concurrency limit exceeded, please reduce concurrency",
}
"""Code -> the text that goes with it."""

BARE_BALANCE = "Insufficient API balance"
_BODY_CODES = {401: 4011}
_GATEWAY = 404  # answered before any code of the API's is involved: no code, never HTTP 200
_BALANCE = 439
_PAGE = b"<!DOCTYPE html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>"


def page(body: bytes) -> SandboxReply:
    """The page that was asked for."""
    return SandboxReply(200, body, "200", billed=True, whole=True)


def json_reply(status: int, body: Any, label: str, headers: Mapping[str, str] = {}) -> SandboxReply:
    """A reply with a JSON body."""
    return SandboxReply(status, msgspec.json.encode(body), label, headers=headers)


def error(config: Config, code: int, *about: object, text: str | None = None) -> SandboxReply:
    """An error reply in the configured style.

    Args:
        config: Supplies style, name of the text field, form of "balance spent", `Retry-After`.
        code: The documented meaning.
        about: What the choice between styles hangs on when the style is mixed.
        text: The message, if not the usual one.
    """
    message = text or TEXTS[code]
    if code == _GATEWAY:
        return json_reply(code, {"message": message}, str(code))
    style: str = config.style
    if code == _BALANCE and config.balance != "style":
        style = config.balance
    if style == "bare":
        return json_reply(config.bare_status, {"message": BARE_BALANCE}, str(code))
    if style == "mixed":
        style = "status" if coin(config.seed, "style", code, *about) else "body"
    body = {"code": _BODY_CODES.get(code, code), _text_field(config, code, *about): message}
    headers = _retry_after(config) if code in (429, 503) else {}
    return json_reply(code if style == "status" else 200, body, str(code), headers)


def fault(config: Config, name: str, right: bytes, *about: object) -> SandboxReply:
    """The reply of a fault of `KINDS`, made from the body of the page that was asked for."""
    if name.isdigit():
        return error(config, int(name), *about)
    if name in _SPOILT:
        return SandboxReply(200, _SPOILT[name], name, billed=True)
    if name in _FOREIGN:
        return _FOREIGN[name]
    if name not in KINDS:
        raise ValueError(f"the sandbox knows no fault {name!r}")
    reply = SandboxReply(200, right, name, billed=True, whole=name in RIGHT_REPLIES)
    if reply.whole:
        reply = reply._replace(label="200")
    return _altered(config, name, reply)


def _altered(config: Config, name: str, reply: SandboxReply) -> SandboxReply:
    if name in _BROKEN:
        return reply._replace(how=_BROKEN[name])
    if name == "content-type":
        return reply._replace(content_type=HTML)
    if name == "no-paging":
        whole = msgspec.json.decode(reply.body)
        if isinstance(whole["data"], dict):
            for signal in ("has_next_page", "total_count"):
                whole["data"].pop(signal, None)
        return reply._replace(body=msgspec.json.encode(whole))
    body = reply.body if name == "bad-gzip" else gzip.compress(reply.body, 1)
    if name == "oversized-gzip":
        # gzip members may follow one another: the page, then the white space.
        body += _gzipped_spaces(config.oversized)
    return reply._replace(body=body, headers={"Content-Encoding": "gzip"})


def compressed(reply: SandboxReply) -> SandboxReply:
    """The reply with its body gzipped, if that is not done already and there is a whole one."""
    if reply.how != "whole" or not reply.body or "Content-Encoding" in reply.headers:
        return reply
    headers = {**reply.headers, "Content-Encoding": "gzip"}
    return reply._replace(body=gzip.compress(reply.body, 1), headers=headers)


@lru_cache(maxsize=1)
def _gzipped_spaces(size: int) -> bytes:
    return gzip.compress(b" " * size, 6)


def _text_field(config: Config, *about: object) -> str:
    if config.text == "mixed":
        return "msg" if coin(config.seed, "text", *about) else "message"
    return config.text


def _retry_after(config: Config) -> dict[str, str]:
    value = config.retry_after
    if value is None:
        return {}
    return {"Retry-After": value if isinstance(value, str) else f"{value:g}"}


_BROKEN: Mapping[str, How] = {"slow": "slow", "truncated": "truncated", "oversized": "padded"}

_SPOILT: Mapping[str, bytes] = {
    "data-null": b'{"code":200,"msg":"success","data":null}',
    "data-absent": b'{"code":200,"msg":"success"}',
    "items-object": (
        b'{"code":200,"msg":"success","data":{"page":1,"page_size":20,"has_next_page":false,'
        b'"filters":{},"items":{"0":"none"}}}'
    ),
}

_FOREIGN: Mapping[str, SandboxReply] = {
    "bare-balance": json_reply(200, {"message": BARE_BALANCE}, "439"),
    "no-code": json_reply(200, {"message": "the service is busy"}, "no-code"),
    "html": SandboxReply(200, _PAGE % (b"Please wait", b"Please wait"), "html", content_type=HTML),
    "html-502": SandboxReply(
        502, _PAGE % ((b"502 Bad Gateway",) * 2), "html-502", content_type=HTML
    ),
    "not-json": SandboxReply(200, b'{"code":200,"msg":"succ', "not-json"),
    "empty-body": SandboxReply(200, b"", "empty-body"),
    "cut": SandboxReply(0, b"", "cut", how="cut"),
    "reset": SandboxReply(0, b"", "reset", how="reset"),
    "hang": SandboxReply(0, b"", "hang", how="hang"),
    "redirect": SandboxReply(302, b"", "redirect", headers={"Location": "/moved"}),
}
