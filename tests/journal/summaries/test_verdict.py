"""The verdict over listings: complete is said only if every listing is complete."""

from __future__ import annotations

import pytest

from tmapi_async import category_items
from tmapi_async.journal.records import EMPTY_TOTALS, Totals
from tmapi_async.journal.summaries.tally import RunTally, doubt_about
from tmapi_async.journal.summaries.verdict import Verdict


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
            "NOT YET COMPLETE: 1 of 4 listings finished, 3 still to be read",
        ),
        (Verdict(complete=1, running=True), "complete", "COMPLETE: 1 of 1 listing"),
        (
            Verdict(complete=5, empty=1, contradicted=2),
            "contradicted",
            (
                "CONTRADICTED: 5 of 5 listings complete (of them 2 contradicted by the API's own "
                "total, 1 empty)"
            ),
        ),
        (
            Verdict(complete=1, empty=1),
            "empty",
            "COMPLETE: 1 of 1 listing, but 1 empty: no item came",
        ),
        (Verdict(), "nothing", "NOTHING TO SHOW: there are no listings"),
    ],
)
def test_the_worst_state_of_any_listing_decides(verdict: Verdict, kind: str, text: str) -> None:
    """One failed, unfinished or capped listing keeps the whole from being called complete."""
    assert verdict.kind == kind
    assert str(verdict) == text
    assert str(verdict).startswith("COMPLETE") == (kind in ("complete", "empty"))


def test_empty_listings_are_named_whatever_the_verdict_is() -> None:
    """A mistyped category among listings that are not finished is told, too."""
    verdict = Verdict(complete=1, empty=1, unfinished=1, suspects=("category/items?cat_id=9",))
    sentence = verdict.sentence({"incomplete": "To continue, run: tmapi"})
    assert "category/items?cat_id=9" in sentence
    assert "mistyped" in sentence
    assert sentence.endswith("To continue, run: tmapi")


@pytest.mark.parametrize(
    ("state", "items", "total", "divided", "doubt"),
    [
        ("complete", 0, None, False, "empty"),
        ("complete", 20, None, False, None),
        ("complete", 20, 20, False, None),
        ("complete", 20, 21, False, "contradicted"),
        ("complete", 2000, 7000, False, None),
        ("complete", 20, 7000, True, None),
        ("capped", 20, 7000, False, None),
        ("failed", 0, 7000, False, None),
        ("open", 0, None, False, None),
    ],
)
def test_only_complete_listings_are_doubted(state, items, total, divided, doubt) -> None:
    """Too few rows are told where the listing says so itself; the ceiling hides the others."""
    totals = Totals(1, items, items, 0, 1, total)
    assert doubt_about(category_items(7), state, totals, divided=divided) == doubt


def test_a_tally_names_a_few_listings() -> None:
    """The names of a job of a million empty listings take no memory."""
    tally = RunTally()
    for number in range(1, 100):
        tally.add_listing(category_items(number), "complete", EMPTY_TOTALS)
    assert (tally.listings, tally.complete, tally.empty) == (99, 99, 99)
    assert len(tally.suspects) == 5
    assert "and 94 more" in Verdict.of(tally).sentence({})
