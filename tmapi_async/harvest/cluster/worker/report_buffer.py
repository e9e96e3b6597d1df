"""Results of a session's crawler that wait for the next report."""

from __future__ import annotations

from collections.abc import Callable

from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.crawl.outcomes import ListingOutcome
from tmapi_async.crawl.seam import Look
from tmapi_async.crawl.sink import CrawlSink
from tmapi_async.errors import TMAPIError
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.serialized_error import SerializedError
from tmapi_async.journal.compression import Dictionary
from tmapi_async.journal.records import PageRecord
from tmapi_async.limits.shares.share_gate import ShareGate

from .batch_queue import BatchQueue

_Compression = tuple[int | None, Callable[[bytes], bytes | None]]
"""Number of a dictionary, and the function that compresses a body with it."""

_UNCOMPRESSED: _Compression = (None, lambda _: None)
"""Leaves the compression to the journal: the endpoint has no dictionary yet."""


class ReportBuffer(CrawlSink):
    """Receives the pages, failures and endings of the crawler.

    Args:
        batches: Listings of the session.
        gate: Gate of the session; a buffered page keeps its slot.
        on_result: Called when there is a result to report.

    Attributes:
        durable_pages: Number of pages that the coordinator has made durable.
        held_pages: Number of pages that have not been handed to the operating system.
        pages: Pages to report, each after the number of its visit.
    """

    def __init__(self, batches: BatchQueue, gate: ShareGate, on_result: Callable[[], None]) -> None:
        self.durable_pages = self.held_pages = 0
        self.pages: list[tuple[int, Page]] = []
        self._batches = batches
        self._gate = gate
        self._on_result = on_result
        self._pages_received = 0
        self._failed_pages: list[protocol.PageFailed] = []
        self._ended: list[protocol.ListingEnded] = []
        self._looked: list[protocol.SeamLooked] = []
        self._compressors: dict[str, _Compression] = {}

    @property
    def ids_only(self) -> bool:
        """True: a journal keeps bodies, and counts distinct IDs."""
        return True

    @property
    def resumable(self) -> bool:
        """True: a later start continues listings that are stopped."""
        return True

    @property
    def pending(self) -> int:
        """Number of pages received from the crawler that are not durable yet."""
        return self._pages_received - self.durable_pages

    def has_room(self, width: int, in_flight: int) -> bool:
        """Return True if one more page may be requested: also, a slot must be free for it.

        A page that waits for its message keeps its slot, and the next request would need a task to
        wait for it. A request that rests before a retry has no slot.
        """
        taken = min(in_flight, self._gate.in_use)
        return self.held_pages + taken < width and self.pending + in_flight < 2 * width

    def set_dictionary(self, message: protocol.DictionaryMessage) -> None:
        """Compress the bodies of an endpoint with a new dictionary."""
        dictionary = Dictionary(message.number, message.content)
        self._compressors[message.endpoint] = (dictionary.number, dictionary.compressor())

    def page(self, page: Page) -> None:
        """Buffer a page; late pages of an ended listing come too."""
        listing = page.request.listing
        visit = self._batches.visit(listing)
        if visit is None:
            return
        if not self.pages:
            self._on_result()
        self.pages.append((visit, page))
        self._pages_received += 1
        self.held_pages += 1
        self._gate.hold_slot()

    def release(self, pages: int) -> None:
        """Free the slots of pages that have been handed to the operating system."""
        self.held_pages -= pages
        self._gate.release_slots(pages)

    def _records(self, pages: list[Page]) -> list[PageRecord]:
        """Return the records of pages, with the bodies compressed one right after the other.

        The tables of a dictionary are larger than the fast caches of a processor, and all other
        work on a page displaces them.
        """
        find = self._compressors.get
        chosen = [find(page.request.listing.endpoint, _UNCOMPRESSED) for page in pages]
        bodies = [page.body for page in pages]
        frames = [compress(body) for (_, compress), body in zip(chosen, bodies, strict=True)]
        return [
            PageRecord.of(page, frame, dictionary)
            for page, frame, (dictionary, _) in zip(pages, frames, chosen, strict=True)
        ]

    def looked(self, look: Look) -> None:
        """Buffer the result of requesting a stored page once more."""
        visit = self._batches.running_visit(look.request.listing)
        if visit is None:
            return
        pages = [look.page] if look.page is not None and look.new else []
        record = next(iter(self._records(pages)), None)
        number, left, came = look.request.number, look.left, look.came
        self._looked.append(
            protocol.SeamLooked(visit, number, record, left, came, look.shifted, look.last)
        )
        self._on_result()

    def failed(self, request: PageRequest, error: TMAPIError) -> None:
        """Buffer a page request that failed for good."""
        visit = self._batches.running_visit(request.listing)
        if visit is not None:
            failed = protocol.PageFailed(visit, request.number, SerializedError.of(error))
            self._failed_pages.append(failed)
            self._on_result()

    def ended(self, outcome: ListingOutcome) -> None:
        """Buffer the outcome of a listing."""
        visit = self._batches.end_listing(outcome.listing)
        if visit is None:
            return
        self._ended.append(
            protocol.ListingEnded(
                visit,
                outcome.ending,
                outcome.pages,
                outcome.items,
                outcome.unique,
                outcome.duplicates,
                outcome.rejects,
                None if outcome.error is None else SerializedError.of(outcome.error),
            )
        )
        self._on_result()

    def drain(
        self,
    ) -> tuple[
        list[tuple[int, PageRecord]],
        list[protocol.PageFailed],
        list[protocol.ListingEnded],
        list[protocol.SeamLooked],
    ]:
        """Return the buffered pages, failures, endings and looks, and forget them."""
        visits = [visit for visit, _ in self.pages]
        pages = [*zip(visits, self._records([page for _, page in self.pages]), strict=True)]
        self.pages = []
        failed_pages, self._failed_pages = self._failed_pages, []
        ended, self._ended = self._ended, []
        looked, self._looked = self._looked, []
        return pages, failed_pages, ended, looked
