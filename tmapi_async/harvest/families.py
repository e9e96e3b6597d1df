"""Listings as they were asked for: one that was divided stands for all its parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from .stored import Division, VisitInfo

if TYPE_CHECKING:
    from .reader import JournalReader


def folded(reader: JournalReader, run: int) -> Iterator[VisitInfo]:
    """The listings of a run (or, for 0, of all), parts folded into what they are parts of.

    A listing whose division has not ended has the figures of the parts so far.
    """
    divisions = {division.root: division for division in reader.divisions()}
    parts: dict[int, list[VisitInfo]] = {}
    for visit in reader.visits(run) if reader.has_parts else ():
        if visit.root is not None:
            parts.setdefault(visit.root, []).append(visit)
    for visit in reader.visits(run):
        if visit.root is not None:
            continue
        own, division = parts.get(visit.id, []), divisions.get(visit.id)
        if division is not None:
            yield _divided(visit, division, len(own))
        elif own:
            yield _so_far(reader, visit, own)
        else:
            yield visit


def _divided(visit: VisitInfo, division: Division, parts: int) -> VisitInfo:
    return msgspec.structs.replace(
        visit,
        pages=division.pages,
        items=division.items,
        unique_items=division.unique_items,
        rejects=division.rejects,
        parts=parts,
    )


def _so_far(reader: JournalReader, visit: VisitInfo, parts: Iterable[VisitInfo]) -> VisitInfo:
    every = [visit, *parts]
    return msgspec.structs.replace(
        visit,
        pages=sum(one.pages for one in every),
        items=sum(one.items for one in every),
        unique_items=reader.distinct(every),
        rejects=sum(one.rejects for one in every),
        parts=len(every) - 1,
    )
