"""Adaptive limit on the number of requests at the server, learned from refusals."""

from __future__ import annotations

import math

from .history import History
from .latency import MEMORY, LatencyEstimate
from .opening.first_climb import FirstClimb
from .refusals.fallen_limit import CUTS_FOR_FALL, SMALL_WIDTH, fallen_width
from .refusals.noise import NoiseTolerance
from .refusals.probe_budget import PROBE_ROUNDS, ProbeBudget, rounds_between
from .refusals.quiet_period import QuietPeriod

UNBOUNDED = 1 << 30


class AdaptiveLimit:
    """Width that the gate has while it is not closed.

    1. *Growing*: the width grows by one slot for each answer until an attempt is refused, and at
       first by the clock (`FirstClimb`).
    2. *Holding*: the server accepts the refused level less one. The limit holds that width, and
       after some round trips (as the budget allows, and after a quiet period in any case) tries
       the refused slot again. This probe costs one refusal if the account's limit is unchanged. If
       the probe is answered, the limit has grown, and the width grows again, in longer strides.
    3. A refusal while holding is unexpected. It is first treated as chance: one slot less, tried
       again soon.
    4. Refusals of the first attempt after each cut mean that the account's limit has fallen: the
       cuts get deeper until an attempt is accepted.
    5. Sporadic refusals that do not depend on the width are treated as noise and no longer reduce
       it. After many of them the gate tests again whether that is so.
    6. A burst of refusals is one cut. Refusals of attempts sent before the cut reduce the width
       only to the number that the server evidently accepted, and never by more than half.

    Args:
        width: Number of slots to start with.
        max_width: Maximum number of slots.
        holding: True if the server is known to take that many and no more: begin with holding.

    Attributes:
        width: Number of slots.
        max_width: Maximum number of slots.
        growing: True while growing, False while holding.
        climb: Decides when a width that was never refused grows by the clock.
        answers, refusals, cuts, probes: Numbers so far.
        watching: True while `sent` must be called for each attempt.
        estimate: Measured latencies of answers and refusals.
        retry_after: Seconds for which the last refusal asked to send nothing.
        history: Changes of the width.
    """

    __slots__ = (
        "_answers_left",
        "_answers_to_wait",
        "_burst_floor",
        "_cuts_in_row",
        "_early_retry",
        "_epoch_end",
        "_filling",
        "_first_sent_at",
        "_full_since",
        "_limit_confirmed",
        "_nearly_full",
        "_noise",
        "_probe_budget",
        "_quiet_period",
        "_reference_width",
        "_refused_level",
        "_return_width",
        "_steady_width",
        "_stride",
        "_target",
        "_unexpected",
        "_widened_at",
        "_width_before_fall",
        "answers",
        "climb",
        "cuts",
        "estimate",
        "growing",
        "history",
        "max_width",
        "probes",
        "refusals",
        "retry_after",
        "watching",
        "width",
    )

    def __init__(self, width: int, max_width: int, *, holding: bool = False) -> None:
        self.max_width = max_width
        self.answers = self.refusals = self.cuts = self.probes = 0
        self.retry_after = 0.0
        self.estimate = LatencyEstimate()
        self.history = History()
        self.climb = FirstClimb(width, width if holding else max_width)
        self._probe_budget = ProbeBudget()
        self._refused_level = UNBOUNDED  # level last refused; unbounded once it was passed
        self._reference_width = width  # unexpected refusals are compared with it
        self._steady_width = width  # last width that was held for a round trip
        self._width_before_fall = 0  # steady width before the limit fell, until the next is found
        self._return_width = 0  # width to restore after an unexpected refusal, or 0
        self._limit_confirmed = False  # True if the limit was met there more than once
        self._early_retry = True  # True if a slot refused unexpectedly may be tried soon
        self._noise = NoiseTolerance()
        self._quiet_period = QuietPeriod(width)
        self._unexpected = 0  # unexpected refusals since the last probe
        self._first_sent_at: float | None = None  # of the first attempt after the last cut
        self._cuts_in_row = 0
        self._burst_floor = 1  # the rest of a burst does not reduce the width below it
        self._answers_to_wait = 0
        self._widened_at = -math.inf
        self._set_width(width)
        self._grow(max_width, 1)
        # The first answers need no proof that the first width was in full use.
        self._filling, self._full_since = False, -math.inf
        if holding:
            self._refused_level = width + 1
            self._limit_confirmed = True
            self._settle()

    @property
    def limit(self) -> int | None:
        """The account's limit as far as it was learned, or None."""
        if self._refused_level == UNBOUNDED:
            return None
        # The server has accepted a width that is held, whatever it refused before.
        return self._refused_level - 1 if self.growing else max(self._refused_level - 1, self.width)

    @property
    def _steady(self) -> bool:
        """True if the width has been held, and in full use, for a round trip."""
        return not self.growing and self._answers_to_wait - self._answers_left >= self.width

    # -- events ---------------------------------------------------------------------------------

    def sent(self, now: float, in_flight: int) -> None:
        """Record an attempt; needs to be called only while `watching`."""
        if self._first_sent_at is None:
            self._first_sent_at = now
        if self._filling and in_flight >= self.width:
            self._filling = False
            self._full_since = now
        self.watching = self._filling

    def answered(self, now: float, sent_at: float, in_flight: int) -> None:
        """Record an answer; `in_flight` still includes the attempt."""
        answers = self.answers = self.answers + 1
        full = in_flight >= self._nearly_full
        # When work runs out, the slow answers come last: they do not measure the round trip.
        if (full or answers <= MEMORY) and now > sent_at:
            self.estimate.answered(now - sent_at, answers)
        # An attempt sent before the last change of the width says nothing about that width, and a
        # gate that is not full says nothing about its last slot.
        if full and sent_at >= self._full_since:
            self._answers_left -= 1
            if self._answers_left <= 0:
                self._advance(now)

    def refused(self, now: float, sent_at: float, in_flight: int) -> None:
        """Record a refusal; `in_flight` still includes the attempt."""
        self.refusals += 1
        self.climb.active = False
        self._quiet_period.refused(self.answers)
        self.estimate.refused(max(0.0, now - sent_at))
        if self._first_sent_at is not None and sent_at >= self._first_sent_at:
            # Refusals come in the order of sending: if the first attempt after the last cut was
            # not refused before this one, it was accepted.
            self._cuts_in_row = self._cuts_in_row + 1 if sent_at == self._first_sent_at else 1
            self._cut(now, in_flight)
        else:
            self._apply_burst(in_flight - 1)

    def clock_went_back(self, now: float) -> None:
        """Correct recorded times that now lie in the future."""
        if self._first_sent_at is not None:
            self._first_sent_at = min(self._first_sent_at, now)
        if not self._filling:
            self._full_since = min(self._full_since, now)
        self._widened_at = min(self._widened_at, now)

    # -- widening -------------------------------------------------------------------------------

    def _set_width(self, width: int) -> None:
        self.width = width
        # Several answers read in one turn of the loop find their slots not yet filled again.
        self._nearly_full = width - width // 8

    def _grow(self, target: int, stride: int) -> None:
        """Widen by one for each answer, up to `target`."""
        self.growing = True
        self._target = target
        self._stride = stride
        self._answers_left = 0
        self._new_epoch()

    def _new_epoch(self) -> None:
        """Let only answers to attempts sent at the present full width widen it further."""
        # However late refusals come, at most a third of the width is untried.
        self._epoch_end = self.width + max(1, min(self._stride, self.width // 2))
        self._stride *= 4
        self._filling = self.watching = True
        self._full_since = math.inf

    def _hold(self, rounds: float) -> None:
        self.growing = False
        if rounds > 1 and self.retry_after:
            rounds = max(rounds, rounds_between(self.retry_after, self.estimate.round_trip))
        self._answers_left = self._answers_to_wait = int(rounds * self.width)

    def _settle(self) -> None:
        """End the growth: compare later refusals with the present width."""
        if self._width_before_fall:
            self._probe_budget.credit_fall(self._width_before_fall - self.width - self._unexpected)
            self._width_before_fall = 0
        self._reference_width = self.width
        self._hold(PROBE_ROUNDS)

    def _advance(self, now: float) -> None:
        if not self.growing:
            self._probe(now)
        elif self.width >= self._target:
            self.history.add(now, self.width, "hold")
            self._settle()
        elif not self.climb.active:
            self._widen(now)

    def widen_by_clock(self, now: float, in_flight: int) -> None:
        """Take the next step of the climb, if it is due; for use while `climb.active`."""
        climb, estimate = self.climb, self.estimate
        due = climb.due_at(now, self.width, in_flight, self.answers, estimate)
        if due is None or now < due:
            return
        self._widened_at = now
        self._set_width(climb.step(now, self.width, self.max_width))
        estimate.note_early_best(self.answers)
        if not climb.active:
            self.history.add(now, self.width, "grow")
            self._new_epoch()

    def _widen(self, now: float) -> None:
        # A refusal needs time to arrive: only little is added before it would have arrived.
        if now - self._widened_at < self.estimate.pause(self.width):
            return
        self._widened_at = now
        if self.width > self._refused_level + self.estimate.uncertainty(self.width):
            self._refused_level = UNBOUNDED  # the level refused then is accepted now
        self._set_width(self.width + 1)
        self._burst_floor = self.width  # late refusals of an old burst do not concern this width
        if self.width < self._epoch_end:
            return
        overloaded = self.estimate.overloaded(self.answers)
        self.history.add(now, self.width, "hold" if overloaded else "grow")
        if overloaded:
            self._settle()
        else:
            self._new_epoch()

    def _probe(self, now: float) -> None:
        wait = 0 if self._return_width else self._answers_until_probe()
        if wait:
            self._answers_left = wait
            return
        if not self._return_width:
            self._quiet_period.held(self.width)
            self._noise.probe_started(quiet=not self._unexpected)
            self._early_retry = True
            self._unexpected = 0
        self.probes += 1
        self._probe_budget.start_probe(self.answers, self.refusals)
        self._set_width(self.width + 1)
        self._grow(self._return_width or self.max_width, 1)
        self._return_width = 0
        self.history.add(now, self.width, "probe")

    def _answers_until_probe(self) -> int:
        """Return after how many answers to decide again on a probe; 0 if it may be tried now."""
        self._probe_budget.set_horizon(self.width, self.refusals)
        if self.width >= self.max_width:
            return self.width
        # Where refusals come at any width, the budget cannot decide.
        if not (self._noise.active or self._affordable()):
            return max(1, self.width // 8)
        return self.width if self.estimate.overloaded(self.answers) else 0

    def _affordable(self) -> bool:
        uncertainty = self.estimate.uncertainty(self.width)
        if self._quiet_period.is_over(self.answers, self.width, uncertainty):
            return True
        state = self.answers, self.refusals, int(uncertainty)
        budget = self._probe_budget
        # A limit met for the first time may have been chance: it is tried again soon.
        return budget.can_afford(*state) and (not self._limit_confirmed or budget.is_due(*state))

    # -- narrowing ------------------------------------------------------------------------------

    def _cut(self, now: float, level: int) -> None:
        self.cuts += 1
        self._first_sent_at = None
        self.watching = True
        before = self.width
        if self._cuts_in_row == 1 and self._steady:
            self._steady_width = before
            self._quiet_period.held(before)
        if level == 1:
            self._handle_lone_refusal()
        elif self._cuts_in_row >= CUTS_FOR_FALL:
            self._handle_fall(level)
        elif self._cuts_in_row == 1 and self._noise.tolerates():
            self._unexpected += not self.growing
            self._burst_floor = before
            self._probe_budget.excuse(1)
        elif self.growing:
            self._handle_limit(level)
        else:
            self._handle_unexpected(level)
        if self.width != before:
            if not self.growing:
                self._filling, self._full_since = False, now
            self.history.add(now, self.width, "cut" if self.width < before else "hold")

    def _narrow(self, to: int) -> None:
        old = self.width
        self._burst_floor = old // 2 if old > SMALL_WIDTH else 1
        self._set_width(max(min(old, to), self._burst_floor))

    def _apply_burst(self, remaining: int) -> None:
        """Handle more refusals of a burst: the server accepted those that remain in flight."""
        if self._width_before_fall:
            self._target = max(self.width, min(self._target, remaining))
        if remaining >= self.width:
            return
        self._set_width(max(remaining, self._burst_floor))
        self._refused_level = min(self._refused_level, self.width + 1)
        self._reference_width = min(self._reference_width, self.width)
        if not self.growing:
            # Not chance, then.
            self._return_width = 0
            self._hold(PROBE_ROUNDS)

    def _handle_limit(self, level: int) -> None:
        """End growth, or a probe, below the level that was refused."""
        uncertainty = self.estimate.uncertainty(self.width)
        self._limit_confirmed = abs(level - self._refused_level) <= 1 + uncertainty
        self._quiet_period.limit_met(confirmed=self._limit_confirmed)
        self._refused_level = level
        self._narrow(level - 1)
        self._return_width = 0
        self._settle()

    def _handle_fall(self, level: int) -> None:
        """Handle a fallen limit: let the server finish some requests, then grow again."""
        self._width_before_fall = self._width_before_fall or self._steady_width
        self._limit_confirmed = False
        self._quiet_period.narrowed()
        self._refused_level = level
        self._narrow(fallen_width(level, self._cuts_in_row))
        self._probe_budget.start_probe(self.answers, self.refusals)
        self._reference_width = max(self.width, level - 1)
        self._return_width = 0
        self._grow(self._reference_width, UNBOUNDED)

    def _handle_lone_refusal(self) -> None:
        """Handle a refusal with no other request of ours at the server: not caused by the width."""
        self._probe_budget.excuse(1)
        self._noise.start()
        self._unexpected += 1
        self._burst_floor = self.width
        self._target = self.max_width

    def _handle_unexpected(self, level: int) -> None:
        """Handle the refusal of a level that was accepted before."""
        self._unexpected += 1
        self._quiet_period.narrowed()
        single = self._cuts_in_row == 1
        far_below = self._reference_width - level > self.estimate.uncertainty(self.width)
        if single and self._steady and far_below:
            # Refused far below an accepted width, and not each time: not caused by the width.
            self._noise.start()
            self._probe_budget.excuse(self._reference_width - self.width + 1)
            self._set_width(max(self.width, self._reference_width))
            self._burst_floor = self.width
            self._hold(PROBE_ROUNDS)
        else:
            self._step_down(level, retry=single and self._early_retry)

    def _step_down(self, level: int, *, retry: bool) -> None:
        self._refused_level = level
        self._return_width = self.width if retry else 0
        if retry:
            self._early_retry = False
        self._narrow(level - 1)
        if self._cuts_in_row > 1:
            self._reference_width = self.width
        self._hold(1 if retry else PROBE_ROUNDS)

    def __repr__(self) -> str:
        mode = "growing" if self.growing else "holding"
        return f"<AdaptiveLimit: width {self.width}, {mode}, {self.refusals} refused>"
