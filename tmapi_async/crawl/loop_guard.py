"""Watches one listing in page order: duplicates, and walks that never end. No I/O.

The order of a listing is a live ranking, so items repeat across pages; that is counted, and ends
nothing. A listing that brings nothing new for a run of pages, while it claims to go on, is not a
listing but a loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tmapi_async.api.items import Item
from tmapi_async.api.values import Reject


class GuardPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a listing counts as endless.

    Attributes:
        same: So many identical pages in a row.
        stale: So many pages in a row without an item ID, or an unreadable row, that is new to the
            listing.
    """

    same: int = 3
    stale: int = 10


class LoopGuard:
    """What a listing has shown so far. Holds its item IDs: keep it for open listings only.

    Args:
        policy: When the listing counts as endless.
        seen: Item IDs known from pages walked before (a resumed listing).

    Attributes:
        unique: Distinct item IDs seen.
        duplicates: Items whose ID had been seen before in this listing.
    """

    __slots__ = ("_last", "_policy", "_same", "_seen", "_stale", "_unread", "duplicates")

    def __init__(self, policy: GuardPolicy, seen: Iterable[int] = ()) -> None:
        self._policy = policy
        self._seen = set(seen)
        self._unread: set[int] = set()
        self._last: list[int] = []
        self._same = 1
        self._stale = 0
        self.duplicates = 0

    @property
    def unique(self) -> int:
        """Distinct item IDs seen."""
        return len(self._seen)

    def see(self, items: list[Item], rejects: Sequence[Reject] = ()) -> list[Item]:
        """Take in the next page of the listing.

        Args:
            items: The page's items.
            rejects: Its rows that could not be decoded.

        Returns:
            The items whose ID is new to the listing, in order; a repeat within the page counts
            as seen.
        """
        ids = [item.item_id for item in items]
        seen = self._seen
        before = len(seen)
        if seen.isdisjoint(ids) and len(set(ids)) == len(ids):
            seen.update(ids)
            fresh = items
        else:
            fresh = []
            for item in items:
                if item.item_id not in seen:
                    seen.add(item.item_id)
                    fresh.append(item)
        self.duplicates += len(items) - len(fresh)
        new = len(seen) > before
        if rejects:
            # An unreadable row may be a new one, but not when the same bytes come again.
            unread = [hash(reject.raw) for reject in rejects]
            new = new or not self._unread.issuperset(unread)
            self._unread.update(unread)
            ids += unread
        self._same = self._same + 1 if ids == self._last else 1
        self._stale = 0 if new else self._stale + 1
        self._last = ids
        return fresh

    @property
    def endless(self) -> str | None:
        """Why the listing counts as endless, if it says that it goes on; else None."""
        if self._last and self._same >= self._policy.same:
            return f"the same page came {self._same} times in a row"
        if self._stale >= self._policy.stale:
            return f"{self._stale} pages in a row brought no new item"
        return None
