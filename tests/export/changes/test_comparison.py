"""Comparison of two runs of a journal."""

from __future__ import annotations

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
