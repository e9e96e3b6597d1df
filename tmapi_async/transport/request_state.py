"""State of a page request that a walk and the fetcher share: counts, and whether it may go on."""

from __future__ import annotations

import asyncio

import msgspec

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.request_counts import RequestCounts

from .retry import RetryPolicy


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of one call, in place of those of the client.

    Attributes:
        urgent: True to get a slot before all calls that are not urgent.
        timeout: Seconds for one request; None takes the client's.
        retry: Number and duration of attempts; None takes the client's.
        max_age: Seconds up to which a page is taken from the cache; None takes the client's.
        stale_if_error: Seconds up to which a page is taken from the cache if the API fails, 0 for
            never; None takes the client's.
    """

    urgent: bool = False
    timeout: float | None = None
    retry: RetryPolicy | None = None
    max_age: float | None = None
    stale_if_error: float | None = None


_NO_OPTIONS = CallOptions()


class CrawlCounts(RequestCounts):
    """Counts of one crawl's attempts.

    Attributes:
        resting: Page requests that wait before a retry now; they hold no slot.
    """

    resting: int = 0

    async def rest(self, seconds: float) -> None:
        """Wait before a retry."""
        self.resting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.resting -= 1


class StoppedError(Exception):
    """A page request was given up because its walk is stopping; it was not answered."""


class HeldBackError(Exception):
    """An attempt was not sent, because the API does not answer."""


class RequestState:
    """State of one page request at a time, shared by a walk and the fetcher.

    Attributes:
        on_wire: True while an attempt is on the wire. The attempt is paid for, so a walk that is
            stopping lets it finish.
        stopping: Set by the walk: no new attempt may start.
        epoch: Epoch of the session when the walk began (`Session.epoch`).
        counts: Counts that attempts are added to.
        options: Options of the call.
        request: The current page request.
        sent: True if an attempt of the request has been sent.
        ids_only: True to read no more of the rows than their IDs; the page's body has the rest.
    """

    __slots__ = ("counts", "epoch", "ids_only", "on_wire", "options", "request", "sent", "stopping")

    def __init__(
        self,
        epoch: int,
        counts: CrawlCounts,
        options: CallOptions | None = None,
        *,
        ids_only: bool = False,
    ) -> None:
        self.epoch = epoch
        self.counts = counts
        self.options = options or _NO_OPTIONS
        self.ids_only = ids_only
        self.sent = False
        self.on_wire = False
        self.stopping = False
        self.request: PageRequest | None = None

    def recall(self, task: asyncio.Task[None]) -> None:
        """Start no new attempt; one on the wire was paid for and may finish.

        Args:
            task: Task that works on this request. Cancelled if it only waits and is not the
                caller.
        """
        self.stopping = True
        if not self.on_wire and task is not asyncio.current_task():
            task.cancel()
