"""Gate of a process that has joined the gate of another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tmapi_async.limits.clocks import lease_clock
from tmapi_async.limits.shares.slot_share import SlotShare

from .message_stream import MessageStream
from .messages import Farewell, Goodbye, LearnedLimit, News, decode_for_member
from .seat import Seat
from .share_reporter import HEARTBEAT, LEASE, ShareReporter


class GateMember:
    """Connection to the host of the gate.

    Args:
        seat: Gate of this client.
        reporter: Reporter of the gate; it may hold a share from an earlier host.
        on_end: Called once when the host has left, is lost, or has been silent for a lease.

    Attributes:
        reporter: Reporter of the gate.
        learned: Limit that the host has learned.
        host: Name of the host.
        slots: Name of each process that shares the gate to the slots that it may be using.
        host_ended: True if the host is known to have ended, and False if it is silent.
    """

    def __init__(self, seat: Seat, reporter: ShareReporter, on_end: Callable[[], None]) -> None:
        self.reporter = reporter
        self.learned = LearnedLimit(0)
        self.host = ""
        self.slots: dict[str, int] = {}
        self.host_ended = False
        self._seat = seat
        self._on_end = on_end
        self._stream = MessageStream()
        self._welcome: asyncio.Future[bool] | None = None
        self._watch: asyncio.TimerHandle | None = None

    async def join(self, path: Path) -> bool:
        """Connect to the host and join it. Returns False if it does not answer for a lease.

        Raises:
            OSError: There is no host.
        """
        loop = asyncio.get_running_loop()
        self._welcome = loop.create_future()
        self.reporter.drop_late_share()
        self._stream.on_message, self._stream.on_lost = self._receive, self._lost
        try:
            async with asyncio.timeout(LEASE):
                await loop.create_unix_connection(lambda: self._stream, str(path))
                self._stream.send(self._seat.hello(self.reporter.controller.share, lease_clock()))
                welcome = await self._welcome
        except TimeoutError:
            welcome = False
        except BaseException:
            self._stream.close()
            raise
        if not welcome:
            self._stream.close()
            return False
        self.reporter.send = self._stream.send
        self.reporter.report_soon()
        self._check_lease()
        return True

    def leave(self) -> None:
        """Leave the gate."""
        self._stop()
        self.reporter.cancel()
        self._stream.send(Goodbye(self._seat.gate.in_use))
        self._stream.close()

    def close_in_child(self) -> None:
        """Close this process's copy of the connection after a fork."""
        self._stream.close_in_child()

    def _receive(self, packed: memoryview) -> None:
        message = decode_for_member(packed)
        match message:
            case SlotShare():
                self.reporter.apply_share(message)
            case News():
                self.host, self.learned, self.slots = message.host, message.learned, message.slots
                self.reporter.controller.learned = message.learned
                self.reporter.extend_lease(message.reported_at)
                if self._welcome is not None and not self._welcome.done():
                    self._welcome.set_result(True)
            case Farewell():
                self.host, self.learned, self.slots = message.host, message.learned, message.slots
                self._lost()

    def _check_lease(self) -> None:
        if lease_clock() > self.reporter.controller.lease_end:
            self._end()
            return
        self._watch = asyncio.get_running_loop().call_later(HEARTBEAT, self._check_lease)

    def _lost(self) -> None:
        self.host_ended = True
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_result(False)
        elif self._welcome is not None and not self._welcome.cancelled() and self._welcome.result():
            self._end()

    def _end(self) -> None:
        self._stop()
        self._stream.close()
        self._on_end()

    def _stop(self) -> None:
        self.reporter.send = None
        if self._watch is not None:
            self._watch.cancel()
