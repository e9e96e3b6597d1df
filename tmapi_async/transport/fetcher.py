"""One page request: gate, attempts, retry. No I/O of its own: how a request is sent is `Session`'s.

Every attempt goes through `Fetcher._attempt`: one choke point where slot, pace and budget are
passed and where the attempt is counted.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from tmapi_async import errors
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.limits.gate import Gate

from .observers import Observer, RequestObservation, fields_of, label_of
from .redaction import Redactor
from .request_state import CrawlCounts, RequestState, StoppedError
from .retry import RetryBudget, RetryPolicy, RetryState, next_delay

log = logging.getLogger("tmapi_async")

_CONCURRENCY_STATUSES = (429, 503)


class Fetcher(ABC):
    """Asks for pages: every attempt behind the gate, failures retried by policy.

    Args:
        gate: What every attempt passes.
        policy: How often and how long to try.
        redact: Takes the token out of a text.
        observer: Told of every attempt and page, or None.

    Attributes:
        gate: The gate.
        epoch: Goes up when an error ends all work; a walk begun before does not go on.
    """

    def __init__(
        self,
        gate: Gate,
        policy: RetryPolicy,
        redact: Redactor,
        observer: Observer | None = None,
    ) -> None:
        self.gate = gate
        self._observer = observer
        self.epoch = 0
        self._policy = policy
        self._redact = redact
        self._retries = RetryBudget()
        self._halted: errors.TMAPIError | None = None
        self._understood = False
        self._echoing: set[str] = set()  # endpoints that have told the number of a later page

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether requests can be sent."""

    @abstractmethod
    async def _exchange(self, request: PageRequest) -> Reply | errors.TransportError:
        """Send one request, once, and read the whole reply. Returns failures, raises none."""

    def fetch(self, request: PageRequest, flight: RequestState) -> Coroutine[Any, Any, Page[Any]]:
        """Ask for one page until it comes or cannot be had.

        Args:
            request: The listing and the page number.
            flight: Shared with the walk, which may stop it.

        Returns:
            The page.

        Raises:
            TMAPIError: It could not be had; located, free of URL and token, without a cause.
            StoppedError: The walk stopped it before it was answered.
        """
        if self._observer is None:
            return self._fetch(request, flight)
        return self._watched(
            request, flight, RequestObservation(self._observer, request, self.gate)
        )

    async def _watched(
        self, request: PageRequest, flight: RequestState, watch: RequestObservation
    ) -> Page[Any]:
        outcome: Page[Any] | errors.TMAPIError | None = None
        try:
            outcome = await self._fetch(request, flight, watch)
        except errors.TMAPIError as error:
            outcome = error
            raise
        finally:
            watch.page(outcome)
        return outcome

    async def _fetch(
        self, request: PageRequest, flight: RequestState, watch: RequestObservation | None = None
    ) -> Page[Any]:
        trial = RetryState()
        self._retries.first()
        while True:
            outcome = await self._attempt(request, flight, trial, watch)
            if isinstance(outcome, Page):
                return outcome
            delay = self._judge(outcome, request, flight, trial)
            if delay is None:
                # Outside any except block: no context that holds a URL comes along.
                raise outcome
            await _rest(delay, flight.counts)

    async def _attempt(
        self,
        request: PageRequest,
        flight: RequestState,
        trial: RetryState,
        watch: RequestObservation | None,
    ) -> Page[Any] | errors.TMAPIError:
        def still_wanted() -> None:
            self._check(flight)

        sent_at = await self.gate.enter(still_wanted)
        outcome: Page[Any] | errors.TMAPIError | None = None
        flight.counts.retries += trial.attempts > 0
        trial.attempts += 1
        flight.counts.requests += 1
        flight.on_wire = flight.sent = True
        try:
            reply = await self._exchange(request)
            outcome = self._read(reply, request, trial, sent_at)
        finally:
            flight.on_wire = False
            self._leave(sent_at, outcome)
            if watch is not None:
                watch.attempt(sent_at, outcome)
        label = label_of(outcome)
        flight.counts.add_code(label)
        if log.isEnabledFor(logging.DEBUG):
            more = fields_of(request, trial.attempts, label)
            log.debug("%s attempt %d: %s", request, trial.attempts, label, extra=more)
        return outcome

    def _check(self, flight: RequestState) -> None:
        if not self.is_open:
            raise errors.ClosedError("the client is closed: use it inside `async with`")
        if flight.epoch != self.epoch and self._halted is not None:
            raise copy.copy(self._halted)
        if flight.stopping:
            raise StoppedError

    def _read(
        self,
        reply: Reply | errors.TransportError,
        request: PageRequest,
        trial: RetryState,
        sent_at: float,
    ) -> Page[Any] | errors.TMAPIError:
        if isinstance(reply, errors.TransportError):
            outcome: Page[Any] | errors.TMAPIError = reply
        else:
            outcome = read_reply(
                reply,
                request,
                now=datetime.now(UTC),
                attempts=trial.attempts,
                latency=self.gate.clock() - sent_at,
            )
        if isinstance(outcome, Page):
            self._understood = True
            if self._in_place(outcome):
                return outcome
            outcome = errors.MalformedReplyError(
                f"page {outcome.echoed_page} came in its place", code=200, status=200
            )
        self._understood |= not isinstance(outcome, errors.TransportError)
        outcome.message = self._redact(outcome.message)
        outcome.args = (outcome.message,)
        listing = request.listing
        outcome.locate(listing.endpoint, listing.identity, request.number, trial.attempts)
        if isinstance(outcome, errors.AccountError):
            self._halt(outcome)
        return outcome

    def _in_place(self, page: Page[Any]) -> bool:
        """Whether a page is the one that was asked for, as far as that can be told.

        A reply that a proxy or a connection mixed up would be kept as this page, and this one be
        lost. That replies tell their own number is not documented: an endpoint is held to it once
        it has done so. A last page in the place of one past the end is no mix-up.
        """
        asked, endpoint = page.request.number, page.request.listing.endpoint
        if page.echoed_page == asked:
            if asked > 1:
                self._echoing.add(endpoint)
            return True
        known = page.echoed_page is not None and endpoint in self._echoing
        return not (known and page.has_next_page)

    def _halt(self, error: errors.TMAPIError) -> None:
        """End the work of every walk begun so far; a walk begun later tries again."""
        self._halted = error
        self.epoch += 1

    def _leave(self, sent_at: float, outcome: Page[Any] | errors.TMAPIError | None) -> None:
        if isinstance(outcome, Page):
            self.gate.answered(sent_at)
        elif outcome is None or isinstance(outcome, errors.DeadlineError):
            self.gate.abandoned(sent_at, served=True)
        elif isinstance(outcome, errors.ConnectionFailedError):
            self.gate.abandoned(sent_at, served=False)
        # A proxy's page with such a status has no code, but means the same to the gate.
        elif (
            isinstance(outcome, errors.ConcurrencyError) or outcome.status in _CONCURRENCY_STATUSES
        ):
            self.gate.refused(sent_at, outcome.retry_after)
        else:
            self.gate.answered(sent_at)

    def _judge(
        self,
        error: errors.TMAPIError,
        request: PageRequest,
        flight: RequestState,
        trial: RetryState,
    ) -> float | None:
        delay = next_delay(
            self._policy,
            trial,
            error,
            now=self.gate.clock(),
            dice=random.random(),  # noqa: S311 - jitter, not a secret
            understood=self._understood,
        )
        if delay is None:
            error.fatal = isinstance(error, errors.TransportError) and not self._understood
            return None
        if flight.stopping:
            raise StoppedError
        if error.recovery is errors.Recovery.RETRY and not self._retries.take():
            error.message = f"not retried, since too many requests are failing; {error.message}"
            error.message = self._redact(error.message)  # keeps to its length
            return None
        if log.isEnabledFor(logging.INFO):
            more = fields_of(request, trial.attempts, error.label)
            log.info("%s: %s, again in %.2f s", request, error.label, delay, extra=more)
        return delay


async def _rest(seconds: float, counts: CrawlCounts) -> None:
    counts.resting += 1
    try:
        await asyncio.sleep(seconds)
    finally:
        counts.resting -= 1
