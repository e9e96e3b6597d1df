"""One page request: gate, attempts, retry. The only module of the client that imports aiohttp.

aiohttp sends an idempotent request a second time, unasked, when a connection drops. A middleware
takes that away, so that every attempt on the wire goes through `Session._attempt`: one choke point
where slot, pace and budget are passed and where the attempt is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import os
import random
import zlib
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from . import errors
from .address import check_base_url, check_token, warn_if_exposed
from .deadlines import Deadlines
from .flight import Flight, StoppedError, Tally
from .limits.gate import Gate
from .listings import PageRequest, endpoint_of
from .replies import Page, Reply, read_reply
from .retry import RetryBudget, RetryPolicy, Trial, judge
from .sockets import make_socket

__all__ = ["Auth", "Flight", "Session", "StoppedError", "Tally"]

Auth: TypeAlias = Literal["query", "header"]
Connector: TypeAlias = aiohttp.BaseConnector

log = logging.getLogger("tmapi_async")

_Sender: TypeAlias = tuple[aiohttp.ClientRequest, aiohttp.ClientHandlerType]

_CONCURRENCY_STATUSES = (429, 503)


class Session:
    """Asks for pages: every attempt behind the gate, failures retried by policy.

    Args:
        token: The account's token.
        gate: What every attempt passes.
        base_url: Scheme, host and optional path prefix.
        auth: Send the token as query field `apiToken` or as header `apikey`.
        timeout: Seconds from when the gate is passed until the body is read.
        max_body: Longest body accepted, in bytes, decompressed.
        policy: How often and how long to try.
        connector: A connector of the caller's, who closes it.
        trust_env: Take proxies from the environment.
    """

    def __init__(
        self,
        token: str,
        *,
        gate: Gate,
        base_url: str,
        auth: Auth,
        timeout: float,
        max_body: int,
        policy: RetryPolicy,
        connector: Connector | None = None,
        trust_env: bool = False,
    ) -> None:
        self.gate = gate
        self.epoch = 0
        self.host = check_base_url(base_url)
        self._redact = errors.Redactor(check_token(token))
        self._prefix = urlsplit(base_url.rstrip("/"))
        self._suffix = f"&apiToken={quote(token, safe='')}" if auth == "query" else ""
        self._headers = {"apikey": token} if auth == "header" else {}
        self._timeout = timeout
        self._max_body = max_body
        self._policy = policy
        self._connector = connector
        self._trust_env = trust_env
        self._retries = RetryBudget()
        self._halted: errors.TMAPIError | None = None
        self._understood = False
        self._http: aiohttp.ClientSession | None = None
        self._deadlines: Deadlines | None = None
        self._senders: list[_Sender] = []

    async def open(self) -> None:
        """Open the connection pool. Sends nothing."""
        warn_if_exposed(self._prefix.geturl())
        self._deadlines = Deadlines(self._timeout, asyncio.get_running_loop())
        connector = self._connector
        self._http = aiohttp.ClientSession(
            # The gate is what limits; a second limit below it would be counted as latency.
            connector=connector or aiohttp.TCPConnector(limit=0, socket_factory=make_socket),
            connector_owner=connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "tmapi-async", "Accept": "application/json", **self._headers},
            # Our own deadline runs from when the gate is passed until the body is read.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            middlewares=(self._prepare,),
            response_class=_Response,
            trust_env=self._trust_env,
        )

    async def close(self) -> None:
        """Close the connections; a connector of the caller's stays open."""
        self.gate.close()
        # First, so that no attempt finds a session that is being closed.
        http, self._http = self._http, None
        self._senders.clear()
        if http is not None:
            await http.close()
        if self._deadlines is not None:
            self._deadlines.close()

    async def fetch(self, request: PageRequest, flight: Flight) -> Page[Any]:
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
        trial = Trial()
        self._retries.first()
        while True:
            outcome = await self._attempt(request, flight, trial)
            if isinstance(outcome, Page):
                return outcome
            delay = self._judge(outcome, request, flight, trial)
            if delay is None:
                # Outside any except block: no context that holds a URL comes along.
                raise outcome
            await _rest(delay, flight.tally)

    async def _attempt(
        self, request: PageRequest, flight: Flight, trial: Trial
    ) -> Page[Any] | errors.TMAPIError:
        def still_wanted() -> None:
            self._check(flight)

        sent_at = await self.gate.enter(still_wanted)
        outcome: Page[Any] | errors.TMAPIError | None = None
        flight.tally.retries += trial.attempts > 0
        trial.attempts += 1
        flight.tally.requests += 1
        flight.on_wire = flight.sent = True
        try:
            reply = await self._exchange(request)
            outcome = self._read(reply, request, trial, sent_at)
        finally:
            flight.on_wire = False
            self._leave(sent_at, outcome)
        label = "200" if isinstance(outcome, Page) else outcome.label
        flight.tally.code(label)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s attempt %d: %s", request, trial.attempts, label)
        return outcome

    def _check(self, flight: Flight) -> None:
        if self._http is None:
            raise errors.ClosedError("the client is closed: use it inside `async with`")
        if flight.epoch != self.epoch and self._halted is not None:
            raise copy.copy(self._halted)
        if flight.stopping:
            raise StoppedError

    def _read(
        self,
        reply: Reply | errors.TransportError,
        request: PageRequest,
        trial: Trial,
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
            return outcome
        self._understood |= not isinstance(outcome, errors.TransportError)
        outcome.message = self._redact(outcome.message)
        outcome.args = (outcome.message,)
        listing = request.listing
        outcome.locate(listing.endpoint, listing.identity, request.number, trial.attempts)
        if isinstance(outcome, errors.AccountError):
            self._halt(outcome)
        return outcome

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
        self, error: errors.TMAPIError, request: PageRequest, flight: Flight, trial: Trial
    ) -> float | None:
        delay = judge(
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
        log.info("%s: %s, again in %.2f s", request, error.label, delay)
        return delay

    async def _exchange(self, request: PageRequest) -> Reply | errors.TransportError:
        """Send one request and read the whole reply. Returns failures instead of raising them."""
        if self._http is None or self._deadlines is None:
            raise errors.ClosedError("the client is closed: use it inside `async with`")
        try:
            with self._deadlines.begin():
                response = await self._send(self._http, self._url(request))
                try:
                    body = await _read_body(response, self._max_body)
                finally:
                    # Gives the connection back, or closes it if anything is left to be read.
                    response.release()
                return Reply(response.status, response.headers, body)
        except _EXPECTED as error:
            return self._transport_error(error)

    def _url(self, request: PageRequest) -> URL:
        listing, prefix = request.listing, self._prefix
        endpoint = endpoint_of(listing)
        page = f"&page={request.number}" if endpoint.paged else ""
        return URL.build(
            scheme=prefix.scheme,
            authority=prefix.netloc,
            path=prefix.path + endpoint.path,
            query_string=f"{listing.query}{page}{self._suffix}".lstrip("&"),
            encoded=True,
        )

    async def _send(self, http: aiohttp.ClientSession, url: URL) -> aiohttp.ClientResponse:
        """Put one request on the wire, once, and read the head of its reply."""
        while not self._senders:
            with contextlib.suppress(_PreparedError):
                # Comes back by itself only where requests are mocked (aioresponses).
                return await http.get(url, allow_redirects=False)
        sender = self._senders.pop()
        request, send = sender
        request.url = url
        response = await send(request)
        self._senders.append(sender)
        return response

    async def _prepare(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Keep what aiohttp prepared for a request, and the function that sends it.

        A middleware may call that function as often as it likes. All that is prepared (headers,
        proxy, ...) is the same for each request of a session but for the URL, so both are used
        again, by one attempt at a time, and dropped when one fails. Leaving from here also takes
        away the second attempt that aiohttp makes, unasked, when a connection drops.
        """
        self._senders.append((request, handler))
        raise _PreparedError

    def _transport_error(self, error: Exception) -> errors.TransportError:
        # Never str(error): aiohttp puts the URL, and so the token, into many of its messages.
        name = type(error).__name__
        if isinstance(error, _TooLargeError):
            return errors.ReplyTooLargeError(f"more than {self._max_body} bytes")
        if isinstance(error, TimeoutError):
            return errors.DeadlineError(f"{self._timeout:g} s")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = getattr(error.certificate_error, "verify_message", "") or name
            return errors.CertificateError(f"{self.host}: {reason}")
        if isinstance(error, aiohttp.ClientConnectorError):
            return errors.ConnectionFailedError(f"{self.host}: {_reason(error.os_error)}")
        return errors.ConnectionFailedError(f"{self.host}: {name}")


async def _rest(seconds: float, tally: Tally) -> None:
    tally.resting += 1
    try:
        await asyncio.sleep(seconds)
    finally:
        tally.resting -= 1


def _reason(error: OSError) -> str:
    # asyncio writes texts of its own with addresses in them; name look-ups have negative numbers.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


class _Response(aiohttp.ClientResponse):
    """A response that does not show its URL: aiohttp warns of one that was never closed."""

    def __repr__(self) -> str:
        return f"<response {self.status}>"


class _TooLargeError(Exception):
    pass


class _PreparedError(Exception):
    """Leaves aiohttp's session between preparing a request and sending it."""


_EXPECTED = (aiohttp.ClientError, OSError, ValueError, EOFError, zlib.error, _TooLargeError)


async def _read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read the body, decompressed, and break off as soon as it is longer than the limit."""
    content = response.content
    first = await content.readany()
    if content.at_eof() and len(first) <= limit:
        return first
    chunks, size = [first], len(first)
    while size <= limit:
        chunk = await content.readany()
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
    response.close()
    raise _TooLargeError
