"""How many requests the server takes at once, learned from which were refused."""

from __future__ import annotations

import math

from .history import History
from .latency import MEMORY, LatencyEstimate
from .probe_budget import ProbeBudget

PROBE_ROUNDS = 8.5
"""Round trips at a width that was refused one slot further, before that slot is tried again."""

ALARM = 3
"""Cuts in a row, with nothing taken between, that mean that the limit itself has fallen."""

FEW = 4
"""Too few slots to halve: one burst may leave one of so many."""

SHRINK = (1 / 16, 1 / 8, 1 / 4)
"""Share of the refused level taken off by such a cut and the next ones; two slots at least."""

CLOSED_SHARE = 1 / 30
"""Share of the time that probes may keep the gate closed, where a refusal says `Retry-After`."""

UNBOUNDED = 1 << 30


class AdaptiveLimit:
    """The width of the gate, were it never closed.

    It *grows* by one slot for each answer until an attempt is refused. The level refused, less
    one, is what the server takes: it *holds* that width, and after some round trips tries the
    refused slot again (a probe), which costs one refusal if the limit is unchanged. If the probe
    is answered the limit has grown, and it grows again, in strides that lengthen.

    A refusal while it holds is a surprise. It is first taken for bad luck: one slot less, tried
    again soon. Refusals of the first attempt after each cut mean that the limit has fallen: the
    cuts get deeper until an attempt is taken. Refusals that come now and then at every width are
    none of the width's doing, and stop to narrow it. A burst of refusals is one cut: those of
    attempts sent before it take off only what the server evidently did not take, never more than
    half.

    Attributes:
        width: Slots.
        ceiling: Never wider than this.
        growing: Whether it grows; else it holds.
        answers: Answers so far.
        refusals: Refusals so far.
        cuts: Cuts so far.
        probes: Probes so far.
        watching: Whether `sent` must be told.
        estimate: How long answers and refusals take.
        closed: Seconds for which the last refusal asked to send nothing.
        history: Changes of the width.
    """

    __slots__ = (
        "_anchor",
        "_arming",
        "_back_to",
        "_epoch_end",
        "_fallen_from",
        "_first",
        "_floor",
        "_goal",
        "_near",
        "_plateau",
        "_probe_budget",
        "_proven",
        "_since",
        "_stride",
        "_strikes",
        "_surprises",
        "_tolerant",
        "_trusted",
        "_wait",
        "_wait_from",
        "_wall",
        "_widened_at",
        "answers",
        "ceiling",
        "closed",
        "cuts",
        "estimate",
        "growing",
        "history",
        "probes",
        "refusals",
        "watching",
        "width",
    )

    def __init__(self, width: int, ceiling: int) -> None:
        self.ceiling = ceiling
        self.answers = self.refusals = self.cuts = self.probes = 0
        self.closed = 0.0
        self.estimate = LatencyEstimate()
        self.history = History()
        self._probe_budget = ProbeBudget()
        self._wall = UNBOUNDED  # the level last refused; unbounded once it was passed
        self._anchor = width  # the width that surprises are measured against
        self._plateau = width  # the last width that was held for a while
        self._fallen_from = 0  # the plateau before the limit fell, until the next one is found
        self._back_to = 0  # the width to come back to after a surprise, or 0
        self._proven = False  # whether the limit was met there more than once
        self._trusted = True  # whether a surprise may be tried again soon
        self._tolerant = False  # whether single surprises are none of the width's doing
        self._surprises = 0  # since the last probe
        self._first: float | None = None  # when the first attempt after the last cut was sent
        self._strikes = 0  # cuts in a row
        self._floor = 1  # what the rest of a burst may narrow to
        self._wait_from = 0
        self._widened_at = -math.inf
        self._set(width)
        self._grow(ceiling, 1)
        # The first answers need no proof that the first width was in full use.
        self._arming, self._since = False, -math.inf

    @property
    def limit(self) -> int | None:
        """The account's limit as far as it was learned, or None."""
        if self._wall == UNBOUNDED:
            return None
        # A width that is held has been taken, whatever was refused before.
        return self._wall - 1 if self.growing else max(self._wall - 1, self.width)

    @property
    def _steady(self) -> bool:
        """Whether the width has been held, and in full use, for a round trip."""
        return not self.growing and self._wait_from - self._wait >= self.width

    # -- events ---------------------------------------------------------------------------------

    def sent(self, now: float, in_flight: int) -> None:
        """An attempt was sent; needs to be told only while `watching`."""
        if self._first is None:
            self._first = now
        if self._arming and in_flight >= self.width:
            self._arming = False
            self._since = now
        self.watching = self._arming

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """An attempt was answered; `in_flight` still includes it."""
        self.answers += 1
        full = in_flight >= self._near
        # When work runs out the slow ones come last: they are no measure of the round trip.
        if now > sent_at and (full or self.answers <= MEMORY):
            self.estimate.answered(now - sent_at, self.answers)
        # An attempt sent before the last change of the width says nothing about that width, and a
        # gate that is not full says nothing about its last slot.
        if full and sent_at >= self._since:
            self._wait -= 1
            if self._wait <= 0:
                self._step(now)

    def refused(self, now: float, sent_at: float, in_flight: int) -> None:
        """An attempt was refused; `in_flight` still includes it."""
        self.refusals += 1
        self.estimate.refused(max(0.0, now - sent_at))
        if self._first is not None and sent_at >= self._first:
            # Refusals come in the order of sending: if the first attempt after the last cut was
            # not refused before this one, it was taken.
            self._strikes = self._strikes + 1 if sent_at == self._first else 1
            self._cut(now, in_flight)
        else:
            self._refine(in_flight - 1)

    def clock_went_back(self, now: float) -> None:
        """Forget times that lie in the future now."""
        if self._first is not None:
            self._first = min(self._first, now)
        if not self._arming:
            self._since = min(self._since, now)
        self._widened_at = min(self._widened_at, now)

    # -- widening -------------------------------------------------------------------------------

    def _set(self, width: int) -> None:
        self.width = width
        # Several answers read in one turn of the loop find their slots not yet filled again.
        self._near = width - width // 8

    def _grow(self, goal: int, stride: int) -> None:
        """Widen by one for each answer, up to `goal`."""
        self.growing = True
        self._goal = goal
        self._stride = stride
        self._wait = 0
        self._new_epoch()

    def _new_epoch(self) -> None:
        """Only answers to attempts sent at the full width of now on may widen it further."""
        # However late refusals come, no more than a third of the width is ever untried.
        self._epoch_end = self.width + max(1, min(self._stride, self.width // 2))
        self._stride *= 4
        self._arming = self.watching = True
        self._since = math.inf

    def _hold(self, rounds: float) -> None:
        self.growing = False
        if rounds > 1 and self.closed:
            rounds = max(rounds, int(self.closed / CLOSED_SHARE / self.estimate.round_trip))
        self._wait = self._wait_from = int(rounds * self.width)

    def _settle(self) -> None:
        """Growth is over: measure what comes against the width of now."""
        if self._fallen_from:
            self._probe_budget.fell(self._fallen_from - self.width - self._surprises)
            self._fallen_from = 0
        self._anchor = self.width
        self._hold(PROBE_ROUNDS)

    def _step(self, now: float) -> None:
        if not self.growing:
            self._probe(now)
        elif self.width >= self._goal:
            self.history.add(now, self.width, "hold")
            self._settle()
        else:
            self._widen(now)

    def _widen(self, now: float) -> None:
        # A refusal takes its time to come: not much is added before it would have been heard.
        if now - self._widened_at < self.estimate.pause(self.width):
            return
        self._widened_at = now
        if self.width > self._wall + self.estimate.blur(self.width):
            self._wall = UNBOUNDED  # what was refused then is taken now
        self._set(self.width + 1)
        self._floor = self.width  # stragglers of an old burst know nothing of this width
        if self.width < self._epoch_end:
            return
        crowded = self.estimate.crowded(self.answers)
        self.history.add(now, self.width, "hold" if crowded else "grow")
        if crowded:
            self._settle()
        else:
            self._new_epoch()

    def _probe(self, now: float) -> None:
        wait = 0 if self._back_to else self._not_yet()
        if wait:
            self._wait = wait
            return
        if not self._back_to:
            self._trusted = True
            self._tolerant = self._tolerant and self._surprises > 0
            self._surprises = 0
        self.probes += 1
        self._probe_budget.probed(self.answers, self.refusals)
        self._set(self.width + 1)
        self._grow(self._back_to or self.ceiling, 1)
        self._back_to = 0
        self.history.add(now, self.width, "probe")

    def _not_yet(self) -> int:
        """How many answers later to ask again whether a probe may be tried; 0 if it may."""
        self._probe_budget.found(self.width, self.refusals)
        if self.width >= self.ceiling:
            return self.width
        # Where refusals come anyhow, the allowance is no measure.
        if not (self._tolerant or self._affordable()):
            return max(1, self.width // 8)
        return self.width if self.estimate.crowded(self.answers) else 0

    def _affordable(self) -> bool:
        state = self.answers, self.refusals, int(self.estimate.blur(self.width))
        allowance = self._probe_budget
        # A limit met for the first time may have been bad luck: that is looked into soon.
        return allowance.affords(*state) and (not self._proven or allowance.due(*state))

    # -- narrowing ------------------------------------------------------------------------------

    def _cut(self, now: float, level: int) -> None:
        self.cuts += 1
        self._first = None
        self.watching = True
        before = self.width
        if self._strikes == 1 and self._steady:
            self._plateau = before
        if level == 1:
            self._refused_alone()
        elif self._strikes >= ALARM:
            self._limit_fell(level)
        elif self._strikes == 1 and self._tolerant:
            self._surprises += not self.growing
            self._floor = before
            self._probe_budget.excuse(1)
        elif self.growing:
            self._limit_met(level)
        else:
            self._surprised(level)
        if self.width != before:
            if not self.growing:
                self._arming, self._since = False, now
            self.history.add(now, self.width, "cut" if self.width < before else "hold")

    def _narrow(self, to: int) -> None:
        old = self.width
        self._floor = old // 2 if old > FEW else 1
        self._set(max(min(old, to), self._floor))

    def _refine(self, left: int) -> None:
        """More of the same burst: what is left in flight is what the server took."""
        if self._fallen_from:
            self._goal = max(self.width, min(self._goal, left))
        if left >= self.width:
            return
        self._set(max(left, self._floor))
        self._wall = min(self._wall, self.width + 1)
        self._anchor = min(self._anchor, self.width)
        if not self.growing:
            # No bad luck, then.
            self._back_to = 0
            self._hold(PROBE_ROUNDS)

    def _limit_met(self, level: int) -> None:
        """Growth, or a probe, ends at the level that was refused."""
        self._proven = abs(level - self._wall) <= 1 + self.estimate.blur(self.width)
        self._wall = level
        self._narrow(level - 1)
        self._back_to = 0
        self._settle()

    def _limit_fell(self, level: int) -> None:
        """Nothing is taken any more: let the server finish some, then try again."""
        self._fallen_from = self._fallen_from or self._plateau
        self._proven = False
        share = SHRINK[min(self._strikes - ALARM, len(SHRINK) - 1)]
        self._wall = level
        self._narrow(level - max(2 if level > FEW else 1, int(level * share)))
        self._probe_budget.probed(self.answers, self.refusals)
        self._anchor = max(self.width, level - 1)
        self._back_to = 0
        self._grow(self._anchor, UNBOUNDED)

    def _refused_alone(self) -> None:
        """Refused with nothing else of ours at the server: our width had no part in it."""
        self._probe_budget.excuse(1)
        self._tolerant = True
        self._surprises += 1
        self._floor = self.width
        self._goal = self.ceiling

    def _surprised(self, level: int) -> None:
        """A level was refused that was taken before."""
        self._surprises += 1
        single = self._strikes == 1
        if single and self._steady and self._anchor - level > self.estimate.blur(self.width):
            # Refused so far below what was good, and yet not always: it is not the width.
            self._tolerant = True
            self._probe_budget.excuse(self._anchor - self.width + 1)
            self._set(max(self.width, self._anchor))
            self._floor = self.width
            self._hold(PROBE_ROUNDS)
        else:
            self._step_down(level, retry=single and self._trusted)

    def _step_down(self, level: int, *, retry: bool) -> None:
        self._wall = level
        self._back_to = self.width if retry else 0
        if retry:
            self._trusted = False
        self._narrow(level - 1)
        if self._strikes > 1:
            self._anchor = self.width
        self._hold(1 if retry else PROBE_ROUNDS)

    def __repr__(self) -> str:
        mode = "growing" if self.growing else "holding"
        return f"<Learner: width {self.width}, {mode}, {self.refusals} refused>"
