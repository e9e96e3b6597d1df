"""Gate of the process that hosts an account's gate for the others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from tmapi_async.limits.clocks import lease_clock
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.shares.slot_share import SlotShare

from .host_state import HostState, learned_limit
from .message_stream import MessageStream, release_in_child
from .messages import Farewell, Goodbye, Hello, News, Report, decode_for_host
from .runtime_folder import SocketPlace
from .seat import Seat
from .share_reporter import HEARTBEAT, LEASE, ShareReporter

TICK = 0.25
"""Seconds between two checks of leases, and of whether this process is still the host."""

_SUCCESSION_TURNS, _SUCCESSION_TURN = 20, 0.01
"""Looks at whether a member has taken the place of a host that leaves, and seconds between."""


class _Link:
    """Connection to one member."""

    def __init__(self, stream: MessageStream) -> None:
        self.stream = stream
        self.name = ""
        self.news_at = -HEARTBEAT


class GateHost:
    """Host of an account's gate. As long as no other process joins, its gate is a plain one.

    Args:
        seat: Gate of this client.
        place: Place of the socket.
        sock: Socket that listens there.
        controller: Controller that learns from all members.
        on_deposed: Called once when another process has taken the place of this one, after a
            standstill.

    Attributes:
        controller: Controller that learns from all members.
        reporter: Reporter of the gate while it holds a share, or None while it is a plain one.
        slots: Slots of each process when this host was deposed.
    """

    def __init__(
        self,
        seat: Seat,
        place: SocketPlace,
        sock: socket.socket,
        controller: LearningController,
        on_deposed: Callable[[], None],
    ) -> None:
        self.controller = controller
        self.reporter: ShareReporter | None = None
        self.slots: dict[str, int] = {}
        self._seat = seat
        seat.learning_controller = controller
        self._place = place
        self._socket = sock
        self._identity = place.identity()
        self._on_deposed = on_deposed
        self._server: asyncio.Server | None = None
        self._state: HostState | None = None
        self._links: dict[str, _Link] = {}
        self._strangers: set[_Link] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._waker: asyncio.TimerHandle | None = None
        self._allocation: asyncio.Handle | None = None
        self._ticked_at = 0.0

    async def start(self) -> None:
        """Begin to answer processes that join."""
        # Two steps: a cancellation between them must not lose the server.
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: MessageStream(self._connected), sock=self._socket, start_serving=False
        )
        await self._server.start_serving()
        self.controller.may_send = self.is_still_host
        if self._state is None:
            self._seat.open_fully(self.controller)

    def begin_sharing(self, reporter: ShareReporter | None = None) -> HostState:
        """Divide the gate into shares from now on.

        Args:
            reporter: Reporter of this client's gate if it holds a share already.
        """
        gate, lease_now = self._seat.gate, lease_clock()
        if reporter is None:
            slots = max(gate.in_use, self.controller.width(gate.clock()))
            reporter = self._seat.reporter()
            reporter.controller.share = SlotShare(0, slots)
        else:
            reporter.drop_late_share()
        reporter.send = self._own_report
        reporter.extend_lease(lease_now)
        self.reporter = reporter
        abandoned = gate.abandoned_requests if gate.abandoned_requests.known else None
        self._state = state = HostState(self.controller, LEASE, abandoned)
        state.join(self._seat.hello(reporter.controller.share, lease_now))
        reporter.report()
        self._timer = asyncio.get_running_loop().call_later(0.0, self._tick)
        return state

    async def close(self) -> None:
        """Leave the gate to the members, if there are any."""
        state, self._state = self._state, None
        self._stop()
        if self.reporter is not None:
            self.reporter.cancel()
        if state is None or not self._links:
            self._place.remove(self._identity)
        else:
            self._place.mark_used()
            slots = state.all_slots()
            slots[self._seat.name] = self._seat.gate.in_use
            for link in self._links.values():
                link.stream.send(Farewell(self._seat.name, learned_limit(self.controller), slots))
        self._close_links()
        for _ in range(_SUCCESSION_TURNS):
            if self._place.identity() != self._identity:
                return
            await asyncio.sleep(_SUCCESSION_TURN)
        self._place.remove(self._identity)  # the members have ended, too

    def abandon(self) -> None:
        """Close the socket; the event loop that served it is closed."""
        self._place.remove(self._identity)
        self._socket.close()

    def close_in_child(self) -> None:
        """Close this process's copies of the sockets after a fork."""
        release_in_child(self._socket)
        for link in (*self._links.values(), *self._strangers):
            link.stream.close_in_child()

    # -- connections

    def _connected(self, stream: MessageStream) -> None:
        if self._server is None:  # it was accepted just before the end
            stream.close()
            return
        link = _Link(stream)
        self._strangers.add(link)
        stream.on_message = lambda packed: self._receive(link, packed)
        stream.on_lost = lambda: self._lost(link)

    def _receive(self, link: _Link, packed: memoryview) -> None:
        message, now = decode_for_host(packed), self._seat.gate.clock()
        if isinstance(message, Hello):
            self._join(link, message)
        elif self._state is None or self._links.get(link.name) is not link:
            link.stream.cut()
        elif isinstance(message, Report):
            self._state.report(link.name, message, now)
            self._send_news(link, now)
            self._allocate_soon()
        elif isinstance(message, Goodbye):
            del self._links[link.name]
            self._state.leave(link.name, message.in_use, now)
            link.stream.close()
            self._allocate_soon()

    def _join(self, link: _Link, hello: Hello) -> None:
        if not self.is_still_host():
            link.stream.cut()
            return
        state = self._state or self.begin_sharing()
        self._strangers.discard(link)
        earlier = self._links.pop(hello.name, None)
        if earlier is not None:
            earlier.stream.close()
        link.name = hello.name
        self._links[hello.name] = link
        state.join(hello)
        self._send_news(link, self._seat.gate.clock())
        self._allocate_soon()

    def _lost(self, link: _Link) -> None:
        self._strangers.discard(link)
        if self._state is not None and self._links.get(link.name) is link:
            del self._links[link.name]
            self._state.lose(link.name, self._seat.gate.clock())
            self._allocate_soon()

    def _send_news(self, link: _Link, now: float) -> None:
        """Renew the lease of a member, not more often than it needs."""
        state = self._state
        if state is None or now - link.news_at < HEARTBEAT / 2:
            return
        link.news_at = now
        slots = state.all_slots()
        news = News(self._seat.name, state.reported_at(link.name), state.learned(), slots)
        link.stream.send(news)

    # -- shares

    def _own_report(self, report: Report) -> None:
        if self._state is not None:
            self._state.report(self._seat.name, report, self._seat.gate.clock())
            self._allocate_soon()

    def _allocate_soon(self) -> None:
        if self._allocation is None:
            self._allocation = asyncio.get_running_loop().call_soon(self._allocate)

    def _allocate(self) -> None:
        self._allocation = None
        state, reporter, now = self._state, self.reporter, self._seat.gate.clock()
        if state is None or reporter is None:
            return
        if state.alone:
            self._end_sharing(reporter)
            return
        for name, share in state.allocate(now, lease_clock()).items():
            if name == self._seat.name:
                reporter.apply_share(share)
            else:
                self._links[name].stream.send(share)
        wake = state.wake_at(now)
        if wake is not None and self._waker is None:
            delay = max(wake - now, 0.001)
            self._waker = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        self._waker = None
        self._allocate_soon()

    def _end_sharing(self, reporter: ShareReporter) -> None:
        reporter.report()
        reporter.cancel()
        self._state = self.reporter = None
        self._cancel_timers()
        self._place.mark_unused()
        self._seat.open_fully(self.controller)

    def _tick(self) -> None:
        state, reporter, now = self._state, self.reporter, lease_clock()
        if state is None or reporter is None or not self.is_still_host():
            return
        # After a standstill of this process the reports of the others have not been read yet.
        stood_still = now - self._ticked_at > LEASE / 2
        self._ticked_at = now
        reporter.extend_lease(now)
        self._place.mark_used()
        for name in () if stood_still else state.expired(now):
            if name != self._seat.name:
                self._links[name].stream.cut()
        self._allocate_soon()
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)

    # -- endings

    def is_still_host(self) -> bool:
        """Return True if the socket at the place is this process's own; else give the gate up."""
        if self._server is not None and self._place.identity() == self._identity:
            return True
        if self._server is not None:
            self._depose()
        return False

    def _depose(self) -> None:
        """Give the gate up: another process has taken it while this one stood still."""
        if self._state is not None:
            self.slots = self._state.all_slots()
            self._state = None
        self._stop()
        if self.reporter is None:
            self.reporter = self._seat.reporter()
        self.reporter.send = None
        self.reporter.controller.share = SlotShare(self.reporter.controller.share.epoch, 0)
        self._close_links()
        self._on_deposed()

    def _stop(self) -> None:
        self._cancel_timers()
        self.controller.may_send = None
        if self._server is not None:
            self._server.close()
            self._server = None
        self._socket.close()

    def _cancel_timers(self) -> None:
        for handle in (self._timer, self._waker, self._allocation):
            if handle is not None:
                handle.cancel()
        self._timer = self._waker = self._allocation = None

    def _close_links(self) -> None:
        for link in (*self._links.values(), *self._strangers):
            link.stream.close()
        self._links.clear()
        self._strangers.clear()
