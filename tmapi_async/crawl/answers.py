"""Answers of the frontier to events, and its counts. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

FrontierEnding = Literal["complete", "capped", "failed"]
"""End of a walk: stated by the server, at `max_pages` with more to come, or with a hole."""


class Answer(msgspec.Struct, frozen=True):
    """Consequences of one event.

    Attributes:
        deliver: Numbers of the pages that can be delivered now, in page order.
        wasted: True if the page just answered lies past the end of its listing.
        hold: True if the page just answered is unproven: nobody may see it before it is delivered.
        ended: Ending of the listing, reported exactly once; None while it goes on.
        past_end: Pages of the listing still in flight although the end is known to lie below them,
            reported once. They need no retry and may be cancelled and reclaimed; the listing ends
            when the last of them is answered, failed or reclaimed.
        holes: Numbers of the pages that `failed` and were needed, each reported once, as soon as
            all pages before it are settled. A failed page that is not reported was not needed.
        unproven: Numbers of the pages held back that are unproven at the end of their listing, in
            page order, reported with the ending. Those that repeat rows only are wasted.
    """

    deliver: tuple[int, ...] = ()
    wasted: bool = False
    ended: FrontierEnding | None = None
    past_end: tuple[int, ...] = ()
    holes: tuple[int, ...] = ()
    hold: bool = False
    unproven: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FrontierStatistics:
    """Counts at one moment, of pages unless said otherwise.

    Attributes:
        open: Listings begun and not ended.
        new: Listings waiting to be begun.
        in_flight: Pages taken and neither answered, failed nor reclaimed.
        guesses_in_flight: Guesses in flight: pages that are not known to exist.
        requested: Pages taken so far; a page that was reclaimed and taken again counts twice.
        answered: Pages answered, the wasted ones included.
        failed: Pages that failed for good.
        reclaimed: Pages taken and reclaimed.
        wasted: Pages answered past the end of their listing, guesses that brought nothing new, and
            guesses that were reclaimed.
        guesses: Guesses taken so far.
        allowance: Number of pages that may be wasted, given the pages taken so far.
    """

    open: int
    new: int
    in_flight: int
    guesses_in_flight: int
    requested: int
    answered: int
    failed: int
    reclaimed: int
    wasted: int
    guesses: int
    allowance: int

    def __str__(self) -> str:
        return (
            f"{self.open} open, {self.new} new, {self.in_flight} in flight, "
            f"{self.requested} requested, {self.wasted} wasted"
        )
