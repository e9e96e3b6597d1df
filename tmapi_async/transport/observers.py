"""What can be watched: attempts and pages, as they end. No I/O.

An [`Observer`][tmapi_async.Observer] is told of every attempt on the wire and of every
page request, in plain objects that hold neither URL nor token. Without one nothing of this is made.
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

log = logging.getLogger("tmapi_async")

UNANSWERED = "cancelled"
"""Outcome of what was left before it was answered: the walk ended, or its task was cancelled."""


class AttemptReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request on the wire, over.

    Attributes:
        request: What was asked for: `request.listing.endpoint`, `request.listing.identity`,
            `request.number`.
        number: Which attempt for this page it was, from 1.
        outcome: `"200"` for a page; else the API's code, or the kind of failure (`"timeout"`,
            `"connection"`, ...), as counted in `WalkStatistics.codes`; `"cancelled"` if nobody
            waited for it any more.
        status: HTTP status; of a page 200, and None where no reply came.
        began: When it was let through the gate, in nanoseconds since 1970.
        seconds: From then until its body was read, or it was given up.
        width: Slots of the gate open now.
        in_flight: Slots taken now, this attempt's not counted; those kept for abandoned requests
            are.
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
    """One page request, over: its attempts, and the waits at the gate and before retries.

    Attributes:
        request: What was asked for.
        outcome: As that of its last attempt; `"cancelled"` if nobody waited for it any more.
        attempts: Its attempts, in order.
        items: Items that came.
        rejects: Rows that could not be decoded.
        began: When it was first wanted, in nanoseconds since 1970.
        seconds: From then on.
    """

    request: PageRequest
    outcome: str
    attempts: tuple[AttemptReport, ...]
    items: int
    rejects: int
    began: int
    seconds: float


class Observer:
    """Is told what a client does. Derive from it and take what you need; each does nothing here.

    The methods are called in the event loop, between the answer and whoever waits for it: be quick,
    never block, hand over what takes long. An exception in one is logged, by its class and once for
    each class, and changes nothing for the walk.
    """

    def on_attempt(self, attempt: AttemptReport) -> None:
        """An attempt is over."""

    def on_page(self, page: PageReport) -> None:
        """A page request is over: it brought the page, or failed for good, or was left."""


class RequestObservation:
    """Follows one page request on behalf of an observer.

    Args:
        observer: Who is told.
        request: The page request.
        gate: What its attempts pass.
    """

    __slots__ = ("_attempts", "_began", "_clock", "_gate", "_observer", "_request")

    def __init__(self, observer: Observer, request: PageRequest, gate: Gate) -> None:
        self._observer = observer
        self._request = request
        self._gate = gate
        self._attempts: list[AttemptReport] = []
        self._began, self._clock = time.time_ns(), gate.clock()

    def attempt(self, sent_at: float, outcome: Page[Any] | errors.TMAPIError | None) -> None:
        """An attempt that passed the gate at a clock time is over, and its slot given back."""
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
        except Exception as error:  # noqa: BLE001 - whatever it is, the walk goes on
            _complain(self._observer, error)

    def page(self, outcome: Page[Any] | errors.TMAPIError | None) -> None:
        """The page request is over."""
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
        except Exception as error:  # noqa: BLE001 - whatever it is, the walk goes on
            _complain(self._observer, error)


def label_of(outcome: Page[Any] | errors.TMAPIError | None) -> str:
    """The outcome of an attempt in a word, as it is counted and logged."""
    if outcome is None:
        return UNANSWERED
    return "200" if isinstance(outcome, Page) else outcome.label


def _status_of(outcome: Page[Any] | errors.TMAPIError | None) -> int | None:
    return 200 if isinstance(outcome, Page) else outcome.status if outcome is not None else None


def fields_of(request: PageRequest, attempt: int, outcome: str) -> dict[str, str | int]:
    """What a log record of an attempt carries beside its text (`extra=`)."""
    return {
        "tmapi_endpoint": request.listing.endpoint,
        "tmapi_listing": request.listing.identity,
        "tmapi_page": request.number,
        "tmapi_attempt": attempt,
        "tmapi_outcome": outcome,
    }


_complained: set[tuple[type, type]] = set()


def _complain(observer: Observer, error: Exception) -> None:
    """Say once that an observer of some class fails in some way; never its words."""
    kind = (type(observer), type(error))
    if kind not in _complained:
        _complained.add(kind)
        log.error("the observer %s raised %s; the walk goes on", *(one.__name__ for one in kind))
