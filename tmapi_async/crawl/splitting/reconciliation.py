"""What a division is expected to cost, and what has come of it. No I/O."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tmapi_async.api.listings import Listing

Verdict: TypeAlias = Literal["proven", "uncertain", "short", "failed", "open"]
"""All its total promised was found; fewer; the API shows no more of it; a page could not be had;
it has not ended."""


_SILENT = {False: ("proven",), True: ("proven", "uncertain", "short")}


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What the rest of a division is expected to spend, in requests, retries aside.

    Attributes:
        least: So many for certain, if no total changes.
        likely: An estimate, or None while there is nothing to base one on.
        settled: Every part is known to fit: `least` is all that is to come, apart from second
            looks at parts that bring less than their total.
        reason: What it rests on.
        second: Walks made or to be made for such second looks.
    """

    least: int
    likely: int | None
    settled: bool
    reason: str
    second: int = 0

    def __str__(self) -> str:
        if self.settled:
            return f"{self.least:,} requests to go: {self.reason}"
        likely = f", probably about {self.likely:,}" if self.likely is not None else ""
        return f"at least {self.least:,} requests to go{likely}: {self.reason}"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the listing that was walked, in one order of prices or in both.

    Attributes:
        parts: The listings that were walked for it.
        total: Its `total_count`; at the ceiling, it has so many at least, or as many as follow from
            where both orders of prices meet. None: not told.
        found: Distinct items, and rows that could not be decoded.
        verdict: What that proves.
        error: Why it failed, or "".
        estimated: `total` is an estimate: both orders of prices meet, and not row for row, or were
            walked too far apart in time, or with rows that could not be decoded.
        inner: It lies within another piece, and was walked for what that one had not shown. What
            it brought is found in that one too, so that sums leave it out.
    """

    parts: tuple[Listing, ...]
    total: int | None
    found: int
    verdict: Verdict
    error: str = ""
    estimated: bool = False
    inner: bool = False

    def __str__(self) -> str:
        name = self.parts[0].identity
        total = "an unknown number" if self.total is None else f"{self.total:,}"
        total = f"about {total}" if self.estimated else total
        if self.verdict == "proven":
            return f"{name}: complete, {self.found:,} items"
        if self.verdict == "uncertain":
            return f"{name}: uncertain, {self.found:,} of {total} found"
        if self.verdict == "short":
            least = max(self.total or 0, self.found)
            return (
                f"{name}: {self.found:,} found; its two orders of prices do not meet, so that it "
                f"has at least {least:,} rows, and no answer tells how many"
            )
        why = f" ({self.error})" if self.error else ""
        return f"{name}: {self.verdict}{why}, {self.found:,} of {total} found"


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for against what came.

    Attributes:
        root: The listing that was divided.
        divided: Whether it was; else it fitted under the ceiling.
        parts: Listings asked for, the root and those that only served to divide included.
        requests: Pages that came; `rows` and `rejects` are what was on them.
        promised: Sum of the totals of what was walked, or what was found where that is more. Parts
            that share a price both count it.
        distinct: Distinct items found in the whole listing.
        pieces: What was walked.
        unanswered: Parts of which not even the first page came.
        strays: Distinct items seen on the way that no walked part has shown.
        unpriced: Distinct items without a price: a price filter may hide others like them.
        finer: A band was narrowed by a step, and a price finer than that step has been seen.
    """

    root: Listing
    divided: bool
    parts: int
    requests: int
    rows: int
    rejects: int
    promised: int
    distinct: int
    pieces: tuple[Piece, ...]
    unanswered: tuple[Listing, ...] = ()
    strays: int = 0
    unpriced: int = 0
    finer: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything that the API's totals promise is proven to have been found."""
        proven = all(piece.verdict == "proven" for piece in self.pieces)
        return proven and not (self.unanswered or self.strays or self.finer)

    @property
    def missing(self) -> int:
        """Rows that totals promised and no walk has shown; those that nobody told not counted.

        An estimate where a piece's total is one.
        """
        return sum(
            max(0, (piece.total or 0) - piece.found)
            for piece in self.pieces
            if piece.verdict != "proven" and not piece.inner
        )

    @property
    def failed(self) -> bool:
        """Whether a part could not be had."""
        return bool(self.unanswered) or any(piece.verdict == "failed" for piece in self.pieces)

    @property
    def short(self) -> bool:
        """Whether some of it is beyond what the API shows."""
        return any(piece.verdict == "short" for piece in self.pieces)

    def __str__(self) -> str:
        return "\n".join([self._headline(), *self._reasons()])

    def _headline(self) -> str:
        verdict = "complete" if self.complete else "not proven complete"
        how = f"in {len(self.pieces)} parts" if self.divided else "in one piece"
        return (
            f"{self.root}: {verdict}, {self.distinct:,} distinct items {how} that promise "
            f"{self.promised:,} rows ({self.requests:,} pages)"
        )

    def _reasons(self) -> list[str]:
        # What of an inner piece was not found in it may have been found outside of it.
        told = (piece for piece in self.pieces if piece.verdict not in _SILENT[piece.inner])
        reasons = [f"  {piece}" for piece in told]
        reasons += [f"  {listing}: its first page could not be had" for listing in self.unanswered]
        if self.strays:
            reasons.append(
                f"  {self.strays:,} items were seen on the way and in none of the parts walked"
            )
        if self.finer:
            reasons.append("  prices finer than the steps of the bands exist: some may be hidden")
        if self.divided:
            reasons.append(self._unpriced())
        return reasons

    def _unpriced(self) -> str:
        seen = f"{self.unpriced:,} were seen" if self.unpriced else "none was seen"
        return (
            f"  items without a price may be hidden by price filters, and no total shows that; "
            f"{seen}"
        )
