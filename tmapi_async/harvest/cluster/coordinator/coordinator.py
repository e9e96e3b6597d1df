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
from tmapi_async.harvest.cluster import protocol as say
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.harvest.engines.multi import tell_stopped
from tmapi_async.harvest.listing_queue import ListingQueue
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal

from .account import ClusterAccount, settle_budgets
from .channel import Channel, call
from .connections import addresses, connected
from .dispatcher import Dispatcher
from .placement import staff, surplus
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
        place: TokenSource | None,
        keeper: Recorder,
        journal: Journal,
    ) -> None:
        self.lines: dict[str, Channel] = {}
        self.gone = RequestCounts()
        self._address, self._security = address, security
        self._accounts = accounts
        self._place = place
        self._keeper = keeper
        self._journal = journal
        self._openings = ListingQueue(keeper)
        self._intake = Receiver(keeper, journal, self._openings)
        self._workers: set[str] = set()
        self._not_before: dict[tuple[int, str], float] = {}
        self._refusal: WorkerRefusedError | None = None
        self._dictionaries = 0
        self._named = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._hungry = asyncio.Event()
        self._changed = asyncio.Event()
        self._crash: BaseException | None = None
        self._error: TMAPIError | None = None
        self._stopping = self._closed = self._finished = False

    # -- the harvest's side

    async def run(self) -> None:
        """Work until every listing has ended, or nobody can go on."""
        try:
            async with connected(self._address, self._security) as client:
                await self._work(client)
        finally:
            await self._end_tasks()
            settle_budgets(self._accounts)
        await self._openings.close()
        if self._crash is not None:
            raise self._crash
        if self._closed:
            raise ClosedError("the walk was closed before its end")
        if self._error is not None and not self._finished and not self._stopping:
            raise self._error

    async def _work(self, client: Client) -> None:
        self._spawn("watch", self._watch(client))
        self._spawn("feed", self._feed(Dispatcher(client, self._openings, self._intake)))
        self._spawn("deal", self._deal_always())
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
        return self._ending and not self.lines

    def stop(self) -> None:
        """Ask for nothing more; what is on the wire is still brought."""
        self._stopping = self._intake.stopping = True
        self._send_home(self.lines.values(), say.Stop())

    async def close(self) -> None:
        """End every task at once."""
        self._closed = self._stopping = self._intake.stopping = True
        self._changed.set()
        await self._end_tasks()

    def fail(self, listing: Listing, error: TMAPIError) -> None:
        """End a listing as failed, wherever it is walked."""
        visit = self._keeper.visit(listing)
        for line in self.lines.values():
            if visit is not None and visit.id in line.out:
                line.send(say.Fail(visit.id, say.Failure.of(error)))

    def pump(self) -> None:
        """Tell the seats which of their pages are durable, and how bodies are compressed now."""
        for line, pages in self._intake.durable(self.lines.values()).items():
            line.acknowledge(pages, self._accounts[line.account].slots(line.name))
        known = self._journal.dictionaries
        if len(known) != self._dictionaries:
            self._dictionaries = len(known)
            for line in self.lines.values():
                self._tell_dictionaries(line)

    def _tell_dictionaries(self, line: Channel) -> None:
        for endpoint, known in list(self._journal.dictionaries.items()):
            line.send(say.DictionaryMessage(endpoint, known.number, known.content))

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
        for line in self.lines.values():
            line.cut()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _give_up(self, error: TMAPIError) -> None:
        self._error = self._error or error
        self._send_home(self.lines.values(), say.Stop())

    def _send_home(self, lines: Iterable[Channel], word: say.Stop | say.Finish) -> None:
        for line in list(lines):
            if not line.retiring:
                line.retiring = True
                line.send(word)
                self._spawn("good-bye", self._cut_late(line))
        self._hungry.set()
        self._changed.set()

    async def _cut_late(self, line: Channel) -> None:
        """Give up a seat that does not say good-bye for longer than any request takes."""
        await asyncio.sleep(self._accounts[line.account].settings.timeout + _GOODBYE)
        line.cut()

    # -- seats

    async def _watch(self, client: Client) -> None:
        alone_since = time.monotonic()
        while not self._over:
            self._workers, now = await addresses(client), time.monotonic()
            if self.lines or self._ending:
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
        seated = {line.name: (line.account, line.worker) for line in self.lines.values()}
        for account, worker in staff(widths, self._workers, seated):
            if self._not_before.get((account, worker), 0.0) <= now:
                self._not_before[account, worker] = now + _REFUSED_FOR
                self._spawn("line", self._hold_line(client, self._accounts[account], worker))
        for number, width in widths.items():
            slots = {
                line.name: self._accounts[number].slots(line.name)
                for line in self._lines_of(number)
            }
            self._send_home([self.lines[seat] for seat in surplus(width, slots)], say.Stop())

    def _lines_of(self, account: int) -> list[Channel]:
        return [line for line in self.lines.values() if line.account == account]

    async def _hold_line(self, client: Client, account: ClusterAccount, worker: str) -> None:
        """Take a seat, hold its line until it ends, and pick up what it leaves."""
        self._named += 1
        several = f", account {account.number + 1}" if len(self._accounts) > 1 else ""
        seat = f"seat {self._named}{several}"
        hello, token = account.hello(seat, self._place)
        try:
            comm, haunted = await call(
                worker, hello, token, **client.security.get_connection_args("client")
            )
        except WorkerRefusedError as error:
            self._refusal = error
            log.warning("%s", error)
            return
        except (OSError, TimeoutError) as error:
            log.info("%s cannot be reached: %s", worker, error)
            return
        line = Channel(seat, worker, account.number, comm, hello.lease)
        self._not_before.pop((account.number, worker), None)
        if self._ending or account.stopped is not None:
            line.cut()
            return
        account.join(seat, haunted)
        self.lines[seat] = line
        self._tell_dictionaries(line)
        self._hungry.set()
        await self._serve(line, account)

    async def _serve(self, line: Channel, account: ClusterAccount) -> None:
        talk = asyncio.create_task(line.talk(), name="tmapi cluster talk")
        bye: say.Bye | None = None
        try:
            bye = await line.listen(self._heard)
        finally:
            talk.cancel()
            line.cut()
            del self.lines[line.name]
            in_use = line.in_use if bye is not None else None
            account.leave(line.name, time.monotonic(), in_use=in_use)
            self.gone += line.counts
            self._left(line, account, bye)
        await asyncio.wait([talk])

    def _left(self, line: Channel, account: ClusterAccount, bye: say.Bye | None) -> None:
        self._intake.take_back(line)
        if bye is None and not self._closed:
            log.warning("%s on %s is lost; others go on with its listings", line.name, line.worker)
        if bye is not None and bye.crash is not None:
            self._crash = self._crash or ClusterError(f"{line.name}: {bye.crash}")
        if bye is not None and bye.failure is not None:
            self._account_stopped(account, bye.failure.error())
        self._hungry.set()
        self._changed.set()

    def _account_stopped(self, account: ClusterAccount, error: TMAPIError) -> None:
        if account.stopped is not None:
            return
        account.stopped = error
        self._send_home(self._lines_of(account.number), say.Stop())
        if all(other.stopped is not None for other in self._accounts):
            self._give_up(error)
        else:
            tell_stopped(account.number + 1, len(self._accounts), error)

    # -- what seats report

    def _heard(self, line: Channel, report: say.WorkerReport) -> None:
        account, now = self._accounts[line.account], time.monotonic()
        account.take_in(line.name, report, line.offset, now)
        self._intake.report(line, report)
        if report.ended:
            self._hungry.set()
        if account.urgent(now):
            self._deal(account, now)

    # -- shares

    async def _deal_always(self) -> None:
        while not self._over:
            now = time.monotonic()
            for line in self.lines.values():
                line.look(now)
            for account in self._accounts:
                self._deal(account, now)
            await asyncio.sleep(TICK)

    def _deal(self, account: ClusterAccount, now: float) -> None:
        lines = self._lines_of(account.number)
        wants = {line.name: 0 if line.retiring else len(line.out) for line in lines}
        if not any(wants.values()):
            # Before the first stretch a seat needs a share too, or it would be sent none.
            wants = {line.name: int(not line.retiring) for line in lines}
        for seat, share in account.deal(now, wants).items():
            self.lines[seat].send(share)
        purse = account.purse
        if purse is not None and purse.empty and not self._finished:
            error = BudgetSpentError(f"{purse.spent} of {purse.most} requests sent")
            for other in self._accounts:
                if other.purse is purse:
                    self._account_stopped(other, error)

    # -- stretches

    async def _feed(self, feeder: Dispatcher) -> None:
        while not self._ending:
            self._hungry.clear()
            if self._openings.finished:
                self._finished = True
                self._send_home(self.lines.values(), say.Finish())
                return
            for line in list(self.lines.values()):
                if not line.retiring and line.name in self.lines:
                    await self._fill(feeder, line)
            try:
                async with asyncio.timeout(TICK):
                    await self._hungry.wait()
            except TimeoutError:
                continue

    async def _fill(self, feeder: Dispatcher, line: Channel) -> None:
        made = await feeder.stretch(
            line,
            slots=self._accounts[line.account].slots(line.name),
            left=self._keeper.tally.left,
            seats=len(self.lines),
        )
        if made is not None:
            key, stretch = made
            line.send(say.Submitted(stretch.number))
            line.follow(self._spawn("stretch", feeder.follow(line, key, stretch)))
