"""Parts of a divided listing, and an index of the items that their pages have shown. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from math import ceil

from tmapi_async.api.listings import Listing

from .overlap import ADVERT_TIMES
from .price_bands import can_cut_at
from .queries import Observation, Row

MAX_GAP_MS = 60_000
"""Milliseconds without a page of either walk after which two walks count as interrupted."""

_ROUNDING_MS = 2
"""Milliseconds by which a page seems read after another was asked for, although it was read before:
times of journals are whole milliseconds. The API had read it for as long as it took to come."""


class Part:
    """One listing that is requested while another one is divided.

    Attributes:
        listing: Listing to request.
        first_page: First page, or None before it has come.
        walk_if_fits: True if the part is to be walked as soon as its first page shows that it fits.
        full_walk: True if the part is walked to its end, not only asked for its first page.
        ending: Ending of the walk, or None if it has not ended.
        error: Reason of a failure, or "".
        page_limit: Page at which the walk pauses, or None.
        paused: True while the walk pauses.
        pages: Numbers of the pages seen.
        rejects: Rows that could not be decoded.
        reason: Reason why the first of them could not be decoded, or "".
        ids: Distinct items, until the piece of the part has been settled.
        foreign: Items outside the requested prices, usually adverts; kept as long as `ids`.
        keep_ids: True if `ids` are kept for good: a later division may count them too.
    """

    __slots__ = (
        "_asked_at",
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
        "page_limit",
        "pages",
        "paused",
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
        self.page_limit: int | None = None
        self.paused = False
        self.pages: set[int] = set()
        self.rejects = 0
        self.ids: set[int] = set()
        self.foreign: set[int] = set()
        params = dict(listing.params)
        self._low = Decimal(params.get("price_start") or "-Infinity")
        self._high = Decimal(params.get("price_end") or "Infinity")
        self._ids_by_page: dict[int, tuple[int, ...]] = {}
        self._asked_at: dict[int, int] = {}
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
        self._asked_at[page.number], self._read_at[page.number] = page.asked, page.at

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

    def set_pause(self, page_size: int) -> None:
        """Let the walk pause before its last page, if the total says that there are three pages."""
        limit = ceil(self.total / page_size) - 1
        if limit > 1:
            self.page_limit = limit

    def covers_rest_of(self, other: Part) -> bool:
        """Return True if this walk showed all that `other` may have read after its end.

        A walk ends for this purpose with the page of the highest number, which may have been read
        as early as it was asked for. A row that moves later, from what `other` had not read to what
        this walk had read, is shown by neither. It pushes the last row of this walk to where
        `other` reads it, as if that row had always been there.
        """
        end = self._asked_at[max(self._asked_at)] if self._asked_at else 0
        early_items: set[int] = set()
        late_items: set[int] = set()
        for number, page in other._ids_by_page.items():
            is_late = end and other._read_at[number] > end + _ROUNDING_MS
            (late_items if is_late else early_items).update(page)
        # An advert is shown on early pages, too.
        return late_items - early_items - other.foreign <= self.ids

    @property
    def times(self) -> list[tuple[int, int]]:
        """Times at which each page was asked for and read; both the same if one is unknown."""
        return [(self._asked_at[number] or at, at) for number, at in self._read_at.items()]

    def was_interrupted_with(self, other: Part) -> bool:
        """Return True if for some time no page of either walk was asked for or read.

        Rows that leave a listing, or that move twice, leave no trace in two walks. In the minute
        that walks take side by side that is rare, in the hours between two starts it is not.
        """
        latest = 0
        for asked_at, read_at in sorted([*self.times, *other.times]):
            if latest and asked_at - latest > MAX_GAP_MS:
                return True
            latest = max(latest, read_at)
        return False

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
        self._ids_by_page, self._asked_at, self._read_at = {}, {}, {}
        self.foreign = set()
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
