"""Drives a harvest with the workers of a cluster; see the package's own text for how."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ...accounts import digest
from ...errors import BudgetSpentError, ClosedError, TMAPIError
from ...listings import Listing, PageRequest
from ...outcomes import ListingOutcome
from ...settings import Settings
from ..accounts import tell_stopped
from ..journal import Journal
from ..keeper import Keeper
from ..openings import Openings
from ..records import Packed, PageRecord, Visit
from . import messages as say
from .connecting import addresses, connected
from .errors import ClusterError, WorkerRefusedError
from .giving import name, staff, stretch_size, surplus
from .hands import walk_stretch
from .ledger import Account
from .line import Line, call
from .places import TokenPlace

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("tmapi_async")

TICK = 0.05
"""Seconds between two dealings when nothing is urgent."""

WATCH = 0.5
"""Seconds between two looks at which workers there are."""

NO_WORKER = 60.0
"""Seconds without a single seat after which the harvest ends."""

_REFUSED_FOR = 30.0
_LATE = 4096
_GOODBYE = 15.0
_CODE = 200


class Coordinator:
    """Seats workers, sends stretches, takes in what comes, deals shares.

    Args:
        address: The scheduler's.
        security: Of its connections, or None.
        accounts: The accounts.
        place: Where workers find the tokens; None sends them.
        settings: How the API is reached, by account.
        keeper: Gets what comes.
        journal: Tells what is durable, and how bodies are compressed.
    """

    def __init__(
        self,
        address: str,
        security: Any,
        accounts: Sequence[Account],
        place: TokenPlace | None,
        settings: Sequence[Settings],
        keeper: Keeper,
        journal: Journal,
    ) -> None:
        self.lines: dict[str, Line] = {}
        self.gone = [(0, 0, 0)]
        self.gone_codes: list[dict[str, int]] = []
        self._address, self._security = address, security
        self._accounts = accounts
        self._place = place
        self._settings = settings
        self._keeper = keeper
        self._journal = journal
        self._openings = Openings(keeper)
        self._client: Client | None = None
        self._workers: set[str] = set()
        self._refused: dict[tuple[int, str], float] = {}
        self._why_refused: WorkerRefusedError | None = None
        self._visits: dict[int, Visit] = {}
        self._late: dict[int, Visit] = {}
        self._given = 0
        self._unacknowledged: deque[tuple[int, Line, int]] = deque()
        self._dictionaries = 0
        self._named = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._hungry = asyncio.Event()
        self._changed = asyncio.Event()
        self._crash: BaseException | None = None
        self._stopping = self._closed = self._finished = False
        self._error: TMAPIError | None = None

    # -- the harvest's side

    async def next(self) -> None:
        """Work until every listing has ended, or nobody can go on."""
        try:
            async with connected(self._address, self._security) as client:
                self._client = client
                await self._work(client)
        finally:
            await self._end_tasks()
        await self._openings.leave()
        if self._crash is not None:
            raise self._crash
        if self._closed:
            raise ClosedError("the walk was closed before its end")
        if self._error is not None and not self._finished and not self._stopping:
            raise self._error

    async def _work(self, client: Client) -> None:
        self._spawn("watch", self._watch(client))
        self._spawn("feed", self._feed(client))
        self._spawn("deal", self._deal_always())
        while not self._over:
            self._changed.clear()
            await self._changed.wait()

    @property
    def _over(self) -> bool:
        if self._crash is not None or self._closed:
            return True
        return (self._stopping or self._finished or self._error is not None) and not self.lines

    def stop(self) -> None:
        """Ask for nothing more; what is on the wire is still brought."""
        self._stopping = True
        self._send_home(self.lines.values(), say.Stop())

    async def close(self) -> None:
        """End every task at once."""
        self._closed = self._stopping = True
        self._changed.set()
        await self._end_tasks()

    def fail(self, listing: Listing, error: TMAPIError) -> None:
        """End a listing as failed, wherever it is walked."""
        visit = self._keeper.visit(listing)
        for line in self.lines.values():
            if visit is not None and visit.id in line.out:
                line.say(say.Fail(visit.id, say.Failure.of(error)))

    def pump(self) -> None:
        """Tell the seats which of their pages are durable, and how bodies are compressed now."""
        durable, told = self._journal.statistics().durable, dict[str, tuple[Line, int]]()
        waiting = self._unacknowledged
        while waiting and waiting[0][0] <= durable:
            _, line, received = waiting.popleft()
            if line.name in self.lines:
                told[line.name] = line, received
        for line, received in told.values():
            line.acknowledge(received, self._accounts[line.account].slots(line.name))
        known = self._journal.dictionaries
        if len(known) != self._dictionaries:
            self._dictionaries = len(known)
            for line in self.lines.values():
                self._tell_dictionaries(line)

    def _tell_dictionaries(self, line: Line) -> None:
        for endpoint, known in list(self._journal.dictionaries.items()):
            line.say(say.Dictionary(endpoint, known.number, known.content))

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
        self._changed.set()

    def _send_home(self, lines: Any, word: say.Stop | say.Finish) -> None:
        for line in list(lines):
            if not line.retiring:
                line.retiring = True
                line.say(word)
                self._spawn("good-bye", self._cut_late(line))
        self._hungry.set()
        self._changed.set()

    async def _cut_late(self, line: Line) -> None:
        """A seat that does not say good-bye for longer than any request takes is given up."""
        timeout = self._settings[line.account].timeout
        await asyncio.sleep(timeout + _GOODBYE)
        line.cut()

    # -- seats

    async def _watch(self, client: Client) -> None:
        alone_since = time.monotonic()
        while not self._over:
            self._workers = await addresses(client)
            now = time.monotonic()
            if self.lines or self._stopping or self._finished:
                alone_since = now
            elif now - alone_since > NO_WORKER or (self._why_refused and not self._may_join(now)):
                raise self._why_refused or ClusterError(
                    f"no worker for {NO_WORKER:g} s; start some, then run the same again"
                )
            self._staff(now)
            await asyncio.sleep(WATCH)

    def _may_join(self, now: float) -> bool:
        """Whether some worker has not refused lately."""
        refusing = {worker for (_, worker), until in self._refused.items() if until > now}
        return not self._workers or bool(self._workers - refusing)

    def _staff(self, now: float) -> None:
        if self._stopping or self._finished or self._error is not None:
            return
        widths = {one.number: one.width for one in self._accounts if one.stopped is None}
        seated = {line.name: (line.account, line.worker) for line in self.lines.values()}
        for account, worker in staff(widths, self._workers, seated):
            if self._refused.get((account, worker), 0.0) <= now:
                self._refused[account, worker] = now + _REFUSED_FOR
                self._spawn("line", self._hold_line(self._accounts[account], worker))
        for number, width in widths.items():
            lines = self._lines_of(number)
            slots = {line.name: self._accounts[number].slots(line.name) for line in lines}
            few = surplus(width, slots)
            self._send_home([self.lines[seat] for seat in few], say.Stop())

    def _lines_of(self, account: int) -> list[Line]:
        return [line for line in self.lines.values() if line.account == account]

    async def _hold_line(self, account: Account, worker: str) -> None:
        """Take a seat, hold its line until it ends, and pick up what it leaves."""
        api, self._named = account.api, self._named + 1
        seat = f"seat {self._named}"
        if len(self._accounts) > 1:
            seat = f"{seat}, account {account.number + 1}"
        token = api.reveal_token()
        hello = say.Hello(
            seat,
            account.number,
            digest(token),
            self._place,
            self._settings[account.number],
            api.gate.pace is not None,
        )
        sent = None if self._place is not None else token
        security = self._client.security if self._client is not None else None
        connection = {} if security is None else security.get_connection_args("client")
        try:
            comm, haunted = await call(worker, hello, sent, **connection)
        except WorkerRefusedError as error:
            self._why_refused = error
            log.warning("%s", error)
            return
        except (OSError, TimeoutError) as error:
            log.info("%s cannot be reached: %s", worker, error)
            return
        line = Line(seat, worker, account.number, comm)
        account.join(seat, haunted)
        self.lines[seat] = line
        self._refused.pop((account.number, worker), None)
        self._tell_dictionaries(line)
        self._hungry.set()
        await self._serve(line, account)

    async def _serve(self, line: Line, account: Account) -> None:
        talk = asyncio.create_task(_until_broken(line.talk()), name="tmapi cluster talk")
        bye: say.Bye | None = None
        try:
            bye = await line.listen(self._heard)
        finally:
            talk.cancel()
            line.cut()
            del self.lines[line.name]
            in_use = line.in_use if bye is not None else None
            account.leave(line.name, time.monotonic(), in_use=in_use, silent=line.silent)
            self.gone.append(line.counts)
            self.gone_codes.append(line.codes)
            self._ended_line(line, account, bye)
        await asyncio.wait([talk])

    def _ended_line(self, line: Line, account: Account, bye: say.Bye | None) -> None:
        if bye is None and not self._closed:
            log.warning("%s on %s is lost; others go on with its listings", line.name, line.worker)
        for listing in line.out.values():
            self._openings.give_back(listing)
        line.out.clear()
        if bye is not None and bye.crash is not None:
            self._crash = self._crash or ClusterError(f"{line.name}: {bye.crash}")
        if bye is not None and bye.failure is not None:
            self._account_stopped(account, bye.failure.error())
        self._hungry.set()
        self._changed.set()

    def _account_stopped(self, account: Account, error: TMAPIError) -> None:
        if account.stopped is not None:
            return
        account.stopped = error
        self._send_home(self._lines_of(account.number), say.Stop())
        if all(other.stopped is not None for other in self._accounts):
            self._give_up(error)
        else:
            tell_stopped(account.number + 1, len(self._accounts), error)

    # -- what seats report

    def _heard(self, line: Line, report: say.Report) -> None:
        account, now = self._accounts[line.account], time.monotonic()
        account.take_in(line.name, report, line.offset, now)
        for page in report.pages:
            self._keep(page)
        if report.pages:
            line.received += len(report.pages)
            self._unacknowledged.append((self._given, line, line.received))
            self.pump()
        for missed in report.missed:
            listing = line.out.get(missed.visit)
            if listing is not None:
                request = PageRequest(listing, missed.number)
                self._keeper.failed(request, missed.failure.error())
        for ended in report.ended:
            self._listing_ended(line, ended)
        if report.ended:
            self._hungry.set()
        if account.urgent(now):
            self._deal(account, now)

    def _keep(self, page: say.Brought) -> None:
        visit = self._visits.get(page.visit) or self._late.get(page.visit)
        if visit is None:
            return
        record = PageRecord(
            visit,
            page.number,
            page.body,
            page.fetched_at,
            page.attempts,
            page.latency,
            _CODE,
            page.page_size,
            page.has_next_page,
            page.total_count,
            page.items,
            page.rejects,
            Packed(page.dictionary, page.size) if page.size else None,
        )
        self._given += self._keeper.keep(record)

    def _listing_ended(self, line: Line, ended: say.Ended) -> None:
        listing = line.out.pop(ended.visit, None)
        if listing is None:
            return
        line.note_ended()
        if ended.ending == "stopped" and not self._stopping:
            self._openings.give_back(listing)
            return
        failure = ended.failure
        self._keeper.ended(
            ListingOutcome(
                listing,
                ended.ending,
                ended.pages,
                ended.items,
                ended.unique,
                ended.duplicates,
                ended.rejects,
                None if failure is None else failure.error(),
            )
        )
        self._openings.ended(listing)
        self._late[ended.visit] = self._visits.pop(ended.visit)
        if len(self._late) > _LATE:
            del self._late[next(iter(self._late))]

    # -- shares

    async def _deal_always(self) -> None:
        while not self._over:
            now = time.monotonic()
            for account in self._accounts:
                self._deal(account, now)
            await asyncio.sleep(TICK)

    def _deal(self, account: Account, now: float) -> None:
        wants = {
            line.name: 0 if line.retiring else len(line.out)
            for line in self._lines_of(account.number)
        }
        if not wants:
            return
        # Before the first stretch a seat needs a share too, or it would be sent none.
        wants = (
            {seat: want or 1 for seat, want in wants.items()} if not any(wants.values()) else wants
        )
        for seat, share in account.deal(now, wants).items():
            self.lines[seat].say(share)
        if account.purse is not None and account.purse.empty:
            self._budget_spent(account)

    def _budget_spent(self, account: Account) -> None:
        purse = account.purse
        if purse is None or self._finished:
            return
        error = BudgetSpentError(f"{purse.spent} of {purse.most} requests sent")
        for other in self._accounts:
            if other.purse is purse:
                self._account_stopped(other, error)

    # -- stretches

    async def _feed(self, client: Client) -> None:
        while not (self._stopping or self._error is not None):
            self._hungry.clear()
            if self._openings.over:
                self._finished = True
                self._send_home(self.lines.values(), say.Finish())
                return
            for line in list(self.lines.values()):
                await self._fill(client, line)
            try:
                async with asyncio.timeout(TICK):
                    await self._hungry.wait()
            except TimeoutError:
                continue

    async def _fill(self, client: Client, line: Line) -> None:
        account, now = self._accounts[line.account], time.monotonic()
        if line.retiring or line.name not in self.lines:
            return
        size = stretch_size(
            len(line.out),
            account.slots(line.name),
            line.ended_a_second(now),
            left=self._keeper.tally.left,
            seats=len(self.lines),
        )
        errands, first = [], None
        for _ in range(size):
            opening = await self._openings.take_now()
            if opening is None:
                break
            visit = self._keeper.visit(opening.listing)
            if visit is None:
                self._openings.ended(opening.listing)
                continue
            self._visits[visit.id] = visit
            line.out[visit.id] = opening.listing
            first = first or opening.listing
            errands.append(say.Errand.of(visit.id, opening))
        if first is None:
            return
        if line.name not in self.lines or line.retiring:
            for errand in errands:  # it went while the journal was read
                listing = line.out.pop(errand.visit, None)
                if listing is not None:
                    self._openings.give_back(listing)
            return
        line.stretches += 1
        stretch = say.Stretch(line.name, line.stretches, tuple(errands))
        line.say(say.Submitted(line.stretches))
        key = f"{name(first, len(errands), line.stretches, line.name)} {client.id}"
        task = self._spawn("stretch", self._follow(client, line, key, stretch))
        line.tasks.add(task)
        task.add_done_callback(line.tasks.discard)

    async def _follow(self, client: Client, line: Line, key: str, stretch: say.Stretch) -> None:
        """Submit a stretch, and see that its task does not fail unseen."""
        future = client.submit(
            walk_stretch,
            stretch,
            key=key,
            workers=[line.worker],
            allow_other_workers=False,  # another worker has another seat: we send it again ourselves
            pure=False,
        )
        try:
            await future
        except Exception as error:  # noqa: BLE001 - whatever it is, the seat is of no use
            log.warning("%s: its task failed: %s", line.name, type(error).__name__)
            line.cut()
        finally:
            if not future.done():
                await asyncio.shield(_quietly(partial(future.cancel)))
            future.release()


async def _until_broken(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except (OSError, asyncio.CancelledError):
        return  # who listens notices


async def _quietly(work: Callable[[], Any]) -> None:
    try:
        async with asyncio.timeout(1.0):
            await work()
    except Exception:  # noqa: BLE001 - the scheduler may be gone; then so is the task
        return
