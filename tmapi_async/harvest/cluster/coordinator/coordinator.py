"""Runs a harvest with the workers of a cluster; the package's docstring explains the design."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from distributed import Client

from tmapi_async.api.listings import Listing
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.errors import BudgetSpentError, ClosedError, ClusterError, OutageError, TMAPIError
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.serialized_error import SerializedError
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.harvest.engines.multi import log_account_stopped
from tmapi_async.harvest.listing_queue import ListingQueue
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal
from tmapi_async.limits.clocks import lease_clock

from .account import ClusterAccount, settle_budgets
from .background_tasks import BackgroundTasks
from .channel import Channel
from .connections import connect_client, worker_addresses
from .dispatcher import Dispatcher
from .placement import cut_off_sessions, surplus_sessions
from .receiver import Receiver
from .session_opener import SessionOpener

log = logging.getLogger("tmapi_async")

TICK = 0.05
"""Seconds between two allocations of the limits, and two checks which sessions need a batch."""

WATCH_INTERVAL = 0.5
"""Interval in seconds at which the list of the cluster's workers is read."""

NO_WORKER_TIMEOUT = 60.0
"""Seconds without any session after which the harvest ends with an error."""

_END_TIMEOUT = 15.0
"""Seconds, added to the time-out of a request, after which a closing session is cut off."""


class Coordinator:
    """Opens sessions, sends batches, receives results, and divides the limits.

    Args:
        address: Address of the scheduler.
        security: Security options of the cluster's connections, or None.
        accounts: Accounts of the harvest.
        token_source: Place where workers find the tokens; None sends them.
        recorder: Receives all results.
        journal: Counts the durable pages, and has the dictionaries of compression.

    Attributes:
        channels: Channels to the open sessions, by name.
        ended_counts: Requests counted by the sessions that have ended.
    """

    def __init__(
        self,
        address: str,
        security: Any,
        *,
        accounts: Sequence[ClusterAccount],
        token_source: TokenSource | None,
        recorder: Recorder,
        journal: Journal,
    ) -> None:
        self.channels: dict[str, Channel] = {}
        self.ended_counts = RequestCounts()
        self._address, self._security = address, security
        self._accounts = accounts
        self._recorder = recorder
        self._journal = journal
        self._queue = ListingQueue(recorder)
        self._receiver = Receiver(recorder, journal, self._queue)
        self._opener = SessionOpener(accounts, token_source)
        self._workers: set[str] = set()
        self._dictionaries_sent = 0
        self._tasks = BackgroundTasks(self._task_done)
        self._work_needed = asyncio.Event()
        self._changed = asyncio.Event()
        self._crash: BaseException | None = None
        self._error: TMAPIError | None = None
        self._stopping = self._closed = self._finished = False

    # -- driver of the harvest

    async def run(self) -> None:
        """Work until every listing has ended, or no account can go on."""
        for account in self._accounts:
            await account.begin()
        try:
            async with connect_client(self._address, self._security) as client:
                await self._work(client)
        finally:
            await self._end_tasks()
            settle_budgets(self._accounts)
        await self._queue.close()
        if self._crash is not None:
            raise self._crash
        if self._closed:
            raise ClosedError("the walk was closed before its end")
        if self._error is not None and not self._finished and not self._stopping:
            raise self._error

    async def _work(self, client: Client) -> None:
        dispatcher = Dispatcher(client, self._queue, self._receiver)
        self._tasks.spawn("watch", self._watch_workers(client))
        self._tasks.spawn("dispatch", self._dispatch(dispatcher))
        self._tasks.spawn("allocate", self._allocate_always())
        while not self._over:
            self._changed.clear()
            await self._changed.wait()

    @property
    def _ending(self) -> bool:
        """True if no session is opened and no batch is sent any more."""
        return self._stopping or self._finished or self._error is not None

    @property
    def _over(self) -> bool:
        if self._crash is not None or self._closed:
            return True
        return self._ending and not self.channels

    def stop(self) -> None:
        """Send no new requests; answers to requests on the wire still arrive."""
        self._stopping = self._receiver.stopping = True
        self._close_sessions(self.channels.values(), protocol.StopSession())

    async def close(self) -> None:
        """End every task at once."""
        self._closed = self._stopping = self._receiver.stopping = True
        self._changed.set()
        await self._end_tasks()

    def fail(self, listing: Listing, error: TMAPIError) -> None:
        """End a listing as failed, on whichever session it is."""
        visit = self._recorder.find_visit(listing)
        for channel in self.channels.values():
            if visit is not None and visit.id in channel.listings:
                channel.send(protocol.FailListing(visit.id, SerializedError.of(error)))

    def recall(self) -> None:
        """Take all slots back while the journal cannot take pages."""
        for account in self._accounts:
            self._allocate(account, time.monotonic())

    def pump(self) -> None:
        """Send sessions the number of their durable pages, and new dictionaries."""
        for channel, pages in self._receiver.newly_durable(self.channels.values()).items():
            channel.acknowledge(pages, self._accounts[channel.account].slots(channel.name))
        count = len(self._journal.dictionaries)
        if count != self._dictionaries_sent:
            self._dictionaries_sent = count
            for channel in self.channels.values():
                self._send_dictionaries(channel)

    def _send_dictionaries(self, channel: Channel) -> None:
        for endpoint, dictionary in list(self._journal.dictionaries.items()):
            message = protocol.DictionaryMessage(endpoint, dictionary.number, dictionary.content)
            channel.send(message)

    # -- endings

    def _task_done(self, error: BaseException | None) -> None:
        if isinstance(error, TMAPIError):
            self._give_up(error)
        elif error is not None:
            self._crash = self._crash or error
        self._changed.set()

    async def _end_tasks(self) -> None:
        for channel in self.channels.values():
            channel.cut()
        await self._tasks.cancel()

    def _give_up(self, error: TMAPIError) -> None:
        self._error = self._error or error
        self._close_sessions(self.channels.values(), protocol.StopSession())

    def _close_sessions(
        self, channels: Iterable[Channel], message: protocol.StopSession | protocol.FinishSession
    ) -> None:
        for channel in list(channels):
            if not channel.closing:
                channel.closing = True
                channel.send(message)
                self._tasks.spawn("session end", self._cut_late(channel))
        self._work_needed.set()
        self._changed.set()

    async def _cut_late(self, channel: Channel) -> None:
        """Cut off a session that takes longer to end than any request takes."""
        await asyncio.sleep(self._accounts[channel.account].settings.timeout + _END_TIMEOUT)
        channel.cut()

    # -- sessions

    async def _watch_workers(self, client: Client) -> None:
        no_session_since = time.monotonic()
        while not self._over:
            self._workers, now = await worker_addresses(client), time.monotonic()
            if self.channels or self._ending:
                no_session_since = now
            elif self._opener.refusal is not None and self._opener.all_refuse(self._workers, now):
                raise self._opener.refusal
            elif now - no_session_since > NO_WORKER_TIMEOUT:
                raise ClusterError(
                    f"no worker for {NO_WORKER_TIMEOUT:g} s; start workers, then run the same "
                    "command again"
                )
            if not self._ending:
                self._adjust_sessions(client, now)
            await asyncio.sleep(WATCH_INTERVAL)

    def _adjust_sessions(self, client: Client, now: float) -> None:
        for account, worker in self._opener.choose(self._workers, self.channels.values(), now):
            self._tasks.spawn("session", self._run_session(client, account, worker))
        for account in self._accounts:
            if account.stopped is None:
                names = [channel.name for channel in self._channels_of(account.number)]
                slots = {name: account.slots(name) for name in names}
                surplus = surplus_sessions(account.limits.learned_width, slots)
                channels = [self.channels[name] for name in surplus]
                self._close_sessions(channels, protocol.StopSession())
                self._close_cut_off(account, now)

    def _close_cut_off(self, account: ClusterAccount, now: float) -> None:
        """Close sessions that the API does not answer while it answers others of the account."""
        channels = {channel.name: channel for channel in self._channels_of(account.number)}
        silent_for = {
            name: None if channel.outage is None else channel.outage.seconds
            for name, channel in channels.items()
            if channel.outage is not None or channel.pages_received
        }
        for name in cut_off_sessions(silent_for):
            channel = channels[name]
            if not channel.closing:
                self._opener.avoid(account.number, channel.worker, now)
                log.warning("%s; other sessions take its listings over", _line_down(channel))
                self._close_sessions([channel], protocol.StopSession())

    def _channels_of(self, account: int) -> list[Channel]:
        return [channel for channel in self.channels.values() if channel.account == account]

    async def _run_session(self, client: Client, account: ClusterAccount, worker: str) -> None:
        """Open a session, serve its channel until it ends, and return its listings to the queue."""
        opened = await self._opener.open(client, account, worker)
        if opened is None:
            return
        channel, abandoned_slots = opened
        if self._ending or account.stopped is not None:
            channel.cut()
            return
        account.add_session(channel.name, abandoned_slots)
        self.channels[channel.name] = channel
        self._send_dictionaries(channel)
        self._work_needed.set()
        await self._serve(channel, account)

    async def _serve(self, channel: Channel, account: ClusterAccount) -> None:
        writer = asyncio.create_task(channel.write_messages(), name="tmapi cluster writer")
        ended: protocol.SessionEnded | None = None
        try:
            ended = await channel.read_reports(self._on_report)
        finally:
            writer.cancel()
            channel.cut()
            del self.channels[channel.name]
            in_use = channel.in_use if ended is not None else None
            account.remove_session(channel.name, time.monotonic(), in_use=in_use)
            self.ended_counts += channel.counts
            self._session_ended(channel, account, ended)
        await asyncio.wait([writer])

    def _session_ended(
        self, channel: Channel, account: ClusterAccount, ended: protocol.SessionEnded | None
    ) -> None:
        self._receiver.reclaim(channel)
        if ended is None and not self._closed:
            log.warning(
                "%s on %s is lost; other sessions continue its listings",
                channel.name,
                channel.worker,
            )
        if ended is not None and ended.crash is not None:
            self._crash = self._crash or ClusterError(f"{channel.name}: {ended.crash}")
        if ended is not None and ended.error is not None:
            self._session_failed(channel, account, ended.error.restore())
        self._work_needed.set()
        self._changed.set()

    def _session_failed(self, channel: Channel, account: ClusterAccount, error: TMAPIError) -> None:
        if isinstance(error, OutageError) and self._channels_of(account.number):
            self._opener.avoid(account.number, channel.worker, time.monotonic())
            log.warning("%s; other sessions continue its listings", _line_down(channel))
        else:
            self._account_stopped(account, error)

    def _account_stopped(self, account: ClusterAccount, error: TMAPIError) -> None:
        if account.stopped is not None:
            return
        account.stopped = error
        self._close_sessions(self._channels_of(account.number), protocol.StopSession())
        if all(other.stopped is not None for other in self._accounts):
            self._give_up(error)
        else:
            log_account_stopped(account.number + 1, len(self._accounts), error)

    def _on_report(self, channel: Channel, report: protocol.SessionReport) -> None:
        account, now = self._accounts[channel.account], time.monotonic()
        account.apply_report(channel.name, report, channel.clock_offset, now)
        self._receiver.handle_report(channel, report)
        if report.ended:
            self._work_needed.set()
        if account.limits.needs_allocation(now):
            self._allocate(account, now)

    # -- shares

    async def _allocate_always(self) -> None:
        while not self._over:
            now, lease_now = time.monotonic(), lease_clock()
            for channel in self.channels.values():
                channel.check_lease(lease_now)
            for account in self._accounts:
                self._allocate(account, now)
            await asyncio.sleep(TICK)

    def _allocate(self, account: ClusterAccount, now: float) -> None:
        channels = self._channels_of(account.number)
        # A session gets batches only if it has slots: one that joins late must get a slot first.
        minimum_slots = int(self._queue.has_ready)
        demand = {
            channel.name: 0 if channel.closing else max(minimum_slots, len(channel.listings))
            for channel in channels
        }
        if not any(demand.values()):
            # Listings of a lost session may come back: keep slots for them.
            demand = {channel.name: int(not channel.closing) for channel in channels}
        if self._journal.in_trouble:
            demand = dict.fromkeys(demand, 0)  # nobody may pay for pages that cannot be stored
        for name, share in account.allocate(now, demand).items():
            self.channels[name].send(share)
        budget = account.budget
        if budget is not None and budget.exhausted and not self._finished:
            error = BudgetSpentError(f"{budget.spent} of {budget.limit} requests sent")
            for other in self._accounts:
                if other.budget is budget:
                    self._account_stopped(other, error)

    # -- batches

    async def _dispatch(self, dispatcher: Dispatcher) -> None:
        while not self._ending:
            self._work_needed.clear()
            if self._queue.finished:
                self._finished = True
                self._close_sessions(self.channels.values(), protocol.FinishSession())
                return
            for channel in list(self.channels.values()):
                if not channel.closing and channel.name in self.channels:
                    await self._send_batch(dispatcher, channel)
            try:
                async with asyncio.timeout(TICK):
                    await self._work_needed.wait()
            except TimeoutError:
                continue

    async def _send_batch(self, dispatcher: Dispatcher, channel: Channel) -> None:
        new_batch = await dispatcher.next_batch(
            channel,
            slots=self._accounts[channel.account].slots(channel.name),
            remaining=self._recorder.tally.left,
            sessions=len(self.channels),
        )
        if new_batch is not None:
            key, batch = new_batch
            channel.send(protocol.BatchesSubmitted(batch.number))
            work = dispatcher.submit(channel, key, batch)
            channel.add_watcher(self._tasks.spawn("batch", work))


def _line_down(channel: Channel) -> str:
    return f"{channel.name} on {channel.worker}: the API does not answer there"
