"""Outcomes of attempts: a reply is read, and reported to the gate and the circuit breaker."""

from __future__ import annotations

import copy
import logging
from datetime import UTC, datetime
from typing import Any

from tmapi_async import errors
from tmapi_async.api.echoes import EchoChecks
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.limits.circuit_breaker import CircuitBreaker, Permit
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.outage_queue import OutageQueue
from tmapi_async.transport.observers import ReplyWarnings
from tmapi_async.transport.redaction import Redactor
from tmapi_async.transport.request_state import HeldBackError, RequestState, StoppedError
from tmapi_async.transport.retry import RetryPolicy, may_be_outage, read_trouble

from .sender_protocol import Sender

log = logging.getLogger("tmapi_async")

NOT_UNDERSTOOD = (errors.TransportError, errors.UnavailableError)
"""Failures that any server or proxy may give, not only the API."""

_GATEWAY_REFUSALS = (errors.UnavailableError, errors.RateLimitError)


class AttemptOutcomes:
    """Reads what attempts brought, and reports it to the gate and the circuit breaker.

    Args:
        sender: Sends the requests.
        gate: Gate that every attempt passes.
        policy: Number and duration of attempts.
        redact: Removes the token from a text.
        breaker: Decides when the API counts as out.
        outages: Attempts that wait while the API does not answer.

    Attributes:
        epoch: Number of errors so far that ended all work.
        understood: True once a reply could be understood.
        known: Last page that came, or None.
    """

    def __init__(
        self,
        sender: Sender,
        gate: Gate,
        policy: RetryPolicy,
        redact: Redactor,
        *,
        breaker: CircuitBreaker,
        outages: OutageQueue,
    ) -> None:
        self.epoch = 0
        self.understood = False
        self.known: PageRequest | None = None
        self._sender = sender
        self._gate = gate
        self._policy = policy
        self._redact = redact
        self._breaker = breaker
        self._outages = outages
        self._halt_error: errors.TMAPIError | None = None
        self._checks = EchoChecks()
        self._warnings = ReplyWarnings()

    def check(self, state: RequestState, permit: Permit | None) -> None:
        """Raise if an attempt must not be sent any more.

        Raises:
            ClosedError: The client is closed.
            TMAPIError: All work has ended.
            StoppedError: The walk stops.
            HeldBackError: An outage holds the attempt back.
        """
        if not self._sender.is_open:
            raise errors.ClosedError("the client is closed: use it inside `async with`")
        if state.epoch != self.epoch and self._halt_error is not None:
            raise copy.copy(self._halt_error)
        if state.stopping:
            raise StoppedError
        if self._breaker.holding and permit is None:
            raise HeldBackError

    def read(
        self,
        reply: Reply | errors.TransportError,
        request: PageRequest,
        state: RequestState,
        sent_at: float,
        *,
        attempts: int = 1,
        permit: Permit | None = None,
    ) -> Page[Any] | errors.TMAPIError:
        """Return the page of a reply, or the error that it is.

        Args:
            reply: The reply, or the failure of the attempt.
            request: The listing and the page number.
            state: State shared with the walk.
            sent_at: Clock time of passing the gate.
            attempts: Number of attempts so far, with this one.
            permit: Leave to send it during an outage, or None.
        """
        if isinstance(reply, errors.TransportError):
            outcome: Page[Any] | errors.TMAPIError = reply
        else:
            outcome = read_reply(
                reply,
                request,
                now=datetime.now(UTC),
                attempts=attempts,
                latency=self._gate.clock() - sent_at,
                checks=self._checks,
                ids_only=state.ids_only,
            )
        if isinstance(outcome, Page):
            self.understood = True
            if outcome.age:
                self._warnings.kept_by_cache(outcome)
            self.known = request
            if self._breaker.alert:
                self._outages.understood(request.listing, permit, is_page=True)
            return outcome
        self.understood |= not isinstance(outcome, NOT_UNDERSTOOD)
        if isinstance(outcome, errors.MixedUpReplyError) and isinstance(reply, Reply):
            self.understood = True
            self._sender.distrust(reply)
            self._warnings.mixed_up(request, self._redact(outcome.message))
        outcome.message = self._redact(outcome.message)
        outcome.args = (outcome.message,)
        listing = request.listing
        outcome.locate(listing.endpoint, listing.identity, request.number, attempts)
        if isinstance(outcome, errors.AccountError):
            self._halt(outcome)
        self._watch_for_outage(outcome, request, permit, sent_at)
        return outcome

    def _halt(self, error: errors.TMAPIError) -> None:
        """End the work of every walk begun so far; a walk begun later tries again."""
        self._halt_error = error
        self.epoch += 1

    def leave_gate(
        self, sent_at: float, outcome: Page[Any] | errors.TMAPIError | None, counts: RequestCounts
    ) -> None:
        """Free the slot of an attempt, and record its outcome: None if no reply was read."""
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

    def _watch_for_outage(
        self,
        error: errors.TMAPIError,
        request: PageRequest,
        permit: Permit | None,
        sent_at: float,
    ) -> None:
        """Tell the circuit breaker about a failed attempt."""
        if not may_be_outage(error):
            if self._breaker.alert:
                self._outages.understood(request.listing, permit, is_page=False)
            return
        if isinstance(error, errors.LocalLimitError) and self._gate.at_server > 1:
            return  # other connections work: fewer of them are enough
        trouble = read_trouble(error, request, sent_at, self._policy)
        was_open = self._breaker.is_open
        if was_open and permit is not None:
            log.info("%s: the API still does not answer: %s", request, error.label)
        self._outages.failed(trouble, permit)
        if self._breaker.is_open and not was_open:
            self._gate.forget_abandoned()
