"""A client's place at the gate that it shares with others."""

from __future__ import annotations

import os

from tmapi_async.limits.gate import Gate
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.rate import RateLimiter
from tmapi_async.limits.shares.slot_share import SlotShare

from .messages import Hello, LearnedLimit
from .share_reporter import ShareReporter


class Seat:
    """Gate of one client, with the limits that are the client's own.

    Args:
        gate: Gate of the client; its rate limiter is the client's own.
        ceiling: Maximum number of slots that the client uses, or None.

    Attributes:
        name: Name of this client among those that share the gate.
        gate: Gate of the client.
        ceiling: Maximum number of slots that the client uses, or None.
        learning_controller: Controller that learns in this process, or None.
    """

    def __init__(self, gate: Gate, ceiling: int | None) -> None:
        self.name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.gate = gate
        self.ceiling = ceiling
        self.learning_controller: LearningController | None = None
        self._rate_limiter: RateLimiter | None = gate.rate_limiter

    def controller(self, learned: LearnedLimit, *, stepwise: bool = False) -> LearningController:
        """Return a controller that starts where another one has arrived.

        Args:
            learned: Limit that the other one has learned. If it has met the account's limit, the
                new one holds that width.
            stepwise: True if it was learned long ago: open the gate step by step.
        """
        return LearningController(
            self.ceiling,
            start=learned.width,
            latency=learned.latency,
            holding=learned.limit is not None,
            stepwise=stepwise,
        )

    def reporter(self) -> ShareReporter:
        """Make the gate one that holds a share, at first an empty one. Returns its reporter."""
        return ShareReporter(self.gate, self.ceiling, self._rate_limiter)

    def hello(self, share: SlotShare, lease_now: float) -> Hello:
        """Return the message that joins a gate with a share that is held already."""
        rate = None if self._rate_limiter is None else self._rate_limiter.rate
        return Hello(self.name, self.ceiling, rate, share, self.gate.in_use, lease_now)

    def open_fully(self, controller: LearningController) -> None:
        """Make the gate a plain one, whose controller learns from this client alone."""
        self.learning_controller = controller
        controller.set_max_width(self.ceiling)
        controller.set_hearing_delay(0.0)
        self.gate.rate_limiter = self._rate_limiter
        self.gate.change_controller(controller)
