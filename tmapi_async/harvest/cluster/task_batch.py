"""Listings for one session, as the argument of a Dask task. They go through the scheduler."""

from __future__ import annotations

from array import array

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.crawl.seam import Seam


class TaskSpec(msgspec.Struct, frozen=True, array_like=True):
    """Listing to walk, with packed numbers.

    Attributes:
        visit: Number of the visit; messages about the listing carry this number.
        endpoint: Endpoint of the listing.
        params: Query parameters of the listing.
        max_pages: Maximum number of pages to walk, or None.
        hint: Number of the last page in an earlier run, or None.
        stored_pages: Numbers of the stored pages, packed.
        more: Numbers of the stored pages that say that more pages follow, packed.
        stored_ids: Item IDs on the stored pages, packed.
        stored_rows: Number of rows on the stored pages.
        stored_total: Rows in the whole listing according to the stored pages, or None.
        seam: Seam at which stored pages are to be requested once more first, or None.
        shifted: Reason why an earlier seam leaves rows unseen, or None.
    """

    visit: int
    endpoint: str
    params: tuple[tuple[str, str], ...]
    max_pages: int | None = None
    hint: int | None = None
    stored_pages: bytes = b""
    more: bytes = b""
    stored_ids: bytes = b""
    stored_rows: int = 0
    stored_total: int | None = None
    seam: Seam | None = None
    shifted: str | None = None

    @classmethod
    def of(cls, visit: int, task: ListingTask) -> TaskSpec:
        """Return the packed form of a listing task."""
        listing, stored_pages = task.listing, task.stored_pages
        return cls(
            visit,
            listing.endpoint,
            listing.params,
            task.max_pages,
            task.hint,
            array("q", stored_pages).tobytes(),
            array("q", (number for number, more in stored_pages.items() if more)).tobytes(),
            array("q", task.stored_ids).tobytes(),
            task.stored_rows,
            task.stored_total,
            task.seam,
            task.shifted,
        )

    def unpack(self) -> ListingTask:
        """Return the listing task again."""
        more = set(_numbers(self.more))
        return ListingTask(
            listing=Listing(self.endpoint, self.params),
            max_pages=self.max_pages,
            hint=self.hint,
            stored_pages={number: number in more for number in _numbers(self.stored_pages)},
            stored_ids=_numbers(self.stored_ids),
            stored_rows=self.stored_rows,
            stored_total=self.stored_total,
            seam=self.seam,
            shifted=self.shifted,
        )


def _numbers(packed: bytes) -> array[int]:
    numbers = array("q")
    numbers.frombytes(packed)
    return numbers


class TaskBatch(msgspec.Struct, frozen=True, array_like=True):
    """Some listings for one session, sent as bytes.

    Dask would pickle each of its objects.

    Attributes:
        session: Name of the session. A worker process without this session walks nothing.
        number: Number of the batch on that session, from 1.
        tasks: The listings.
    """

    session: str
    number: int
    tasks: tuple[TaskSpec, ...]

    def pack(self) -> bytes:
        """Return the batch as bytes."""
        return _encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> TaskBatch:
        """Return a batch that `pack` has packed."""
        return _decode(packed)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(TaskBatch).decode
