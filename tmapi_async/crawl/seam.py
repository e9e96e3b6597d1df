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

from .verdict import SHIFTED

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
            ones before them.
    """

    pages: tuple[int, ...]
    rows: Mapping[int, Sequence[int]]


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
    previous = 0
    for number in numbers:
        if number > previous + 1:  # pages are missing between the two
            pages.append(previous or number)
        previous = number
    if stored_pages[previous]:
        pages.append(previous)
    if not pages:
        return None
    near = {
        number: rows.get(number, ())
        for number in numbers
        if any(page - MOST_PAGES_BACK <= number <= page for page in pages)
    }
    return Seam(tuple(dict.fromkeys(reversed(pages))), near)


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
    seam: Seam, number: int, ids: Sequence[int], stored_ids: Container[int], surplus: int = 0
) -> PageComparison:
    """Compare a page that was requested once more with the stored rows.

    Args:
        seam: The seam.
        number: Number of the page.
        ids: IDs of its rows (`Page.row_ids`).
        stored_ids: Item IDs of all stored rows of the listing.
        surplus: Rows that the page shows in addition to its own: adverts.
    """
    places = _places(seam, number)
    new = sum(item > 0 and item not in stored_ids for item in ids)
    slides: list[int] = []  # of each known row
    rank = unexplained = pending = far = 0
    for item in ids:
        place = places.get(item)
        if place is not None:
            slides.append(place - rank)
            rank += 1
            unexplained, pending = unexplained + pending, 0
        elif item < 0:
            pass  # another reject: nobody can say if the row is new
        elif item not in stored_ids:
            pending += 1  # a new row is explained if no known row follows
        elif item not in _adverts(seam):
            far += 1
    if len(slides) + far <= surplus:
        return PageComparison(known=False, new=new)
    slides.sort()
    lowest = slides[min(_OUTLIERS, len(slides) - 1)] if slides else 0
    came = max(0, -lowest)
    if far > _OUTLIERS or unexplained > _OUTLIERS:
        came = max(came, far, unexplained)
    usual = Counter(slides).most_common(1)[0][0] if slides else 0
    return PageComparison(known=True, new=new, left=max(0, usual), came=came)


def _adverts(seam: Seam) -> set[int]:
    """Return the items that several stored pages show: their places tell nothing."""
    times = Counter(item for ids in seam.rows.values() for item in set(ids))
    return {item for item, count in times.items() if count > 1}


def _places(seam: Seam, number: int) -> dict[int, int]:
    """Return the places of stored rows, counted from the first row of a page."""
    adverts = _adverts(seam)
    own = {page: [item for item in ids if item not in adverts] for page, ids in seam.rows.items()}
    places: dict[int, int] = {}
    before = after = 0
    for page in sorted((page for page in own if page < number), reverse=True):
        before -= len(own[page])
        places |= {item: before + index for index, item in enumerate(own[page])}
    for page in sorted(page for page in own if page >= number):
        places |= {item: after + index for index, item in enumerate(own[page])}
        after += len(own[page])
    return places


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


class SeamWalk:
    """Requests at the seam of one listing, one after the other.

    Args:
        seam: The seam.

    Attributes:
        number: Number of the page to request next.
    """

    __slots__ = ("_back", "_first", "_others", "_seam", "number")

    def __init__(self, seam: Seam) -> None:
        self._seam = seam
        self.number, *self._others = seam.pages
        self._first = self.number  # the page at which a chain of pages, one before the other, began
        self._back = 0

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
        comparison = compare(self._seam, request.number, ids, stored_ids, surplus)
        shifted = self._shifted(comparison)
        last = shifted is not None or not self._choose_next(comparison)
        return Look(request, page, comparison.new, comparison.left, comparison.came, shifted, last)

    def _shifted(self, comparison: PageComparison) -> str | None:
        if self.number == 1:
            return None  # no row can have come before it, and the rows on it are read now
        if comparison.came:
            rows = "1 row" if comparison.came == 1 else f"{comparison.came} rows"
            return f"{SHIFTED}: at least {rows} came before the end of page {self.number} meanwhile"
        if not comparison.known and self._back == MOST_PAGES_BACK:
            return f"{SHIFTED}: page {self._first} and the pages before it show other rows now"
        return None

    def _choose_next(self, comparison: PageComparison) -> bool:
        """Choose the next page. Return False if there is none."""
        earlier = [page for page in self._seam.rows if page < self.number]
        if not comparison.known and earlier:
            self._back += 1
            self.number = max(earlier)
            return True
        others = [page for page in self._others if page < self.number]
        if not others or not (comparison.left or self._back):
            return False
        self.number, *self._others = others
        self._first, self._back = self.number, 0
        return True
