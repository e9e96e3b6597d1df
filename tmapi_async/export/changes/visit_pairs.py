"""Choice of the two visits of each listing that are compared. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from tmapi_async.export.selection import is_whole
from tmapi_async.journal.views import VisitInfo

Worth: TypeAlias = Literal[0, 1, 2]
"""Worth of a visit as a proof: 2 walked to the end, every row decoded; 1 finished; 0 neither."""


class PairedVisit(msgspec.Struct, frozen=True, gc=False):
    """A visit that can be compared.

    Attributes:
        id: Number of the visit.
        run: Number of its run.
        worth: Worth of the visit as a proof.
    """

    id: int
    run: int
    worth: Worth

    @property
    def whole(self) -> bool:
        """True if the visit was walked to its end, and every row was decoded."""
        return self.worth == 2  # noqa: PLR2004 - see `Worth`


class VisitPairs(msgspec.Struct, frozen=True):
    """The visits to compare.

    Attributes:
        pairs: Identity of a listing -> its earlier and its later visit.
        once: Number of listings that have one visit with pages only.
        skipped: Number of listings in `pairs` with a visit after the later one, which was not
            walked to its end.
    """

    pairs: dict[str, tuple[PairedVisit, PairedVisit]]
    once: int = 0
    skipped: int = 0

    @property
    def partial(self) -> int:
        """Number of listings of which at least one of the two visits was not walked to its end."""
        return sum(not (before.whole and after.whole) for before, after in self.pairs.values())

    def runs(self, side: Literal[0, 1]) -> tuple[int, ...]:
        """Return the runs of the earlier visits (0) or of the later ones (1), in order."""
        return tuple(sorted({pair[side].run for pair in self.pairs.values()}))


def pair_visits(visits: Iterable[VisitInfo]) -> VisitPairs:
    """Choose the last two visits of each listing that were walked to the end.

    If a listing has no two such visits, its last two finished ones are taken (also capped or
    shifted), and otherwise its last two visits with pages: they show changed prices, but prove
    nothing about items that one of them lacks.

    Args:
        visits: Visits of any runs, runs in their order; parts folded into their listings.
    """
    by_listing: dict[str, list[PairedVisit]] = {}
    for visit in visits:
        if visit.pages:
            paired = PairedVisit(visit.id, visit.run, _worth(visit))
            by_listing.setdefault(visit.listing.identity, []).append(paired)
    pairs = {}
    skipped = 0
    for name, candidates in by_listing.items():
        pair = _last_two(candidates)
        if pair is not None:
            pairs[name] = pair
            skipped += pair[1] is not candidates[-1]
    return VisitPairs(pairs, len(by_listing) - len(pairs), skipped)


def _worth(visit: VisitInfo) -> Worth:
    if is_whole(visit):
        return 2
    return 1 if visit.state in ("complete", "capped", "shifted") else 0


def _last_two(candidates: list[PairedVisit]) -> tuple[PairedVisit, PairedVisit] | None:
    for least in (2, 1, 0):
        chosen = [visit for visit in candidates if visit.worth >= least]
        if len(chosen) > 1:
            return chosen[-2], chosen[-1]
    return None
