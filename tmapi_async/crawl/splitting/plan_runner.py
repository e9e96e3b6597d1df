"""The parts of a family, the plans that wait for them, and the steps that follow. No I/O.

A plan is a generator. It yields what it waits for, and is resumed when all of that has come; what
it decides may rest on those answers and on those of the plans it came from, and on nothing else.
Then the order in which answers come makes no difference to what is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.api.listings import Listing

from .overlap import Overlap
from .queries import Observation, SplitQuery, turned
from .reconciliation import Piece, Verdict
from .split_parts import Part, PartCensus

USUAL_PAGE = 20
LOOK_AGAIN = 0.005
"""Share of a part's total that may be missing before it is walked once more, the other way round:
a walk over a shifting ranking should find 99.5 %."""


class Wait(msgspec.Struct, frozen=True):
    """What a plan waits for: the first pages of parts, or the ends of their walks."""

    parts: tuple[Part, ...]
    until: Literal["first", "end"]

    def missing(self) -> list[Part]:
        """Those it still waits for."""
        if self.until == "first":
            return [part for part in self.parts if part.first is None]
        return [part for part in self.parts if part.ending is None]


Plan: TypeAlias = Generator[Wait, None, None]


class _Task:
    __slots__ = ("capped", "left", "parts", "plan")

    def __init__(self, plan: Plan, *, capped: bool) -> None:
        self.plan = plan
        self.capped = capped
        self.left = 0
        self.parts: tuple[Part, ...] = ()


class PlanDraft:
    """A piece of the listing while it is walked; see `Piece`."""

    __slots__ = (
        "_ids", "again", "error", "estimated", "found", "inner", "parts", "rejects", "total",
        "verdict",
    )  # fmt: skip

    def __init__(self, parts: list[Part], *, inner: bool = False) -> None:
        self.parts = parts
        self.inner = inner
        self.total = parts[0].first.total if parts[0].first else None
        self.estimated = False
        self.found = self.rejects = self.again = 0
        self.verdict: Verdict = "open"
        self.error = ""
        self._ids: set[int] = set()

    def settle(self) -> bool:
        """Note what it has come to; True if all its walks have reached their ends."""
        self._ids = set().union(*(part.ids for part in self.parts))
        self.rejects = max(part.rejects for part in self.parts)
        self.found = len(self._ids) + self.rejects
        self.error = next((part.error for part in self.parts if part.error), "")
        endings = {part.ending for part in self.parts}
        if endings <= {"complete", "capped"}:
            enough = self.total is None or self.found >= self.total
            self.verdict = "proven" if enough else "uncertain"
            return True
        self.verdict = "failed" if "failed" in endings else "open"
        return False

    def judge(self, meeting: Overlap | None) -> None:
        """Say what a price is that fills the ceiling, once both its orders have been walked."""
        if meeting is None:
            self.verdict = "short" if self.verdict == "proven" else self.verdict
            return
        self.total, self.estimated = meeting.rows, not meeting.exact
        self.verdict = "proven" if meeting.exact else "uncertain"

    @property
    def lacking(self) -> bool:
        """Whether so few rows were found that it is worth to look again."""
        return self.found < (self.total or 0) * (1 - LOOK_AGAIN)

    def gather(self, part: Part) -> None:
        """Take what a part within it shows, from now on too, for found in it."""
        part.share(self._ids)

    def done(self, *, gathers: bool = False) -> None:
        """Let go of what only counting needed; of its items too, unless it goes on to gather."""
        for part in self.parts:
            part.forget()
        if not gathers:
            self._ids = set()

    def piece(self) -> Piece:
        """It as told to the caller."""
        ids = self._ids or set().union(*(part.ids for part in self.parts))
        return Piece(
            parts=tuple(part.listing for part in self.parts),
            total=self.total,
            found=len(ids) + self.rejects if ids else self.found,
            verdict=self.verdict,
            error=self.error,
            estimated=self.estimated,
            inner=self.inner,
        )


class PlanRunner:
    """Every part of a family.

    Args:
        ceiling: A total of so many rows or more is no count.

    Attributes:
        parts: The parts, in the order in which they were opened.
        drafts: What is being walked or has been.
        census: Every item seen.
        requests: Pages that have come, with `rows` and `rejects` on them.
        page_size: Rows a page, as the server told with the first one.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.parts: dict[Listing, Part] = {}
        self.drafts: list[PlanDraft] = []
        self.census = PartCensus()
        self.requests = self.rows = self.rejects = 0
        self.page_size = USUAL_PAGE
        self._waiting: dict[tuple[Part, str], list[_Task]] = defaultdict(list)
        self._steps: list[SplitQuery] = []

    # -- what plans call

    def open(self, listing: Listing) -> Part:
        """Ask for the first page of a part, if that was not done before."""
        part = self.parts.get(listing)
        if part is None:
            part = self.parts[listing] = Part(listing)
            self._steps.append(SplitQuery("open", listing))
        return part

    def open_wanted(self, listing: Listing) -> Part:
        """The same, and walk it as soon as its first page shows that it fits."""
        part = self.open(listing)
        part.wanted = True
        self._walk_if_wanted(part)
        return part

    def fits(self, part: Part) -> bool:
        """Whether a part's first page promises fewer rows than the ceiling."""
        return part.first is not None and part.total < self.ceiling

    def walk(self, part: Part, *, inner: bool = False) -> None:
        """Walk a part that fits to its end, if that was not asked for before."""
        if not part.walked:
            self.spawn(self._alone(self.draft([part], inner=inner)))

    def draft(self, parts: list[Part], *, inner: bool = False) -> PlanDraft:
        """Walk parts, whether they fit or not, as one piece; its total is the first one's.

        Args:
            parts: The parts.
            inner: They lie within another piece.
        """
        draft = PlanDraft(parts, inner=inner)
        self.drafts.append(draft)
        for part in parts:
            self._set_walking(part)
        return draft

    def spawn(self, plan: Plan, *, capped: bool = False) -> None:
        """Start a plan; `capped`: on behalf of a part at the ceiling, which it has to divide."""
        self._run(_Task(plan, capped=capped))

    # -- what answers call

    def take(self, part: Part, sight: Observation) -> bool:
        """Take in a page; True if it is the part's first page, and new."""
        if not part.take(sight):
            return False
        self.requests += 1
        self.rows += len(sight.rows)
        self.rejects += sight.rejects
        self.census.note(sight.rows, walked=part.walked)
        return part.first is sight

    def answered(self, part: Part) -> None:
        """A part's first page has come: say what is to be done with it, resume who waited."""
        if part.walked:
            self._steps.append(SplitQuery("walk", part.listing))
        else:
            self._walk_if_wanted(part)
        if not part.walked:
            self._steps.append(SplitQuery("leave", part.listing))
        self._wake(part, "first")

    def ended(self, part: Part, ending: str, error: str) -> None:
        """A walk has ended."""
        part.ending, part.error = ending, error
        self._wake(part, "end")

    def told(self) -> list[SplitQuery]:
        """The steps that have come up since the last call."""
        steps, self._steps = self._steps, []
        return steps

    def undivided(self) -> list[int]:
        """Rows that are at least in each part that waits for its own parts' first pages.

        Those of parts that fit are not counted.
        """
        waiting = {
            task: None for (_, what), tasks in self._waiting.items() if what == "first"
            for task in tasks if task.capped
        }  # fmt: skip
        rows = []
        for task in waiting:
            known = [part for part in task.parts if part.wanted and part.first is not None]
            # A part of it that is at the ceiling as well counts for itself.
            if all(map(self.fits, known)):
                rows.append(max(0, self.ceiling - sum(part.total for part in known)))
        return rows

    def _alone(self, draft: PlanDraft) -> Plan:
        """See a part to its end; and once more the other way round if it brought too little."""
        yield Wait((draft.parts[0],), "end")
        if draft.settle() and draft.lacking:
            again = self.open(turned(draft.parts[0].listing))
            if not again.walked:
                draft.parts.append(again)
                draft.again += 1
                draft.parts[0].share_likewise(again)
                draft.verdict = "open"
                self._set_walking(again)
                yield Wait((again,), "end")
                draft.settle()
        draft.done()

    def _walk_if_wanted(self, part: Part) -> None:
        if part.wanted and self.fits(part):
            self.walk(part)

    def _set_walking(self, part: Part) -> None:
        if part.walked:
            return
        part.walked = True
        self.census.walked(part.items)
        if part.first is not None:
            self._steps.append(SplitQuery("walk", part.listing))

    def _run(self, task: _Task) -> None:
        for wait in task.plan:
            missing = wait.missing()
            if missing:
                task.left, task.parts = len(missing), wait.parts
                for part in missing:
                    self._waiting[part, wait.until].append(task)
                return

    def _wake(self, part: Part, what: str) -> None:
        for task in self._waiting.pop((part, what), ()):
            task.left -= 1
            if not task.left:
                self._run(task)
