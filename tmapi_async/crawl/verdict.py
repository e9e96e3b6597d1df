"""The verdict over a set of listings: one function for every command and for the report. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.errors.quantities import quantity

CAPPED_NOTE = (
    "Capped listings ended at a ceiling or at a maximum number of pages, or are not proven "
    "complete: they may have more rows."
)
"""Meaning of the verdict "capped"."""

SHIFTED = "walked in two sittings, shifted"
"""Text for a listing whose rows moved between two sittings, so that some may not have been seen."""

SHIFTED_NOTE = (
    "Rows came to the listing between the two sittings, so some may not have been seen: to walk it "
    "in one sitting, run the same tmapi harvest command with --refresh."
)
"""Meaning of a shifted listing, and advice."""

Kind: TypeAlias = Literal["empty", "running", "incomplete", "capped", "shifted", "complete"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Judgement on whether all rows of some listings were read.

    Attributes:
        complete: Listings read to their end, which their own figures do not deny.
        capped: Listings that ended at a ceiling of the API or at a maximum number of pages, and
            divided listings that are not proven complete: rows may be missing.
        shifted: Listings read to their end in two sittings, between which rows came: some may not
            have been seen.
        failed: Listings given up.
        unfinished: Listings not begun, or not read to their end.
        running: True if a process is reading them now.
    """

    complete: int = 0
    capped: int = 0
    shifted: int = 0
    failed: int = 0
    unfinished: int = 0
    running: bool = False

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
            return "empty"
        if self.running and self.unfinished:
            return "running"
        if self.failed or self.unfinished:
            return "incomplete"
        if self.capped:
            return "capped"
        return "shifted" if self.shifted else "complete"

    def sentence(self, notes: Mapping[Kind, str]) -> str:
        """Return the verdict as one line.

        Args:
            notes: Verdict -> what follows from it for the user, as whole sentences.
        """
        return f"{self}. {notes.get(self.kind, '')}".rstrip()

    def __str__(self) -> str:
        """Return the verdict as the beginning of a sentence, without an end."""
        total = quantity(self.listings, "listing")
        ended = f"{self.finished:,} of {total} finished, {self.failed:,} failed"
        shifted = f"{self.shifted:,} {SHIFTED}"
        match self.kind:
            case "empty":
                return "NOTHING TO SHOW: there are no listings"
            case "running":
                return f"NOT YET COMPLETE: {ended}, {self.unfinished:,} still to be read"
            case "incomplete":
                return f"NOT COMPLETE: {ended}, {self.unfinished:,} not finished"
            case "capped":
                capped = f"CAPPED: {self.complete:,} of {total} complete, {self.capped:,} capped"
                return f"{capped}, {shifted}" if self.shifted else capped
            case "shifted":
                return f"SHIFTED: {self.complete:,} of {total} complete, {shifted}"
            case "complete":
                return f"COMPLETE: {self.complete:,} of {total}"
