from __future__ import annotations

import asyncio
import logging
import socket

import aiohttp
import pytest

from tmapi_async.sandbox import Faults, Sandbox


async def test_sandbox_limit_turns_away_at_once(tmapi_sandboxes, ask):
    """Beyond the limit a request gets 503 at once, with Retry-After if configured."""
    sandbox = await tmapi_sandboxes(limit=2, retry_after=3)
    sandbox.hold()
    tasks = [asyncio.create_task(ask.get(sandbox, cat_id=1, page=page)) for page in (1, 2)]
    await sandbox.until(lambda stats: stats.in_flight == 2)
    status, headers, body = await ask.get(sandbox, cat_id=1, page=3)
    assert (status, headers["Retry-After"]) == (503, "3")
    assert b"concurrency limit exceeded" in body
    sandbox.release()
    assert [status for status, _, _ in await asyncio.gather(*tasks)] == [200, 200]
    assert sandbox.stats.codes == {"200": 2, "503": 1}
    assert (sandbox.stats.peak_in_flight, sandbox.stats.in_flight) == (2, 0)


async def test_sandbox_limit_changes_while_it_runs(tmapi_sandboxes, ask):
    """A changed limit counts for the next request."""
    sandbox = await tmapi_sandboxes(limit=0)
    assert (await ask.get(sandbox, cat_id=1))[0] == 503
    sandbox.limit = 1
    assert (await ask.get(sandbox, cat_id=1))[0] == 200
    with pytest.raises(ValueError, match="limit must be 0 or more"):
        sandbox.limit = -1
    assert sandbox.limit == 1


@pytest.mark.parametrize("fault", [None, "slow", "truncated", "oversized", "gzip", "500", "cut"])
async def test_sandbox_slot_is_free_before_the_reply_has_ended(tmapi_sandboxes, ask, fault):
    """A client that asks again as soon as it has read a reply never meets its own slot."""
    rates = {fault: 1.0} if fault else {}
    sandbox = await tmapi_sandboxes(limit=1, slow=0.002, oversized=2**16, faults=Faults(rates))
    for page in range(40):
        try:
            await ask.get(sandbox, cat_id=1, page=page + 1)
        except aiohttp.ClientError:
            assert fault in ("truncated", "cut")
    assert "503" not in sandbox.stats.codes
    assert sandbox.stats.peak_in_flight == 1


async def test_sandbox_aborted_request_frees_its_slot(tmapi_sandboxes, ask):
    """A client that goes away gives its slot back at once, unbilled."""
    sandbox = await tmapi_sandboxes(limit=1, latency=60.0)
    task = asyncio.create_task(ask.get(sandbox, cat_id=1))
    await sandbox.until(lambda stats: stats.in_flight == 1)
    task.cancel()
    await sandbox.until(lambda stats: stats.in_flight == 0)
    assert (sandbox.stats.aborted, sandbox.stats.billed) == (1, 0)


async def test_sandbox_ghost_keeps_its_slot(tmapi_sandboxes, ask):
    """With ghosts, an abandoned request holds its slot and is billed when its work has ended."""
    sandbox = await tmapi_sandboxes(limit=1, ghosts=True)
    sandbox.hold()
    task = asyncio.create_task(ask.get(sandbox, cat_id=1))
    await sandbox.until(lambda stats: stats.in_flight == 1)
    task.cancel()
    assert (await ask.get(sandbox, cat_id=2))[0] == 503
    assert (sandbox.stats.in_flight, sandbox.stats.aborted) == (1, 0)
    sandbox.release()
    await sandbox.until(lambda stats: stats.in_flight == 0)
    assert (sandbox.stats.aborted, sandbox.stats.billed) == (1, 1)


@pytest.mark.parametrize("fault", ["slow", "truncated", "oversized", "cut", "reset", "500"])
async def test_sandbox_ghost_of_any_fault_ends_quietly(tmapi_sandboxes, ask, fault, caplog):
    """A reply that nobody waits for any more is dropped without an error in the log."""
    sandbox = await tmapi_sandboxes(ghosts=True, slow=0.01, faults=Faults({fault: 1.0}))
    sandbox.hold()
    task = asyncio.create_task(ask.get(sandbox, cat_id=1))
    await sandbox.until(lambda stats: stats.in_flight == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    # The server has seen the end of the connection when it answers one made later.
    await ask.get(sandbox, "/__stats__", token=None)
    sandbox.release()
    await sandbox.until(lambda stats: stats.in_flight == 0 and stats.aborted == 1)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_sandbox_quota_is_exact_however_many_are_in_flight(tmapi_sandboxes, ask):
    """Requests that were in flight together never take more than the balance pays for."""
    sandbox = await tmapi_sandboxes(quota=5)
    sandbox.hold()
    tasks = [asyncio.create_task(ask.get(sandbox, cat_id=1, page=page + 1)) for page in range(12)]
    await sandbox.until(lambda stats: stats.in_flight == 12)
    sandbox.release()
    await asyncio.gather(*tasks)
    assert sandbox.stats.codes == {"200": 5, "439": 7}


async def test_sandbox_closes_with_requests_in_flight(ask):
    """Closing drops what is held, leaves no task behind and frees the port."""
    before = asyncio.all_tasks()
    async with Sandbox(latency=60.0) as sandbox:
        tasks = [asyncio.create_task(ask.get(sandbox, cat_id=1)) for _ in range(5)]
        await sandbox.until(lambda stats: stats.in_flight == 5)
        port = int(sandbox.url.rpartition(":")[2])
    outcome = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, aiohttp.ClientError) for one in outcome)
    assert asyncio.all_tasks() == before
    assert (sandbox.stats.in_flight, sandbox.stats.aborted) == (0, 0)
    async with Sandbox(port=port):
        pass


async def test_sandbox_slot_of_a_client_that_left_is_free_for_the_next(tmapi_sandboxes):
    """A request that comes right after the end of another finds the slot free, however close."""
    sandbox, loop = await tmapi_sandboxes(limit=1, categories={7: 0}), asyncio.get_running_loop()
    address = ("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
    request = b"GET /1688/category/items?cat_id=7&apiToken=sandbox HTTP/1.1\r\nHost: x\r\n\r\n"
    for turn in range(20):
        with (
            socket.create_connection(address) as next_one,
            socket.create_connection(address) as one,
        ):
            next_one.setblocking(False)
            next_one.send(request)  # so that the connection is idle, not new, when it counts
            assert b" 200 " in await loop.sock_recv(next_one, 65536)
            sandbox.hold()
            one.send(request)
            await sandbox.until(lambda stats: stats.in_flight == 1)
            # Both without a turn of the loop between: the server learns of them together.
            one.close()
            next_one.send(request)
            await sandbox.until(lambda stats, count=3 * turn + 3: stats.requests == count)
            sandbox.release()
            assert b" 200 " in await loop.sock_recv(next_one, 65536)
    assert sandbox.stats.codes == {"200": 40}
    assert (sandbox.stats.peak_in_flight, sandbox.stats.aborted) == (1, 20)
