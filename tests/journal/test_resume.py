"""Decoding of stored pages, for a start that continues a listing."""

from __future__ import annotations

from typing import Any

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.journal.resume import CONFIRM_SECONDS, SeamHistory, decode_stored
from tmapi_async.journal.views import StoredPage

A = Listing("category/items/v2", (("cat_id", "1"),))


def page(number: int, rows: int, *, more: bool, listing: Listing = A) -> StoredPage:
    """Return a stored page of a listing of 60 rows."""
    items = [{"item_id": number * 100 + n} for n in range(rows)]
    data = {"page": number, "page_size": 20, "has_next_page": more, "total_count": 60}
    body = msgspec.json.encode({"code": 200, "data": {**data, "items": items}})
    known: dict[str, Any] = dict.fromkeys(StoredPage.__struct_fields__, 0)
    known |= {"listing": listing, "number": number, "has_next_page": more, "body": body}
    return StoredPage(**known)


def test_a_page_that_denies_its_own_total_is_requested_again():
    """An empty page 2 of three, and a page 1 that says it is the last, are left out."""
    decoded = decode_stored([page(1, 20, more=True), page(2, 0, more=False)])
    assert (decoded.pages, decoded.items, decoded.total_count) == ({1: True}, 20, 60)
    assert decode_stored([page(1, 20, more=False)]).pages == {}


def test_pages_that_agree_with_their_total_are_not_requested_again():
    """A page was paid for: only its own figures can make it worth another request."""
    pages = [page(1, 20, more=True), page(2, 19, more=True), page(3, 20, more=False)]
    decoded = decode_stored(pages)
    assert decoded.pages == {1: True, 2: True, 3: False}
    assert (decoded.items, decoded.has_next_page) == (59, False)


def test_the_first_pages_of_an_estimate_are_good_for_a_while():
    """Somebody reads the estimate before the harvest begins: the pages are not paid twice."""
    estimated = SeamHistory(fetched_at=1000.0, first_only=True)
    assert not estimated.needs_look(1000.0 + CONFIRM_SECONDS)
    assert estimated.needs_look(1001.0 + CONFIRM_SECONDS)
    assert estimated.needs_look(999.0)
    assert SeamHistory(fetched_at=1000.0).needs_look(1001.0)
