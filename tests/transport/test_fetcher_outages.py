from __future__ import annotations

import asyncio
import errno
import math

import aiohttp
import pytest

from tests.support.mocked import FetchRecord, outcome, scripted
from tests.support.outages import KEY, KINDS, PAGES, Kind, OutageApi, walk_through
from tests.support.sessions import failure, make_gate, page
from tests.support.virtual_time import run, settle, virtual_loop
from tmapi_async import (
    BudgetSpentError,
    ListingsFailedError,
    LocalLimitError,
    Observer,
    OutageError,
    OutageReport,
    Page,
    RetryPolicy,
    ServerError,
    UnreachableError,
)

START = 1000.0  # of the virtual clock
REFUSED = aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "refused"))
WHOLE = {"complete": 300}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [pytest.param(60, marks=pytest.mark.slow), 600])
@pytest.mark.parametrize("begins", [0.0, 3.0], ids=["before the first reply", "in the middle"])
def test_an_outage_is_waited_for(kind: Kind, seconds: float, begins: float) -> None:
    """No listing fails, one probe at most is on its way, and work goes on within five seconds."""

    async def main() -> None:
        api = OutageApi(kind, START + begins, START + begins + seconds)
        # Attempts that were on their way when it began end by the time-out at the latest.
        slow = {"hanging": 61.0, "blackholed": 11.0}.get(kind, 2.0)
        api.quiet_from = START + begins + slow
        record = await walk_through(api)
        assert record.endings == WHOLE
        assert record.error is None
        assert api.probing <= 1
        resumed = next(at for at, _ in api.served if at >= api.ends)
        assert resumed - api.ends < 5
        # A probe may ask for a page that came before.
        assert len(api.served) - 300 * PAGES <= (api.kind not in ("refused", "blackholed"))
        assert record.counts.requests == len(api.sent)
        # Nothing was charged that reached no server.
        assert record.counts.requests - record.counts.unreached == api.reached
        assert record.gate is not None
        assert record.gate.budget.spent == api.reached
        if seconds > 60:
            assert seconds - slow - 5 < record.counts.waited < seconds + 5
            in_outage = sum(api.quiet_from <= at < api.ends for at in api.sent)
            assert 100 < in_outage < 170

    run(main())


def test_no_budget_is_spent_on_what_reached_nobody() -> None:
    """A budget that just suffices without an outage suffices with one."""

    async def main() -> None:
        for budget, endings in ((50, {"complete": 10}), (49, {"complete": 9, "stopped": 1})):
            now = virtual_loop().time()
            api = OutageApi("refused", now + 0.3, now + 60)
            gate = make_gate(1, budget=budget)
            record = await walk_through(api, listings=10, gate=gate)
            assert record.endings == endings
            assert record.counts.unreached > 10
            assert gate.budget.spent == budget
            assert isinstance(record.error, BudgetSpentError | None)

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_outage_is_given_up_with_listings_stopped(kind: Kind) -> None:
    """After `wait` seconds all work ends: listings are stopped, none has failed."""

    async def main() -> None:
        api = OutageApi(kind, START + 3, START + 100_000)
        record = await walk_through(api, wait=300)
        assert isinstance(record.error, OutageError)
        assert record.error.halts
        assert set(record.endings) == {"complete", "stopped"}
        assert "for 5 min" in str(record.error)
        assert "--wait" in str(record.error)
        opened = record.ended_at - 300 - START
        assert opened < 80  # the longest: a time-out of 60 s, and some seconds
        assert record.counts.waited == pytest.approx(300)

    run(main())


@pytest.mark.parametrize("kind", ["refused", "500"])
def test_without_a_wait_each_page_fails_by_its_own_retries(kind: Kind) -> None:
    """`wait=0` never holds an attempt back."""

    async def main() -> None:
        api = OutageApi(kind, START + 0.5, START + 600)
        record = await walk_through(api, listings=40, wait=0)
        assert isinstance(record.error, ListingsFailedError)
        assert record.endings["failed"] > 0
        assert record.counts.waited == 0

    run(main())


def test_by_default_the_wait_is_that_of_the_retry_policy() -> None:
    """Half a minute is waited for; after about a minute all work ends."""

    async def main() -> None:
        record = await walk_through(OutageApi("500", START + 3, START + 33), wait=None)
        assert record.endings == WHOLE
        api = OutageApi("500", virtual_loop().time() + 3, math.inf)
        record = await walk_through(api, wait=None)
        assert isinstance(record.error, OutageError)
        assert "failed" not in record.endings
        assert record.ended_at - api.begins == pytest.approx(RetryPolicy().seconds, abs=3)

    run(main())


def test_by_default_a_server_that_never_answered_is_given_up_after_three_attempts() -> None:
    """A wrong address is told at once where nobody asked to wait."""
    record = FetchRecord(REFUSED)
    assert type(record.outcome) is UnreachableError
    assert len(record.urls) == 3
    assert record.outcome.halts
    assert record.gate.requests == 0
    assert record.counts.unreached == 3


def test_one_page_in_trouble_fails_alone() -> None:
    """A page that always gets a 500 while others come fails after its own attempts."""

    async def main() -> None:
        api = OutageApi("500", 0, 0)
        bad = "/1688/category/items?cat_id=7&page=3"
        api.bad = {bad}
        record = await walk_through(api, listings=30)
        assert record.endings == {"complete": 29, "failed": 1}
        assert record.counts.codes["500"] == 8
        assert record.counts.waited == 0

    run(main())


def test_pages_in_trouble_are_told_from_a_service_that_is_out() -> None:
    """If every page left gets a 500, a page that came before tells that the service is not out."""

    async def main() -> None:
        api = OutageApi("500", 0, 0)
        api.bad = {f"/1688/category/items?cat_id={cat}&page=5" for cat in range(1, 7)}
        record = await walk_through(api, listings=6)
        assert record.endings == {"failed": 6}
        assert 0 < record.counts.waited < 20
        served = [target for _, target in api.served]
        assert len(served) - len({*served}) == 1  # the one page that was requested to find out
        assert record.counts.codes["500"] < 80

    run(main())


def test_one_page_alone_is_waited_for_if_no_server_was_reached() -> None:
    """A single call waits, too: a refused connection cannot be the fault of a page."""

    async def main() -> None:
        policy = RetryPolicy()
        async with scripted(page(1), *[REFUSED] * 30, page(2), wait=600, policy=policy) as (
            session,
            script,
        ):
            assert isinstance(await outcome(session, 1), Page)
            assert isinstance(await outcome(session, 2), Page)
            assert len(script.urls) == 32
            assert session.gate.budget.spent == 2
            assert session.waited == pytest.approx(1 + 2 + 26 * 4, abs=2)

    run(main())


def test_one_page_alone_that_gets_500s_fails() -> None:
    """Without another page to compare with, a 500 is the page's: its attempts are used up."""
    record = FetchRecord(failure(500), wait=600, policy=RetryPolicy())
    assert type(record.outcome) is ServerError
    assert len(record.urls) == 8


def test_a_long_outage_after_the_client_idled_is_tried_anew() -> None:
    """A call long after an outage was left is not given up without an attempt."""

    async def main() -> None:
        async with scripted(REFUSED, wait=60, policy=RetryPolicy()) as (session, script):
            task = asyncio.create_task(outcome(session))
            await asyncio.sleep(30)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(3600)
            script.answers[:] = [page(1)]
            assert isinstance(await outcome(session), Page)

    run(main())


def test_an_attempt_that_waits_is_cancelled_at_once() -> None:
    """A waiting attempt, and the one that probes, end when they are cancelled; others go on."""

    async def main() -> None:
        hang = [1e6, page(1)]
        async with scripted(page(9), *[REFUSED] * 3, *hang, page(2), wait=1e5) as (session, script):
            assert isinstance(await outcome(session, 9), Page)
            first, second, third = (asyncio.create_task(outcome(session, n)) for n in (1, 2, 3))
            await asyncio.sleep(2)
            assert len(script.urls) == 5
            assert session.outages.report() is not None
            tasks = {first, second, third}
            before = virtual_loop().time()
            first.cancel()  # the one that probes
            third.cancel()
            await settle(10)
            assert virtual_loop().time() == before
            assert {task for task in tasks if task.cancelled()} == {first, third}
            assert isinstance(await second, Page)
            statistics = session.gate.statistics()
            assert statistics.in_flight == statistics.ghosts
        assert virtual_loop().timers == 0

    run(main())


def test_a_client_that_is_closed_in_an_outage_ends_at_once() -> None:
    """Closing fails what waits, and leaves no timer."""

    async def main() -> None:
        async with scripted(REFUSED, wait=1e5) as (session, _):
            task = asyncio.create_task(outcome(session))
            await asyncio.sleep(20)
            before = virtual_loop().time()
            await session.close()
            assert "closed" in str(await task)
            assert virtual_loop().time() == before
        assert virtual_loop().timers == 0

    run(main())


def test_an_outage_is_reported_when_it_begins_and_ends() -> None:
    """Observer and log are told once each, in words that say since when and until when."""
    reports: list[OutageReport] = []

    class Recording(Observer):
        def on_outage(self, outage: OutageReport) -> None:
            reports.append(outage)

    async def main() -> None:
        await walk_through(OutageApi("502", START + 1, START + 40), observer=Recording())
        await walk_through(OutageApi("refused", START, START + 1e6), wait=30, observer=Recording())

    run(main())
    assert [report.state for report in reports] == ["waiting", "over", "waiting", "given-up"]
    assert reports[1].seconds == pytest.approx(40, abs=5)
    assert "502 Bad Gateway" in reports[1].reason
    assert reports[0].gives_up_at - reports[0].since == pytest.approx(1800, abs=3)
    assert "is tried again every 1 s until" in str(reports[0])


def test_a_machine_without_network_is_named() -> None:
    """The user looks at the own cable first, and not at the API."""
    gone = aiohttp.ClientConnectorError(KEY, OSError(errno.ENETUNREACH, "Network is unreachable"))
    record = FetchRecord(gone)
    assert type(record.outcome) is UnreachableError
    assert "Network is unreachable: this machine has no network" in str(record.outcome)


def test_a_machine_without_room_for_a_connection_waits_and_opens_fewer() -> None:
    """Too many open files are no refusal of the server: the page waits, and the gate narrows."""
    full = aiohttp.ClientConnectorError(KEY, OSError(errno.EMFILE, "Too many open files"))

    async def main() -> None:
        async with scripted(*[full] * 12, page(1), wait=600) as (session, script):
            assert isinstance(await outcome(session), Page)
            assert len(script.urls) == 13
            assert session.gate.budget.spent == 1
            assert session.gate.statistics().controller.refused > 0
        record = await _alone(full)
        assert isinstance(record, OutageError)
        assert "Too many open files" in str(record)

    async def _alone(error: Exception) -> object:
        async with scripted(error, wait=60) as (session, _):
            return await outcome(session)

    run(main())
    assert LocalLimitError("x").meaning in str(LocalLimitError("x"))
