"""Parts of a divided listing, and an index of the items that their pages have shown. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from tmapi_async.api.listings import Listing

from .overlap import ADVERT_TIMES
from .price_bands import can_cut_at
from .queries import Observation, Row

END_TOLERANCE_MS = 2_000
"""Milliseconds by which one of two walks may end after the other without a further check."""


class Part:
    """One listing that is requested while another one is divided.

    Attributes:
        listing: Listing to request.
        first_page: First page, or None before it has come.
        walk_if_fits: True if the part is to be walked as soon as its first page shows that it fits.
        full_walk: True if the part is walked to its end, not only asked for its first page.
        ending: Ending of the walk, or None if it has not ended.
        error: Reason of a failure, or "".
        pages: Numbers of the pages seen.
        rejects: Rows that could not be decoded.
        reason: Reason why the first of them could not be decoded, or "".
        ids: Distinct items, until the piece of the part has been settled.
        foreign: Items outside the requested prices, usually adverts; kept as long as `ids`.
        keep_ids: True if `ids` are kept for good: a later division may count them too.
    """

    __slots__ = (
        "_high",
        "_ids_by_page",
        "_low",
        "_read_at",
        "_shared_sets",
        "ending",
        "error",
        "first_page",
        "foreign",
        "full_walk",
        "ids",
        "keep_ids",
        "listing",
        "pages",
        "reason",
        "rejects",
        "walk_if_fits",
    )

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.first_page: Observation | None = None
        self.walk_if_fits = self.full_walk = self.keep_ids = False
        self.ending: str | None = None
        self.error = self.reason = ""
        self.pages: set[int] = set()
        self.rejects = 0
        self.ids: set[int] = set()
        self.foreign: set[int] = set()
        params = dict(listing.params)
        self._low = Decimal(params.get("price_start") or "-Infinity")
        self._high = Decimal(params.get("price_end") or "Infinity")
        self._ids_by_page: dict[int, tuple[int, ...]] = {}
        self._read_at: dict[int, int] = {}
        self._shared_sets: list[set[int]] = []

    @property
    def total(self) -> int:
        """Number of rows promised by the first page. 0 before it has come."""
        return (self.first_page.total if self.first_page else None) or 0

    @property
    def first_ids(self) -> frozenset[int]:
        """Items on the first page."""
        return self.first_page.ids if self.first_page else frozenset()

    @property
    def first_prices(self) -> list[Decimal]:
        """Prices of the first page at which a band can be cut, in page order."""
        rows = self.first_page.rows if self.first_page else ()
        return [price for _, price in rows if price is not None and can_cut_at(price)]

    def add_page(self, page: Observation) -> bool:
        """Add a page. Return False if the page is known already."""
        if page.number in self.pages and not page.again:
            return False
        if not page.again:
            self._add_place(page)
        self.rejects += page.rejects
        self.reason = self.reason or page.reason
        own_ids = {item for item, price in page.rows if self._in_band(price)}
        for items in (self.ids, *self._shared_sets):
            items.update(own_ids)
        self.foreign.update(item for item, price in page.rows if not self._in_band(price))
        return True

    def _add_place(self, page: Observation) -> None:
        self.pages.add(page.number)
        if page.number == 1:
            self.first_page = page
        self._ids_by_page[page.number] = tuple(item for item, _ in page.rows)
        self._read_at[page.number] = page.at

    def _in_band(self, price: Decimal | None) -> bool:
        """Return True if a row of this price counts towards the total.

        Adverts come in addition to the requested rows, with any price. An advert whose price is
        inside the band cannot be told from the rows of the band.
        """
        return price is None or self._low <= price <= self._high

    @property
    def all_ids(self) -> set[int]:
        """Every item on the pages of the part, adverts of other prices included."""
        return self.ids | self.foreign

    def ids_by_page(self) -> list[tuple[int, ...]]:
        """Return the items of each page, in page order."""
        return [self._ids_by_page[number] for number in sorted(self._ids_by_page)]

    def ended_within(self, other: Part) -> bool:
        """Return True if `other` had shown every item that this part showed long after its end.

        If not, a row may have moved past both walks: from the range that neither had read to a
        range that one of them had read.
        """
        end = max(other._read_at.values(), default=0) + END_TOLERANCE_MS
        late_items = {
            item
            for number, page in self._ids_by_page.items()
            if self._read_at[number] > end
            for item in page
        }
        return late_items - self.foreign <= other.ids

    def may_hide_a_loss(self, size: int) -> bool:
        """Return True if an advert may stand for a row that slipped past.

        Pages longer than `size` have adverts, and an advert of the right price counts as an item. A
        row that slips past pushes another one to a second page: it is shown twice.
        """
        # Adverts of other prices do not count, so they stand for nothing.
        pages = [
            [item for item in page if item not in self.foreign]
            for page in self._ids_by_page.values()
        ]
        if all(len(page) <= size for page in pages):
            return False
        times = Counter(item for page in pages for item in page)
        return any(1 < n < ADVERT_TIMES for n in times.values())

    def share_items(self, items: set[int]) -> None:
        """Add the part's items to `items`, those of later pages too."""
        items |= self.ids
        self._shared_sets.append(items)

    def share_equally(self, other: Part) -> None:
        """Let another part share its items with the same sets as this part."""
        for items in self._shared_sets:
            other.share_items(items)

    def release(self) -> None:
        """Free the memory of the items."""
        self._ids_by_page, self._read_at, self.foreign = {}, {}, set()
        if not self.keep_ids:
            self.ids = set()


class ItemIndex:
    """Every item of a divided listing, with a mark if a full walk has shown it."""

    def __init__(self) -> None:
        self._in_full_walk: dict[int, bool] = {}
        self._unpriced: set[int] = set()

    def add_rows(self, rows: Iterable[Row], *, full_walk: bool) -> None:
        """Add the rows of a page."""
        for item, price in rows:
            self._in_full_walk[item] = full_walk or self._in_full_walk.get(item, False)
            if price is None:
                self._unpriced.add(item)

    def mark_full_walk(self, items: Iterable[int]) -> None:
        """Mark items that were seen before: their part turns out to be walked to its end."""
        self._in_full_walk.update(dict.fromkeys(items, True))

    def __contains__(self, item: object) -> bool:
        return item in self._in_full_walk

    @property
    def distinct(self) -> int:
        """Number of distinct items."""
        return len(self._in_full_walk)

    @property
    def strays(self) -> int:
        """Number of items that no full walk has shown."""
        return sum(not full_walk for full_walk in self._in_full_walk.values())

    @property
    def unpriced(self) -> int:
        """Number of items without a price."""
        return len(self._unpriced)
