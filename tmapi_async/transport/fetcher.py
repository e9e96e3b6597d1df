"""Fetches pages: every attempt passes the gate, failures are retried. A sender does the I/O.

Every attempt goes through `Fetcher._attempt`: the only place where slot, rate and budget are
passed and where an attempt is counted.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import random
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tmapi_async import errors
from tmapi_async.api.echoes import EchoChecks
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.limits.circuit_breaker import CircuitBreaker, Permit
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.outage_queue import OutageQueue

from .http import Sender, was_not_sent
from .observers import (
    Observer,
    ReplyWarnings,
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
    read_trouble,
)

log = logging.getLogger("tmapi_async")

_NOT_UNDERSTOOD = (errors.TransportError, errors.UnavailableError)
"""Failures that any server or proxy may give, not only the API."""

_GATEWAY_REFUSALS = (errors.UnavailableError, errors.RateLimitError)


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
        epoch: Number of errors so far that ended all work. A walk begun before the last one ends.
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
        self.epoch = 0
        self._breaker = breaker
        self._waits_from_start = bool(wait)
        self._sender = sender
        self._gate = gate
        self._policy = policy
        self._redact = redact
        self._observer = observer
        self._retries = RetryBudget()
        self._halt_error: errors.TMAPIError | None = None
        self._understood = False
        self._known: PageRequest | None = None  # the last page that came
        self._checks = EchoChecks()
        self._warnings = ReplyWarnings()

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
        retry_state = RetryState(last_page=self._known)
        self._retries.first()
        while True:
            if self._breaker.holding:
                outcome = await self._attempt_in_outage(request, state, retry_state, observation)
            else:
                outcome = await self._attempt(request, state, retry_state, observation)
            if isinstance(outcome, Page):
                return outcome
            if outcome is None or self._is_excused(outcome, retry_state):
                continue
            delay = self._retry_delay(outcome, request, state, retry_state)
            if delay is not None:
                await state.counts.rest(delay)
            elif not self._is_excused(outcome, retry_state, is_last=True):
                # Outside any except block, so that no context with a URL is attached.
                raise outcome

    async def _attempt(
        self,
        request: PageRequest,
        state: RequestState,
        retry_state: RetryState,
        observation: RequestObservation | None,
    ) -> Page[Any] | errors.TMAPIError | None:
        """Make one attempt. Returns None if an outage holds it back; nothing was sent then."""
        check = partial(self._check, state, retry_state)
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
            outcome = self._read(reply, request, state, retry_state, sent_at)
        except (asyncio.CancelledError, errors.ClosedError) as error:
            unsent = was_not_sent(error)
            raise
        finally:
            state.on_wire = False
            if unsent:
                state.counts.unreached += 1
                self._gate.unsent(sent_at)
            else:
                self._leave_gate(sent_at, outcome, state.counts)
            if observation is not None:
                observation.attempt(sent_at, outcome)
        state.counts.add_code(label_of(outcome))
        if log.isEnabledFor(logging.DEBUG):
            log_attempt(request, retry_state.attempts, outcome)
        return outcome

    def _check(self, state: RequestState, retry_state: RetryState) -> None:
        if not self._sender.is_open:
            raise errors.ClosedError("the client is closed: use it inside `async with`")
        if state.epoch != self.epoch and self._halt_error is not None:
            raise copy.copy(self._halt_error)
        if state.stopping:
            raise StoppedError
        if self._breaker.holding and retry_state.permit is None:
            raise HeldBackError

    def _read(
        self,
        reply: Reply | errors.TransportError,
        request: PageRequest,
        state: RequestState,
        retry_state: RetryState,
        sent_at: float,
    ) -> Page[Any] | errors.TMAPIError:
        if isinstance(reply, errors.TransportError):
            outcome: Page[Any] | errors.TMAPIError = reply
        else:
            outcome = read_reply(
                reply,
                request,
                now=datetime.now(UTC),
                attempts=retry_state.attempts,
                latency=self._gate.clock() - sent_at,
                checks=self._checks,
                ids_only=state.ids_only,
            )
        if isinstance(outcome, Page):
            self._understood = True
            if outcome.age:
                self._warnings.kept_by_cache(outcome)
            self._known = request
            if self._breaker.alert:
                self.outages.understood(request.listing, retry_state.permit, is_page=True)
            return outcome
        self._understood |= not isinstance(outcome, _NOT_UNDERSTOOD)
        if isinstance(outcome, errors.MixedUpReplyError) and isinstance(reply, Reply):
            self._understood = True
            self._sender.distrust(reply)
            self._warnings.mixed_up(request, self._redact(outcome.message))
        outcome.message = self._redact(outcome.message)
        outcome.args = (outcome.message,)
        listing = request.listing
        outcome.locate(listing.endpoint, listing.identity, request.number, retry_state.attempts)
        if isinstance(outcome, errors.AccountError):
            self._halt(outcome)
        self._watch_for_outage(outcome, request, retry_state, sent_at)
        return outcome

    def _halt(self, error: errors.TMAPIError) -> None:
        """End the work of every walk begun so far; a walk begun later tries again."""
        self._halt_error = error
        self.epoch += 1

    def _leave_gate(
        self, sent_at: float, outcome: Page[Any] | errors.TMAPIError | None, counts: RequestCounts
    ) -> None:
        if isinstance(outcome, Page):
            self._gate.answered(sent_at)
        elif outcome is None or isinstance(outcome, errors.DeadlineError):
            # A server that answers nothing works on nothing.
            self._gate.abandoned(sent_at, served=not self._breaker.is_open)
        elif isinstance(outcome, errors.UnreachableError):
            counts.unreached += 1
            self._gate.unsent(sent_at, refused=isinstance(outcome, errors.LocalLimitError))
        elif isinstance(outcome, errors.ConnectionFailedError):
            self._gate.abandoned(sent_at, served=False)
        elif isinstance(outcome, errors.ConcurrencyError):
            self._gate.refused(sent_at, outcome.retry_after)
            if isinstance(outcome, _GATEWAY_REFUSALS):
                # A gateway that counts connections would refuse all while idle ones are open.
                self._sender.drop_idle()
        else:
            self._gate.answered(sent_at)

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
            understood=self._understood or self._waits_from_start,
        )
        if delay is None:
            # Refused for so long, and nobody got a page: the others would wait as long, and fail.
            is_out = type(error) is errors.UnavailableError and self._known is retry_state.last_page
            error.fatal = isinstance(error, _NOT_UNDERSTOOD) and (is_out or not self._understood)
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

    def _watch_for_outage(
        self,
        error: errors.TMAPIError,
        request: PageRequest,
        retry_state: RetryState,
        sent_at: float,
    ) -> None:
        """Tell the circuit breaker about a failed attempt."""
        if not may_be_outage(error):
            if self._breaker.alert:
                self.outages.understood(request.listing, retry_state.permit, is_page=False)
            return
        if isinstance(error, errors.LocalLimitError) and self._gate.at_server > 1:
            return  # other connections work: fewer of them are enough
        trouble = read_trouble(error, request, sent_at, self._policy)
        was_open = self._breaker.is_open
        if was_open and retry_state.permit is not None:
            log.info("%s: the API still does not answer: %s", request, error.label)
        self.outages.failed(trouble, retry_state.permit)
        if self._breaker.is_open and not was_open:
            self._gate.forget_abandoned()

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
        known = self._known if permit.kind == "known" else None
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
