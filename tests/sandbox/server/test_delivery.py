from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from tmapi_async.sandbox import KINDS, Faults

CODES = [name for name in KINDS if name.isdigit() and name != "404"]


async def faulty(tmapi_sandboxes, name, **options):
    """A sandbox that has 20 items in category 7 and meets every attempt with a fault."""
    return await tmapi_sandboxes(categories={7: 20}, faults=Faults({name: 1.0}), **options)


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("style", ["status", "body"])
async def test_sandbox_code_comes_as_status_or_in_the_body(tmapi_sandboxes, ask, name, style):
    """A documented code is an HTTP status with a body, or an HTTP 200 with a body."""
    sandbox = await faulty(tmapi_sandboxes, name, style=style)
    status, _, body = await ask.get(sandbox, cat_id=7)
    assert status == (int(name) if style == "status" else 200)
    assert json.loads(body)["code"] == (4011 if name == "401" else int(name))
    assert sandbox.stats.codes == {name: 1}
    assert sandbox.stats.billed == 0


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("404", 404, b'{"message":"no Route matched with those values"}'),
        ("bare-balance", 200, b'{"message":"Insufficient API balance"}'),
        ("no-code", 200, b'{"message":"the service is busy"}'),
        ("html", 200, b"<!DOCTYPE html>"),
        ("html-502", 502, b"<!DOCTYPE html>"),
        ("not-json", 200, b'{"code":200,"msg":"succ'),
        ("empty-body", 200, b""),
        ("data-null", 200, b'{"code":200,"msg":"success","data":null}'),
        ("data-absent", 200, b'{"code":200,"msg":"success"}'),
        ("items-object", 200, b'{"code":200,"msg":"success","data":{"page":1'),
        ("redirect", 302, b""),
    ],
)
async def test_sandbox_bodies_that_are_no_page(tmapi_sandboxes, ask, name, status, body):
    """Each fault of this kind sends what its description says."""
    sandbox = await faulty(tmapi_sandboxes, name)
    answer = await ask.get(sandbox, cat_id=7)
    assert answer[0] == status
    assert answer[2].startswith(body)
    assert bool(answer[2]) == bool(body)
    assert sandbox.stats.served == {}


@pytest.mark.parametrize("name", ["slow", "gzip", "content-type", "oversized", "oversized-gzip"])
async def test_sandbox_right_reply_in_another_way(tmapi_sandboxes, ask, name):
    """A slow, packed, misnamed or padded reply still holds the page."""
    sandbox = await faulty(tmapi_sandboxes, name, slow=0.02, oversized=2**20)
    _, headers, body = await ask.get(sandbox, cat_id=7)
    rows = json.loads(body)["data"]["items"]
    assert [row["item_id"] for row in rows] == sandbox.catalogue.item_ids(7)
    assert headers["Content-Type"].startswith("text/html" if name == "content-type" else "app")
    assert ("Content-Encoding" in headers) == ("gzip" in name)
    assert (len(body) >= 2**20) == ("oversized" in name)
    assert sandbox.stats.billed == 1


async def test_sandbox_oversized_gzip_is_small_on_the_wire(tmapi_sandboxes, ask):
    """A compressed oversized reply is small on the wire."""
    sandbox = await faulty(tmapi_sandboxes, "oversized-gzip", oversized=2**22)
    _, headers, _ = await ask.get(sandbox, cat_id=7)
    assert int(headers["Content-Length"]) < 2**15


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("cut", aiohttp.ServerDisconnectedError),
        ("reset", aiohttp.ClientOSError),
        ("truncated", aiohttp.ClientPayloadError),
        ("bad-gzip", aiohttp.ClientPayloadError),
    ],
)
async def test_sandbox_broken_connections(tmapi_sandboxes, ask, name, error):
    """A client sees the expected error for each broken connection."""
    sandbox = await faulty(tmapi_sandboxes, name)
    with pytest.raises(error):
        await ask.get(sandbox, cat_id=7)
    await sandbox.until(lambda stats: stats.in_flight == 0)
    assert set(sandbox.stats.codes) == {name}
    assert sandbox.stats.billed == (name in ("truncated", "bad-gzip"))


async def test_sandbox_hang_lasts_until_the_client_gives_up(tmapi_sandboxes, ask):
    """A hanging request gets no reply and ends with its client."""
    sandbox = await faulty(tmapi_sandboxes, "hang")
    task = asyncio.create_task(ask.get(sandbox, cat_id=7))
    await sandbox.until(lambda stats: stats.in_flight == 1)
    task.cancel()
    await sandbox.until(lambda stats: stats.in_flight == 0)
    assert sandbox.stats.aborted == 1


async def test_sandbox_redirect_leads_nowhere(tmapi_sandboxes, ask):
    """A client that follows the redirect is seen doing so, and finds no route."""
    sandbox = await faulty(tmapi_sandboxes, "redirect")
    url = f"{sandbox.url}/1688/category/items?cat_id=7&apiToken=sandbox"
    async with ask.session.get(url) as reply:
        assert reply.status == 404
    assert sandbox.stats.codes == {"redirect": 1, "404": 1}


async def test_sandbox_page_may_lack_its_paging(tmapi_sandboxes, ask):
    """`no-paging` sends the rows and leaves out has_next_page."""
    sandbox = await faulty(tmapi_sandboxes, "no-paging")
    data = json.loads((await ask.get(sandbox, cat_id=7))[2])["data"]
    assert "has_next_page" not in data
    assert len(data["items"]) == 20


async def test_sandbox_oversized_reply_may_be_left_in_the_middle(tmapi_sandboxes, ask):
    """A client that stops reading an oversized body ends it for the server too."""
    sandbox = await faulty(tmapi_sandboxes, "oversized", oversized=2**30)
    url = f"{sandbox.url}/1688/category/items?cat_id=7&apiToken=sandbox"
    async with ask.session.get(url) as reply:
        await reply.content.readexactly(1000)
        reply.close()
    await sandbox.until(lambda stats: stats.in_flight == 0)
    assert sandbox.stats.billed == 1


async def test_sandbox_faults_may_change_while_it_runs(tmapi_sandboxes, ask):
    """New faults count from the next reply on."""
    sandbox = await faulty(tmapi_sandboxes, "500")
    assert (await ask.get(sandbox, cat_id=7))[0] == 500
    sandbox.faults = Faults()
    assert (await ask.get(sandbox, cat_id=7))[0] == 200
