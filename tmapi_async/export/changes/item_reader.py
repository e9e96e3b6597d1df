"""Items of stored pages, decoded as far as a comparison needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import compress, count, zip_longest
from operator import ne
from typing import Any

import msgspec

from tmapi_async.api.decoding import decoder, field_decoder
from tmapi_async.api.endpoints import Endpoint
from tmapi_async.export.chunks import decode_page
from tmapi_async.export.selection import FigureSums, Scope
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import StoredPage

from .item_values import COMPARED
from .sent_rows import SentRows


class PagePair(msgspec.Struct, frozen=True, gc=False):
    """Page of the same number in two visits of a listing.

    Attributes:
        pages: The page of each visit; None for a visit without a page of this number.
        items: Items of each visit that the other did not send alike, at the same position.
        alike: Number of items that both visits sent alike.
    """

    pages: tuple[StoredPage | None, StoredPage | None]
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
    ) -> Iterator[PagePair]:
        """Yield the items that two visits of a listing did not send alike, page by page.

        A row with the same bytes at the same position of the same page has not changed, if each
        visit has no item twice: such rows are not decoded. Where a page has none, rows have moved,
        and the pages behind it are decoded whole.

        Args:
            earlier: Pages of the earlier visit.
            later: Pages of the later visit.

        Raises:
            JournalError: A page cannot be read.
        """
        moved = False
        for old, new in _side_by_side(earlier, later):
            pair = None
            if old is not None and new is not None and not moved:
                pair = self._pair(old, new)
                moved = pair is None
            if pair is None:
                pair = PagePair((old, new), (self._all(old), self._all(new)))
            yield pair

    def _pair(self, old: StoredPage, new: StoredPage) -> PagePair | None:
        """Return the differences of two pages; None if no row is alike, or one cannot be split."""
        old_rows, new_rows = self._split(old), self._split(new)
        common = min(len(old_rows), len(new_rows))
        changed = list(compress(count(), map(ne, old_rows, new_rows)))
        if len(changed) == common:
            return None
        old_items = self._some(old, old_rows, [*changed, *range(common, len(old_rows))])
        new_items = self._some(new, new_rows, [*changed, *range(common, len(new_rows))])
        return PagePair((old, new), (old_items, new_items), common - len(changed))

    def _all(self, page: StoredPage | None) -> list[Any]:
        return [] if page is None else self.items(page)

    def _split(self, page: StoredPage) -> list[msgspec.Raw]:
        """Return the rows of a page as they were sent; none if it is not as usual."""
        rows = [] if page.rejects else self._sent.split(page.body)
        return rows if len(rows) == page.items else []

    def _some(self, page: StoredPage, rows: list[msgspec.Raw], indices: list[int]) -> list[Any]:
        """Return the items of some rows of a page without rejects."""
        items = self._sent.decode([rows[index] for index in indices])
        if items is None:
            whole, rejects = decode_page(page, self._decode, self._reader)
            refused = {reject.position for reject in rejects}
            read = iter(whole)
            positions = {index: next(read) for index in range(len(rows)) if index not in refused}
            items = [positions[index] for index in indices if index in positions]
        return items


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
