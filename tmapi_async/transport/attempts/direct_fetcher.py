"""The usual attempt: sent at once, and read as soon as its reply is there, without a task.

Whatever is not usual has a task: waiting for the gate or for a connection, retries, outages,
observers and the log. The first attempt of a page may still go on here: if it fails, a task takes
over the page with all that was counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from tmapi_async import errors
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, Reply
from tmapi_async.limits.circuit_breaker import CircuitBreaker
from tmapi_async.limits.gate import Gate
from tmapi_async.transport.frames import clear_locals
from tmapi_async.transport.request_state import RequestState
from tmapi_async.transport.retry import RetryBudget

from .attempt_outcomes import AttemptOutcomes
from .direct_exchange import DirectExchange
from .sender_protocol import Sender

log = logging.getLogger("tmapi_async")


class DirectFetcher:
    """Sends first attempts without a task, and reads their replies.

    Args:
        sender: Sends one request, once.
        gate: Gate that every attempt passes.
        breaker: Decides when the API counts as out.
        outcomes: Reads what attempts brought.
        retries: Counts first attempts.
        go_on: Returns a coroutine that retries the page of a failed exchange.
    """

    def __init__(
        self,
        sender: Sender,
        gate: Gate,
        breaker: CircuitBreaker,
        outcomes: AttemptOutcomes,
        *,
        retries: RetryBudget,
        go_on: Callable[[DirectExchange], Coroutine[Any, Any, Page[Any]]],
    ) -> None:
        self._sender = sender
        self._gate = gate
        self._breaker = breaker
        self._outcomes = outcomes
        self._retries = retries
        self.go_on = go_on

    def begin(
        self,
        request: PageRequest,
        state: RequestState,
        arrived: Callable[[DirectExchange], None],
    ) -> DirectExchange | None:
        """Send the first attempt of a page request at once.

        Args:
            request: The listing and the page number.
            state: State shared with the walk, which may stop the request.
            arrived: Called once, when the reply or a failure has come, unless `abandon` was called.
                `finish` must be called then.

        Returns:
            The exchange; None if nothing was sent and the request must be fetched by a task.
        """
        outcomes, transport = self._outcomes, self._sender.transport
        if (
            transport is None
            or self._breaker.alert
            or state.epoch != outcomes.epoch
            or log.isEnabledFor(logging.DEBUG)
        ):
            return None
        connection = transport.take_kept()
        if connection is None:
            return None
        try:
            sent_at = self._gate.enter_at_once(None, state.options.urgent)
        except errors.TMAPIError:  # the budget is spent: the task says so
            sent_at = None
        if sent_at is None:
            transport.put_back(connection)
            return None
        self._retries.first()
        state.counts.requests += 1
        state.on_wire = state.sent = True
        exchange = DirectExchange(
            request, state, transport, connection, sent_at, outcomes.known, arrived
        )
        try:
            self._sender.send_at_once(exchange)
        except BaseException as error:
            self.abandon(exchange)
            clear_locals(error)
            raise
        return exchange

    def finish(self, exchange: DirectExchange) -> Page[Any] | errors.TMAPIError:
        """Read what has come, count the attempt, and free its slot."""
        outcomes, state, end = self._outcomes, exchange.state, exchange.end
        sent_at = exchange.sent_at
        state.on_wire = False
        try:
            if exchange.deadlines is not None:
                exchange.deadlines.remove(exchange)
            if isinstance(end, Reply):
                exchange.transport.settle(exchange.connection, None)
                outcome = outcomes.read(end, exchange.request, state, sent_at)
            else:
                exchange.transport.settle(exchange.connection, end)
                failure = self._sender.failure(exchange)
                outcome = outcomes.read(failure, exchange.request, state, sent_at)
        except BaseException:
            outcomes.leave_gate(sent_at, None, state.counts)
            raise
        if isinstance(outcome, Page):
            self._gate.answered(sent_at)
            state.counts.add_code("200")
        else:
            outcomes.leave_gate(sent_at, outcome, state.counts)
            state.counts.add_code(outcome.label)
        exchange.read_as(outcome)
        return outcome

    def abandon(self, exchange: DirectExchange) -> None:
        """Give up an exchange as if its task were cancelled; one that was read has ended."""
        if exchange.outcome is not None:
            return
        state = exchange.state
        if exchange.deadlines is not None:
            exchange.deadlines.remove(exchange)
        exchange.connection.close()
        state.on_wire = False
        self._outcomes.leave_gate(exchange.sent_at, None, state.counts)
