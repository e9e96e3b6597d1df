"""The token appears nowhere: in no log, error, traceback or repr, nor where asyncio tells all."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import pickle
import subprocess
import sys
import traceback
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
from aiohttp.connector import Connection

from tests.support.watching import (
    all_slots_back,
    client,
    first_page,
    ids_by_category,
    objects_below,
    tasks_of_walks,
    until,
)
from tmapi_async import (
    TMAPI,
    BalanceError,
    InvalidRequestError,
    RateLimitError,
    RetryPolicy,
    TMAPIError,
    TransportError,
)
from tmapi_async.sandbox import KINDS, Drift, Faults
from tmapi_async.sandbox.server.process import SandboxThread

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.slow]

TWICE = RetryPolicy(base=0, max_attempts=2, patience=0)
AUTHS = ("query", "header")


def tell_all(loop):
    """Make asyncio tell all it can: debug mode, and every callback logged as a slow one."""
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0


def everything_about(error):
    """An error in every form in which it can end up in a log or a report."""
    yield str(error)
    yield repr(error)
    yield repr(vars(error))
    yield repr(error.args)
    yield "".join(traceback.format_exception(error))
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    # What a caller's own variables show is the caller's business.
    ours = (frame for frame in told.stack if "/tmapi_async/" in frame.filename)
    told.stack = traceback.StackSummary.from_list(ours)
    yield "".join(told.format())
    yield repr(pickle.dumps(error))
    yield repr(pickle.loads(pickle.dumps(error)))  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("name", "auth"),
    [
        *((name, "query") for name in (*KINDS, "closed", "quota")),
        *((name, "header") for name in ("401", "500", "bare-balance", "html", "cut", "bad-gzip")),
    ],
)
async def test_no_error_shows_the_token(tmapi_sandboxes, canary, capfd, name, auth):
    """Each thing that can go wrong, in every form of its error, logged at DEBUG: no token."""
    options = {"faults": Faults({name: 1.0})} if name in KINDS else {}
    sandbox = await tmapi_sandboxes(
        categories={1: 30, 2: 30}, token=canary.token, oversized=2**17, slow=600, **options
    )
    if name == "quota":
        sandbox.quota = 0
    if name == "closed":
        await sandbox.close()
    asyncio.get_running_loop().set_debug(True)
    async with client(
        sandbox, token=canary.token, auth=auth, retry=TWICE, timeout=0.1, max_body=2**16
    ) as api:
        walk = api.category_items([1, 2])
        for work in (first_page(api.category_items(1)), ids_by_category(walk.pages())):
            try:
                await work
            except TMAPIError as error:
                for text in everything_about(error):
                    assert canary.absent_from(text)
            else:
                assert name in ("gzip", "content-type")
        for thing in (api.statistics(), walk.statistics(), *objects_below(api, walk)):
            assert canary.absent_from(repr(thing))
    out, err = capfd.readouterr()
    assert canary.absent_from(out + err)


@pytest.mark.parametrize("auth", AUTHS)
async def test_nothing_public_shows_the_token(tmapi_sandboxes, canary, auth):
    """Objects of a walk that goes well, their reprs and what they hold: no token."""
    sandbox = await tmapi_sandboxes(
        categories={1: 30}, token=canary.token, drift=Drift(rows=0.5, bad_rows=0.3)
    )
    async with client(sandbox, token=canary.token, auth=auth) as api:
        walk = api.category_items(1)
        things = [api.statistics()]
        async for page in walk.pages():
            things += [page, page.request, page.request.listing, *page.items, *page.rejects]
            things += [page.body, page.extra, *tasks_of_walks(), *objects_below(api, walk)]
        things += [walk.statistics(), vars(walk)]
        assert not [thing for thing in things if not canary.absent_from(repr(thing))]


@pytest.mark.parametrize("auth", AUTHS)
async def test_asyncio_in_debug_mode_does_not_tell(tmapi_sandboxes, canary, auth):
    """With every callback logged as too slow, cut connections and cancelled walks: no token."""
    sandbox = await tmapi_sandboxes(
        seed=3,
        categories={1: 100, 2: 100},
        token=canary.token,
        faults=Faults({"cut": 0.2, "truncated": 0.2, "500": 0.1}),
    )
    tell_all(asyncio.get_running_loop())
    # The sandbox runs in this loop too: what the client does must not be taken for its doing.
    async with client(sandbox, token=canary.token, auth=auth) as api:
        await ids_by_category(api.category_items([1, 2]).pages())
        taking = asyncio.create_task(ids_by_category(api.category_items([1, 2]).pages()))
        await asyncio.sleep(0.01)
        taking.cancel()
        await asyncio.wait([taking])
        await all_slots_back(api)


ABANDONED = """
import asyncio, gc, sys
from aiohttp.connector import Connection
from tmapi_async import TMAPI

async def begin(url, token):
    api = TMAPI(token, base_url=url, concurrency=4)
    await api.__aenter__()
    pages = api.category_items(range(1, 20)).pages()
    first = asyncio.ensure_future(anext(pages))
    while not any(isinstance(thing, Connection) for thing in gc.get_objects()):
        await asyncio.sleep(0.01)
    return api, pages, first

loop = asyncio.new_event_loop()
left = loop.run_until_complete(begin(*sys.argv[1:]))
loop.close()
del left
gc.collect()
"""


@pytest.mark.slow
def test_a_loop_that_is_closed_on_a_walk_does_not_tell(canary):
    """Python's warnings about tasks destroyed with their loop do not show the token."""
    with SandboxThread(token=canary.token, latency=600) as sandbox:
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-X", "dev", "-c", ABANDONED, sandbox.url, canary.token],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert "Task was destroyed but it is pending" in done.stderr
    assert canary.absent_from(done.stderr + done.stdout)


@pytest.mark.parametrize("auth", AUTHS)
async def test_a_connection_that_is_never_closed_does_not_tell(tmapi_sandboxes, canary, auth):
    """The repr of a connection, with which aiohttp warns of it, is without the token."""
    sandbox = await tmapi_sandboxes(token=canary.token)
    async with client(sandbox, token=canary.token, auth=auth) as api:
        sandbox.hold()
        asking = asyncio.ensure_future(first_page(api.category_items(1)))
        await sandbox.until(lambda seen: seen.in_flight == 1)
        held = [thing for thing in gc.get_objects() if isinstance(thing, Connection)]
        assert [thing for thing in held if not canary.absent_from(repr(thing))] == []
        assert held
        sandbox.release()
        await asking


class Echo:
    """A server that says the token it was sent, in whichever form the test wants."""

    def __init__(self, answer):
        self._answer = answer

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._answer)
        writer.close()


def _reply(status, body, headers=b"", reason=b"Odd"):
    length = f"Content-Length: {len(body)}\r\n".encode()
    return b"HTTP/1.1 %d %s\r\n%s%s\r\n%s" % (status, reason, headers, length, body)


SECRET = "c4n4ry/t0k+en==.~x"  # noqa: S105 - planted to be looked for
SPOKEN = {
    "as it is": SECRET,
    "quoted": quote(SECRET, safe=""),
    "quoted in lower case": quote(SECRET, safe="").replace("%2F", "%2f").replace("%3D", "%3d"),
    "quoted but for slashes": quote(SECRET),
    "quoted twice": quote(quote(SECRET, safe=""), safe=""),
    "in JSON in JSON": json.dumps({"apiToken": SECRET}).replace("/", "\\/"),
    "quoted as a form": quote_plus(SECRET),
    "in a URL": f"GET http://x/1688/category/items?cat_id=1&apiToken={quote(SECRET, safe='')}",
    "over the cut": "x" * 290 + SECRET,
    "twice": SECRET + SECRET,
    "with a line break before": "bad key\n" + SECRET,
}


@pytest.mark.parametrize("spoken", SPOKEN)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"code": 439}),
        (200, {"code": 422}),
        (500, {"code": 500}),
        (200, {"code": 777}),
        (401, {"code": 4011}),
        (200, {}),
        (404, {}),
        (503, {"code": 503}),
    ],
)
async def test_a_server_that_echoes_the_token_is_not_quoted(canary, spoken, status, body):
    """Messages of a server are shown without the token, however it is encoded."""
    canary.token = SECRET
    text = SPOKEN[spoken]
    for field in ("msg", "message"):
        answer = _reply(status, json.dumps({**body, field: text}).encode())
        async with (
            Echo(answer) as server,
            TMAPI(SECRET, base_url=server.url, retry=TWICE, concurrency=2) as api,
        ):
            with pytest.raises(TMAPIError) as raised:
                await api.category_items(1)
            for told in everything_about(raised.value):
                assert "c4n4ry" not in told


@pytest.mark.parametrize(
    "answer",
    [
        _reply(302, b"", b"Location: http://x/?apiToken=" + SECRET.encode() + b"\r\n"),
        _reply(500, b"{}", reason=SECRET.encode()),
        _reply(200, b"{}", b"X-Key: " + SECRET.encode() + b"\r\n"),
        _reply(200, SECRET.encode()),
        _reply(200, b"{}", b"Content-Encoding: " + SECRET.encode() + b"\r\n"),
        _reply(200, b"{}", b"Content-Type: " + SECRET.encode() + b"\r\n"),
        _reply(429, b"{}", b"Retry-After: " + SECRET.encode() + b"\r\n"),
        b"HTTP/1.1 " + SECRET.encode() + b"\r\n\r\n",
        SECRET.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + SECRET.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET.encode() + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + SECRET.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: " + SECRET.encode() + b"; Domain=\r\n\r\n{}",
        _reply(
            200, b'{"code":200,"data":{"' + SECRET.encode() + b'":1,"items":{},"has_next_page":0}}'
        ),
        _reply(200, b'{"code":"' + SECRET.encode() + b'","msg":"x"}'),
        _reply(200, b'{"code":200,"data":{"has_next_page":"' + SECRET.encode() + b'","items":[]}}'),
    ],
)
async def test_a_token_anywhere_else_in_a_reply_is_not_quoted(canary, answer):
    """Status lines, headers, field names and bodies that hold the token stay out of errors."""
    canary.token = SECRET
    asyncio.get_running_loop().set_debug(True)
    async with (
        Echo(answer) as server,
        TMAPI(SECRET, base_url=server.url, retry=TWICE, concurrency=2, timeout=1) as api,
    ):
        with pytest.raises((TransportError, RateLimitError)) as raised:
            await api.category_items(1)
        for told in everything_about(raised.value):
            assert "c4n4ry" not in told


async def test_a_proxy_that_refuses_does_not_make_it_show(canary, monkeypatch):
    """An error on the way to a proxy, or one it answers, shows neither URL nor token."""
    async with Echo(_reply(407, b"no " + canary.token.encode())) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with TMAPI(
            canary.token, base_url="http://localhost:1", retry=TWICE, trust_env=True
        ) as api:
            with pytest.raises(TMAPIError) as raised:
                await api.category_items(1)
            for told in everything_about(raised.value):
                assert canary.absent_from(told)


async def test_a_middleware_that_raises_does_not_make_it_show(tmapi_sandboxes, canary):
    """The error of a connector of the caller is shown without the token."""

    class Broken(aiohttp.TCPConnector):
        async def connect(self, req, **_):
            raise ConnectionResetError(f"broken on {req.url}")

    sandbox = await tmapi_sandboxes(token=canary.token)
    async with (
        Broken() as connector,
        client(sandbox, token=canary.token, connector=connector, retry=TWICE) as api,
    ):
        with pytest.raises(TMAPIError) as raised:
            await api.category_items(1)
        for told in everything_about(raised.value):
            assert canary.absent_from(told)


async def test_the_error_that_ends_many_walks_does_not_carry_another_ones_trace(
    tmapi_sandboxes, canary
):
    """Copies of one refusal, raised by many walks, are each without cause, context and token."""
    sandbox = await tmapi_sandboxes(categories=20, token=canary.token, quota=5)
    async with client(sandbox, token=canary.token, concurrency=2) as api:
        walks = [api.category_items(range(1, 20)) for _ in range(4)]
        ends = await asyncio.gather(
            *(ids_by_category(walk.pages()) for walk in walks), return_exceptions=True
        )
        for error in ends:
            assert isinstance(error, BalanceError)
            assert (error.__cause__, error.__context__) == (None, None)
            for told in everything_about(error):
                assert canary.absent_from(told)


@pytest.mark.parametrize(
    "arguments",
    [
        {"base_url": "http://127.0.0.1/?apiToken={}"},
        {"base_url": "http://{}@127.0.0.1"},
        {"base_url": "{}"},
        {"base_url": "ftp://{}"},
        {"base_url": "http://127.0.0.1:{}"},
    ],
)
async def test_a_token_put_into_the_base_url_is_not_repeated(canary, arguments):
    """A base URL that is refused is not shown: people put their token there."""
    given = {name: value.format(canary.token) for name, value in arguments.items()}
    with pytest.raises(InvalidRequestError) as raised:
        TMAPI(canary.token, **given)
    assert canary.absent_from(str(raised.value) + repr(raised.value))
    assert raised.value.__cause__ is None


async def test_the_canary_is_really_sent(tmapi_sandboxes, canary):
    """The tests above could fail: the token is on the wire, and another one is refused."""
    sandbox = await tmapi_sandboxes(categories={1: 5}, token=canary.token)
    for auth in AUTHS:
        async with client(sandbox, token=canary.token, auth=auth) as api:
            assert len((await api.category_items(1)).items) == 5
    assert sandbox.stats.codes == {"200": 2}
    logging.getLogger("aiohttp").debug("the capture works")
    await until(lambda: not tasks_of_walks())
