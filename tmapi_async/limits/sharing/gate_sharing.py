"""Sharing of one client's gate with the other processes of its account on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import weakref

from tmapi_async.limits.clocks import lease_clock
from tmapi_async.limits.gate import Gate

from . import limit_memory
from .earlier_role import EarlierRole
from .gate_host import GateHost
from .gate_member import GateMember
from .host_state import learned_limit
from .runtime_folder import SocketPlace
from .seat import Seat
from .share_reporter import LEASE

log = logging.getLogger("tmapi_async")

SAVE_SECONDS = 30.0
"""Seconds between two looks at the socket, and at whether a new limit has to be written down."""

_RETRY_SECONDS = 0.01
_SUCCESSION_SECONDS = 0.3
"""Seconds for which a new process leaves a dead host's place to those who know its shares."""

_SURVIVORS_SECONDS = 0.7
"""Seconds for which it divides nothing after that, since some may still hold shares."""

_TRIES = 500


class GateSharing:
    """Role of one client at its account's gate: host, member, or alone.

    Args:
        gate: Gate of the client. Its controller learns from this client alone.
        account: Name of the account, see `account_name`.
        ceiling: Maximum number of slots that the client uses, or None.
    """

    def __init__(self, gate: Gate, account: str, ceiling: int | None) -> None:
        self._account = account
        self._seat = Seat(gate, ceiling)
        self._place: SocketPlace | None = None
        self._host: GateHost | None = None
        self._member: GateMember | None = None
        self._task: asyncio.Task[None] | None = None
        self._saver: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<GateSharing: {self.role}>"

    @property
    def role(self) -> str:
        """Role of this client now: `"host"`, `"member"` or `"alone"`."""
        if self._host is not None:
            return "host"
        return "alone" if self._member is None else "member"

    async def open(self) -> None:
        """Join the gate of the account, or host it. Never fails: the client may go on alone."""
        earlier = EarlierRole(self._seat)
        try:
            self._place = SocketPlace(self._account)
            await self._enter(self._place, earlier)
        except (OSError, NotImplementedError) as error:
            _warn(error)
            self._go_alone(earlier)
        _open_ones.add(self)

    async def close(self) -> None:
        """Leave the gate; if this client hosts it, another process takes over."""
        _open_ones.discard(self)
        place, self._place = self._place, None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        for _ in range(2):  # a member of this loop that has just left says so in the next turn
            await asyncio.sleep(0)
        self._save()
        host, self._host = self._host, None
        member, self._member = self._member, None
        if host is not None:
            await host.close()
        elif member is not None:
            member.leave()
        elif place is not None:
            place.remove_dead()  # the host has left, and so do all others, perhaps
        await asyncio.sleep(0)  # the connections are closed in the next turn

    async def leave(self) -> None:
        """Leave the gate and go on alone, at the width that was learned."""
        member = self._member
        await self.close()
        if member is not None:
            self._go_alone(EarlierRole(self._seat, member.learned, member.reporter))
            self._cancel_saver()

    def abandon(self) -> None:
        """Give up a role whose event loop was closed before the client was."""
        _open_ones.discard(self)
        host, self._host, self._member, self._task, self._saver = self._host, None, None, None, None
        if host is not None:
            host.abandon()

    def close_in_child(self) -> None:
        """Close this process's copies of the sockets after a fork."""
        for role in (self._host, self._member):
            if role is not None:
                role.close_in_child()

    # -- roles

    async def _enter(self, place: SocketPlace, earlier: EarlierRole) -> None:
        """Take a role: join the host that there is, or take the place of none or of a dead one.

        Raises:
            OSError: No socket can be used.
        """
        patience = _SUCCESSION_SECONDS
        for _ in range(_TRIES):
            dead, earlier.has_survivors = place.identity(), False
            if dead is None:
                sock = place.listen()
            else:
                joined = await self._join(place, earlier)
                if joined:
                    return
                earlier.has_survivors = earlier.is_new and place.seconds_since_use() < LEASE
                if joined is None or (earlier.has_survivors and patience > 0):
                    patience -= _RETRY_SECONDS
                    sock = None
                else:
                    sock = place.replace(dead)
            if sock is not None:
                await self._begin_to_host(place, sock, earlier)
                return
            await asyncio.sleep(_RETRY_SECONDS)
        raise ConnectionError("no process answers at the account's socket")

    async def _join(self, place: SocketPlace, earlier: EarlierRole) -> bool | None:
        """Join the host. Returns False if it is dead, and None if it is about to change."""
        member = GateMember(self._seat, earlier.make_reporter(), self._host_ended)
        try:
            joined = await member.join(place.path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (BlockingIOError, ConnectionError):  # too many join at once, or it is ending
            return None
        if joined:
            self._member = member
        return None if member.host_ended and not joined else joined

    async def _begin_to_host(
        self, place: SocketPlace, sock: socket.socket, earlier: EarlierRole
    ) -> None:
        now, lease_now = self._seat.gate.clock(), lease_clock()
        if earlier.is_new:
            controller = earlier.first_controller(self._account)
        else:
            controller = earlier.controller()
        host = GateHost(self._seat, place, sock, controller, self._deposed)
        if earlier.slots or earlier.has_survivors:
            state = host.begin_sharing(earlier.make_reporter())
            state.expect(earlier.slots, earlier.gone, now, lease_now)
            if earlier.has_survivors:
                state.wait(_SURVIVORS_SECONDS, lease_now)
        elif earlier.reporter is not None:
            earlier.reporter.cancel()
        self._host = host
        await host.start()
        self._save_later()

    def _host_ended(self) -> None:
        """Find the next host, or become it."""
        member, self._member = self._member, None
        if member is not None:
            gone = {member.host} if member.host_ended else set[str]()
            self._enter_again(
                EarlierRole(self._seat, member.learned, member.reporter, member.slots, gone)
            )

    def _deposed(self) -> None:
        """Join the process that has taken the place of this one."""
        host, self._host = self._host, None
        if host is not None:
            learned = learned_limit(host.controller)
            self._enter_again(EarlierRole(self._seat, learned, host.reporter, host.slots))

    def _enter_again(self, earlier: EarlierRole) -> None:
        if self._place is not None:
            work = self._take_role(self._place, earlier)
            self._task = asyncio.create_task(work, name="tmapi gate sharing")

    async def _take_role(self, place: SocketPlace, earlier: EarlierRole) -> None:
        try:
            await self._enter(place, earlier)
        except OSError as error:
            _warn(error)
            self._go_alone(earlier)

    def _go_alone(self, earlier: EarlierRole) -> None:
        if earlier.reporter is not None:
            earlier.reporter.cancel()
        if earlier.is_new:
            controller = earlier.first_controller(self._account)
        else:
            controller = earlier.controller()
        self._seat.open_fully(controller)
        self._save_later()

    # -- memory

    def _save_later(self) -> None:
        if self._saver is None:
            loop = asyncio.get_running_loop()
            self._saver = loop.call_later(SAVE_SECONDS, self._save_and_repeat)

    def _save_and_repeat(self) -> None:
        self._saver = None
        self._save()
        if self._host is not None:
            self._host.is_still_host()  # a cleaner of old files may have removed the socket
        if self._member is None:
            self._save_later()

    def _save(self) -> None:
        """Write down the limit that the controller of this process has learned."""
        self._cancel_saver()
        controller = self._seat.learning_controller
        if self._member is None and controller is not None:
            bounded = controller.statistics().ceiling is not None
            limit_memory.remember(self._account, learned_limit(controller), bounded=bounded)

    def _cancel_saver(self) -> None:
        if self._saver is not None:
            self._saver.cancel()
            self._saver = None


_open_ones: weakref.WeakSet[GateSharing] = weakref.WeakSet()
_warned: set[str] = set()


def _warn(error: Exception) -> None:
    """Say once in a process that it shares no gate."""
    reason = str(error) or type(error).__name__
    if reason not in _warned:
        _warned.add(reason)
        log.warning(
            "this process cannot share its gate with other processes of the same account (%s); it "
            "learns the limit by itself. Use shared=False or --no-share to leave out the attempt",
            reason,
        )


def _close_in_child() -> None:
    for sharing in list(_open_ones):
        with contextlib.suppress(OSError):
            sharing.close_in_child()
    _open_ones.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
