"""Record a start that requests first pages, which tell how large listings are."""

from __future__ import annotations

import time

import msgspec

from tmapi_async.crawl.outcomes import ListingOutcome
from tmapi_async.journal.statements import end_visit

from .recorder import Recorder


class FirstPageRecorder(Recorder):
    """Recorder of a start that leaves a listing unfinished after its first page."""

    def ended(self, outcome: ListingOutcome) -> None:
        """Record the outcome of a listing; one that has more pages is left to a later start."""
        if outcome.ending != "capped":
            super().ended(outcome)
            return
        entry = self._open[outcome.listing]
        super().ended(msgspec.structs.replace(outcome, ending="stopped"))
        # A later start reads from it that the page is good for some time: see `SeamHistory`.
        now = time.time()
        self._apply(end_visit(entry.visit, "open", entry.totals, now=now, capped_at=1))
