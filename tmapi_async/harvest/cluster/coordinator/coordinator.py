"""Drives a harvest with the workers of a cluster; see the package's own text for how."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from distributed import Client

from tmapi_async.api.listings import Listing
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.errors import (
    BudgetSpentError,
    ClosedError,
    ClusterError,
    TMAPIError,
    WorkerRefusedError,
)
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.harvest.engines.multi import log_account_stopped
from tmapi_async.harvest.listing_queue import ListingQueue
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal

from .account import ClusterAccount, settle_budgets
from .channel import Channel, call
from .connections import connect_client, worker_addresses
from .dispatcher import Dispatcher
from .placement import assign_sessions, surplus_sessions
from .receiver import Receiver

log = logging.getLogger("tmapi_async")

TICK = 0.05
"""Seconds between two dealings, and two looks at who needs a stretch, when nothing is urgent."""

WATCH = 0.5
"""Seconds between two looks at which workers there are."""

NO_WORKER = 60.0
"""Seconds without a single seat after which the harvest ends."""

_REFUSED_FOR = 30.0
_GOODBYE = 15.0


class Coordinator:
    """Seats workers, sends stretches, takes in what comes, deals shares.

    Args:
        address: The scheduler's.
        security: Of its connections, or None.
        accounts: The accounts.
        place: Where workers find the tokens; None sends them.
        keeper: Gets what comes.
        journal: Tells what is durable, and how bodies are compressed.

    Attributes:
        lines: Seats that are taken, by name.
        gone: Requests counted by the sessions that have ended.
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
        self._token_source = token_source
        self._recorder = recorder
        self._journal = journal
        self._queue = ListingQueue(recorder)
        self._receiver = Receiver(recorder, journal, self._queue)
        self._workers: set[str] = set()
        self._not_before: dict[tuple[int, str], float] = {}
        self._refusal: WorkerRefusedError | None = None
        self._dictionaries = 0
        self._sessions_named = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._work_needed = asyncio.Event()
        self._changed = asyncio.Event()
        self._crash: BaseException | None = None
        self._error: TMAPIError | None = None
        self._stopping = self._closed = self._finished = False

    # -- the harvest's side

    async def run(self) -> None:
        """Work until every listing has ended, or nobody can go on."""
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
        self._spawn("watch", self._watch(client))
        self._spawn("feed", self._dispatch_always(Dispatcher(client, self._queue, self._receiver)))
        self._spawn("deal", self._allocate_always())
        while not self._over:
            self._changed.clear()
            await self._changed.wait()

    @property
    def _ending(self) -> bool:
        """Whether no seat is taken and nothing is sent any more."""
        return self._stopping or self._finished or self._error is not None

    @property
    def _over(self) -> bool:
        if self._crash is not None or self._closed:
            return True
        return self._ending and not self.channels

    def stop(self) -> None:
        """Ask for nothing more; what is on the wire is still brought."""
        self._stopping = self._receiver.stopping = True
        self._close_sessions(self.channels.values(), protocol.StopSession())

    async def close(self) -> None:
        """End every task at once."""
        self._closed = self._stopping = self._receiver.stopping = True
        self._changed.set()
        await self._end_tasks()

    def fail(self, listing: Listing, error: TMAPIError) -> None:
        """End a listing as failed, wherever it is walked."""
        visit = self._recorder.find_visit(listing)
        for channel in self.channels.values():
            if visit is not None and visit.id in channel.out:
                channel.send(protocol.FailListing(visit.id, protocol.SerializedError.of(error)))

    def pump(self) -> None:
        """Tell the seats which of their pages are durable, and how bodies are compressed now."""
        for channel, pages in self._receiver.durable(self.channels.values()).items():
            channel.acknowledge(pages, self._accounts[channel.account].slots(channel.name))
        known = self._journal.dictionaries
        if len(known) != self._dictionaries:
            self._dictionaries = len(known)
            for channel in self.channels.values():
                self._send_dictionaries(channel)

    def _send_dictionaries(self, channel: Channel) -> None:
        for endpoint, known in list(self._journal.dictionaries.items()):
            channel.send(protocol.DictionaryMessage(endpoint, known.number, known.content))

    # -- tasks

    def _spawn(self, what: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"tmapi cluster {what}")
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, TMAPIError):
            self._give_up(error)
        elif error is not None:
            self._crash = self._crash or error
        self._changed.set()

    async def _end_tasks(self) -> None:
        for channel in self.channels.values():
            channel.cut()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _give_up(self, error: TMAPIError) -> None:
        self._error = self._error or error
        self._close_sessions(self.channels.values(), protocol.StopSession())

    def _close_sessions(
        self, channels: Iterable[Channel], word: protocol.StopSession | protocol.FinishSession
    ) -> None:
        for channel in list(channels):
            if not channel.retiring:
                channel.retiring = True
                channel.send(word)
                self._spawn("good-bye", self._cut_late(channel))
        self._work_needed.set()
        self._changed.set()

    async def _cut_late(self, channel: Channel) -> None:
        """Give up a seat that does not say good-bye for longer than any request takes."""
        await asyncio.sleep(self._accounts[channel.account].settings.timeout + _GOODBYE)
        channel.cut()

    # -- seats

    async def _watch(self, client: Client) -> None:
        alone_since = time.monotonic()
        while not self._over:
            self._workers, now = await worker_addresses(client), time.monotonic()
            if self.channels or self._ending:
                alone_since = now
            elif self._refusal is not None and not self._may_join(now):
                raise self._refusal
            elif now - alone_since > NO_WORKER:
                raise ClusterError(
                    f"no worker for {NO_WORKER:g} s; start some, then run the same again"
                )
            if not self._ending:
                self._staff(client, now)
            await asyncio.sleep(WATCH)

    def _may_join(self, now: float) -> bool:
        """Whether a worker is there, or may come, that has not refused lately."""
        refusing = {worker for (_, worker), until in self._not_before.items() if until > now}
        return not self._workers or bool(self._workers - refusing)

    def _staff(self, client: Client, now: float) -> None:
        widths = {one.number: one.width for one in self._accounts if one.stopped is None}
        assigned = {
            channel.name: (channel.account, channel.worker) for channel in self.channels.values()
        }
        for account, worker in assign_sessions(widths, self._workers, assigned):
            if self._not_before.get((account, worker), 0.0) <= now:
                self._not_before[account, worker] = now + _REFUSED_FOR
                self._spawn("line", self._run_session(client, self._accounts[account], worker))
        for number, width in widths.items():
            slots = {
                channel.name: self._accounts[number].slots(channel.name)
                for channel in self._channels_of(number)
            }
            self._close_sessions(
                [self.channels[session] for session in surplus_sessions(width, slots)],
                protocol.StopSession(),
            )

    def _channels_of(self, account: int) -> list[Channel]:
        return [channel for channel in self.channels.values() if channel.account == account]

    async def _run_session(self, client: Client, account: ClusterAccount, worker: str) -> None:
        """Take a seat, hold its line until it ends, and pick up what it leaves."""
        self._sessions_named += 1
        several = f", account {account.number + 1}" if len(self._accounts) > 1 else ""
        session = f"session {self._sessions_named}{several}"
        session_request, token = account.session_request(session, self._token_source)
        try:
            comm, abandoned_slots = await call(
                worker, session_request, token, **client.security.get_connection_args("client")
            )
        except WorkerRefusedError as error:
            self._refusal = error
            log.warning("%s", error)
            return
        except (OSError, TimeoutError) as error:
            log.info("%s cannot be reached: %s", worker, error)
            return
        channel = Channel(session, worker, account.number, comm, session_request.lease)
        self._not_before.pop((account.number, worker), None)
        if self._ending or account.stopped is not None:
            channel.cut()
            return
        account.join(session, abandoned_slots)
        self.channels[session] = channel
        self._send_dictionaries(channel)
        self._work_needed.set()
        await self._serve_channel(channel, account)

    async def _serve_channel(self, channel: Channel, account: ClusterAccount) -> None:
        talk = asyncio.create_task(channel.talk(), name="tmapi cluster talk")
        bye: protocol.SessionEnded | None = None
        try:
            bye = await channel.listen(self._on_report)
        finally:
            talk.cancel()
            channel.cut()
            del self.channels[channel.name]
            in_use = channel.in_use if bye is not None else None
            account.leave(channel.name, time.monotonic(), in_use=in_use)
            self.ended_counts += channel.counts
            self._session_ended(channel, account, bye)
        await asyncio.wait([talk])

    def _session_ended(
        self, channel: Channel, account: ClusterAccount, bye: protocol.SessionEnded | None
    ) -> None:
        self._receiver.reclaim(channel)
        if bye is None and not self._closed:
            log.warning(
                "%s on %s is lost; others go on with its listings", channel.name, channel.worker
            )
        if bye is not None and bye.crash is not None:
            self._crash = self._crash or ClusterError(f"{channel.name}: {bye.crash}")
        if bye is not None and bye.failure is not None:
            self._account_stopped(account, bye.failure.error())
        self._work_needed.set()
        self._changed.set()

    def _account_stopped(self, account: ClusterAccount, error: TMAPIError) -> None:
        if account.stopped is not None:
            return
        account.stopped = error
        self._close_sessions(self._channels_of(account.number), protocol.StopSession())
        if all(other.stopped is not None for other in self._accounts):
            self._give_up(error)
        else:
            log_account_stopped(account.number + 1, len(self._accounts), error)

    # -- what seats report

    def _on_report(self, channel: Channel, report: protocol.SessionReport) -> None:
        account, now = self._accounts[channel.account], time.monotonic()
        account.apply_report(channel.name, report, channel.offset, now)
        self._receiver.report(channel, report)
        if report.ended:
            self._work_needed.set()
        if account.needs_allocation(now):
            self._allocate(account, now)

    # -- shares

    async def _allocate_always(self) -> None:
        while not self._over:
            now = time.monotonic()
            for channel in self.channels.values():
                channel.look(now)
            for account in self._accounts:
                self._allocate(account, now)
            await asyncio.sleep(TICK)

    def _allocate(self, account: ClusterAccount, now: float) -> None:
        channels = self._channels_of(account.number)
        demand = {channel.name: 0 if channel.retiring else len(channel.out) for channel in channels}
        if not any(demand.values()):
            # Before the first stretch a seat needs a share too, or it would be sent none.
            demand = {channel.name: int(not channel.retiring) for channel in channels}
        for session, share in account.allocate(now, demand).items():
            self.channels[session].send(share)
        budget_allocator = account.budget_allocator
        if budget_allocator is not None and budget_allocator.empty and not self._finished:
            error = BudgetSpentError(
                f"{budget_allocator.spent} of {budget_allocator.most} requests sent"
            )
            for other in self._accounts:
                if other.budget_allocator is budget_allocator:
                    self._account_stopped(other, error)

    # -- stretches

    async def _dispatch_always(self, dispatcher: Dispatcher) -> None:
        while not self._ending:
            self._work_needed.clear()
            if self._queue.finished:
                self._finished = True
                self._close_sessions(self.channels.values(), protocol.FinishSession())
                return
            for channel in list(self.channels.values()):
                if not channel.retiring and channel.name in self.channels:
                    await self._fill(dispatcher, channel)
            try:
                async with asyncio.timeout(TICK):
                    await self._work_needed.wait()
            except TimeoutError:
                continue

    async def _fill(self, dispatcher: Dispatcher, channel: Channel) -> None:
        made = await dispatcher.batch(
            channel,
            slots=self._accounts[channel.account].slots(channel.name),
            left=self._recorder.tally.left,
            sessions=len(self.channels),
        )
        if made is not None:
            key, batch = made
            channel.send(protocol.BatchesSubmitted(batch.number))
            channel.follow(self._spawn("stretch", dispatcher.follow(channel, key, batch)))
