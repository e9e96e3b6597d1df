"""Items of stored pages, decoded as far as a comparison needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count, zip_longest
from operator import ne
from typing import Any

import msgspec

from tmapi_async.api.decoding import decoder, field_decoder
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.listings import Listing
from tmapi_async.export.chunks import decode_page
from tmapi_async.export.selection import FigureSums, Scope
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import StoredPage

from .item_values import COMPARED
from .sent_rows import SentRows


class VisitDifferences(msgspec.Struct):
    """Items that two visits of a listing did not send alike.

    Attributes:
        listings: The listing, for each visit that has a page of it; else None.
        items: Items of each visit that the other did not send alike, at the same place.
        alike: Number of items that both visits sent alike.
    """

    listings: list[Listing | None]
    items: tuple[list[Any], list[Any]]
    alike: int = 0


class ItemReader:
    """Reads the items of visits, with the columns of `COMPARED` at least.

    A page is decoded as soon as it is read, while it is in the processor's cache.

    Args:
        reader: The journal.
        endpoint: The endpoint of all visits, one that lists products.
    """

    def __init__(self, reader: JournalReader, endpoint: Endpoint) -> None:
        self._reader = reader
        self._decode = decoder(endpoint.name).decode
        self._fields = field_decoder(endpoint.name, COMPARED)
        self._sent = SentRows(endpoint)

    def pages(self, scope: Scope, visits: Iterable[int], ended: FigureSums) -> Iterator[StoredPage]:
        """Yield the pages of some visits in the order of their commits.

        Args:
            scope: The scope that the visits belong to.
            visits: The visits.
            ended: Figures of the ended visits among them, which this function adds to.

        Raises:
            JournalError: A page cannot be read.
        """
        for page in self._reader.pages_of(visits):
            if page.visit in scope.ended:
                ended.add(1, page.items + page.rejects)
            yield page

    def items(self, page: StoredPage) -> list[Any]:
        """Return the items of a page.

        Raises:
            BodyError: The page cannot be read.
        """
        items = None if self._fields is None or page.rejects else self._fields.decode(page.body)
        if items is None or len(items) != page.items:
            items, _ = decode_page(page, self._decode, self._reader)
        return items

    def differences(
        self, earlier: Iterator[StoredPage], later: Iterator[StoredPage]
    ) -> VisitDifferences:
        """Return the items that two visits of a listing did not send alike.

        A row with the same bytes at the same position of the same page has not changed, if each
        visit has no item twice: such rows are not decoded. Where a page has none, rows have moved,
        and the pages behind it are decoded whole.

        Args:
            earlier: Pages of the earlier visit.
            later: Pages of the later visit.

        Raises:
            JournalError: A page cannot be read.
        """
        found = VisitDifferences([None, None], ([], []))
        moved = False
        for pages in _side_by_side(earlier, later):
            old, new = pages
            if old is not None and new is not None and not moved:
                moved = not self._add_changed(found, old, new)
                if not moved:
                    continue
            for side, page in enumerate(pages):
                if page is not None:
                    found.listings[side] = page.listing
                    found.items[side].extend(self.items(page))
        return found

    def _add_changed(self, found: VisitDifferences, old: StoredPage, new: StoredPage) -> bool:
        """Add the differences of two pages. False if no row is alike, or one cannot be split."""
        old_rows, new_rows = self._split(old), self._split(new)
        common = min(len(old_rows), len(new_rows))
        changed = list(compress(count(), map(ne, old_rows, new_rows)))
        if len(changed) == common:
            return False
        old_places = [*changed, *range(common, len(old_rows))]
        new_places = [*changed, *range(common, len(new_rows))]
        rows = [*map(old_rows.__getitem__, old_places), *map(new_rows.__getitem__, new_places)]
        items = self._sent.decode(rows)
        if items is None:
            found.items[0].extend(self._some(old, old_places))
            found.items[1].extend(self._some(new, new_places))
        else:
            found.items[0].extend(items[: len(old_places)])
            found.items[1].extend(items[len(old_places) :])
        found.listings[:] = old.listing, new.listing
        found.alike += common - len(changed)
        return True

    def _split(self, page: StoredPage) -> list[msgspec.Raw]:
        """Return the rows of a page as they were sent; none if it is not as usual."""
        rows = [] if page.rejects else self._sent.split(page.body)
        return rows if len(rows) == page.items else []

    def _some(self, page: StoredPage, places: Sequence[int]) -> Iterator[Any]:
        """Yield the items at some places of a page, which is decoded whole."""
        items, rejects = decode_page(page, self._decode, self._reader)
        refused = {reject.position for reject in rejects}
        sound = (place for place in count() if place not in refused)
        by_place = dict(zip(sound, items, strict=False))
        return (by_place[place] for place in places if place in by_place)


def _side_by_side(
    earlier: Iterator[StoredPage], later: Iterator[StoredPage]
) -> Iterator[tuple[StoredPage | None, StoredPage | None]]:
    """Yield the pages of the same number, and those that one visit has alone with None.

    Pages are committed nearly in their order, so that few of them are in memory at a time.
    """
    waiting: tuple[dict[Any, StoredPage], dict[Any, StoredPage]] = ({}, {})
    for pages in zip_longest(earlier, later):
        for side, page in enumerate(pages):
            if page is None:
                continue
            number = (page.number, page.again)
            other = waiting[1 - side].pop(number, None)
            if other is None:
                waiting[side][number] = page
            else:
                yield (other, page) if side else (page, other)
    for page in waiting[0].values():
        yield page, None
    for page in waiting[1].values():
        yield None, page
