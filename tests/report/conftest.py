"""Journals for the tests of the report."""

from __future__ import annotations

import pytest

from tests.support.hostile_texts import hostile_rows
from tests.support.journals import body, row, write


@pytest.fixture
def journal(tmp_path):
    """A journal of two runs: prices rise, one item goes, one row cannot be decoded."""
    path = tmp_path / "journal.tmapi"
    write(path, {7: [body(hostile_rows())], 8: [body([row(90, price="3")])]})
    later = [dict(item, price_info={"sale_price": "9.99"}) for item in hostile_rows()[1:]]
    write(path, {7: [body(later)], 8: [body([row(90, price="3"), {"item_id": {}}])]}, refresh=True)
    return path
