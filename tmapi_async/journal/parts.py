"""Listings as they were asked for: one that was divided stands for all its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from .views import Division, VisitInfo


def fold_parts(
    visits: Iterable[VisitInfo],
    parts: Iterable[VisitInfo],
    divisions: Iterable[Division],
    distinct: Callable[[Iterable[VisitInfo]], int],
) -> Iterator[VisitInfo]:
    """Fold the visits of parts into the visits of the listings that were divided.

    A listing whose division has not ended gets the figures of its parts so far.

    Args:
        visits: Visits of a run, parts included, in the order of the listings.
        parts: The same visits again, read before `visits`; empty where nothing was divided.
        divisions: Outcomes of the divisions that have ended.
        distinct: Counts the distinct items that several visits hold together.
    """
    ended = {division.root: division for division in divisions}
    parts_of: dict[int, list[VisitInfo]] = {}
    for visit in parts:
        if visit.root is not None:
            parts_of.setdefault(visit.root, []).append(visit)
    for visit in visits:
        if visit.root is not None:
            continue
        own, division = parts_of.get(visit.id, []), ended.get(visit.id)
        if division is not None:
            yield _divided(visit, division, len(own))
        elif own:
            yield _so_far(visit, own, distinct)
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


def _so_far(
    visit: VisitInfo, parts: Iterable[VisitInfo], distinct: Callable[[Iterable[VisitInfo]], int]
) -> VisitInfo:
    every = [visit, *parts]
    return msgspec.structs.replace(
        visit,
        pages=sum(one.pages for one in every),
        items=sum(one.items for one in every),
        unique_items=distinct(every),
        rejects=sum(one.rejects for one in every),
        parts=len(every) - 1,
    )
