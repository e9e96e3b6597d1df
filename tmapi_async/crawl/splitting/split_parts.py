"""What is known of the parts of a divided listing: who was seen where. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from tmapi_async.api.listings import Listing

from .price_bands import usable
from .queries import Observation, Row

END_TOLERANCE_MS = (
    2_000  # milliseconds that one of two walks may end after the other, whatever it shows
)


class Part:
    """One listing of the family.

    Attributes:
        listing: What is asked.
        first: Its first page, or None before it has come.
        wanted: It is to be walked if it fits.
        walked: It is to be walked to its end.
        ending: How its walk ended, or None.
        error: What failed it, or "".
        pages: Pages seen.
        rejects: Rows that could not be decoded.
        ids: Distinct items, until its piece has been settled.
        foreign: Items of prices that it does not ask for, until then: adverts, as a rule.
    """

    __slots__ = (
        "_at",
        "_gathered",
        "_high",
        "_low",
        "_order",
        "ending",
        "error",
        "first",
        "foreign",
        "ids",
        "listing",
        "pages",
        "rejects",
        "walked",
        "wanted",
    )

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.first: Observation | None = None
        self.wanted = self.walked = False
        self.ending: str | None = None
        self.error = ""
        self.pages: set[int] = set()
        self.rejects = 0
        self.ids: set[int] = set()
        self.foreign: set[int] = set()
        params = dict(listing.params)
        self._low = Decimal(params.get("price_start") or "-Infinity")
        self._high = Decimal(params.get("price_end") or "Infinity")
        self._order: dict[int, tuple[int, ...]] = {}
        self._at: dict[int, int] = {}
        self._gathered: list[set[int]] = []

    @property
    def total(self) -> int:
        """Rows that its first page promises; 0 while that is not known."""
        return (self.first.total if self.first else None) or 0

    @property
    def shown(self) -> frozenset[int]:
        """Items on its first page."""
        return self.first.ids if self.first else frozenset()

    @property
    def prices(self) -> list[Decimal]:
        """The prices of its first page that a band can be cut at, in its order."""
        rows = self.first.rows if self.first else ()
        return [price for _, price in rows if price is not None and usable(price)]

    def take(self, sight: Observation) -> bool:
        """Take in a page; False if it is known already."""
        if sight.number in self.pages:
            return False
        self.pages.add(sight.number)
        if sight.number == 1:
            self.first = sight
        self.rejects += sight.rejects
        own = {item for item, price in sight.rows if self._belongs(price)}
        for items in (self.ids, *self._gathered):
            items.update(own)
        self.foreign.update(item for item, price in sight.rows if not self._belongs(price))
        self._order[sight.number] = tuple(item for item, _ in sight.rows)
        self._at[sight.number] = sight.at
        return True

    def _belongs(self, price: Decimal | None) -> bool:
        """Whether a row counts towards the total: adverts are shown in addition, whatever is asked.

        Those that happen to be of the band cannot be told from its rows.
        """
        return price is None or self._low <= price <= self._high

    @property
    def items(self) -> set[int]:
        """Every item that its pages have shown, adverts from elsewhere too."""
        return self.ids | self.foreign

    def by_page(self) -> list[tuple[int, ...]]:
        """Its items by their pages, in order."""
        return [self._order[number] for number in sorted(self._order)]

    def ended_within(self, other: Part) -> bool:
        """Whether all that it showed long after another walk's end had been shown by that one.

        If not, a row may have slipped past both: from what neither had read to what one had.
        """
        end = max(other._at.values(), default=0) + END_TOLERANCE_MS
        late = {item for n, page in self._order.items() if self._at[n] > end for item in page}
        return late - self.foreign <= other.ids

    def share(self, items: set[int]) -> None:
        """Add its items to others, and from now on those of each page."""
        items |= self.ids
        self._gathered.append(items)

    def share_likewise(self, other: Part) -> None:
        """Let another part share its items with whom this one does."""
        for items in self._gathered:
            other.share(items)

    def forget(self) -> None:
        """Let go of its items."""
        self.ids, self._order, self._at, self.foreign = set(), {}, {}, set()


class PartCensus:
    """Every item of a family, and whether a walked part has shown it."""

    def __init__(self) -> None:
        self._seen: dict[int, bool] = {}
        self._unpriced: set[int] = set()

    def note(self, rows: Iterable[Row], *, walked: bool) -> None:
        """Take in the rows of a page."""
        for item, price in rows:
            self._seen[item] = walked or self._seen.get(item, False)
            if price is None:
                self._unpriced.add(item)

    def walked(self, items: Iterable[int]) -> None:
        """Of these items, seen before, it proves that their part is walked."""
        self._seen.update(dict.fromkeys(items, True))

    def __contains__(self, item: object) -> bool:
        return item in self._seen

    @property
    def distinct(self) -> int:
        """Distinct items."""
        return len(self._seen)

    @property
    def strays(self) -> int:
        """Items that no walked part has shown."""
        return sum(not walked for walked in self._seen.values())

    @property
    def unpriced(self) -> int:
        """Items that had no price."""
        return len(self._unpriced)
