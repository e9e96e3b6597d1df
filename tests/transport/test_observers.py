"""Reports to an observer, and log records, of attempts and pages."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp
import pytest

from tests.support.mocked import outcome, scripted
from tests.support.sessions import failure, new_state, page, request
from tests.support.virtual_time import run
from tmapi_async import AttemptReport, Observer, PageReport, RetryPolicy
from tmapi_async.errors import TMAPIError
from tmapi_async.transport import observers

HERE = "category/items?cat_id=5"


class Notes(Observer):
    """Keeps the reports that it receives, in order."""

    def __init__(self) -> None:
        self.reports: list[AttemptReport | PageReport] = []

    def on_attempt(self, attempt: AttemptReport) -> None:
        """Keep the report."""
        self.reports.append(attempt)

    def on_page(self, page: PageReport) -> None:
        """Keep the report."""
        self.reports.append(page)

    @property
    def attempts(self) -> list[AttemptReport]:
        """Reports of attempts."""
        return [report for report in self.reports if isinstance(report, AttemptReport)]

    @property
    def pages(self) -> list[PageReport]:
        """Reports of pages."""
        return [report for report in self.reports if isinstance(report, PageReport)]


def observed(*answers: Any, **options: Any) -> tuple[Notes, Any]:
    """Fetch one page in virtual time; return the reports and the outcome."""
    notes = Notes()

    async def main() -> Any:
        async with scripted(*answers, observer=notes, **options) as (session, _):
            return await outcome(session)

    return notes, run(main())


def test_every_attempt_is_told_then_the_page() -> None:
    """Each attempt is reported when it is over, retries included, and the page with all of them."""
    notes, _ = observed(
        2, failure(500, 502), 3, aiohttp.ServerDisconnectedError(), failure(503), 1, page(1)
    )
    assert [(report.number, report.outcome, report.status) for report in notes.attempts] == [
        (1, "500", 502),
        (2, "connection", None),
        (3, "503", 200),
        (4, "200", 200),
    ]
    assert [round(report.seconds, 3) for report in notes.attempts] == [2, 3, 0, 1]
    assert {report.request for report in notes.attempts} == {request(1)}
    (reports,) = notes.pages
    assert reports is notes.reports[-1]
    assert reports.attempts == tuple(notes.attempts)
    assert (reports.request, reports.outcome, reports.items, reports.rejects) == (
        request(1),
        "200",
        1,
        0,
    )
    assert reports.seconds >= 6
    first, last = reports.attempts[0], reports.attempts[-1]
    assert reports.began <= first.began < last.began
    assert last.began + last.seconds * 1e9 <= reports.began + reports.seconds * 1e9 + 1000


def test_a_page_that_cannot_be_had_is_told() -> None:
    """A final failure is reported with its code and its attempts, without items."""
    notes, error = observed(failure(422))
    assert isinstance(error, TMAPIError)
    (reports,) = notes.pages
    assert (reports.outcome, reports.items, len(reports.attempts)) == ("422", 0, 1)


def test_rejects_are_counted() -> None:
    """Rows that could not be decoded are reported beside the items."""
    notes, _ = observed(page(1, item_id="n/a"))
    assert (notes.pages[0].items, notes.pages[0].rejects) == (0, 1)


def test_slots_are_those_after_the_attempt() -> None:
    """The gate's width is reported, and the slots taken without the attempt's own."""
    notes, _ = observed(page(1))
    assert (notes.attempts[0].width, notes.attempts[0].in_flight) == (4, 0)


def test_what_is_left_is_told_as_cancelled() -> None:
    """An attempt whose task is cancelled is reported, and so is its page."""
    notes = Notes()

    async def main() -> None:
        async with scripted(9, page(1), observer=notes) as (session, _):
            asking = asyncio.ensure_future(session.fetch(request(), new_state(session)))
            await asyncio.sleep(4)
            asking.cancel()
            await asyncio.wait([asking])

    run(main())
    assert [
        (type(report), report.outcome, round(report.seconds, 3)) for report in notes.reports
    ] == [
        (AttemptReport, "cancelled", 4),
        (PageReport, "cancelled", 4),
    ]


def test_a_page_that_is_left_at_rest_is_told_as_cancelled() -> None:
    """A page cancelled between two attempts is reported as cancelled, not as its last attempt."""
    notes = Notes()

    async def main() -> None:
        policy = RetryPolicy(base=1e6, cap=1e6)
        async with scripted(failure(500), observer=notes, policy=policy) as (session, _):
            asking = asyncio.ensure_future(session.fetch(request(), new_state(session)))
            await asyncio.sleep(4)
            asking.cancel()
            await asyncio.wait([asking])

    run(main())
    assert [report.outcome for report in notes.reports] == ["500", "cancelled"]


class Broken(Observer):
    """Fails on every report."""

    def on_attempt(self, attempt: AttemptReport) -> None:
        """Fail."""
        raise ZeroDivisionError(str(attempt))

    def on_page(self, page: PageReport) -> None:
        """Fail in the same way."""
        raise ZeroDivisionError(str(page))


def test_an_observer_that_fails_changes_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An observer's exceptions are logged once, by class, without text; the pages come."""
    monkeypatch.setattr(observers, "reported_failures", set())

    async def main() -> list[Any]:
        async with scripted(page(1), page(2), observer=Broken()) as (session, _):
            return [await session.fetch(request(n), new_state(session)) for n in (1, 2)]

    assert len(run(main())) == 2
    errors = [report.getMessage() for report in caplog.records if report.levelno == logging.ERROR]
    assert errors == ["the observer Broken raised ZeroDivisionError; the walk goes on"]


def test_log_records_carry_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Each record of an attempt or a retry has endpoint, listing, page, attempt and outcome."""
    caplog.set_level(logging.DEBUG, "tmapi_async")
    observed(failure(500), page(1))
    names = ("endpoint", "listing", "page", "attempt", "outcome")
    outcomes = [
        (report.levelname, *(vars(report).get(f"tmapi_{name}") for name in names))
        for report in caplog.records
        if report.name == "tmapi_async"
    ]
    assert outcomes == [
        ("DEBUG", "category/items", HERE, 1, 1, "500"),
        ("INFO", "category/items", HERE, 1, 1, "500"),
        ("DEBUG", "category/items", HERE, 1, 2, "200"),
    ]
