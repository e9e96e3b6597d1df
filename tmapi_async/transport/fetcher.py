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
from typing import Any, Protocol

from tmapi_async import errors
from tmapi_async.api.echoes import EchoChecks
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.limits.gate import Gate

from .observers import Observer, RequestObservation, fields_of, label_of
from .redaction import Redactor
from .request_state import CrawlCounts, RequestState, StoppedError
from .retry import RetryBudget, RetryPolicy, RetryState, next_delay

log = logging.getLogger("tmapi_async")

_NOT_UNDERSTOOD = (errors.TransportError, errors.UnavailableError)
"""Failures that any server or proxy may give, not only the API."""

_GATEWAY_REFUSALS = (errors.UnavailableError, errors.RateLimitError)


class Sender(Protocol):
    """Sends page requests."""

    @property
    def is_open(self) -> bool:
        """True if requests can be sent."""
        ...

    async def send(self, request: PageRequest) -> Reply | errors.TransportError:
        """Send one request, once, and return the reply or the failure; raise no failure."""
        ...

    def drop_idle(self) -> None:
        """Use none of the idle connections again."""
        ...


class Fetcher:
    """Fetches pages: every attempt passes the gate, failures are retried by policy.

    Args:
        sender: Sends one request, once.
        gate: Gate that every attempt passes.
        policy: Number and duration of attempts.
        redact: Removes the token from a text.
        observer: Receives a report of every attempt and page; or None.

    Attributes:
        epoch: Number of errors so far that ended all work. A walk begun before the last one ends.
    """

    def __init__(
        self,
        sender: Sender,
        gate: Gate,
        policy: RetryPolicy,
        redact: Redactor,
        observer: Observer | None = None,
    ) -> None:
        self.epoch = 0
        self._sender = sender
        self._gate = gate
        self._policy = policy
        self._redact = redact
        self._observer = observer
        self._retries = RetryBudget()
        self._halt_error: errors.TMAPIError | None = None
        self._understood = False
        self._checks = EchoChecks()
        self._mixed_up: set[str] = set()  # endpoints whose mix-ups have been logged
        self._cache_is_known = False

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
        retry_state = RetryState()
        self._retries.first()
        while True:
            outcome = await self._attempt(request, state, retry_state, observation)
            if isinstance(outcome, Page):
                return outcome
            delay = self._retry_delay(outcome, request, state, retry_state)
            if delay is None:
                # Outside any except block, so that no context with a URL is attached.
                raise outcome
            await _rest(delay, state.counts)

    async def _attempt(
        self,
        request: PageRequest,
        state: RequestState,
        retry_state: RetryState,
        observation: RequestObservation | None,
    ) -> Page[Any] | errors.TMAPIError:
        def check() -> None:
            self._check(state)

        sent_at = await self._gate.enter(check)
        outcome: Page[Any] | errors.TMAPIError | None = None
        state.counts.retries += retry_state.attempts > 0
        retry_state.attempts += 1
        state.counts.requests += 1
        state.on_wire = state.sent = True
        try:
            reply = await self._sender.send(request)
            outcome = self._read(reply, request, retry_state, sent_at)
        finally:
            state.on_wire = False
            self._leave_gate(sent_at, outcome)
            if observation is not None:
                observation.attempt(sent_at, outcome)
        label = label_of(outcome)
        state.counts.add_code(label)
        if log.isEnabledFor(logging.DEBUG):
            extra = fields_of(request, retry_state.attempts, label)
            log.debug("%s attempt %d: %s", request, retry_state.attempts, label, extra=extra)
        return outcome

    def _check(self, state: RequestState) -> None:
        if not self._sender.is_open:
            raise errors.ClosedError("the client is closed: use it inside `async with`")
        if state.epoch != self.epoch and self._halt_error is not None:
            raise copy.copy(self._halt_error)
        if state.stopping:
            raise StoppedError

    def _read(
        self,
        reply: Reply | errors.TransportError,
        request: PageRequest,
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
            )
        if isinstance(outcome, Page):
            self._understood = True
            if outcome.age:
                self._warn_of_cache(outcome)
            return outcome
        self._understood |= not isinstance(outcome, _NOT_UNDERSTOOD)
        if isinstance(outcome, errors.MixedUpReplyError):
            self._understood = True
            self._warn_of_mix_up(request, outcome)
        outcome.message = self._redact(outcome.message)
        outcome.args = (outcome.message,)
        listing = request.listing
        outcome.locate(listing.endpoint, listing.identity, request.number, retry_state.attempts)
        if isinstance(outcome, errors.AccountError):
            self._halt(outcome)
        return outcome

    def _warn_of_mix_up(self, request: PageRequest, error: errors.MixedUpReplyError) -> None:
        """Log the first mix-up of an endpoint: each one was probably billed."""
        if request.listing.endpoint not in self._mixed_up:
            self._mixed_up.add(request.listing.endpoint)
            log.warning(
                "%s: a reply to another request came (%s). It is requested again; later mix-ups of "
                "this endpoint are only counted",
                request,
                self._redact(error.message),
            )

    def _warn_of_cache(self, page: Page[Any]) -> None:
        """Log the first page that a cache in between had kept though the request forbids it."""
        if not self._cache_is_known:
            self._cache_is_known = True
            log.warning(
                "%s: a cache in between had kept the reply for %.0f s, although requests say "
                "no-cache: pages may be old; let the proxy pass the API's replies unkept",
                page.request,
                page.age,
            )

    def _halt(self, error: errors.TMAPIError) -> None:
        """End the work of every walk begun so far; a walk begun later tries again."""
        self._halt_error = error
        self.epoch += 1

    def _leave_gate(self, sent_at: float, outcome: Page[Any] | errors.TMAPIError | None) -> None:
        if isinstance(outcome, Page):
            self._gate.answered(sent_at)
        elif outcome is None or isinstance(outcome, errors.DeadlineError):
            self._gate.abandoned(sent_at, served=True)
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
            self._policy,
            retry_state,
            error,
            now=self._gate.clock(),
            jitter=random.random(),  # noqa: S311 - jitter, not a secret
            understood=self._understood,
        )
        if delay is None:
            error.fatal = isinstance(error, _NOT_UNDERSTOOD) and not self._understood
            return None
        if state.stopping:
            raise StoppedError
        if error.recovery is errors.Recovery.RETRY and not self._retries.take():
            error.message = f"not retried, since too many requests are failing; {error.message}"
            error.message = self._redact(error.message)  # shortens it again
            return None
        if log.isEnabledFor(logging.INFO):
            extra = fields_of(request, retry_state.attempts, error.label)
            log.info("%s: %s, again in %.2f s", request, error.label, delay, extra=extra)
        return delay


async def _rest(seconds: float, counts: CrawlCounts) -> None:
    counts.resting += 1
    try:
        await asyncio.sleep(seconds)
    finally:
        counts.resting -= 1
