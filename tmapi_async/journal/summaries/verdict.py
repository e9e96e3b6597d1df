"""The verdict over a set of listings: one function for every command and for the report. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.errors.quantities import quantity

from .tally import RunTally

CAPPED_NOTE = (
    "Capped listings may have more rows: they ended at the ceiling of the API, which --split reads "
    "past, or at --max-pages, or are not proven complete."
)
"""Meaning of the verdict "capped"."""

SHIFTED = "walked in two sittings, shifted"
"""Text for a listing whose rows moved between two sittings, so that some may not have been seen."""

SHIFTED_NOTE = (
    "Rows came to the listing between the two sittings, so some may not have been seen: to walk it "
    "in one sitting, run the same tmapi harvest command with --refresh."
)
"""Meaning of a shifted listing, and advice."""

_CONTRADICTED_NOTE = "A contradicted listing has fewer different rows than its own total says."
_EMPTY_NOTE = (
    "A listing may really be empty, but a mistyped category or keyword looks the same: check it."
)

Kind: TypeAlias = Literal[
    "nothing", "running", "incomplete", "capped", "shifted", "contradicted", "empty", "complete"
]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Judgement on whether all rows of some listings were read.

    Attributes:
        complete: Listings read to their end, those that are empty or contradicted included.
        capped: Listings that ended at a ceiling of the API or at a maximum number of pages, and
            divided listings that are not proven complete: rows may be missing.
        shifted: Listings read to their end in two sittings, between which rows came: some may not
            have been seen.
        failed: Listings given up.
        unfinished: Listings not begun, or not read to their end.
        empty: Complete listings without any item.
        contradicted: Complete listings with fewer different rows than their own total says.
        suspects: Names of the first of those empty and contradicted listings.
        running: True if a process is reading them now.
    """

    complete: int = 0
    capped: int = 0
    shifted: int = 0
    failed: int = 0
    unfinished: int = 0
    empty: int = 0
    contradicted: int = 0
    suspects: tuple[str, ...] = ()
    running: bool = False

    @classmethod
    def of(cls, tally: RunTally, *, running: bool = False) -> Verdict:
        """Return the verdict over counted listings.

        Args:
            tally: The listings.
            running: A process is reading them now.
        """
        return cls(
            complete=tally.complete,
            capped=tally.capped,
            shifted=tally.shifted,
            failed=tally.failed,
            unfinished=tally.left,
            empty=tally.empty,
            contradicted=tally.contradicted,
            suspects=tally.suspects,
            running=running,
        )

    @property
    def listings(self) -> int:
        """Number of listings."""
        return self.finished + self.failed + self.unfinished

    @property
    def finished(self) -> int:
        """Number of listings that a later start does not continue."""
        return self.complete + self.capped + self.shifted

    @property
    def kind(self) -> Kind:
        """The worst that is true of any listing; "running" while unfinished ones are being read."""
        if not self.listings:
            return "nothing"
        if self.running and self.unfinished:
            return "running"
        if self.failed or self.unfinished:
            return "incomplete"
        doubts: tuple[tuple[int, Kind], ...] = (
            (self.capped, "capped"),
            (self.shifted, "shifted"),
            (self.contradicted, "contradicted"),
            (self.empty, "empty"),
        )
        return next((kind for number, kind in doubts if number), "complete")

    def sentence(self, notes: Mapping[Kind, str]) -> str:
        """Return the verdict as one line, with the names of empty and contradicted listings.

        Args:
            notes: Verdict -> what follows from it for the user, as whole sentences.
        """
        parts = [f"{self}.", *self._remarks(), notes.get(self.kind, "")]
        return " ".join(part for part in parts if part)

    def _remarks(self) -> list[str]:
        """Return what must be known of complete listings that have too few items or none."""
        more = self.empty + self.contradicted - len(self.suspects)
        names = ", ".join(self.suspects) + (f" and {more:,} more" if more else "")
        notes = [
            note
            for number, note in (
                (self.contradicted, _CONTRADICTED_NOTE),
                (self.empty, _EMPTY_NOTE),
            )
            if number
        ]
        return [f"Look at {names}.", *notes] if notes else []

    def __str__(self) -> str:
        """Return the verdict as the beginning of a sentence, without an end."""
        total = quantity(self.listings, "listing")
        failed = f", {self.failed:,} failed" if self.failed else ""
        ended = f"{self.finished:,} of {total} finished{failed}"
        match self.kind:
            case "nothing":
                return "NOTHING TO SHOW: there are no listings"
            case "running":
                return f"NOT YET COMPLETE: {ended}, {self.unfinished:,} still to be read"
            case "incomplete":
                unfinished = f", {self.unfinished:,} not finished" if self.unfinished else ""
                return f"NOT COMPLETE: {ended}{unfinished}"
            case "complete" | "empty":
                but = f", but {self.empty:,} empty: no item came" if self.empty else ""
                return f"COMPLETE: {self.complete:,} of {total}{but}"
        doubts = [
            f"{number:,} {name}"
            for number, name in (
                (self.contradicted, "contradicted by the API's own total"),
                (self.empty, "empty"),
            )
            if number
        ]
        of_them = f" (of them {', '.join(doubts)})" if doubts else ""
        others = "".join(
            f", {number:,} {name}"
            for number, name in ((self.capped, "capped"), (self.shifted, SHIFTED))
            if number
        )
        return f"{self.kind.upper()}: {self.complete:,} of {total} complete{of_them}{others}"
