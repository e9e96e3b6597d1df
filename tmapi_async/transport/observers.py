"""Reports of attempts and page requests, for an observer and for the log. No I/O.

An [`Observer`][tmapi_async.Observer] receives a report of every attempt on the wire and of every
page request. Reports are plain objects that hold neither URL nor token. Without an observer no
report is made.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec

from tmapi_async import errors
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.outage_queue import OutageReport, duration

log = logging.getLogger("tmapi_async")

UNANSWERED = "cancelled"
"""Outcome of an attempt or page that was left unanswered: the walk ended or was cancelled."""


class AttemptReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Report of one attempt, made when the attempt is over.

    Attributes:
        request: The page request: `request.listing.endpoint`, `request.listing.identity`,
            `request.number`.
        number: Number of the attempt for this page, from 1.
        outcome: `"200"` for a page; else the API's code, or the kind of failure (`"timeout"`,
            `"connection"`, ...), as counted in `WalkStatistics.codes`; `"cancelled"` if the caller
            no longer waited.
        status: HTTP status; 200 for a page, and None where no reply came.
        began: Time at which the attempt passed the gate, in nanoseconds since 1970.
        seconds: Seconds from then until the body was read or the attempt was given up.
        width: Slots of the gate open now.
        in_flight: Slots taken now: without this attempt's slot, but with those kept for abandoned
            requests.
    """

    request: PageRequest
    number: int
    outcome: str
    status: int | None
    began: int
    seconds: float
    width: int
    in_flight: int


class PageReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Report of one page request, made when the request is over.

    Attributes:
        request: The page request.
        outcome: Outcome of the last attempt; `"cancelled"` if the caller no longer waited.
        attempts: Reports of the attempts, in order.
        items: Number of items on the page.
        rejects: Number of rows that could not be decoded.
        began: Time at which the page was requested, in nanoseconds since 1970.
        seconds: Seconds from then on, waits at the gate and before retries included.
    """

    request: PageRequest
    outcome: str
    attempts: tuple[AttemptReport, ...]
    items: int
    rejects: int
    began: int
    seconds: float


class Observer:
    """Base class of observers. Derive from it and override the methods you need; they do nothing.

    The methods are called in the event loop, between the answer and the task that waits for it: be
    quick, never block, and hand long work to another thread. An exception in a method is logged,
    once for each class of exception, and does not affect the walk.
    """

    def on_attempt(self, attempt: AttemptReport) -> None:
        """Receive the report of an attempt that is over."""

    def on_page(self, page: PageReport) -> None:
        """Receive the report of a page request that brought the page, failed or was left."""

    def on_outage(self, outage: OutageReport) -> None:
        """Receive a report when the API does not answer any more, and one when that is over."""


class RequestObservation:
    """Follows one page request on behalf of an observer.

    Args:
        observer: Receives the reports.
        request: The page request.
        gate: Gate that the attempts pass.
    """

    __slots__ = ("_attempts", "_began", "_clock", "_gate", "_observer", "_request")

    def __init__(self, observer: Observer, request: PageRequest, gate: Gate) -> None:
        self._observer = observer
        self._request = request
        self._gate = gate
        self._attempts: list[AttemptReport] = []
        self._began, self._clock = time.time_ns(), gate.clock()

    def of_other(self, request: PageRequest) -> RequestObservation:
        """Return the observation of another page request, whose end is not reported."""
        return RequestObservation(self._observer, request, self._gate)

    def attempt(self, sent_at: float, outcome: Page[Any] | errors.TMAPIError | None) -> None:
        """Report an attempt that passed the gate at `sent_at` and has given its slot back."""
        gate = self._gate
        report = AttemptReport(
            request=self._request,
            number=len(self._attempts) + 1,
            outcome=label_of(outcome),
            status=_status_of(outcome),
            began=self._began + int((sent_at - self._clock) * 1e9),
            seconds=gate.clock() - sent_at,
            width=gate.width,
            in_flight=gate.in_use,
        )
        self._attempts.append(report)
        try:
            self._observer.on_attempt(report)
        except Exception as error:  # noqa: BLE001 - an observer must not end the walk
            _log_once(self._observer, error)

    def page(self, outcome: Page[Any] | errors.TMAPIError | None) -> None:
        """Report the end of the page request."""
        page = outcome if isinstance(outcome, Page) else None
        report = PageReport(
            request=self._request,
            outcome=label_of(outcome),
            attempts=tuple(self._attempts),
            items=len(page.items) if page is not None else 0,
            rejects=len(page.rejects) if page is not None else 0,
            began=self._began,
            seconds=self._gate.clock() - self._clock,
        )
        try:
            self._observer.on_page(report)
        except Exception as error:  # noqa: BLE001 - an observer must not end the walk
            _log_once(self._observer, error)


def label_of(outcome: Page[Any] | errors.TMAPIError | None) -> str:
    """Return the outcome of an attempt in one word, as counted and logged."""
    if outcome is None:
        return UNANSWERED
    return "200" if isinstance(outcome, Page) else outcome.label


def _status_of(outcome: Page[Any] | errors.TMAPIError | None) -> int | None:
    return 200 if isinstance(outcome, Page) else outcome.status if outcome is not None else None


def fields_of(
    request: PageRequest, attempt: int, outcome: str, *, event: str = "attempt"
) -> dict[str, str | int]:
    """Return the fields that a log record of an attempt has beside its text (`extra=`)."""
    return {
        "tmapi_event": event,
        "tmapi_endpoint": request.listing.endpoint,
        "tmapi_listing": request.listing.identity,
        "tmapi_page": request.number,
        "tmapi_attempt": attempt,
        "tmapi_outcome": outcome,
    }


def log_attempt(
    request: PageRequest, attempt: int, outcome: Page[Any] | errors.TMAPIError | None
) -> None:
    """Log an attempt that is over."""
    label = label_of(outcome)
    extra = fields_of(request, attempt, label)
    log.debug("%s attempt %d: %s", request, attempt, label, extra=extra)


class ReplyWarnings:
    """Logs odd replies, each kind once."""

    def __init__(self) -> None:
        self._mixed_up: set[str] = set()  # endpoints whose mix-ups have been logged
        self._cache_is_known = False

    def mixed_up(self, request: PageRequest, reason: str) -> None:
        """Log the first mix-up of an endpoint: each one was probably billed."""
        if request.listing.endpoint not in self._mixed_up:
            self._mixed_up.add(request.listing.endpoint)
            log.warning(
                "%s: a reply to another request came (%s). It is requested again; later mix-ups of "
                "this endpoint are only counted",
                request,
                reason,
            )

    def kept_by_cache(self, page: Page[Any]) -> None:
        """Log the first page that a cache in between had kept though the request forbids it."""
        if not self._cache_is_known:
            self._cache_is_known = True
            log.warning(
                "%s: a cache in between had kept the reply for %.0f s, although requests say "
                "no-cache: pages may be old; let the proxy pass the API's replies unkept",
                page.request,
                page.age,
            )


def report_outage(observer: Observer | None, report: OutageReport) -> None:
    """Log the beginning or the end of an outage, and hand the report to an observer."""
    _log_outage(report)
    if observer is None:
        return
    try:
        observer.on_outage(report)
    except Exception as error:  # noqa: BLE001 - an observer must not end the walk
        _log_once(observer, error)


def _log_outage(report: OutageReport) -> None:
    extra = {
        "tmapi_event": "outage" if report.state == "waiting" else "outage_over",
        "tmapi_outcome": "outage",
    }
    if report.state == "waiting":
        log.warning("%s; nothing else is sent until it answers", report, extra=extra)
    elif report.state == "over":
        text = "the API answers again after %s; the work goes on"
        log.warning(text, duration(report.seconds), extra=extra)


reported_failures: set[tuple[type, type]] = set()


def _log_once(observer: Observer, error: Exception) -> None:
    """Log once that a class of observer raises a class of exception; never log its text."""
    classes = (type(observer), type(error))
    if classes not in reported_failures:
        reported_failures.add(classes)
        log.error(
            "the observer %s raised %s; the walk goes on", *(kind.__name__ for kind in classes)
        )
