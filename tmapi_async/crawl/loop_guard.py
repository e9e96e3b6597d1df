"""Detection of duplicates, and of listings that never end, in one listing. No I/O.

The order of a listing is a live ranking, so items repeat across pages. Repeats are counted, and do
not end the walk. A listing that shows nothing new on several pages in a row, and says that a next
page exists, is a loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tmapi_async.api.items import Item
from tmapi_async.api.replies import Page
from tmapi_async.api.values import Reject
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.argument_checks import check_numbers


class GuardPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Limits beyond which a listing counts as endless.

    Attributes:
        same: Number of identical pages in a row at which the listing is given up as endless.
        stale: Number of pages in a row without an item ID, or an unreadable row, that is new to
            the listing, at which the listing is given up as endless.
    """

    same: int = 3
    stale: int = 10

    def __post_init__(self) -> None:
        check_numbers(self)
        if min(self.same, self.stale) < 1:
            raise InvalidRequestError("a guard policy needs at least 1 page, both same and stale")


class LoopGuard:
    """Compares each page of a listing with the pages before it.

    The guard holds all item IDs of the listing: keep it for open listings only.

    Args:
        policy: Limits beyond which the listing counts as endless.
        stored_ids: Item IDs on pages stored before (of a resumed listing).

    Attributes:
        duplicates: Number of items whose ID the listing had shown before.
        may_be_endless: False if `endless` gives no reason, as after a page of new rows alone.
    """

    __slots__ = (
        "_last", "_policy", "_same", "_seen", "_stale", "_unreadable", "duplicates",
        "may_be_endless",
    )  # fmt: skip

    def __init__(self, policy: GuardPolicy, stored_ids: Iterable[int] = ()) -> None:
        self._policy = policy
        self.may_be_endless = True
        self._seen = set(stored_ids)
        self._unreadable: set[int] = set()
        self._last: list[int] = []
        self._same = 1
        self._stale = 0
        self.duplicates = 0

    @property
    def unique(self) -> int:
        """Number of distinct item IDs seen."""
        return len(self._seen)

    def add_page(self, items: list[Item], rejects: Sequence[Reject] = ()) -> list[Item]:
        """Add the next page of the listing, in page order.

        Args:
            items: The page's items.
            rejects: Its rows that could not be decoded.

        Returns:
            The items whose ID is new to the listing, in order; a repeat within the page counts
            as seen.
        """
        ids = [item.row_id for item in items]
        seen_ids, before = self._seen, len(self._seen)
        if seen_ids.isdisjoint(ids):
            seen_ids.update(ids)
            if len(seen_ids) - before == len(ids):
                if ids and not rejects:
                    # The usual page. It differs from the page before: that one's rows were seen.
                    self._last = ids
                    if self.may_be_endless:
                        self._same, self._stale = 1, 0
                        self.may_be_endless = self._policy.same == 1
                    return items
                return self._compare(ids, items, rejects)
            seen_ids.difference_update(ids)  # an item is twice on the page
        new_items = []
        for item in items:
            if item.row_id not in seen_ids:
                seen_ids.add(item.row_id)
                new_items.append(item)
        self.duplicates += len(items) - len(new_items)
        return self._compare(ids, new_items, rejects)

    def _compare(
        self, ids: list[int], new_items: list[Item], rejects: Sequence[Reject]
    ) -> list[Item]:
        """Compare a page with the page before; return its new items."""
        has_new = bool(new_items)
        self.may_be_endless = True
        if rejects:
            # An unreadable row may be a new one, but not when the same bytes come again.
            unreadable = [hash(reject.raw) for reject in rejects]
            has_new = has_new or not self._unreadable.issuperset(unreadable)
            self._unreadable.update(unreadable)
            ids += unreadable
        self._same = self._same + 1 if ids == self._last else 1
        self._stale = 0 if has_new else self._stale + 1
        self._last = ids
        return new_items

    def has_shown(self, page: Page) -> bool:
        """Return True if the pages added so far hold every row of a page."""
        return self._seen.issuperset(item.row_id for item in page.items) and (
            self._unreadable.issuperset(hash(reject.raw) for reject in page.rejects)
        )

    def __contains__(self, item_id: object) -> bool:
        """Return True if the listing has shown an item."""
        return item_id in self._seen

    def mark_seen(self, items: Iterable[Item]) -> None:
        """Note items that a page out of the order of the listing has shown."""
        self._seen.update(item.row_id for item in items)

    @property
    def endless(self) -> str | None:
        """Reason to treat the listing as endless, or None."""
        if self._last and self._same >= self._policy.same:
            return f"the same page came {self._same} times in a row"
        if self._stale >= self._policy.stale:
            return f"{self._stale} pages in a row brought no new item"
        return None
