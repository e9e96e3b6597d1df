"""The seam of a listing that is read in two sittings: what moved between them. No I/O.

The order of a listing is a live ranking. If rows leave it between two sittings, later rows slide
onto pages that were read before: the second sitting would never see them. If rows come, the rows
after them slide onto later pages, and those that came are not seen.

So the second sitting requests the last page before the missing ones once more, and compares its
rows with the stored rows. Their places tell how far the ranking has slid there. If rows have left,
this page shows the rows that slid onto it. If the ranking has slid by a page or more, the pages
before it are requested, too, until one shows a known row. If rows have come, nothing short of all
pages would show them: the listing is *shifted*, and is never called complete.

The places tell the balance only: a row that left and one that came before the seam are not noticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence

import msgspec

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.summaries.verdict import SHIFTED

MOST_PAGES_BACK = 5
"""Pages before a seam that are requested until one shows a known row. Each may be paid for."""

OLDEST_PAGE = 60.0
"""Seconds for which a cache in between may have kept a page that is compared."""

_OUTLIERS = 1  # rows of a page that may have moved by themselves


class Seam(msgspec.Struct, frozen=True):
    """The stored pages at which missing ones begin.

    Attributes:
        pages: Numbers of the pages to request once more: the last one first, the others only if the
            last one shows that rows have left.
        rows: Number of a stored page -> IDs of its rows (`Page.row_ids`), for these pages and the
            ones around them.
        last: Number of the last stored page.
    """

    pages: tuple[int, ...]
    rows: Mapping[int, Sequence[int]]
    last: int


def find_seam(stored_pages: Mapping[int, bool], rows: Mapping[int, Sequence[int]]) -> Seam | None:
    """Find the seam of a listing. Return None if no page is stored, or if none is missing.

    Args:
        stored_pages: Numbers of the stored pages, with their `has_next_page`.
        rows: IDs of the rows of each stored page (`Page.row_ids`).
    """
    numbers = sorted(stored_pages)
    if not numbers:
        return None
    pages: list[int] = []
    previous = after_gap = 0
    for number in numbers:
        if number > previous + 1:  # pages are missing between the two
            pages.append(previous or number)
            after_gap = number
        previous = number
    if not (stored_pages[previous] or pages):
        return None
    # Rows that come push others onto the page after a gap. At an open end, all is read behind it.
    pages.append(previous if stored_pages[previous] else after_gap)
    near = {
        number: rows.get(number, ())
        for number in numbers
        if any(abs(number - page) <= MOST_PAGES_BACK for page in pages)
    }
    return Seam(tuple(dict.fromkeys(reversed(pages))), near, previous)


class PageComparison(msgspec.Struct, frozen=True):
    """PageComparison of a page with the stored rows.

    Attributes:
        known: True if the page shows a stored row that tells how far the ranking has slid.
        new: Number of rows that are not stored.
        left: Rows by which the ranking has slid towards the start at this page, on balance.
        came: Rows by which it has slid towards the end before or on this page, on balance.
    """

    known: bool
    new: int
    left: int = 0
    came: int = 0


def compare(
    seam: Seam,
    number: int,
    ids: Sequence[int],
    stored_ids: Container[int],
    *,
    first: int | None = None,
    surplus: int = 0,
) -> PageComparison:
    """Compare a page that was requested once more with the stored rows.

    Args:
        seam: The seam.
        number: Number of the page.
        ids: IDs of its rows (`Page.row_ids`).
        stored_ids: Item IDs of all stored rows of the listing.
        first: Page of the seam from which the pages are searched, one before the other; by default
            `number`. Rows of pages after it tell nothing: they may lie behind missing rows.
        surplus: Rows that the page shows in addition to its own: adverts.
    """
    places, silent = _places(seam, number, first or number)
    new = sum(item > 0 and item not in stored_ids for item in ids)
    slides: list[int] = []  # of each known row
    unexplained = pending = far = index = 0
    for item in ids:
        if item in silent:
            continue
        place = places.get(item)
        if place is not None:
            slides.append(place - index)
            unexplained, pending = unexplained + pending, 0
        elif item > 0 and item not in stored_ids:
            pending += 1  # a new row is explained if no known row follows
        elif item > 0:
            far += 1
        index += 1
    if len(slides) + far <= surplus:
        return PageComparison(known=False, new=new)
    slides.sort()
    lowest = slides[min(_OUTLIERS, len(slides) - 1)] if slides else 0
    came = max(0, -lowest)
    if far > _OUTLIERS or unexplained > _OUTLIERS:
        came = max(came, far, unexplained)
    usual = Counter(slides).most_common(1)[0][0] if slides else 0
    return PageComparison(known=True, new=new, left=max(0, usual), came=came)


def _places(seam: Seam, number: int, first: int) -> tuple[dict[int, int], set[int]]:
    """Return the places of stored rows, counted from the start of a page, and rows without one.

    Items that several stored pages show (adverts), and rows of pages after `first`, have no place.
    """
    times = Counter(item for ids in seam.rows.values() for item in set(ids))
    silent = {item for item, count in times.items() if count > 1}
    own = {page: [item for item in ids if item not in silent] for page, ids in seam.rows.items()}
    size = max(map(len, own.values()), default=0)  # of a page that is missing between two others
    places: dict[int, int] = {}
    before = after = 0
    for page in range(number - 1, min(own, default=number) - 1, -1):
        before -= len(own[page]) if page in own else size
        places |= {item: before + index for index, item in enumerate(own.get(page, ()))}
    for page in range(number, first + 1):
        places |= {item: after + index for index, item in enumerate(own.get(page, ()))}
        after += len(own[page]) if page in own else size
    later = {item for page, ids in own.items() if page > first for item in ids}
    return places, silent | later


class Look(msgspec.Struct, frozen=True):
    """Result of requesting one stored page once more.

    Attributes:
        request: The page request.
        page: The page, or None if the request failed.
        new: Number of its rows that the listing has not shown before.
        left: Rows by which the ranking has slid towards the start, on balance.
        came: Rows by which the ranking has slid towards the end, on balance.
        shifted: Text that says why rows may be missing, or None.
        last: True if no other page of the listing is requested once more.
    """

    request: PageRequest
    page: Page | None
    new: int = 0
    left: int = 0
    came: int = 0
    shifted: str | None = None
    last: bool = True


class _PageLooked(msgspec.Struct, frozen=True):
    """A page that was requested once more: the IDs of its rows, and its number of adverts."""

    ids: list[int]
    surplus: int


class _StoredBefore:
    """Item IDs of the listing without those that were first seen at its seam."""

    def __init__(self, stored_ids: Container[int], fresh: Container[int]) -> None:
        self._stored_ids, self._fresh = stored_ids, fresh

    def __contains__(self, item: object) -> bool:
        return item in self._stored_ids and item not in self._fresh


class SeamWalk:
    """Requests at the seam of one listing, one after the other.

    Args:
        seam: The seam.

    Attributes:
        number: Number of the page to request next.
    """

    __slots__ = ("_back", "_first", "_fresh", "_looked", "_others", "_seam", "number")

    def __init__(self, seam: Seam) -> None:
        self._seam = seam
        self._first, *self._others = seam.pages
        self.number = self._first
        self._back = 0  # pages before `_first` that have been looked at
        self._looked: dict[int, _PageLooked] = {}
        self._fresh: set[int] = set()

    def add(self, request: PageRequest, page: Page | None, stored_ids: Container[int]) -> Look:
        """Take in the page that was requested, or None if the request failed.

        Args:
            request: The request.
            page: The page.
            stored_ids: Item IDs of all stored rows of the listing.
        """
        if page is None or page.age > OLDEST_PAGE:
            text = f"{SHIFTED}: page {request.number} could not be compared with the first sitting"
            return Look(request, None, shifted=text)
        ids = page.row_ids()
        surplus = max(0, len(ids) - page.page_size) if page.page_size else 0
        self._looked[request.number] = _PageLooked(ids, surplus)
        new = {item for item in ids if item > 0 and item not in stored_ids}
        self._fresh |= new
        comparison = self._compare(stored_ids)
        shifted, last = self._proceed(comparison, stored_ids)
        return Look(request, page, len(new), comparison.left, comparison.came, shifted, last)

    def _compare(self, stored_ids: Container[int]) -> PageComparison:
        looked = self._looked[self.number]
        return compare(
            self._seam,
            self.number,
            looked.ids,
            _StoredBefore(stored_ids, self._fresh),
            first=self._first,
            surplus=looked.surplus,
        )

    def _proceed(
        self, comparison: PageComparison, stored_ids: Container[int]
    ) -> tuple[str | None, bool]:
        """Choose the next page. Return why rows may be missing, and True if there is no next."""
        shifted = self._shifted(comparison)
        while shifted is None and self._choose_next(comparison):
            if self.number not in self._looked:
                return None, False
            comparison = self._compare(stored_ids)
            shifted = self._shifted(comparison)
        return shifted, True

    def _shifted(self, comparison: PageComparison) -> str | None:
        if self._seam.last == 1:
            return None  # no row can have come before it, and all others are read now
        if comparison.came:
            rows = quantity(comparison.came, "row")
            return f"{SHIFTED}: at least {rows} came before the end of page {self.number} meanwhile"
        is_end = self._back == MOST_PAGES_BACK or self.number == min(self._seam.rows)
        # The last known rows before unknown pages have not slid: rows may have come in between.
        is_torn = self._back > 0 and comparison.known and not comparison.left
        if is_torn or (not comparison.known and is_end):
            return f"{SHIFTED}: page {self._first} and the pages before it show other rows now"
        return None

    def _choose_next(self, comparison: PageComparison) -> bool:
        """Choose the next page. Return False if there is none."""
        earlier = [page for page in self._seam.rows if page < self.number]
        if not comparison.known and earlier:
            self._back += 1
            self.number = max(earlier)
            return True
        if not self._others or not (comparison.left or self._back):
            return False
        self._first, *self._others = self._others
        self.number, self._back = self._first, 0
        return True
