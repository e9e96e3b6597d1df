"""Items of one visit of each listing, and those that two visits do not show alike. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec

_ITEM_ID = attrgetter("item_id")


class ListingItems(msgspec.Struct):
    """Items of a listing.

    Attributes:
        cat_id: Category of the listing, or None if it has none.
        items: Item ID -> the item as it was decoded from its latest sighting.
        alike: Number of other items, which the visits of both sides sent alike.
    """

    cat_id: int | None
    items: dict[int, Any] = {}
    alike: int = 0


class Sightings:
    """Latest sightings of the items of some listings, in one visit of each.

    Attributes:
        listings: Identity of a listing -> its items.
    """

    def __init__(self) -> None:
        self.listings: dict[str, ListingItems] = {}

    def add(self, identity: str, cat_id: int | None, items: Sequence[Any], alike: int = 0) -> None:
        """Add the items of a page. Add pages in the order of their commits.

        Args:
            identity: Identity of the listing.
            cat_id: Its category.
            items: The items.
            alike: Number of other items of the page, which the other side has too, sent alike.
        """
        listing = self.listings.get(identity)
        if listing is None:
            listing = self.listings[identity] = ListingItems(cat_id)
        listing.alike += alike
        listing.items.update(zip(map(_ITEM_ID, items), items, strict=True))


class ItemRows(msgspec.Struct):
    """Items of several listings, one behind the other.

    Attributes:
        listings: Identity of the listing of each item.
        cat_ids: Its category.
        item_ids: Its ID.
        before: Each item as the earlier visit shows it; empty if that visit has none of them.
        after: Each item as the later visit shows it; empty if that visit has none of them.
    """

    listings: list[str] = []
    cat_ids: list[int | None] = []
    item_ids: list[int] = []
    before: list[Any] = []
    after: list[Any] = []

    def __len__(self) -> int:
        return len(self.listings)

    def add(self, identity: str, cat_id: int | None, item_ids: Collection[int]) -> None:
        """Add the listing and the IDs of some items."""
        self.listings += [identity] * len(item_ids)
        self.cat_ids += [cat_id] * len(item_ids)
        self.item_ids += item_ids


class ItemPairs:
    """Items that two visits do not show alike.

    An item that was sent alike has not changed, so that none of its values has to be read.

    Args:
        before: Sightings of the earlier visits.
        after: Sightings of the later visits.
        complete_before: Identities of the listings that the earlier visit read completely.
        complete_both: Identities of the listings that both visits read completely.

    Attributes:
        both: Items of both visits of which anything is different.
        new: Items of the later visit only.
        gone: Items of the earlier visit only.
        unsure: Number of items of one visit only that count neither as new nor as gone.
    """

    def __init__(
        self,
        before: Sightings,
        after: Sightings,
        complete_before: Collection[str],
        complete_both: Collection[str],
    ) -> None:
        self.both, self.new, self.gone, self.unsure = ItemRows(), ItemRows(), ItemRows(), 0
        for identity in before.listings.keys() | after.listings.keys():
            old = before.listings.get(identity) or ListingItems(None)
            new = after.listings.get(identity) or ListingItems(old.cat_id)
            self._add_both(identity, old.items, new)
            added = new.items.keys() - old.items.keys()
            removed = old.items.keys() - new.items.keys()
            if identity in complete_before:
                self.new.add(identity, new.cat_id, added)
                self.new.after += map(new.items.__getitem__, added)
            else:
                self.unsure += len(added)
            if identity in complete_both:
                self.gone.add(identity, new.cat_id, removed)
                self.gone.before += map(old.items.__getitem__, removed)
            else:
                self.unsure += len(removed)

    def _add_both(self, identity: str, old: dict[int, Any], new: ListingItems) -> None:
        earlier = old.get
        changed = [
            item_id
            for item_id, item in new.items.items()
            if (old_item := earlier(item_id, item)) is not item and old_item != item
        ]
        self.both.add(identity, new.cat_id, changed)
        self.both.before += map(old.__getitem__, changed)
        self.both.after += map(new.items.__getitem__, changed)


def numbers_of_items(sightings: Sightings) -> Iterator[tuple[str, int]]:
    """Yield the group of each listing, its category or else the listing itself, and its size."""
    for identity, listing in sightings.listings.items():
        group = identity if listing.cat_id is None else str(listing.cat_id)
        yield group, len(listing.items) + listing.alike
