"""The time-out counts from when the gate is passed until the body is read."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.support.watching import all_slots_back, client, ids_by_category, truth, until
from tmapi_async import DeadlineError, RetryPolicy
from tmapi_async.sandbox import Faults

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.slow]

TWICE = RetryPolicy(base=0, max_attempts=2)


@pytest.mark.parametrize("name", ["hang", "slow"])
async def test_a_reply_that_does_not_end_is_given_up(tmapi_sandboxes, name):
    """No headers, or a body that trickles: the attempt ends, is retried, and is named at last."""
    sandbox = await tmapi_sandboxes(categories={1: 60, 2: 60}, slow=600)
    async with client(sandbox, timeout=0.1, retry=TWICE, lookahead="off") as api:
        await api.category_items(2)
        sandbox.faults = Faults(script={(1, 2): name})
        walk = api.category_items(1)
        found: dict[int, list[int]] = {}
        with pytest.raises(DeadlineError) as raised:
            await ids_by_category(walk.pages(), found)
        assert (raised.value.page, raised.value.attempts) == (2, 2)
        assert "0.1 s" in str(raised.value)
        assert found == {1: truth(sandbox)[1][:20]}
        assert walk.statistics().codes == {"200": 1, "timeout": 2}
        assert walk.statistics().requests == 3
        await all_slots_back(api)


async def test_a_reply_that_hangs_once_is_asked_for_again(tmapi_sandboxes):
    """A single hang costs one attempt and no item."""
    sandbox = await tmapi_sandboxes(categories={1: 100, 2: 60})
    async with client(sandbox, timeout=0.2) as api:
        await api.category_items(2)
        sandbox.faults = Faults(script={(1, 3): ["hang"]})
        walk = api.category_items(1)
        assert await ids_by_category(walk.pages()) == {1: truth(sandbox)[1]}
        assert walk.statistics().codes["timeout"] == 1
        await all_slots_back(api)


async def test_waiting_at_the_gate_is_not_counted(tmapi_sandboxes):
    """An attempt that waits for a slot longer than the time-out is still sent, and answered."""
    sandbox = await tmapi_sandboxes(categories={1: 20, 2: 20})
    once = RetryPolicy(base=0, max_attempts=1)
    async with client(sandbox, timeout=0.5, concurrency=1, retry=once) as api:
        await api.category_items(1)
        sandbox.faults = Faults(script={1: "hang"})
        hangs = asyncio.create_task(_first(api, 1))
        await sandbox.until(lambda seen: seen.in_flight == 1)
        waits = asyncio.create_task(_first(api, 2))
        with pytest.raises(DeadlineError):
            await hangs
        assert (await waits).number == 1
        await all_slots_back(api)


async def _first(api, cat_id):
    return await api.category_items(cat_id)


async def test_the_slot_of_a_timed_out_attempt_is_kept_while_the_server_works(tmapi_sandboxes):
    """A time-out ends our waiting, not the server's work: no 503 although all slots are wanted."""
    sandbox = await tmapi_sandboxes(categories=dict.fromkeys(range(1, 9), 40), limit=2, ghosts=True)
    async with client(sandbox, concurrency=2, timeout=0.5) as api:
        await api.category_items(1)
        # As after replies of minutes: no slot comes back by itself before the server is done.
        for _ in range(100):
            api.gate.abandoned_requests.answered(600.0)
        sandbox.hold()
        late = asyncio.gather(_first(api, 1), _first(api, 2))
        await until(lambda: api.statistics().ghosts == 2)
        walk = asyncio.create_task(ids_by_category(api.category_items(range(3, 9)).pages()))
        await until(lambda: api.statistics().waiting >= 3)
        assert sandbox.stats.requests == 3
        sandbox.release()
        await sandbox.until(lambda seen: seen.in_flight == 0)
        api.gate.close()  # as if the time were over after which the slots come back
        held = truth(sandbox)
        assert await walk == {cat_id: held[cat_id] for cat_id in range(3, 9)}
        await late
        assert sandbox.stats.codes["503"] == 0
        assert sandbox.stats.aborted == 2
        await all_slots_back(api)


@pytest.mark.parametrize("warm", [True, False])
async def test_short_deadlines_of_a_caller_are_recovered_from(tmapi_sandboxes, warm):
    """Requests given up before the first reply must not keep all slots for ten seconds."""
    sandbox = await tmapi_sandboxes(
        categories=dict.fromkeys(range(1, 10), 20),
        faults=Faults(script=dict.fromkeys(range(1, 5), "hang")),
    )
    async with client(sandbox, concurrency="auto") as api:
        if warm:
            await api.category_items(9)

        async def ask(cat_id):
            async with asyncio.timeout(0.2):
                return await api.category_items(cat_id)

        given_up = await asyncio.gather(*(ask(cat_id) for cat_id in range(1, 5)),
                                        return_exceptions=True)  # fmt: skip
        assert [type(one) for one in given_up] == [TimeoutError] * 4
        tries, page = 0, None
        while page is None:
            tries += 1
            with contextlib.suppress(TimeoutError):
                page = await ask(5)
        assert tries <= 6


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "60", None])
async def test_a_time_out_must_make_sense(tmapi_sandboxes, seconds):
    """A time-out that is not a number of seconds above 0 is refused when the client is made."""
    sandbox = await tmapi_sandboxes()
    with pytest.raises(ValueError, match="timeout must be above 0"):
        client(sandbox, timeout=seconds)
