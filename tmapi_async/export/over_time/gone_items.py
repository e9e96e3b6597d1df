"""Listings of an export that prove which items are gone. No I/O but the reading of the journal.

An item is gone from a listing if the newest finished visit of the listing does not show it. Only a
visit that was walked to the end, with every row decoded, proves that; and only if its rows are all
in the export.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from tmapi_async.export.selection import Scope, VisitMarks, is_whole
from tmapi_async.journal.reader import JournalReader


class WalkedListing(msgspec.Struct, frozen=True, gc=False):
    """A listing, or a part of a divided one, whose newest finished visit was walked to the end.

    Attributes:
        listing: Identity of the listing or part, as in the rows.
        family: Identity of the divided listing; `listing` itself if it was not divided. An item is
            gone if no part shows it: parts change from visit to visit.
        run: Run of the visit: the rows of this run are all that the visit shows.
        ended_at: Time when the visit ended.
    """

    listing: str
    family: str
    run: int
    ended_at: datetime


def walked_listings(reader: JournalReader, scope: Scope) -> list[WalkedListing]:
    """Return the listings of which the exported rows prove what is gone.

    Args:
        reader: The journal.
        scope: Exported pages.
    """
    newest = VisitMarks()
    for listing in reader.listing_visits():
        newest.add(listing.best)
    walked = {}
    for visit in reader.listings(scope.run.id if scope.run else 0):
        if visit.id in newest and scope.covers(visit) and is_whole(visit) and visit.ended_at:
            ended_at = datetime.fromtimestamp(visit.ended_at, UTC)
            name = visit.listing.identity
            walked[name] = WalkedListing(name, name, visit.run, ended_at)
    roots = reader.roots() if walked else {}
    parts = [
        msgspec.structs.replace(walked[root], listing=part)
        for part, root in roots.items()
        if root in walked and part not in walked
    ]
    return [*walked.values(), *parts]
