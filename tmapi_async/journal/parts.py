"""Fold the visits of parts into the visit of the listing that was divided."""

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

    A listing whose division has not ended gets the sums of its parts so far.

    Args:
        visits: Visits of a run, parts included, in the order of the listings.
        parts: The same visits again, read before `visits`; empty where nothing was divided.
        divisions: Outcomes of the divisions that have ended.
        distinct: Returns the number of distinct items of several visits together.
    """
    finished = {division.root: division for division in divisions}
    parts_of: dict[int, list[VisitInfo]] = {}
    for visit in parts:
        if visit.root is not None:
            parts_of.setdefault(visit.root, []).append(visit)
    for visit in visits:
        if visit.root is not None:
            continue
        own_parts, division = parts_of.get(visit.id, []), finished.get(visit.id)
        if division is not None:
            yield _divided(visit, division, len(own_parts))
        elif own_parts:
            yield _sum_so_far(visit, own_parts, distinct)
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


def _sum_so_far(
    visit: VisitInfo, parts: Iterable[VisitInfo], distinct: Callable[[Iterable[VisitInfo]], int]
) -> VisitInfo:
    visits = [visit, *parts]
    return msgspec.structs.replace(
        visit,
        pages=sum(part.pages for part in visits),
        items=sum(part.items for part in visits),
        unique_items=distinct(visits),
        rejects=sum(part.rejects for part in visits),
        parts=len(visits) - 1,
    )
