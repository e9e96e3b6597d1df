"""Merge the events of several gates and replay them to one controller. No I/O.

Each gate reports its events some milliseconds late. They are replayed in order of time, up to the
time for which every gate with requests at the server has reported.
"""

from __future__ import annotations

import math
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable
from itertools import count, repeat

from tmapi_async.limits.controller import Controller

SENT, ANSWERED, REFUSED, ABANDONED = 0.0, 1.0, 2.0, 3.0
_pack_event = struct.Struct("5d").pack
_FIELDS = 5
_NEVER = -1.0


class EventRecorder:
    """Record of the calls that a gate makes to its controller."""

    def __init__(self) -> None:
        self._events = bytearray()

    def add(
        self,
        kind: float,
        now: float,
        sent_at: float,
        in_flight: int,
        retry_after: float | None = None,
    ) -> None:
        """Record one event."""
        after = _NEVER if retry_after is None else retry_after
        self._events += _pack_event(now, kind, sent_at, in_flight, after)

    def drain(self) -> bytes:
        """Return all events since the last call, packed, and forget them."""
        packed = bytes(self._events)
        self._events.clear()
        return packed


_Event = tuple[float, int, str, float, float, int, float]


class EventReplay:
    """One controller behind several gates.

    Args:
        controller: Receives every attempt in order of time.
        on_latency: Called with the latency, in seconds, of each answer.
        patience: Seconds for which events wait for those of a gate that reports late.
    """

    def __init__(
        self,
        controller: Controller,
        on_latency: Callable[[float], None],
        *,
        patience: float = math.inf,
    ) -> None:
        self._controller = controller
        self._on_latency = on_latency
        self._patience = patience
        self._events: list[_Event] = []
        self._order = count()
        self._reported_until: dict[str, float] = {}  # gate -> time up to which it has reported
        self._reported: dict[str, int] = {}  # gate -> attempts at the server, as last reported
        self._replayed: dict[str, int] = {}  # gate -> attempts at the server, as replayed
        self._now = 0.0

    @property
    def in_flight(self) -> int:
        """Number of attempts at the server, according to the replayed events."""
        return sum(self._replayed.values())

    def report(
        self, name: str, packed: bytes, *, offset: float, clock: float, in_flight: int
    ) -> None:
        """Queue the events that a gate reports.

        Args:
            name: Name of the gate.
            packed: Events of the gate, from `EventRecorder.drain`.
            offset: Seconds to add to the gate's clock to get the coordinator's.
            clock: Time of the report on the gate's clock.
            in_flight: Attempts at the server at that time.
        """
        fields = array("d")
        fields.frombytes(packed)
        times = [at + offset for at in fields[::_FIELDS]]
        kinds, sent, levels, afters = (fields[field::_FIELDS] for field in range(1, _FIELDS))
        sent_times = [at + offset for at in sent]
        self._events.extend(
            zip(
                times,
                self._order,
                repeat(name),
                kinds,
                sent_times,
                map(int, levels),
                afters,
                strict=False,
            )
        )
        self._reported_until[name] = clock + offset
        self._reported[name] = in_flight
        self._replayed.setdefault(name, 0)

    def forget(self, name: str) -> None:
        """Drop a gate that is gone, with its events and its attempts at the server."""
        for states in (self._reported_until, self._reported, self._replayed):
            states.pop(name, None)
        self._events = [event for event in self._events if event[2] != name]

    def play(self, now: float) -> None:
        """Replay the events up to the time for which all reports have come."""
        events = self._events
        if events:
            until = min(
                (at for name, at in self._reported_until.items() if self._reported[name]),
                default=now,
            )
            until = max(until, now - self._patience)
            events.sort()
            complete = bisect_right(events, until, key=_time)
            self._replay(events[:complete])
            del events[:complete]
        if not events:
            # A gate releases the slot of an abandoned request without an event.
            self._replayed.update(self._reported)

    def _replay(self, events: list[_Event]) -> None:
        controller, on_latency = self._controller, self._on_latency
        levels, now = self._replayed, self._now
        total = sum(levels.values())
        for at, _, name, kind, sent_at, level, after in events:
            # A clock of another machine may be off by a little.
            now = at if at > now else now  # noqa: FURB136 - `max` takes longer, for each attempt
            total += level - levels[name]
            levels[name] = level
            if kind == ANSWERED:
                controller.answered(now, sent_at, total)
                on_latency(at - sent_at)
                levels[name] = level - 1
                total -= 1
            elif kind == SENT:
                controller.sent(now, total)
            elif kind == REFUSED:
                retry_after = None if after == _NEVER else after
                controller.refused(now, sent_at, total, retry_after)
                levels[name] = level - 1
                total -= 1
            else:  # the abandoned request is still at the server
                controller.abandoned(now, sent_at)
        self._now = now


def _time(event: _Event) -> float:
    return event[0]
