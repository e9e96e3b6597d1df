"""Record batches are made of a few pages at a time."""

from __future__ import annotations

import gc
from typing import Any

import pyarrow as pa
import pytest

from tests.support.making import sample_page
from tmapi_async import CATEGORY_ITEMS, ENDPOINTS, SEARCH_ITEMS, InvalidRequestError, Item
from tmapi_async.api.replies import Page
from tmapi_async.export.arrow import item_schema
from tmapi_async.export.frames import page_batches
from tmapi_async.export.frames.page_batches import PageBatches, larger_batches


def batch(rows: int) -> pa.RecordBatch:
    """Return a batch of some rows."""
    return pa.RecordBatch.from_arrays([pa.array(range(rows), pa.int64())], ["n"])


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
def test_a_batch_has_the_schema_of_the_endpoint(endpoint: Any) -> None:
    """Rows of a walk have the columns of an export, but for the run; so does an empty batch."""
    batches = PageBatches(None)
    batches.add(sample_page(endpoint))
    batches.add(sample_page(endpoint, number=2))
    taken = batches.take()
    exported = item_schema(endpoint)
    assert taken.schema.names == [name for name in exported.names if name != "run"]
    assert {field.name: field for field in taken.schema} == {
        field.name: field for field in exported if field.name != "run"
    }
    assert set(taken["page"].to_pylist()) == {1, 2}
    assert batches.take().schema == taken.schema
    assert (batches.rows, batches.take().num_rows) == (0, 0)


def test_a_page_of_another_endpoint_is_refused() -> None:
    """Rows of several endpoints never mix in one table; the message names them."""
    batches = PageBatches(CATEGORY_ITEMS)
    with pytest.raises(InvalidRequestError, match="category/items and search/items"):
        batches.add(sample_page(SEARCH_ITEMS))


def lists_of_items() -> int:
    """Return how many lists of items are in memory, those of other tests included."""
    gc.collect()
    return sum(
        isinstance(thing, list) and bool(thing) and type(thing[0]) is Item
        for thing in gc.get_objects()
    )


def test_items_are_not_kept_after_their_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The builder holds the pages of one conversion at most, whatever it was given before."""
    monkeypatch.setattr(page_batches, "_CONVERTED_PAGES", 4)
    batches = PageBatches(CATEGORY_ITEMS)
    others, kept = lists_of_items(), 0
    for number in range(1, 20):
        page: Page[Item] = sample_page(CATEGORY_ITEMS, number=number)
        batches.add(page)
        del page
        kept = max(kept, lists_of_items() - others)
    assert kept <= 4
    assert batches.take().num_rows == 19 * len(sample_page(CATEGORY_ITEMS).items)


def test_small_batches_are_joined() -> None:
    """Batches have at least the rows asked for, but for the last; none is empty, none is lost."""
    sizes = [3, 4, 0, 10, 1, 1]
    joined = list(larger_batches(map(batch, sizes), batch(0).schema, 6))
    assert [one.num_rows for one in joined] == [7, 10, 2]
    assert list(larger_batches([batch(0)], batch(0).schema, 6)) == []
