"""Run the plans of one division: keep its parts, resume waiting plans, collect queries. No I/O.

A plan is a generator. It yields a `Wait`, and is resumed when everything named there has come. Its
decisions may depend only on those answers and on the answers that its parent plans waited for.
Therefore the order in which answers come does not change the queries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.api.listings import Listing

from .overlap import Overlap
from .queries import Observation, SplitQuery, reversed_listing
from .reconciliation import Piece, Verdict
from .split_parts import ItemIndex, Part

USUAL_PAGE_SIZE = 20
SECOND_WALK_SHARE = 0.005
"""Share of a part's total that may be missing before the part is walked again in reversed order:
a walk over a shifting ranking should find 99.5 %."""


class Wait(msgspec.Struct, frozen=True):
    """Answers that a plan waits for: first pages of parts, pauses or ends of their walks."""

    parts: tuple[Part, ...]
    until: Literal["first", "pause", "end"]

    def pending(self) -> list[Part]:
        """Return the parts whose answer has not come yet."""
        if self.until == "first":
            return [part for part in self.parts if part.first_page is None]
        if self.until == "pause":
            return [part for part in self.parts if part.ending is None and not part.paused]
        return [part for part in self.parts if part.ending is None]


Plan: TypeAlias = Generator[Wait, None, None]


class _RunningPlan:
    __slots__ = ("capped", "parts", "plan", "remaining")

    def __init__(self, plan: Plan, *, capped: bool) -> None:
        self.plan = plan
        self.capped = capped
        self.remaining = 0
        self.parts: tuple[Part, ...] = ()


class OpenPiece:
    """A piece of the listing while it is walked; see `Piece` for the attributes not named here.

    Attributes:
        second_walks: Number of second walks.
    """

    __slots__ = (
        "_ids", "error", "estimated", "found", "inner", "parts", "rejects", "second_walks",
        "shifted", "total", "verdict",
    )  # fmt: skip

    def __init__(self, parts: list[Part], *, inner: bool = False) -> None:
        self.parts = parts
        self.inner = inner
        self.total = parts[0].first_page.total if parts[0].first_page else None
        self.estimated = False
        self.found = self.rejects = self.second_walks = 0
        self.shifted = False
        self.verdict: Verdict = "open"
        self.error = ""
        self._ids: set[int] = set()

    def settle(self) -> bool:
        """Compute the verdict. Return True if all walks have reached their ends."""
        self._ids = set().union(*(part.ids for part in self.parts))
        self.rejects = max(part.rejects for part in self.parts)
        self.found = len(self._ids) + self.rejects
        self.error = next((part.error for part in self.parts if part.error), "")
        endings = {part.ending for part in self.parts}
        if endings <= {"complete", "capped", "shifted"}:
            self.shifted = "shifted" in endings
            enough = self.total is None or self.found >= self.total
            self.verdict = "proven" if enough and not self.shifted else "uncertain"
            return True
        self.verdict = "failed" if "failed" in endings else "open"
        return False

    def apply_overlap(self, overlap: Overlap | None) -> None:
        """Set total and verdict of a price that fills the ceiling, after walks in both orders."""
        if overlap is None:
            self.verdict = "short" if self.verdict == "proven" else self.verdict
            return
        self.total, self.estimated = overlap.rows, not overlap.exact
        self.verdict = "proven" if overlap.exact and not self.shifted else "uncertain"

    def doubt(self, size: int, ceiling: int) -> None:
        """Withdraw a proof that rests on the total of a part alone, where that is not enough.

        Args:
            size: Rows a page.
            ceiling: Number of rows after which the API may show no more.
        """
        if self.verdict != "proven":
            return
        if self.found >= ceiling:
            self.error = f"the API may show no more than {ceiling:,}, and no total excludes it"
        elif self.rejects and not self._ids:
            self.error = f"no row of it can be decoded: {self.parts[0].reason}"
        elif not all(part.may_hide_a_loss(size) for part in self.parts):
            return
        self.verdict = "uncertain"

    @property
    def incomplete(self) -> bool:
        """True if so few rows were found that a second walk is worth its cost."""
        return self.found < (self.total or 0) * (1 - SECOND_WALK_SHARE)

    def include(self, part: Part) -> None:
        """Count the items of a part within this piece as found, those of later pages too."""
        part.share_items(self._ids)

    def release(self, *, keep_items: bool = False) -> None:
        """Free the memory used for counting; keep the items if more parts are to be included."""
        for part in self.parts:
            part.release()
        if not keep_items:
            self._ids = set()

    def to_piece(self) -> Piece:
        """Return the public `Piece`."""
        ids = self._ids or set().union(*(part.ids for part in self.parts))
        return Piece(
            parts=tuple(part.listing for part in self.parts),
            total=self.total,
            found=len(ids) + self.rejects if ids else self.found,
            verdict=self.verdict,
            error=self.error,
            estimated=self.estimated,
            inner=self.inner,
            shifted=self.shifted,
        )


class PlanRunner:
    """All parts and plans of one division.

    Args:
        ceiling: A total of this many rows or more is not a count.

    Attributes:
        parts: Parts, in the order in which they were opened.
        pieces: Pieces that are being walked or have been walked.
        items: Index of all items seen.
        requests: Number of pages received.
        rows: Number of rows on those pages.
        rejects: Number of rows on those pages that could not be decoded.
        page_size: Rows a page, as echoed with the first page of the listing.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.parts: dict[Listing, Part] = {}
        self.pieces: list[OpenPiece] = []
        self.items = ItemIndex()
        self.requests = self.rows = self.rejects = 0
        self.page_size = USUAL_PAGE_SIZE
        self._waiting: dict[tuple[Part, str], list[_RunningPlan]] = defaultdict(list)
        self._queries: list[SplitQuery] = []

    # -- called by plans

    def open(self, listing: Listing) -> Part:
        """Request the first page of a part, unless that was done before."""
        part = self.parts.get(listing)
        if part is None:
            part = self.parts[listing] = Part(listing)
            self._queries.append(SplitQuery("open", listing))
        return part

    def open_to_walk(self, listing: Listing) -> Part:
        """Open a part, and walk it as soon as its first page shows that it fits."""
        part = self.open(listing)
        part.walk_if_fits = True
        self._walk_if_fits(part)
        return part

    def fits(self, part: Part) -> bool:
        """Return True if the first page of a part promises fewer rows than the ceiling."""
        return part.first_page is not None and part.total < self.ceiling

    def walk(self, part: Part, *, inner: bool = False) -> None:
        """Walk a part that fits to its end, unless that was ordered before."""
        if not part.full_walk:
            self.spawn(self._walk_alone(self.start_piece([part], inner=inner)))

    def start_piece(
        self, parts: list[Part], *, inner: bool = False, pauses: bool = False
    ) -> OpenPiece:
        """Walk parts as one piece, even if they do not fit. Its total is that of the first part.

        Args:
            parts: Parts to walk.
            inner: True if they lie within another piece.
            pauses: True if each walk pauses before its last page, until `go_on`.
        """
        piece = OpenPiece(parts, inner=inner)
        self.pieces.append(piece)
        for part in parts:
            if pauses and not part.full_walk:
                part.set_pause(self.page_size)
            self._start_walk(part)
        return piece

    def go_on(self, part: Part) -> None:
        """Walk a part that has paused to its end."""
        if part.paused:
            part.paused = False
            self._queries.append(SplitQuery("walk", part.listing))

    def spawn(self, plan: Plan, *, capped: bool = False) -> None:
        """Start a plan; `capped` if the plan divides a part at the ceiling."""
        self._advance(_RunningPlan(plan, capped=capped))

    # -- called with answers

    def add_page(self, part: Part, page: Observation) -> bool:
        """Add a page. Return True if it is the first page of the part, and new."""
        if not part.add_page(page):
            return False
        self.requests += 1
        self.rows += len(page.rows)
        self.rejects += page.rejects
        self.items.add_rows(page.rows, full_walk=part.full_walk)
        return part.first_page is page

    def first_page_added(self, part: Part) -> None:
        """Decide about a part whose first page has come, and resume the plans waiting for it."""
        if part.full_walk:
            self._queries.append(SplitQuery("walk", part.listing))
        else:
            self._walk_if_fits(part)
        if not part.full_walk:
            self._queries.append(SplitQuery("leave", part.listing))
        self._resume(part, "first")

    def walk_ended(self, part: Part, ending: str, error: str) -> None:
        """Record the pause or the end of a walk, and resume the plans waiting for it."""
        if ending == "capped" and part.page_limit is not None:
            part.paused, part.page_limit = True, None
        else:
            part.ending, part.error = ending, error
            self._resume(part, "end")
        self._resume(part, "pause")

    def take_queries(self) -> list[SplitQuery]:
        """Return the queries collected since the last call."""
        queries, self._queries = self._queries, []
        return queries

    def undivided_rows(self) -> list[int]:
        """Return the least number of rows in each part that still waits to be divided.

        Rows of its own parts that fit are not counted.
        """
        plans = {
            plan: None for (_, until), plans in self._waiting.items() if until == "first"
            for plan in plans if plan.capped
        }  # fmt: skip
        rows = []
        for plan in plans:
            answered = [
                part for part in plan.parts if part.walk_if_fits and part.first_page is not None
            ]
            # A sub-part that also reaches the ceiling has its own plan, which counts it.
            if all(map(self.fits, answered)):
                rows.append(max(0, self.ceiling - sum(part.total for part in answered)))
        return rows

    def _walk_alone(self, piece: OpenPiece) -> Plan:
        """Walk a part to its end, and once more in reversed order if too few rows were found."""
        yield Wait((piece.parts[0],), "end")
        if piece.settle() and piece.incomplete:
            second = self.open(reversed_listing(piece.parts[0].listing))
            if not second.full_walk:
                piece.parts.append(second)
                piece.second_walks += 1
                piece.parts[0].share_equally(second)
                piece.verdict = "open"
                self._start_walk(second)
                yield Wait((second,), "end")
                piece.settle()
        piece.doubt(self.page_size, self.ceiling)
        piece.release()

    def _walk_if_fits(self, part: Part) -> None:
        if part.walk_if_fits and self.fits(part):
            self.walk(part)

    def _start_walk(self, part: Part) -> None:
        if part.full_walk:
            return
        part.full_walk = True
        self.items.mark_full_walk(part.all_ids)
        if part.first_page is not None:
            self._queries.append(SplitQuery("walk", part.listing))

    def _advance(self, running: _RunningPlan) -> None:
        for wait in running.plan:
            pending = wait.pending()
            if pending:
                running.remaining, running.parts = len(pending), wait.parts
                for part in pending:
                    self._waiting[part, wait.until].append(running)
                return

    def _resume(self, part: Part, event: str) -> None:
        for running in self._waiting.pop((part, event), ()):
            running.remaining -= 1
            if not running.remaining:
                self._advance(running)
