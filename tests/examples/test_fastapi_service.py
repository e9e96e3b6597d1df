"""The web service of the examples, under uvicorn, before a sandbox over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.support.paths import ROOT
from tmapi_async.sandbox import Faults, Sandbox

if not (ROOT / "examples").is_dir():
    pytest.skip("the examples are not in this distribution", allow_module_level=True)
pytest.importorskip("fastapi", reason="the example needs FastAPI")
uvicorn = pytest.importorskip("uvicorn", reason="the example needs uvicorn")

from examples.fastapi_service import app  # noqa: E402 - the extras may be missing

LIMIT = 4
SIZES = {1: 90, 2: 4000}


@pytest.fixture
async def sandbox():
    """A sandbox with a short category and a long one."""
    async with Sandbox(categories=SIZES, limit=LIMIT, latency=0.02, ghosts=True) as running:
        yield running


def small_socket(address=(socket.AF_INET, socket.SOCK_STREAM, 0)):
    """Return a socket with small buffers, so that a reader that stops is noticed soon."""
    sock = socket.socket(*address[:3])
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 16384)
    return sock


@asynccontextmanager
async def service(monkeypatch, url):
    """Run the service in this process. Yields a session for its address."""
    monkeypatch.setenv("TMAPI_TOKEN", "sandbox")
    monkeypatch.setenv("TMAPI_BASE_URL", url)
    with small_socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        running = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        connector = aiohttp.TCPConnector(socket_factory=small_socket)
        try:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with aiohttp.ClientSession(
                address, connector=connector, read_bufsize=4096
            ) as session:
                yield session
        finally:
            server.should_exit = True
            await running


async def get(session, path):
    """Return status and content of a JSON reply."""
    async with session.get(path) as reply:
        return reply.status, await reply.json()


async def until(condition):
    """Wait until a condition holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - no event says that the condition holds
            await asyncio.sleep(0.01)


async def test_callers_that_want_one_page_share_a_request(monkeypatch, sandbox):
    """50 callers get the page, and 1 is billed; a search and the state of the worker work too."""
    async with service(monkeypatch, sandbox.url) as session:
        replies = await asyncio.gather(*(get(session, "/categories/1") for _ in range(50)))
        assert {status for status, _ in replies} == {200}
        assert [len(page["items"]) for _, page in replies] == [20] * 50
        assert replies[0][1]["has_next_page"]
        assert sandbox.stats.billed == 1
        status, found = await get(session, "/search?keyword=hat")
        assert (status, len(found["items"])) == (200, 20)
        assert await get(session, "/health") == (200, {"in_flight": 0, "waiting": 0, "requests": 2})


async def test_a_stream_has_every_item_and_says_how_it_ended(monkeypatch, sandbox):
    """One line for each item, and a last line, without which the stream is not whole."""
    async with (
        service(monkeypatch, sandbox.url) as session,
        session.get("/categories/1/items") as reply,
    ):
        assert reply.content_type == "application/x-ndjson"
        *rows, end = [json.loads(line) async for line in reply.content]
    assert {int(row["item_id"]) for row in rows} == set(sandbox.catalogue.item_ids(1))
    assert end == {"end": "complete", "items": 90, "rejects": 0}


async def test_a_caller_that_leaves_ends_the_walk(monkeypatch, sandbox):
    """At most the pages on the wire are paid for in vain: nothing is sent afterwards."""
    async with service(monkeypatch, sandbox.url) as session:
        async with session.get("/categories/2/items") as reply:
            await reply.content.readline()
            reply.close()
        left = sandbox.stats.requests
        await until(lambda: app.state.api.statistics().in_flight == 0)
        stopped = sandbox.stats.requests
        assert stopped - left <= 2 * LIMIT  # those on the wire, and those before it was noticed
        await asyncio.sleep(0.2)  # as long as ten pages
        assert sandbox.stats.requests == stopped


async def test_a_caller_that_reads_slowly_slows_the_walk_down(monkeypatch, sandbox):
    """A caller that does not read is not walked for: no more pages than the buffers hold."""
    sandbox.latency = 0.001
    async with service(monkeypatch, sandbox.url) as session:
        async with session.get("/categories/2/items") as reply:
            await reply.content.readline()
            await until(lambda: app.state.api.statistics().in_flight == 0)
            paused = sandbox.stats.requests
            assert paused < 60  # of 200: what the buffers and the walk hold
            assert (
                len((await reply.read()).splitlines()) == 4000
            )  # the first line is read, the end is one
        assert sandbox.stats.pages_served >= 200


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("401", 503, "AuthenticationError"),
        ("439", 503, "BalanceError"),
        ("422", 422, "ParameterError"),
        ("404", 502, "RouteError"),
    ],
)
async def test_errors_become_statuses(monkeypatch, sandbox, fault, status, kind):
    """The caller's mistakes are 422, matters of the account 503; a stream has the status too."""
    sandbox.faults = Faults({fault: 1.0})
    async with service(monkeypatch, sandbox.url) as session:
        for path in ("/categories/1", "/search?keyword=hat", "/categories/1/items"):
            found, content = await get(session, path)
            assert (found, content["type"]) == (status, kind)
            assert "sandbox" not in content["error"].replace(sandbox.url, "")
        assert (await get(session, "/health"))[0] == 200


async def test_input_that_makes_no_sense_is_refused_before_anything_is_sent(monkeypatch, sandbox):
    """A category below 1, or no keyword, is 422."""
    async with service(monkeypatch, sandbox.url) as session:
        for path in ("/categories/0", "/categories/x/items", "/categories/-1/items", "/search"):
            assert (await get(session, path))[0] == 422
    assert sandbox.stats.requests == 0


async def test_a_stream_that_fails_in_the_middle_says_so(monkeypatch, sandbox):
    """The status is sent by then, so the last line names the error."""
    async with (
        service(monkeypatch, sandbox.url) as session,
        session.get("/categories/2/items") as reply,
    ):
        assert json.loads(await reply.content.readline())["item_id"]
        sandbox.faults = Faults({"439": 1.0})
        *_, end = (await reply.read()).splitlines()
    assert json.loads(end)["end"] == "failed"
    assert json.loads(end)["type"] == "BalanceError"
