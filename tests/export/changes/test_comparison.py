"""Comparison of two visits of each listing of a journal."""

from __future__ import annotations

import random

import pytest

from tests.support.journals import body, write
from tests.support.journals import row as journal_row
from tests.support.stored_journal import copy_stored_journal
from tmapi_async import TMAPIError
from tmapi_async.export import chunks
from tmapi_async.export.changes.change_files import json_lines
from tmapi_async.export.changes.comparison import compare_runs


def test_a_row_that_could_not_be_read_is_neither_gone_nor_new(tmp_path):
    """Items missing from a listing with rejects are unsure: the item may be the rejected row."""
    path = tmp_path / "j.tmapi"
    rows = [journal_row(1, price_info={"sale_price": "1"}), journal_row(2)]
    write(path, {7: [body(rows)]})
    write(path, {7: [body([rows[0], {"item_id": {}}])]}, refresh=True)
    write(path, {7: [body(rows)]}, refresh=True)
    for before in (1, 2):
        changes = compare_runs(path, before=before, after=before + 1)
        assert (changes.total.gone, changes.total.new) == (0, 0)
        assert (changes.unsure, changes.partial) == (1, 1)


def priced(number, price="1"):
    """Return a row with a price."""
    return journal_row(number, price_info={"sale_price": price})


def test_each_listing_is_compared_with_its_own_last_visit(tmp_path):
    """After a refresh of one listing of three, nothing of the other two is new or gone."""
    path = tmp_path / "j.tmapi"
    three = {cat_id: [body([priced(10 * cat_id + n) for n in range(3)])] for cat_id in (7, 8, 9)}
    write(path, three)
    write(path, {8: [body([priced(80), priced(81, "2"), priced(89)])]}, refresh=True)
    changes = compare_runs(path)
    total = changes.total
    assert (total.new, total.gone, total.dearer, total.before, total.after) == (1, 1, 1, 3, 3)
    assert (changes.listings, changes.left_out, changes.partial, changes.unsure) == (1, 2, 0, 0)
    assert (changes.runs_before, changes.runs_after) == ((1,), (2,))


def test_visits_of_different_runs_are_paired(tmp_path):
    """Listings that were refreshed in different runs are compared side by side."""
    path = tmp_path / "j.tmapi"
    write(path, {7: [body([priced(1)])], 8: [body([priced(2)])]})
    write(path, {7: [body([priced(3)])]}, refresh=True)
    write(path, {8: [body([priced(4)])]}, refresh=True)
    changes = compare_runs(path)
    assert (changes.total.new, changes.total.gone) == (2, 2)
    assert (changes.before and changes.before.id, changes.after) == (1, None)
    assert (changes.runs_before, changes.runs_after) == ((1,), (2, 3))


@pytest.mark.parametrize("state", ["capped", "shifted", "failed", "open"])
def test_a_visit_that_was_not_walked_to_the_end_is_passed_over(tmp_path, state):
    """The last two visits that were walked to the end are compared, whatever lies between them."""
    path = tmp_path / "j.tmapi"
    write(path, {7: [body([priced(1), priced(2)])]})
    write(path, {7: [body([priced(1)])]}, refresh=True)
    write(path, {7: [body([priced(8)])]}, refresh=True, state=state)
    changes = compare_runs(path)
    assert (changes.total.new, changes.total.gone, changes.skipped) == (0, 1, 1)


@pytest.mark.parametrize("state", ["capped", "shifted", "failed", "open"])
def test_a_single_whole_visit_invents_neither_new_nor_gone(tmp_path, state):
    """With one visit walked to the end, prices are compared, and other items are unsure."""
    path = tmp_path / "j.tmapi"
    write(path, {7: [body([priced(1), priced(2)])]}, state="complete")
    write(path, {7: [body([priced(1, "3")])]}, refresh=True, state=state)
    changes = compare_runs(path)
    total = changes.total
    assert (total.dearer, total.gone, changes.partial, changes.unsure) == (1, 0, 1, 1)


def test_named_runs_are_compared_whole(tmp_path):
    """Options that name runs compare all that the two runs hold, as before."""
    path = tmp_path / "j.tmapi"
    write(path, {7: [body([priced(1)])], 8: [body([priced(2)])]})
    write(path, {7: [body([priced(1)])]}, refresh=True)
    changes = compare_runs(path, before=1)
    assert (changes.listings, changes.partial, changes.unsure) == (2, 1, 1)


def lines(comparison):
    """Return the changes as JSON lines."""
    return b"".join(json_lines(comparison.store.batches()))


@pytest.mark.parametrize("rows", [1, 25, 10**6], ids=["each", "some", "all"])
def test_listings_are_compared_in_groups_with_the_same_result(tmp_path, monkeypatch, rows):
    """Changes, counts and order do not depend on the listings that are compared together."""
    path, dice = tmp_path / "j.tmapi", random.Random(3)  # noqa: S311 - no secret
    cats = dice.sample(range(1, 40), 20)
    for run in range(2):
        listings = {
            cat_id: [
                body([
                    journal_row(number, price_info={"sale_price": str(dice.randrange(1, 9))})
                    for number in dice.sample(range(1, 30), 12)
                ])
                for _ in range(dice.randrange(1, 4))
            ]
            for cat_id in cats
        }  # fmt: skip
        write(path, listings, refresh=bool(run))
    expected = compare_runs(path)
    monkeypatch.setattr(chunks, "GROUP_ROWS", rows)
    comparison = compare_runs(path)
    assert lines(comparison) == lines(expected)
    assert comparison.changes.num_rows == comparison.store.rows > 100
    assert comparison.change_counts == expected.change_counts
    assert (comparison.unsure, comparison.partial) == (expected.unsure, expected.partial)
    percents = [row["price_change_percent"] for row in comparison.changes.to_pylist()]
    rises = sorted((percent for percent in percents if percent and percent > 0), reverse=True)
    largest = [row["price_change_percent"] for row in comparison.largest("dearer", 5)]
    assert largest == rises[:5]


def test_parts_are_compared_with_their_divided_listing(tmp_path, monkeypatch):
    """A divided listing and its parts are in one group: an item may have moved between parts."""
    path = copy_stored_journal(tmp_path / "j.tmapi")

    def compared():
        comparisons = [compare_runs(path, before=1, endpoint=f"category-v{n}") for n in (1, 2)]
        return [(lines(comparison), comparison.total) for comparison in comparisons]

    expected = compared()
    monkeypatch.setattr(chunks, "GROUP_ROWS", 1)
    assert compared() == expected


@pytest.mark.slow
def test_several_processes_find_the_same_changes(tmp_path, monkeypatch):
    """Groups of listings that other processes compare give the same changes and figures."""
    monkeypatch.setattr(chunks, "GROUP_ROWS", 1)
    path = copy_stored_journal(tmp_path / "j.tmapi")
    alone, together = (
        compare_runs(path, before=1, endpoint="category-v1", jobs=jobs) for jobs in (1, 2)
    )
    assert together.changes.equals(alone.changes)
    assert together.changes.num_rows > 0
    assert together.change_counts == alone.change_counts
    assert (together.unsure, together.partial) == (alone.unsure, alone.partial)


@pytest.mark.parametrize("jobs", [0, 65, "2"])
def test_number_of_processes_is_checked(tmp_path, jobs):
    """A number of processes that makes no sense is refused before anything is read."""
    with pytest.raises(TMAPIError, match="jobs"):
        compare_runs(tmp_path / "j.tmapi", jobs=jobs)


def test_some_categories_are_compared_alone(tmp_path):
    """With `cats`, pages of other categories are not even read."""
    path = tmp_path / "j.tmapi"
    for run in range(2):
        write(
            path,
            {cat: [body([journal_row(cat * 10 + run)])] for cat in (7, 8)},
            refresh=bool(run),
        )
    comparison = compare_runs(path, cats=[8])
    assert [(row["cat_id"], row["change"]) for row in comparison.changes.to_pylist()] == [
        (8, "gone"),
        (8, "new"),
    ]
