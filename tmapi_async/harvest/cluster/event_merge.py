"""Plays what several gates saw to one controller, as if all had passed one gate. No I/O.

Each gate tells its events some milliseconds late. They are played in order of time, up to the time
that every gate with requests at the server has told of.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from itertools import count

from tmapi_async.limits.controller import Controller

SENT, ANSWERED, REFUSED, ABANDONED = 0.0, 1.0, 2.0, 3.0
_FIELDS = 5
_NEVER = -1.0


class EventRecorder:
    """Writes down what a gate tells its controller."""

    def __init__(self) -> None:
        self._events = array("d")

    def add(
        self,
        kind: float,
        now: float,
        sent_at: float,
        in_flight: int,
        retry_after: float | None = None,
    ) -> None:
        """Write down an event."""
        after = _NEVER if retry_after is None else retry_after
        self._events.extend((now, kind, sent_at, in_flight, after))

    def take(self) -> bytes:
        """All events since the last call, packed."""
        packed = self._events.tobytes()
        del self._events[:]
        return packed


_Event = tuple[float, int, str, float, float, float, float]


class EventReplay:
    """One controller behind several gates.

    Args:
        controller: Told of every attempt, in order of time.
        on_latency: Called with the seconds that each answer took.
    """

    def __init__(self, controller: Controller, on_latency: Callable[[float], None]) -> None:
        self._controller = controller
        self._on_latency = on_latency
        self._waiting: list[_Event] = []
        self._order = count()
        self._told: dict[str, float] = {}  # up to when each gate has told
        self._busy: dict[str, float] = {}  # attempts at the server, by what was played
        self._standing: dict[str, int] = {}  # and by what was last told
        self._now = 0.0

    @property
    def in_flight(self) -> int:
        """Attempts at the server, by what was played."""
        return int(sum(self._busy.values()))

    def report(self, name: str, packed: bytes, *, offset: float, clock: float, busy: int) -> None:
        """Take in what a gate tells.

        Args:
            name: The gate.
            packed: Its events.
            offset: What its clock is behind the coordinator's, seconds.
            clock: Its clock when it told.
            busy: Attempts at the server then.
        """
        fields = array("d")
        fields.frombytes(packed)
        values, order = iter(fields), self._order
        for at, kind, sent_at, left, after in zip(*[values] * _FIELDS, strict=True):
            event = (at + offset, next(order), name, kind, sent_at + offset, left, after)
            self._waiting.append(event)
        self._told[name] = clock + offset
        self._standing[name] = busy
        self._busy.setdefault(name, 0.0)

    def forget(self, name: str) -> None:
        """A gate is gone; what it had at the server is nobody's business any more."""
        for known in (self._told, self._standing, self._busy):
            known.pop(name, None)
        self._waiting = [event for event in self._waiting if event[2] != name]

    def play(self, now: float) -> None:
        """Play what is known to be complete."""
        waiting = self._waiting
        if waiting:
            until = min(
                (at for name, at in self._told.items() if self._standing[name]), default=now
            )
            waiting.sort()
            ripe = bisect_right(waiting, until, key=_time)
            self._play(waiting[:ripe])
            del waiting[:ripe]
        if not waiting:
            self._busy.update(self._standing)  # a ghost is laid without an event

    def _play(self, events: list[_Event]) -> None:
        controller, busy, now = self._controller, self._busy, self._now
        others = sum(busy.values())
        for at, _, name, kind, sent_at, mine, after in events:
            now = max(now, at)  # a clock of another machine may be off by a little
            others += mine - busy[name]
            busy[name] = mine
            sent = min(now, sent_at)
            if kind == SENT:
                controller.sent(now, int(others))
                continue
            if kind == ABANDONED:
                controller.abandoned(now, sent)
                continue  # its ghost is still at the server
            if kind == ANSWERED:
                controller.answered(now, sent, int(others))
                self._on_latency(at - sent_at)
            else:
                controller.refused(now, sent, int(others), None if after == _NEVER else after)
            busy[name] -= 1
            others -= 1
        self._now = now


def _time(event: _Event) -> float:
    return event[0]
