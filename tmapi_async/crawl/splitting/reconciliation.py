"""Expected cost of a division, and its final result. No I/O."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.summaries.verdict import SHIFTED

Verdict: TypeAlias = Literal["proven", "uncertain", "short", "failed", "open"]
"""Result of one piece.

* proven: everything that its total promised was found;
* uncertain: fewer rows were found;
* short: the API shows no more rows of the piece;
* failed: a page could not be fetched;
* open: its walk has not ended.
"""

# An item of an inner piece that was not found there may have been found outside of that piece.
_UNREMARKABLE = {False: ("proven",), True: ("proven", "uncertain", "short")}


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """Expected number of further requests of a division, without retries.

    Attributes:
        least: Minimum number of requests, if no total changes.
        likely: Estimated number of requests, or None while nothing supports an estimate.
        settled: True if every part is known to fit. Then `least` is the whole rest, apart from
            second walks of parts that bring less than their total.
        reason: Facts behind the numbers.
        second: Number of second walks, made or planned.
    """

    least: int
    likely: int | None
    settled: bool
    reason: str
    second: int = 0

    def __str__(self) -> str:
        requests = quantity(self.least, "request")
        if self.settled:
            return f"{requests} to go: {self.reason}"
        likely = f", probably about {self.likely:,}" if self.likely is not None else ""
        return f"at least {requests} to go{likely}: {self.reason}"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the listing that was walked, in one order of prices or in both.

    Attributes:
        parts: Listings that were walked for the piece.
        total: Total of the piece, or None if unknown. `total_count` as sent; for a piece at the
            ceiling the least possible number of rows, or the number that follows from the overlap
            of both orders of prices.
        found: Distinct items, plus rows that could not be decoded.
        verdict: Result that follows from `total` and `found`.
        error: Reason of a failure or of a doubt, or "".
        estimated: True if `total` is an estimate. Both orders of prices overlap, but not row for
            row, or they were walked too far apart in time, or have rows that could not be decoded.
        inner: True if the piece lies within another piece, and was walked for items that the outer
            piece had not shown. The outer piece counts its items too, so sums leave it out.
        shifted: True if a part was walked in two sittings, between which rows came.
    """

    parts: tuple[Listing, ...]
    total: int | None
    found: int
    verdict: Verdict
    error: str = ""
    estimated: bool = False
    inner: bool = False
    shifted: bool = False

    def __str__(self) -> str:
        name = self.parts[0].identity
        total = "an unknown number" if self.total is None else f"{self.total:,}"
        total = f"about {total}" if self.estimated else total
        if self.verdict == "proven":
            return f"{name}: complete, {self.found:,} items"
        if self.verdict == "uncertain" and (self.error or self.shifted):
            doubt = self.error or SHIFTED
            return f"{name}: uncertain, {self.found:,} of {total} found: {doubt}"
        if self.verdict == "uncertain" and not self.estimated and self.found >= (self.total or 0):
            return (
                f"{name}: uncertain, {self.found:,} of {total} found, but rows moved, and an "
                "advert may stand for one that was missed"
            )
        if self.verdict == "uncertain":
            return f"{name}: uncertain, {self.found:,} of {total} found"
        if self.verdict == "short":
            least = max(self.total or 0, self.found)
            return (
                f"{name}: {self.found:,} found. The two orders of prices do not overlap, so this "
                f"price has {least:,} rows or more; the API shows no others and no exact number"
            )
        reason = f" ({self.error})" if self.error else ""
        return f"{name}: {self.verdict}{reason}, {self.found:,} of {total} found"


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a division: promised rows against found items.

    Attributes:
        root: Listing that was divided.
        divided: True if the listing was divided; False if it fitted under the ceiling.
        parts: Number of listings requested, with the root and those used only for dividing.
        requests: Number of pages received.
        rows: Number of rows on those pages.
        rejects: Number of rows on those pages that could not be decoded.
        reason: Reason why the first of them could not be decoded, or "".
        promised: Sum of the totals of all walked pieces, or of the items found if these are more.
            Parts that share a price both count the price.
        distinct: Distinct items found in the whole listing.
        pieces: Pieces that were walked.
        unanswered: Parts whose first page could not be fetched.
        strays: Distinct items that were seen, but by no full walk of a part.
        unpriced: Distinct items without a price: a price filter may hide others like them.
        finer: True if a band was narrowed by a step, and a price finer than that step was seen.
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
    reason: str = ""

    @property
    def complete(self) -> bool:
        """True if all rows that the API's totals promise are proven to have been found."""
        proven = all(piece.verdict == "proven" for piece in self.pieces)
        return proven and not (self.unanswered or self.strays or self.finer)

    @property
    def missing(self) -> int:
        """Rows promised by the totals but not seen, excluding pieces without a total.

        An estimate if the total of a piece is one.
        """
        return sum(
            max(0, (piece.total or 0) - piece.found)
            for piece in self.pieces
            if piece.verdict != "proven" and not piece.inner
        )

    @property
    def failed(self) -> bool:
        """True if a part could not be fetched, or if no row of the listing can be decoded."""
        could_not_be_fetched = bool(self.unanswered) or any(
            piece.verdict == "failed" for piece in self.pieces
        )
        return could_not_be_fetched or self.unreadable

    @property
    def unreadable(self) -> bool:
        """True if rows were read, and none of them can be decoded."""
        return self.rejects > 0 and not self.distinct

    @property
    def shifted(self) -> bool:
        """True if nothing but pieces walked in two sittings, shifted, keep it from being proven."""
        unproven = [piece for piece in self.pieces if piece.verdict != "proven"]
        others = self.unanswered or self.strays or self.finer
        return bool(unproven) and not others and all(piece.shifted for piece in unproven)

    @property
    def short(self) -> bool:
        """True if some rows are beyond what the API shows."""
        return any(piece.verdict == "short" for piece in self.pieces)

    def __str__(self) -> str:
        return "\n".join([self._headline(), *self._details()])

    def _headline(self) -> str:
        verdict = "complete" if self.complete else "not proven complete"
        how = f"in {len(self.pieces)} parts that promise" if self.divided else "in one piece of"
        if self.divided and len(self.pieces) == 1:
            how = "in 1 part that promises"
        return (
            f"{self.root}: {verdict}, {self.distinct:,} distinct items {how} "
            f"{self.promised:,} rows ({quantity(self.requests, 'page')})"
        )

    def _details(self) -> list[str]:
        details = [
            f"  {piece}" for piece in self.pieces if piece.verdict not in _UNREMARKABLE[piece.inner]
        ]
        details += [
            f"  {listing}: its first page could not be fetched" for listing in self.unanswered
        ]
        if self.strays:
            were = "was" if self.strays == 1 else "were"
            details.append(
                f"  {quantity(self.strays, 'item')} {were} seen, but not in a part that was walked "
                "to its end"
            )
        if self.finer:
            details.append(
                "  some prices are finer than the step between bands: such items may be missing"
            )
        if self.divided:
            details.append(self._unpriced_note())
        return details

    def _unpriced_note(self) -> str:
        seen = "none" if not self.unpriced else f"{self.unpriced:,}"
        verb = "was" if self.unpriced <= 1 else "were"
        return (
            "  price filters may hide items without a price, and no total counts them; "
            f"{seen} {verb} seen"
        )
