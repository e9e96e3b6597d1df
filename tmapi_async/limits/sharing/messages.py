"""Messages between the process that hosts an account's gate and the others. None has a secret."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from tmapi_async.limits.shares.slot_share import SlotShare

PROTOCOL = 1
"""Version of these messages. Processes of different versions do not share a gate."""

# -- from a member to the host


class Hello(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """First message: join the gate.

    Attributes:
        name: Name of the member, unlike that of any other.
        ceiling: Maximum number of slots that the member uses, or None.
        rate: Attempts a second that the member may send, or None.
        share: Share that it holds from an earlier host.
        in_use: Slots in use.
        clock: Time of the clock of leases.
    """

    name: str
    ceiling: int | None
    rate: float | None
    share: SlotShare
    in_use: int
    clock: float


class Report(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """State of a member, and the events of its gate since the last report.

    Attributes:
        clock: Monotonic clock; the same for all processes of a machine.
        lease_clock: Time of the clock of leases.
        epoch: Epoch of the share in force.
        in_use: Slots in use, those of abandoned requests included.
        at_server: Attempts at the server.
        demand: Slots that the member could use.
        events: Events of its gate, packed (see `limits/shares/event_merge`).
    """

    clock: float
    lease_clock: float
    epoch: int
    in_use: int
    at_server: int
    demand: int
    events: bytes = b""


class Goodbye(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Last message: the member leaves.

    Attributes:
        in_use: Slots that its abandoned requests still take at the server.
    """

    in_use: int


MessageToHost: TypeAlias = Hello | Report | Goodbye

# -- from the host to a member


class LearnedLimit(msgspec.Struct, frozen=True, array_like=True):
    """Limit of an account as a controller has learned it.

    Attributes:
        width: Width that the gate has.
        limit: The account's limit as far as known, or None.
        latency: Mean latency in seconds, 0.0 before the first answer.
    """

    width: int
    limit: int | None = None
    latency: float = 0.0


class News(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """State of the host.

    Attributes:
        host: Name of the host.
        reported_at: Time of the member's own clock of leases in its last report; its lease runs
            from then on.
        learned: Limit that the host has learned.
        slots: Name of each process that shares the gate, the host included, to the slots that it
            may be using.
    """

    host: str
    reported_at: float
    learned: LearnedLimit
    slots: dict[str, int]


class Farewell(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Last message: the host leaves, and another process must take its place.

    Attributes:
        host: Name of the host.
        learned: Limit that the host has learned.
        slots: Name of each process to the slots that it may be using; for the host, the slots
            that its abandoned requests still take at the server.
    """

    host: str
    learned: LearnedLimit
    slots: dict[str, int]


MessageToMember: TypeAlias = SlotShare | News | Farewell

encode = msgspec.msgpack.Encoder().encode
decode_for_host = msgspec.msgpack.Decoder(MessageToHost).decode
decode_for_member = msgspec.msgpack.Decoder(MessageToMember).decode
