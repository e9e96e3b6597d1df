"""Changes of many listings, in order, in little memory."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from tmapi_async.export.changes import change_store
from tmapi_async.export.changes.change_store import ChangeStore
from tmapi_async.export.changes.diff import CHANGE


def changes(listings, rows):
    """Return changes of some listings, sorted as `compare` sorts them."""
    return pa.Table.from_pylist(
        [
            {"change": "new", "listing": name, "item_id": number, "title": f"连衣裙 {number}"}
            for name in sorted(listings)
            for number in range(rows)
        ],
        schema=CHANGE,
    )


def filled(names, groups, rows):
    """Return a store with the listings in some groups."""
    store = ChangeStore()
    for first in range(groups):
        store.add(changes(names[first::groups], rows))
    return store


@pytest.fixture
def names():
    """Names of listings in no order."""
    names = [f"category/items?cat_id={number}" for number in range(40)] + ["裙", "é", "👗"]
    random.Random(1).shuffle(names)  # noqa: S311 - no secret
    return names


def test_changes_of_all_groups_come_in_the_order_of_the_listings(names):
    """Whatever listings were compared together, the order is that of one sorted table."""
    store = filled(names, groups=7, rows=30)
    assert store.table().equals(changes(names, 30))
    assert store.rows == 30 * len(names)


def test_changes_are_read_again_and_again(names):
    """A second destination gets the same changes, also while the first one is still reading."""
    store = filled(names, groups=3, rows=30)
    first = store.batches()
    next(first)
    assert store.table().num_rows == store.rows


def test_many_changes_are_kept_in_a_file(names, monkeypatch):
    """Beyond a limit, memory does not grow with the number of changes."""
    monkeypatch.setattr(change_store, "MEMORY_BYTES", 10_000)
    monkeypatch.setattr(change_store, "BATCH_ROWS", 50)
    store = filled(names, groups=7, rows=30)
    batches = list(store.batches())
    assert pa.Table.from_batches(batches, schema=CHANGE).equals(changes(names, 30))
    assert max(batch.num_rows for batch in batches) < 200
    assert store.kept_bytes <= 10_000


def test_changes_stay_in_memory_where_no_file_can_be_written(names, monkeypatch):
    """A read-only system without a folder for temporary files costs memory, and no result."""

    def refuse(*_args, **_more):
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(change_store, "MEMORY_BYTES", 10_000)
    monkeypatch.setattr(change_store.tempfile, "TemporaryFile", refuse)
    assert filled(names, groups=7, rows=30).table().equals(changes(names, 30))


def test_no_changes_are_an_empty_table():
    """Two runs without a difference have a table with all columns and no row."""
    store = ChangeStore()
    store.add(CHANGE.empty_table())
    assert store.table().equals(CHANGE.empty_table())
