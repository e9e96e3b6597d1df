"""Read stored pages: queries, and the conversion of their rows to `StoredPage`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec

from tmapi_async.api.listings import Listing

from .compression import Decoder
from .records import page_number
from .tables.typed_queries import PAGES_OF_VISIT
from .views import StoredPage

_PARAMS = msgspec.json.Decoder(tuple[tuple[str, str], ...])


def read_listing(endpoint: str, params: str) -> Listing:
    """Return the listing of a row of the table `listing`.

    Raises:
        ValueError: The row is damaged.
    """
    listing = Listing(endpoint, _PARAMS.decode(params))
    _ = listing.cat_id  # raises here, not in a reader of pages, if it is no number
    return listing


def page_of_row(row: tuple[Any, ...], run: int, listing: Listing, decoder: Decoder) -> StoredPage:
    """Return the page of a row of `PAGES_AFTER`, its body decompressed.

    Raises:
        BodyError: The body is damaged.
    """
    seq, visit, number, fetched, attempts, latency, has_next, items, rejects, dictionary, frame = (
        row
    )
    # By position, because names take half a microsecond more for each page.
    return StoredPage(
        seq,
        visit,
        run,
        listing,
        number if number > 0 else page_number(number),
        fetched / 1000,
        attempts,
        latency / 1e6,
        bool(has_next),
        items,
        rejects,
        decoder.decode(dictionary, frame),
        number < 0,
    )


def pages_of_visit(
    connection: sqlite3.Connection, decoder: Decoder, visit: int, run: int, listing: Listing
) -> Iterator[StoredPage]:
    """Yield the pages of a visit, in page order. Those requested once more come first.

    Raises:
        BodyError: A body is damaged.
    """
    for row in PAGES_OF_VISIT.each(connection, visit):
        yield page_of_row(row, run, listing, decoder)
