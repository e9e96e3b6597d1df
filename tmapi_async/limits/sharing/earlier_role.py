"""State that a client brings from one role at the gate to the next."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tmapi_async.limits.learning import START, LearningController

from . import limit_memory
from .messages import LearnedLimit
from .remembered_limit import start_width
from .seat import Seat
from .share_reporter import ShareReporter


class EarlierRole:
    """State of a client between two roles, or before its first one.

    Args:
        seat: Gate of the client.
        learned: Limit as the last host has learned it; None before the first role.
        reporter: Reporter of the gate if it holds a share, or None.
        slots: Name of each process that shared the gate to the slots that it may be using.
        gone: Names of those that are known to have ended.

    Attributes:
        reporter: Reporter of the gate if it holds a share, or None.
        slots: Name of each process that shared the gate to the slots that it may be using.
        gone: Names of those that are known to have ended.
        is_new: True if the client had no role before.
        has_survivors: True if processes may hold shares of which this client knows nothing.
    """

    def __init__(
        self,
        seat: Seat,
        learned: LearnedLimit | None = None,
        reporter: ShareReporter | None = None,
        slots: Mapping[str, int] | None = None,
        gone: set[str] | None = None,
    ) -> None:
        self.reporter = reporter
        self.slots = dict(slots or {})
        self.gone = gone or set()
        self.is_new = learned is None
        self.has_survivors = False
        self._seat = seat
        self._learned = learned
        self._controller = seat.gate.controller

    def make_reporter(self) -> ShareReporter:
        """Return the reporter of the gate, which holds a share from now on."""
        if self.reporter is None:
            self.reporter = self._seat.reporter()
        return self.reporter

    def first_controller(self, account: str) -> LearningController:
        """Return the controller of a client that hosts its gate from the start.

        Args:
            account: Name of the account; an earlier process may have learned its limit.
        """
        controller = self._controller
        if not isinstance(controller, LearningController):
            controller = LearningController(self._seat.ceiling)
        remembered = limit_memory.recall(account) if self._seat.ceiling is None else None
        width = START if remembered is None else start_width(remembered, time.time())
        if remembered is None or width == START or controller.statistics().answered:
            return controller
        return self._seat.controller(LearnedLimit(width, None, remembered.latency), stepwise=True)

    def controller(self) -> LearningController:
        """Return a controller that continues where the last host has arrived."""
        if self._learned is not None and self._learned.width:
            return self._seat.controller(self._learned)
        if isinstance(self._controller, LearningController):
            return self._controller
        return LearningController(self._seat.ceiling)
