"""Fetches pages: every attempt passes the gate, failures are retried. A sender does the I/O.

Every attempt goes through `Fetcher._attempt`, or in the usual case through `DirectFetcher`: the
only places where slot, rate and budget are passed and where an attempt is counted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from functools import partial
from typing import Any

from tmapi_async import errors
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, Reply
from tmapi_async.limits.circuit_breaker import CircuitBreaker, Permit
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.outage_queue import OutageQueue

from .attempts.attempt_outcomes import NOT_UNDERSTOOD, AttemptOutcomes
from .attempts.direct_exchange import DirectExchange
from .attempts.direct_fetcher import DirectFetcher
from .attempts.sender_protocol import Sender
from .http import was_not_sent
from .observers import (
    Observer,
    RequestObservation,
    fields_of,
    label_of,
    log_attempt,
    report_outage,
)
from .redaction import Redactor
from .request_state import HeldBackError, RequestState, StoppedError
from .retry import (
    RetryBudget,
    RetryPolicy,
    RetryState,
    may_be_outage,
    next_delay,
)

log = logging.getLogger("tmapi_async")


class Fetcher:
    """Fetches pages: every attempt passes the gate, failures are retried by policy.

    Args:
        sender: Sends one request, once.
        gate: Gate that every attempt passes.
        policy: Number and duration of attempts.
        redact: Removes the token from a text.
        observer: Receives a report of every attempt and page; or None.
        wait: Seconds after which an API that does not answer is given up; 0 leaves that to the
            retries of each page, and None lets an API that has answered before take as long as
            these.

    Attributes:
        outages: Attempts that wait while the API does not answer.
    """

    def __init__(
        self,
        sender: Sender,
        gate: Gate,
        policy: RetryPolicy,
        redact: Redactor,
        observer: Observer | None = None,
        *,
        wait: float | None = None,
    ) -> None:
        breaker = CircuitBreaker(
            policy.seconds if wait is None else wait, from_start=wait is not None
        )
        self.outages = OutageQueue(breaker, gate.clock, partial(report_outage, observer))
        self._breaker = breaker
        self._outcomes = AttemptOutcomes(
            sender, gate, policy, redact, breaker=breaker, outages=self.outages
        )
        self._waits_from_start = bool(wait)
        self._sender = sender
        self._gate = gate
        self._policy = policy
        self._redact = redact
        self._observer = observer
        self._retries = RetryBudget()

    @property
    def epoch(self) -> int:
        """Number of errors so far that ended all work. A walk begun before the last one ends."""
        return self._outcomes.epoch

    @property
    def direct(self) -> DirectFetcher | None:
        """Sends and reads attempts without a task; None with an observer.

        The fetcher does not keep it: each would keep the other until the garbage collector comes.
        """
        if self._observer is not None:
            return None
        return DirectFetcher(
            self._sender,
            self._gate,
            self._breaker,
            self._outcomes,
            retries=self._retries,
            go_on=self._go_on,
        )

    def fetch(self, request: PageRequest, state: RequestState) -> Coroutine[Any, Any, Page[Any]]:
        """Fetch one page; retry until it comes or no attempt is left.

        Args:
            request: The listing and the page number.
            state: State shared with the walk, which may stop the request.

        Returns:
            The page.

        Raises:
            TMAPIError: The page could not be fetched. The error names listing and page, holds
                neither URL nor token, and has no cause.
            StoppedError: The walk stopped the request before it was answered.
        """
        if self._observer is None:
            return self._fetch(request, state)
        observation = RequestObservation(self._observer, request, self._gate)
        return self._fetch_observed(request, state, observation)

    async def _fetch_observed(
        self, request: PageRequest, state: RequestState, observation: RequestObservation
    ) -> Page[Any]:
        outcome: Page[Any] | errors.TMAPIError | None = None
        try:
            outcome = await self._fetch(request, state, observation)
        except errors.TMAPIError as error:
            outcome = error
            raise
        finally:
            observation.page(outcome)
        return outcome

    async def _fetch(
        self,
        request: PageRequest,
        state: RequestState,
        observation: RequestObservation | None = None,
    ) -> Page[Any]:
        retry_state = RetryState(last_page=self._outcomes.known)
        self._retries.first()
        return await self._persist(request, state, retry_state, observation)

    def _go_on(self, exchange: DirectExchange) -> Coroutine[Any, Any, Page[Any]]:
        """Retry a page whose first attempt has failed without a task."""
        outcome = exchange.outcome
        retry_state = RetryState(attempts=1, last_page=exchange.last_page)
        assert isinstance(outcome, errors.TMAPIError)  # noqa: S101 - for mypy
        return self._persist(exchange.request, exchange.state, retry_state, None, outcome)

    async def _persist(
        self,
        request: PageRequest,
        state: RequestState,
        retry_state: RetryState,
        observation: RequestObservation | None,
        outcome: errors.TMAPIError | None = None,
    ) -> Page[Any]:
        """Make attempts until one brings the page or no other may follow.

        Args:
            request: The listing and the page number.
            state: State shared with the walk.
            retry_state: Attempts and failures so far.
            observation: Reports the attempts, or None.
            outcome: Failure of the last attempt, or None if there was none or it was held back.
        """
        while True:
            if outcome is not None and not self._is_excused(outcome, retry_state):
                delay = self._retry_delay(outcome, request, state, retry_state)
                if delay is not None:
                    await state.counts.rest(delay)
                elif not self._is_excused(outcome, retry_state, is_last=True):
                    # Outside any except block, so that no context with a URL is attached.
                    raise outcome
            if self._breaker.holding:
                result = await self._attempt_in_outage(request, state, retry_state, observation)
            else:
                result = await self._attempt(request, state, retry_state, observation)
            if isinstance(result, Page):
                return result
            outcome = result

    async def _attempt(
        self,
        request: PageRequest,
        state: RequestState,
        retry_state: RetryState,
        observation: RequestObservation | None,
    ) -> Page[Any] | errors.TMAPIError | None:
        """Make one attempt. Returns None if an outage holds it back; nothing was sent then."""
        check = partial(self._outcomes.check, state, retry_state.permit)
        try:
            sent_at = self._gate.enter_at_once(check, state.options.urgent)
            if sent_at is None:
                sent_at = await self._gate.enter(check, state.options.urgent)
        except HeldBackError:
            return None
        outcome: Page[Any] | errors.TMAPIError | None = None
        unsent = False
        state.counts.retries += retry_state.attempts > 0
        retry_state.attempts += 1
        state.counts.requests += 1
        state.on_wire = state.sent = True
        try:
            if retry_state.permit is None:
                reply = await self._sender.send(request, state.options.timeout)
            else:
                reply = await self._send_with_permit(request, state, retry_state.permit)
            outcome = self._outcomes.read(
                reply,
                request,
                state,
                sent_at,
                attempts=retry_state.attempts,
                permit=retry_state.permit,
            )
        except (asyncio.CancelledError, errors.ClosedError) as error:
            unsent = was_not_sent(error)
            raise
        finally:
            state.on_wire = False
            if unsent:
                state.counts.unreached += 1
                self._gate.unsent(sent_at)
            else:
                self._outcomes.leave_gate(sent_at, outcome, state.counts)
            if observation is not None:
                observation.attempt(sent_at, outcome)
        state.counts.add_code(label_of(outcome))
        if log.isEnabledFor(logging.DEBUG):
            log_attempt(request, retry_state.attempts, outcome)
        return outcome

    def _retry_delay(
        self,
        error: errors.TMAPIError,
        request: PageRequest,
        state: RequestState,
        retry_state: RetryState,
    ) -> float | None:
        """Return the seconds until the next attempt, or None to give up."""
        delay = next_delay(
            state.options.retry or self._policy,
            retry_state,
            error,
            now=self._gate.clock(),
            jitter=random.random(),  # noqa: S311 - jitter, not a secret
            understood=self._outcomes.understood or self._waits_from_start,
        )
        if delay is None:
            # Refused for so long, and nobody got a page: the others would wait as long, and fail.
            is_out = (
                type(error) is errors.UnavailableError
                and self._outcomes.known is retry_state.last_page
            )
            error.fatal = isinstance(error, NOT_UNDERSTOOD) and (
                is_out or not self._outcomes.understood
            )
            return None
        if state.stopping:
            raise StoppedError
        if error.recovery is errors.Recovery.RETRY and not self._retries.take():
            error.message = f"not retried, since too many requests are failing; {error.message}"
            error.message = self._redact(error.message)  # shortens it again
            return None
        if log.isEnabledFor(logging.INFO):
            extra = fields_of(request, retry_state.attempts, error.label, event="retry")
            log.info("%s: %s, again in %.2f s", request, error.label, delay, extra=extra)
        return delay

    # -- outages

    def _is_excused(
        self, error: errors.TMAPIError, retry_state: RetryState, *, is_last: bool = False
    ) -> bool:
        """Return True if a failure is not the fault of the page, which keeps its attempts."""
        if not may_be_outage(error):
            return False
        if not self._breaker.is_open and not (is_last and self.outages.page_gives_up()):
            return False
        retry_state.failures = 0
        return True

    async def _attempt_in_outage(
        self,
        request: PageRequest,
        state: RequestState,
        retry_state: RetryState,
        observation: RequestObservation | None,
    ) -> Page[Any] | errors.TMAPIError | None:
        """Wait until an attempt may be sent, and make it."""
        permit = await self.outages.wait()
        known = self._outcomes.known if permit.kind == "known" else None
        retry_state.permit = permit
        try:
            if known is None:
                return await self._attempt(request, state, retry_state, observation)
            if observation is not None:
                observation = observation.of_other(known)
            await self._attempt(known, state, RetryState(permit=permit), observation)
            return None
        finally:
            retry_state.permit = None
            self.outages.leave(permit)

    async def _send_with_permit(
        self, request: PageRequest, state: RequestState, permit: Permit
    ) -> Reply | errors.TransportError:
        if not permit.probes:
            return await self._sender.send(request)
        state.on_wire = False  # a walk that is stopped does not wait for a probe
        seconds = self._breaker.probe_seconds(self._gate.abandoned_requests.usual_latency)
        return await self._sender.probe(request, seconds)
