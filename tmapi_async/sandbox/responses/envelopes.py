"""Replies as data: status, body, label in the statistics, and whether they are paid for."""

from __future__ import annotations

import gzip
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from tmapi_async.sandbox.catalogue.hashing import coin

from .faults import CORRECT_REPLIES, KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .config import Config

JSON = "application/json"
HTML = "text/html; charset=utf-8"
Delivery = Literal["whole", "cut", "reset", "truncated", "slow", "padded", "hang"]


class SandboxReply(NamedTuple):
    """A reply, ready to send.

    Attributes:
        status: HTTP status.
        body: Body of the reply.
        label: Name under which the statistics count the reply.
        billed: True if the reply has code 200 and is paid for.
        complete: True if the reply contains the requested page.
        delivery: Way of sending the bytes.
        content_type: Value of the header `Content-Type`.
        headers: Other headers.
    """

    status: int
    body: bytes
    label: str
    billed: bool = False
    complete: bool = False
    delivery: Delivery = "whole"
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
"""Code -> text of the error."""

BARE_BALANCE = "Insufficient API balance"
_BODY_CODES = {401: 4011}
_GATEWAY = 404  # the gateway answers before the API: no code in the body, never HTTP 200
_BALANCE = 439
_PAGE = b"<!DOCTYPE html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>"


def page_reply(body: bytes) -> SandboxReply:
    """Return a reply with the requested page."""
    return SandboxReply(200, body, "200", billed=True, complete=True)


def json_reply(status: int, body: Any, label: str, headers: Mapping[str, str] = {}) -> SandboxReply:
    """Return a reply with a JSON body."""
    return SandboxReply(status, msgspec.json.encode(body), label, headers=headers)


def error_reply(config: Config, code: int, *about: object, text: str | None = None) -> SandboxReply:
    """Return an error reply in the configured style.

    Args:
        config: Supplies style, name of the text field, form of "balance spent", `Retry-After`.
        code: The documented code.
        about: Subject of the random choice if the style is mixed.
        text: The message; by default the usual one.
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


def fault_reply(config: Config, name: str, page_body: bytes, *about: object) -> SandboxReply:
    """Return the reply of a fault of `KINDS`, based on the body of the requested page."""
    if name.isdigit():
        return error_reply(config, int(name), *about)
    if name in _BAD_BODIES:
        return SandboxReply(200, _BAD_BODIES[name], name, billed=True)
    if name in _WHOLE_REPLIES:
        return _WHOLE_REPLIES[name]
    if name not in KINDS:
        raise ValueError(f"unknown fault {name!r}")
    reply = SandboxReply(200, page_body, name, billed=True, complete=name in CORRECT_REPLIES)
    if reply.complete:
        reply = reply._replace(label="200")
    return _altered_reply(config, name, reply)


def _altered_reply(config: Config, name: str, reply: SandboxReply) -> SandboxReply:
    if name in _DELIVERIES:
        return reply._replace(delivery=_DELIVERIES[name])
    if name == "content-type":
        return reply._replace(content_type=HTML)
    if name == "no-paging":
        content = msgspec.json.decode(reply.body)
        if isinstance(content["data"], dict):
            for signal in ("has_next_page", "total_count"):
                content["data"].pop(signal, None)
        return reply._replace(body=msgspec.json.encode(content))
    body = reply.body if name == "bad-gzip" else gzip.compress(reply.body, 1)
    if name == "oversized-gzip":
        # A gzip body may consist of several members: here the page, then white space.
        body += _gzipped_spaces(config.oversized)
    return reply._replace(body=body, headers={"Content-Encoding": "gzip"})


def compressed(reply: SandboxReply) -> SandboxReply:
    """Return the reply with a gzipped body, unless it is gzipped, empty or incomplete."""
    if reply.delivery != "whole" or not reply.body or "Content-Encoding" in reply.headers:
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


_DELIVERIES: Mapping[str, Delivery] = {
    "slow": "slow",
    "truncated": "truncated",
    "oversized": "padded",
}

_BAD_BODIES: Mapping[str, bytes] = {
    "data-null": b'{"code":200,"msg":"success","data":null}',
    "data-absent": b'{"code":200,"msg":"success"}',
    "items-object": (
        b'{"code":200,"msg":"success","data":{"page":1,"page_size":20,"has_next_page":false,'
        b'"filters":{},"items":{"0":"none"}}}'
    ),
}

_WHOLE_REPLIES: Mapping[str, SandboxReply] = {
    "bare-balance": json_reply(200, {"message": BARE_BALANCE}, "439"),
    "no-code": json_reply(200, {"message": "the service is busy"}, "no-code"),
    "html": SandboxReply(200, _PAGE % (b"Please wait", b"Please wait"), "html", content_type=HTML),
    "html-502": SandboxReply(
        502, _PAGE % ((b"502 Bad Gateway",) * 2), "html-502", content_type=HTML
    ),
    "not-json": SandboxReply(200, b'{"code":200,"msg":"succ', "not-json"),
    "empty-body": SandboxReply(200, b"", "empty-body"),
    "cut": SandboxReply(0, b"", "cut", delivery="cut"),
    "reset": SandboxReply(0, b"", "reset", delivery="reset"),
    "hang": SandboxReply(0, b"", "hang", delivery="hang"),
    "redirect": SandboxReply(302, b"", "redirect", headers={"Location": "/moved"}),
}
