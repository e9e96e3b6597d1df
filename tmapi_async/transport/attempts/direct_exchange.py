"""One attempt of a page request that was sent without a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tmapi_async import errors
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page, Reply
from tmapi_async.transport.deadlines import Deadlines
from tmapi_async.transport.request_state import RequestState


class DirectExchange(msgspec.Struct, eq=False):
    """A request on the wire that no task waits for: its end is handed to a function, once.

    The reply, a failure or the end of its time limit ends it, whatever comes first.

    Attributes:
        request: The listing and the page number.
        state: State shared with the walk.
        transport: Transport of its connection; None once the end was read.
        connection: Connection that carries it; None once the end was read.
        sent_at: Clock time of passing the gate.
        last_page: Last page that had come for any request before, or None.
        arrived: Called at the end, with the exchange.
        deadlines: Time limits among which its own runs; None until it is sent.
        at: Time at which its time limit ends, on the loop's clock.
        end: The reply or the failure; None while neither has come, and once it was read.
        outcome: Page or error that the end was read as; None before.
        key: Key of its page among the shared pages.
    """

    request: PageRequest
    state: RequestState
    transport: Any
    connection: Any
    sent_at: float
    last_page: PageRequest | None
    arrived: Callable[[DirectExchange], None]
    deadlines: Deadlines | None = None
    at: float = 0.0
    end: Reply | Exception | None = None
    outcome: Page[Any] | errors.TMAPIError | None = None
    key: Any = None

    def arrive(self, end: Reply | Exception) -> None:
        """End by the reply or by the failure of the connection."""
        self.end = end
        self.arrived(self)

    def expire(self) -> None:
        """End with a time-out, unless it has ended."""
        if self.end is None:
            self.connection.close()  # which forgets the exchange
            self.arrive(TimeoutError())

    def read_as(self, outcome: Page[Any] | errors.TMAPIError) -> None:
        """Keep the outcome alone: the traceback of an error that the caller keeps has the exchange.

        Args:
            outcome: Page or error that the end was read as.
        """
        self.outcome = outcome
        self.transport = self.connection = self.end = None

    def __repr__(self) -> str:
        is_on_its_way = self.end is None and self.outcome is None
        return f"<DirectExchange: {self.request}, {'on its way' if is_on_its_way else 'ended'}>"
