"""Sentences at the top of a report."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.journals import of_rows, row
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.report import gather, render
from tmapi_async.report.page_texts import (
    advice,
    change_summary,
    doubtful,
    names_hint,
    ranked_note,
    sales_period,
    summary,
    verdict,
)


@pytest.mark.parametrize(
    ("tally", "word", "action"),
    [
        (RunTally(listings=3, complete=3), "good", "choose items"),
        (RunTally(listings=4, complete=3, capped=1), "fair", "--refresh --split"),
        (RunTally(listings=4, complete=3, shifted=1), "fair", "--refresh"),
        (RunTally(listings=3, complete=3, empty=1), "fair", "Check the numbers"),
        (RunTally(listings=3, complete=3, contradicted=1), "fair", "--refresh"),
        (RunTally(listings=5, complete=3, capped=1, failed=1), "bad", "same tmapi harvest command"),
        (RunTally(listings=1), "bad", "same tmapi harvest command"),
        (RunTally(), "bad", "Give tmapi harvest"),
    ],
)
def test_the_first_sentences_tell_how_sure_one_can_be_and_what_to_do(journal, tally, word, action):
    """Only a run with complete listings alone is called complete; each verdict has its advice."""
    facts = msgspec.structs.replace(gather(journal), tally=tally)
    assert verdict(facts)[0] == word
    assert ("Complete" in verdict(facts)[1]) == (word == "good")
    assert action in " ".join(advice(facts))
    assert verdict(facts)[1] in render(facts).replace("&#39;", "'")


def test_a_report_tells_in_words_what_was_found_and_what_changed(journal):
    """Counts agree with the journal, and words with the counts."""
    facts = gather(journal)
    assert summary(facts).startswith("8 items in 2 categories; all of them with a price.")
    assert change_summary(facts) == "Since run 1: 1 gone, 7 dearer."
    assert "1 row could not be read and is missing here" in " ".join(advice(facts))
    first = gather(journal, run=1)
    assert change_summary(first) == ""
    assert "--refresh on another day" in " ".join(advice(first))


def test_what_is_not_complete_is_named_as_a_buyer_knows_it(journal):
    """A listing is named by its category where the journal holds the name, and the rest counted."""
    facts = gather(journal)
    assert doubtful(facts) == ""
    states = ("failed", "capped", "stopped", "shifted", "failed", "complete")
    listings = [
        msgspec.structs.replace(facts.listings[0], listing=f"cat={n}", state=state, cat_id=n)
        for n, state in enumerate(states, 1)
    ]
    tally = RunTally(listings=6, failed=2, capped=1, shifted=1, complete=1)
    facts = msgspec.structs.replace(facts, listings=listings, tally=tally, names={1: "鞋 / Shoes"})
    assert doubtful(facts) == (
        "Not read to the end: 鞋 / Shoes 1 (failed), cat=2 (capped), cat=3 (stopped), "
        "cat=4 (shifted), and 1 more."
    )
    tally = RunTally(listings=1, complete=1, empty=1, suspects=("cat=1",))
    assert "Look at 鞋 / Shoes 1." in verdict(msgspec.structs.replace(facts, tally=tally))[1]


def test_each_kind_of_listing_has_its_advice_beside_unfinished_ones(journal):
    """To run the same command again helps neither a capped listing nor an empty one."""
    tally = RunTally(listings=4, complete=1, empty=1, capped=2, suspects=("cat=1",))
    facts = msgspec.structs.replace(gather(journal), tally=tally)
    text = " ".join(advice(facts))
    for words in ("again: it continues", "2 listings were capped", "--split", "Check the numbers"):
        assert words in text
    text = " ".join(advice(msgspec.structs.replace(facts, endpoint="global/search/items")))
    assert "--split" not in text
    assert "larger --max-pages" in text


def test_the_table_of_items_tells_how_many_it_leaves_out_and_where_they_are(tmp_path):
    """A category with more items than the table shows is not taken for the whole of it."""
    rows = [row(n, price=str(n), sales_count=str(n)) for n in range(1, 121)]
    facts = gather(of_rows(tmp_path / "a b.journal", *rows))
    note = ranked_note(facts)
    assert note.startswith("100 of 120 items: ")
    assert "All are in: tmapi export 'a b.journal' --to items.xlsx." in note
    facts = gather(of_rows(tmp_path / "c.journal", *rows[:3]))
    assert ranked_note(facts).startswith("3 items, all that were found: ")


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [("category/items", "does not document"), ("category/items/v2", "90 days")],
)
def test_the_period_of_the_pieces_sold_is_told_where_the_api_tells_it(endpoint, words):
    """Only the name of a field says it; nothing is guessed."""
    assert words in sales_period(endpoint)


def test_the_top_of_a_report_names_the_cheapest_the_new_and_the_gone(journal):
    """What buyers ask first needs no table: best sellers, cheapest items, comings and goings."""
    facts = gather(journal)
    prices = [item.price for item in facts.items.cheapest]
    assert prices == sorted(prices)
    assert facts.changes is not None
    assert [row["change"] for row in facts.changes.first("gone")] == ["gone"]
    page = render(facts)
    top = page[: page.index("<main>")]
    for word in ("Sells most", "Costs least", "Gone", "What to do"):
        assert f"<dt>{word}</dt>" in top
    assert "<dt>New</dt>" not in top


def test_missing_names_are_told_with_their_cost(journal, tmp_path):
    """The number of requests is known before one is sent."""
    assert names_hint(gather(journal)).startswith("2 categories have no name in the journal")
    assert "2 requests" in names_hint(gather(journal))
    named = msgspec.structs.replace(gather(journal), names={7: "a", 8: "b"})
    assert names_hint(named) == ""
    assert summary(gather(of_rows(tmp_path / "b.journal"))) == "No item was found."
    one = gather(of_rows(tmp_path / "c.journal", row(1)))
    assert summary(one).startswith("1 item in 1 category; 0 of them with a price.")
    assert names_hint(one).startswith("1 category has no name")
