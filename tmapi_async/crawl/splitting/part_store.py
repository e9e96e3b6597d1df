"""Storage for the parts of divided listings, as the split driver uses it. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tmapi_async.api.listings import Listing
from tmapi_async.crawl.outcomes import Ending, ListingOutcome

from .queries import Observation
from .reconciliation import Reconciliation


class StoredPart(msgspec.Struct, frozen=True):
    """Pages of a part from an earlier process.

    Attributes:
        pages: Pages in page order.
        ending: Ending of the walk of the part, or None if it has not ended.
        needs_look: True if rows may have moved since these pages were read.
        shifted: Reason why an earlier seam leaves rows unseen, or None.
    """

    pages: Sequence[Observation] = ()
    ending: Ending | None = None
    needs_look: bool = False
    shifted: str | None = None


class PartStore(Protocol):
    """Storage for parts, which outlives the process."""

    def load_part(self, root: Listing, part: Listing) -> StoredPart:
        """Return the stored pages of a part that is about to be used."""
        ...

    def begin_part(self, root: Listing, part: Listing) -> None:
        """Prepare to store a part whose pages are about to be requested."""
        ...

    def part_ended(self, root: Listing, outcome: ListingOutcome, *, walked: bool) -> None:
        """Record the end of a part: `walked` to its end, or only asked for its first page."""
        ...

    def reconciled(self, account: Reconciliation, outcome: ListingOutcome) -> None:
        """Record the result of a divided listing."""
        ...
