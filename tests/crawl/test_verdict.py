"""The verdict over listings: complete is said only if every listing is complete."""

from __future__ import annotations

import pytest

from tmapi_async.crawl.verdict import Verdict


@pytest.mark.parametrize(
    ("verdict", "kind", "text"),
    [
        (Verdict(complete=1), "complete", "COMPLETE: 1 of 1 listing"),
        (Verdict(complete=2_000), "complete", "COMPLETE: 2,000 of 2,000 listings"),
        (
            Verdict(complete=2, capped=1),
            "capped",
            "CAPPED: 2 of 3 listings complete, 1 capped",
        ),
        (
            Verdict(complete=1, capped=1, failed=2, unfinished=3),
            "incomplete",
            "NOT COMPLETE: 2 of 7 listings finished, 2 failed, 3 not finished",
        ),
        (
            Verdict(complete=1, unfinished=3, running=True),
            "running",
            "NOT YET COMPLETE: 1 of 4 listings finished, 0 failed, 3 still to be read",
        ),
        (Verdict(complete=1, running=True), "complete", "COMPLETE: 1 of 1 listing"),
        (Verdict(), "empty", "NOTHING TO SHOW: there are no listings"),
    ],
)
def test_the_worst_state_of_any_listing_decides(verdict: Verdict, kind: str, text: str) -> None:
    """One failed, unfinished or capped listing keeps the whole from being called complete."""
    assert verdict.kind == kind
    assert str(verdict) == text
    assert str(verdict).startswith("COMPLETE") == (kind == "complete")
