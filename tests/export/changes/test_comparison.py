"""Comparison of two visits of each listing of a journal."""

from __future__ import annotations

import pytest

from tests.support.journals import body, write
from tests.support.journals import row as journal_row
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
