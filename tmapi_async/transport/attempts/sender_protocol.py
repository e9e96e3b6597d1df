"""Interface of the part that sends one request, once."""

from __future__ import annotations

from typing import Protocol

from tmapi_async import errors
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Reply
from tmapi_async.transport.http import HttpTransport

from .direct_exchange import DirectExchange


class Sender(Protocol):
    """Sends page requests.

    Attributes:
        transport: Connections; None while the sender is not open.
    """

    transport: HttpTransport | None

    @property
    def is_open(self) -> bool:
        """True if requests can be sent."""
        ...

    async def send(
        self, request: PageRequest, seconds: float | None = None
    ) -> Reply | errors.TransportError:
        """Send one request, once, and return the reply or the failure; raise no failure.

        Args:
            request: The listing and the page number.
            seconds: Time limit; None takes the sender's own.
        """
        ...

    def send_at_once(self, exchange: DirectExchange) -> None:
        """Send the request of an exchange over its connection, once."""
        ...

    def failure(self, exchange: DirectExchange) -> errors.TransportError:
        """Return the failure that has ended an exchange, as `send` does."""
        ...

    def drop_idle(self) -> None:
        """Use none of the idle connections again."""
        ...

    def distrust(self, reply: Reply) -> None:
        """Use the connection that brought a reply no longer."""
        ...

    async def probe(self, request: PageRequest, seconds: float) -> Reply | errors.TransportError:
        """Send one request, as `send` does, within a shorter time limit."""
        ...
