from __future__ import annotations

import asyncio
import itertools
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from yarl import URL

from tests.support.mocked import FetchRecord, outcome, scripted
from tests.support.sessions import AT_ONCE, failure, make_gate, new_state, page
from tests.support.virtual_time import run, settle, virtual_loop
from tmapi_async import (
    AuthenticationError,
    BalanceError,
    BudgetSpentError,
    CertificateError,
    ConcurrencyError,
    ConnectionFailedError,
    DeadlineError,
    MalformedReplyError,
    Page,
    ParameterError,
    RateLimitError,
    RetrievalError,
    RetryPolicy,
    RouteError,
    ServerError,
    TMAPIError,
    TryAgainError,
    UnavailableError,
    UnexpectedCodeError,
    UnreachableError,
)

if TYPE_CHECKING:
    from tmapi_async.transport.session import Session

HTML = (502, b"<html>Bad Gateway</html>")
KEY: Any = aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)


async def get_one_page(session: Session) -> None:
    """Let the session see one reply that it understands."""
    assert isinstance(await outcome(session), Page)


@pytest.mark.parametrize("status", [200, None], ids=["in the body", "as status"])
@pytest.mark.parametrize(
    ("code", "kind", "attempts"),
    [
        (417, RetrievalError, 8),
        (499, TryAgainError, 8),
        (500, ServerError, 8),
        (502, ServerError, 8),
        (422, ParameterError, 1),
        (418, UnexpectedCodeError, 1),
        (401, AuthenticationError, 1),
        (402, BalanceError, 1),
        (403, AuthenticationError, 1),
        (404, RouteError, 1),
        (439, BalanceError, 1),
    ],
)
def test_each_code_has_its_number_of_attempts(
    code: int, kind: type[TMAPIError], attempts: int, status: int | None
) -> None:
    """417, 499 and 500 take eight attempts; invalid requests and errors that end all work, one."""
    record = FetchRecord(failure(code, status or code))
    assert type(record.outcome) is kind
    assert len(record.urls) == attempts
    assert record.counts.retries == attempts - 1
    assert record.counts.codes == {str(code): attempts}
    assert (record.outcome.attempts, record.outcome.code) == (attempts, code)
    assert (record.outcome.endpoint, record.outcome.page) == ("category/items", 1)
    assert (record.outcome.listing, record.outcome.message) == ("category/items?cat_id=5", "why")
    assert record.gate.requests == attempts


@pytest.mark.parametrize("failures", [1, 3, 7])
def test_a_page_that_comes_at_last_is_a_page(failures: int) -> None:
    """Up to seven failures of any kind are forgotten when the page comes."""
    kinds = [failure(500), HTML, failure(417, 417), (200, b""), failure(499), (500, b"{}")]
    record = FetchRecord(*(kinds * 2)[:failures], page(1))
    assert isinstance(record.outcome, Page)
    assert record.outcome.attempts == failures + 1 == len(record.urls)
    assert record.counts.codes["200"] == 1


def test_every_attempt_asks_the_same() -> None:
    """A retry is the same request again."""
    assert len(set(FetchRecord(failure(500)).urls)) == 1


TRANSPORT: tuple[tuple[BaseException, type[TMAPIError]], ...] = (
    (aiohttp.ServerDisconnectedError(), ConnectionFailedError),
    (aiohttp.ClientOSError(104, "Connection reset by peer"), ConnectionFailedError),
    (aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), UnreachableError),
    (aiohttp.ClientPayloadError("http://h/?apiToken=t0ken"), ConnectionFailedError),
    (aiohttp.InvalidURL("http://h/?apiToken=t0ken"), ConnectionFailedError),
    (ConnectionResetError("http://h/?apiToken=t0ken"), ConnectionFailedError),
    (aiohttp.ServerTimeoutError(), DeadlineError),
    (ValueError("http://h/?apiToken=t0ken"), ConnectionFailedError),
)


@pytest.mark.parametrize(
    ("raised", "kind"), TRANSPORT, ids=[type(e).__name__ for e, _ in TRANSPORT]
)
def test_failures_of_transport_take_eight_attempts(
    raised: BaseException, kind: type[TMAPIError]
) -> None:
    """A request whose transport fails is tried eight times if the transport has worked before."""
    record = FetchRecord(page(1), raised, prepare=get_one_page)
    assert type(record.outcome) is kind
    assert len(record.urls) == 8
    assert not record.outcome.halts
    assert record.outcome.__context__ is record.outcome.__cause__ is None
    assert "t0ken" not in str(record.outcome)


def test_a_transport_that_never_worked_ends_all_work() -> None:
    """If no reply was ever understood, all work ends after three attempts."""
    record = FetchRecord(aiohttp.ClientConnectorError(KEY, OSError(111, "refused")))
    assert type(record.outcome) is UnreachableError
    assert len(record.urls) == 3
    assert record.outcome.halts
    assert "Connection refused" in str(record.outcome)
    assert FetchRecord(HTML).outcome.halts
    assert not FetchRecord(failure(500)).outcome.halts


def test_a_bad_certificate_ends_all_work_at_once() -> None:
    """After a certificate error nothing is retried, and the message names the ways out."""
    reason = ssl.SSLCertVerificationError("url http://h/?apiToken=t0ken")
    reason.verify_message = "Hostname mismatch"
    record = FetchRecord(aiohttp.ClientConnectorCertificateError(KEY, reason))
    assert type(record.outcome) is CertificateError
    assert len(record.urls) == 1
    assert record.outcome.halts
    assert "Hostname mismatch" in str(record.outcome)
    assert "--base-url" in str(record.outcome)


@pytest.mark.parametrize("refusals", [1, 20, 100])
@pytest.mark.parametrize("code", [503, 429])
@pytest.mark.parametrize("body", [None, b"<html>busy</html>", b'{"message": "busy"}'])
def test_refusals_are_no_failures(refusals: int, code: int, body: bytes | None) -> None:
    """A page may fail seven times in addition to any number of 503 or 429, coded or bare."""
    patient = RetryPolicy(base=0, patience=1e6)
    refusal = failure(code, code) if body is None else (code, body)
    answers = [*[refusal] * refusals, *[failure(500)] * 7, page(1)]
    record = FetchRecord(*answers, policy=patient)
    assert isinstance(record.outcome, Page)
    assert record.counts.codes == {str(code): refusals, "500": 7, "200": 1}
    assert record.gate.controller.refused == refusals


@pytest.mark.parametrize(("code", "kind"), [(503, ConcurrencyError), (429, RateLimitError)])
def test_refusals_are_borne_for_a_time(code: int, kind: type[TMAPIError]) -> None:
    """A page that is refused for a quarter of an hour is given up, and the gate was not idle."""
    record = FetchRecord(failure(code), policy=RetryPolicy())
    assert type(record.outcome) is kind
    assert 900 <= record.times[-1] <= 1000
    assert len(record.urls) > 50
    assert not record.outcome.halts


BUSY = (503, b"<html><title>503 Service Temporarily Unavailable</title></html>")


def test_a_gateway_that_refuses_everything_for_long_ends_all_work() -> None:
    """Maintenance for hours is no fault of each page: the others need not wait as long."""
    record = FetchRecord(page(1), BUSY, prepare=get_one_page)
    assert type(record.outcome) is UnavailableError
    assert record.times[-1] >= 900
    assert record.outcome.halts


def test_a_gateway_that_refuses_one_page_ends_nothing_else() -> None:
    """While other pages come, the page that is refused fails alone."""

    async def main() -> None:
        async with scripted(BUSY, gate=make_gate(2)) as (session, script):

            def by_page() -> tuple[Any, ...]:
                return BUSY if "page=1" in script.urls[-1] else (200, page(2), {})

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(script, "next", lambda: (*by_page(), {})[:3])
                refused = asyncio.create_task(outcome(session, 1))
                await asyncio.sleep(400)
                assert isinstance(await outcome(session, 2), Page)
                result = await refused
        assert type(result) is UnavailableError
        assert not result.halts

    run(main())


def test_refusals_take_no_retries_from_others() -> None:
    """Back-pressure does not use up the retries that failures need."""

    async def main() -> None:
        answers = (*[failure(503)] * 80, page(1), *[failure(500)] * 7, page(2))
        async with scripted(*answers) as (session, _):
            assert isinstance(await outcome(session), Page)
            failed_before = await outcome(session, 2)
            assert isinstance(failed_before, Page)
            assert failed_before.attempts == 8

    run(main())


@pytest.mark.parametrize("answer", [failure(503, Retry_After="7"), failure(500, Retry_After="7")])
def test_retry_after_is_waited_for(answer: Any) -> None:
    """The next attempt of the page does not come before the time that the server asked for."""
    record = FetchRecord(answer, page(1))
    assert 7 <= record.times[1] <= 9


def test_a_retry_after_of_a_refusal_closes_the_gate() -> None:
    """While a refusal asks for a pause, no other page is requested either."""

    async def main() -> None:
        async with scripted(failure(503, Retry_After="7"), page(1), gate=make_gate(1)) as (
            session,
            script,
        ):
            await asyncio.gather(*(outcome(session, number) for number in range(1, 5)))
            first, *later = script.times
            assert min(later) >= first + 7

    run(main())


def test_the_slot_is_free_during_a_back_off() -> None:
    """A page that waits before its retry holds no slot: others pass, and it comes back later."""

    async def main() -> None:
        slow = RetryPolicy(base=100, cap=100)
        async with scripted(failure(500), page(2), page(1), gate=make_gate(1), policy=slow) as (
            session,
            script,
        ):
            shared = new_state(session)
            first = asyncio.ensure_future(outcome(session, 1, shared))
            await settle(10)
            assert (shared.counts.resting, shared.on_wire) == (1, False)
            assert session.gate.statistics().in_flight == 0
            second = await outcome(session, 2)
            assert script.times[1] == script.times[0]
            assert isinstance(second, Page)
            assert isinstance(await first, Page)
            assert [url.split("page=")[1][0] for url in script.urls] == ["1", "2", "1"]

    run(main())


def test_back_off_lasts_below_its_ceiling() -> None:
    """The time between attempts is at most the doubled back-off of the policy."""
    record = FetchRecord(failure(500), policy=RetryPolicy())
    gaps = [later - earlier for earlier, later in itertools.pairwise(record.times)]
    assert all(gap <= 0.5 * 2**n + 1e-9 for n, gap in enumerate(gaps))
    assert len(set(gaps)) > 1


def test_the_deadline_is_counted_from_the_gate() -> None:
    """The deadline counts the time on the wire, but not the wait for a slot."""

    async def main() -> None:
        answers = (50, page(1), 50, page(2), 61, page(3), page(3))
        async with scripted(*answers, gate=make_gate(1)) as (session, script):
            outcomes = await asyncio.gather(*(outcome(session, number) for number in (1, 2, 3)))
            assert [type(one) for one in outcomes] == [Page, Page, Page]
            start = script.times[0]
            assert [at - start for at in script.times[:3]] == pytest.approx([0, 50, 100])
            assert outcomes[2].attempts == 2
            assert script.times[3] - start >= 160

    run(main())


def test_a_timed_out_attempt_goes_on_at_the_server() -> None:
    """After a time-out the slot is kept for a while, and it is one failure of the page."""
    record = FetchRecord(100, page(1), policy=RetryPolicy(base=0, max_attempts=1), timeout=5.0)
    assert type(record.outcome) is DeadlineError
    assert "5 s" in str(record.outcome)
    assert record.counts.codes == {"timeout": 1}
    assert (record.gate.ghosts, record.gate.controller.abandoned) == (1, 1)


def test_an_outage_does_not_multiply_requests() -> None:
    """When too many requests fail, pages are given up at their first failure, and say why."""

    async def main() -> None:
        async with scripted(failure(500, msg="x" * 290), gate=make_gate(16)) as (session, script):
            outcomes = await asyncio.gather(*(outcome(session, number) for number in range(200)))
            assert len(script.urls) <= 200 + 50 + 200
            given_up = [error for error in outcomes if error.attempts == 1]
            assert given_up
            for error in given_up:
                assert isinstance(error, ServerError)
                assert "not retried" in error.message
                assert len(error.message) <= 300

    run(main())


def test_a_page_that_cannot_be_read_is_paid_for_three_times() -> None:
    """A page of code 200 that cannot be read is requested three times: each was billed."""
    record = FetchRecord((200, b'{"code": 200, "data": null}'))
    assert type(record.outcome) is MalformedReplyError
    assert len(record.urls) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_a_proxys_refusal_narrows_the_gate(status: int) -> None:
    """Such a status without a code is a failure of transport, and a refusal to the gate."""
    record = FetchRecord((status, b"<html>busy</html>"), page(1))
    assert isinstance(record.outcome, Page)
    assert record.gate.controller.refused == 1


def test_a_spent_budget_ends_the_page() -> None:
    """Retries are charged like first attempts, and the attempt beyond the budget is not sent."""

    async def main() -> None:
        async with scripted(failure(500), gate=make_gate(2, budget=3)) as (session, script):
            error = await outcome(session)
            assert type(error) is BudgetSpentError
            assert error.halts
            assert len(script.urls) == 3
            assert session.gate.statistics().in_flight == 0

    run(main())


def test_the_rate_limit_holds_for_retries() -> None:
    """A retry passes the rate limiter like any attempt."""

    async def main() -> list[float]:
        async with scripted(failure(500), gate=make_gate(8, rate=2), policy=AT_ONCE) as (_, script):
            await outcome(_)
            return script.times

    times = run(main())
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == pytest.approx([0.5] * 7, abs=1e-3)


def test_mocked_time_is_virtual() -> None:
    """These tests wait in virtual time, and nobody listens at their URL."""

    async def main() -> str:
        async with scripted(3600, page(1), timeout=4000.0) as (session, script):
            before = virtual_loop().now
            await outcome(session)
            assert virtual_loop().now - before >= 3600
            return script.urls[0]

    assert URL(run(main())).port == 9
