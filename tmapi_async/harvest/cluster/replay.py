"""Plays what several gates saw to one controller, as if all had passed one gate. No I/O.

Each gate tells its events some milliseconds late. They are played in order of time, up to the time
that every gate with requests at the server has told of.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count

from ...limits.protocol import Controller

SENT, ANSWERED, REFUSED, ABANDONED = range(4)
_FIELDS = 5
_NEVER = -1.0


class Recorder:
    """Writes down what a gate tells its controller."""

    def __init__(self) -> None:
        self._events = array("d")

    def __len__(self) -> int:
        return len(self._events) // _FIELDS

    def add(
        self,
        kind: int,
        now: float,
        sent_at: float,
        in_flight: int,
        retry_after: float | None = None,
    ) -> None:
        """Write down an event."""
        after = _NEVER if retry_after is None else retry_after
        self._events.extend((kind, now, sent_at, in_flight, after))

    def take(self) -> bytes:
        """All events since the last call, packed."""
        packed = self._events.tobytes()
        del self._events[:]
        return packed


def _unpack(packed: bytes) -> Iterator[tuple[float, ...]]:
    fields = array("d")
    fields.frombytes(packed)
    each = iter(fields)
    return zip(*[each] * _FIELDS, strict=True)


class Replay:
    """One controller behind several gates.

    Args:
        controller: Told of every attempt, in order of time.
        on_latency: Called with the seconds that each answer took.
    """

    def __init__(self, controller: Controller, on_latency: Callable[[float], None]) -> None:
        self._controller = controller
        self._on_latency = on_latency
        self._waiting: list[tuple[float, int, str, tuple[float, ...], float]] = []
        self._order = count()
        self._told: dict[str, float] = {}  # up to when each gate has told
        self._busy: dict[str, int] = {}  # attempts at the server, by what was played
        self._standing: dict[str, int] = {}  # and by what was last told
        self._in_flight = 0
        self._now = 0.0

    def report(self, name: str, packed: bytes, *, offset: float, clock: float, busy: int) -> None:
        """Take in what a gate tells.

        Args:
            name: The gate.
            packed: Its events.
            offset: What its clock is behind the coordinator's, seconds.
            clock: Its clock when it told.
            busy: Attempts at the server then.
        """
        for event in _unpack(packed):
            heappush(self._waiting, (event[1] + offset, next(self._order), name, event, offset))
        self._told[name] = clock + offset
        self._standing[name] = busy

    def forget(self, name: str) -> None:
        """A gate is gone; what it had at the server is nobody's business any more."""
        self._told.pop(name, None)
        self._standing.pop(name, None)
        self._set(name, 0)
        self._busy.pop(name, None)

    def play(self, now: float) -> None:
        """Play what is known to be complete."""
        known = [at for name, at in self._told.items() if self._standing[name]]
        until = min(known, default=now)
        while self._waiting and self._waiting[0][0] <= until:
            at, _, name, event, offset = heappop(self._waiting)
            self._now = max(self._now, at)  # a clock of another machine may be off by a little
            if name in self._told:
                self._tell(name, event, offset)
        if not self._waiting:
            for name, busy in self._standing.items():
                self._set(name, busy)  # a ghost is laid without an event

    def _set(self, name: str, busy: int) -> None:
        self._in_flight += busy - self._busy.get(name, 0)
        self._busy[name] = busy

    def _tell(self, name: str, event: tuple[float, ...], offset: float) -> None:
        kind, at, sent_at, busy, retry_after = event
        self._set(name, int(busy))
        now, sent = self._now, min(self._now, sent_at + offset)
        if kind == SENT:
            self._controller.sent(now, self._in_flight)
            return
        if kind == ANSWERED:
            self._controller.answered(now, sent, self._in_flight)
            self._on_latency(at - sent_at)
        elif kind == REFUSED:
            after = None if retry_after == _NEVER else retry_after
            self._controller.refused(now, sent, self._in_flight, after)
        else:
            self._controller.abandoned(now, sent)
            return  # its ghost is still at the server
        self._set(name, int(busy) - 1)
