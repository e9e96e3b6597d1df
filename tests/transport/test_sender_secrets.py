from __future__ import annotations

import copy
import json
import logging
import pickle
import ssl
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.support.mocked import outcome, scripted
from tests.support.sessions import failure, make_gate, new_state, page, request
from tests.support.virtual_time import run
from tmapi_async import RetryPolicy, TMAPIError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.canary import Canary

pytestmark = pytest.mark.usefixtures("transport")  # each test runs on both HTTP transports
ODD = "can+ary/5up3r=53cr3t&t0k3n%41"
PLAIN = "canary-5up3r53cr3t-t0k3n"
WORDS = f"bad token {ODD}, {quote(ODD)}, {quote(ODD, safe='')}; or {PLAIN}"
URL = f"http://h/?apiToken={quote(ODD, safe='')}&again={PLAIN}"
CERTIFICATE = ssl.SSLCertVerificationError(URL)
CERTIFICATE.verify_message = "Hostname mismatch"
KEY: Any = aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)
CODES = (401, 402, 403, 404, 417, 418, 422, 429, 439, 499, 500, 503)
ANSWERS: dict[str, Any] = {
    **{f"code {code}": failure(code, msg=WORDS) for code in CODES},
    **{f"status {code}": (code, json.dumps({"message": WORDS}).encode()) for code in CODES},
    "not JSON": (200, f"<html>{WORDS}</html>".encode()),
    "another shape": (200, json.dumps({"code": 200, WORDS: 1, "data": {WORDS: 1}}).encode()),
    "redirect": (302, b"", {"Location": URL}),
    "too large": (200, WORDS.encode() * 20),
    "payload": aiohttp.ClientPayloadError(URL),
    "invalid": aiohttp.InvalidURL(URL),
    "disconnected": aiohttp.ServerDisconnectedError(URL),
    "refused": aiohttp.ClientConnectorError(KEY, OSError(111, URL)),
    "unresolved": aiohttp.ClientConnectorError(KEY, OSError(-2, "Name or service not known")),
    "certificate": aiohttp.ClientConnectorCertificateError(KEY, CERTIFICATE),
    "TLS": aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, URL)),
    "value": ValueError(URL),
    "OS": OSError(5, URL),
}


def forms(error: BaseException) -> Iterator[str]:
    """Yield every form in which an error may be shown or stored."""
    copies = pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error), error  # noqa: S301 - made in the line itself
    for one in copies:
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)))
        yield "".join(traceback.format_exception(one))
        trace = traceback.TracebackException.from_exception(one, capture_locals=True)
        # What the test itself holds is not the session's to hide.
        trace.stack = traceback.StackSummary.from_list(
            [frame for frame in trace.stack if "tests" not in frame.filename]
        )
        yield "".join(trace.format())
    yield pickle.dumps(error).decode("latin-1")


@pytest.mark.slow
@pytest.mark.parametrize("auth", ["query", "header"])
@pytest.mark.parametrize("token", [ODD, PLAIN])
@pytest.mark.parametrize("name", ANSWERS)
def test_no_error_shows_the_token(name: str, token: str, auth: str, canary: Canary) -> None:
    """No form of the error holds the token, whatever the server echoes or the transport reports."""
    assert canary.token == PLAIN

    async def main() -> TMAPIError:
        policy = RetryPolicy(base=0, max_attempts=2, max_unreachable=1, patience=1)
        options: dict[str, Any] = {"policy": policy, "token": token, "auth": auth, "max_body": 1500}
        async with scripted(ANSWERS[name], gate=make_gate(1), **options) as (session, _):
            with pytest.raises(TMAPIError) as caught:
                await session.fetch(request(), new_state(session))
            return caught.value

    error = run(main())
    assert error.__context__ is error.__cause__ is None
    assert error.message.isprintable()
    assert len(error.message) <= 300
    for form in forms(error):
        for secret in (token, quote(token), quote(token, safe="")):
            assert secret not in form
        # What we and the transport make ourselves has no part of the URL in it.
        assert "apiToken" not in form or not isinstance(ANSWERS[name], BaseException)


@pytest.mark.parametrize("auth", ["query", "header"])
def test_no_log_shows_the_token(auth: str, canary: Canary, caplog: Any) -> None:
    """At DEBUG every attempt and every retry is logged by listing, page and code, and no more."""

    async def main() -> None:
        answers = (failure(500, msg=canary.token), ANSWERS["payload"], failure(503), page(1))
        async with scripted(*answers, token=canary.token, auth=auth) as (session, _):
            await outcome(session)
            assert canary.token not in repr(session) + repr(vars(session.gate))

    run(main())
    records = [r for r in caplog.records if r.name == "tmapi_async"]
    text = [r.getMessage() for r in records]
    where = "category/items?cat_id=5 page 1"
    attempts = [line for line, r in zip(text, records, strict=True) if r.levelno == logging.DEBUG]
    assert attempts == [
        f"{where} attempt {n}: {code}"
        for n, code in enumerate(("500", "connection", "503", "200"), 1)
    ]
    again = [line for line, r in zip(text, records, strict=True) if r.levelno == logging.INFO]
    assert [line.split(",")[0] for line in again] == [
        f"{where}: {code}" for code in ("500", "connection", "503")
    ]


def test_the_token_is_looked_for_where_it_could_be() -> None:
    """The forms looked at above do show a token that is there."""
    error = TMAPIError(PLAIN)
    assert all(PLAIN in form for form in forms(error))
