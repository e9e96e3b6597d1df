"""Products of a journal's listings that are selected to fetch more about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.endpoint_journals import write_endpoints
from tests.support.journals import body, row
from tmapi_async.errors import InvalidRequestError
from tmapi_async.harvest import JournalReader
from tmapi_async.harvest.item_selection import ItemSelection, SelectedItems, select_items


def selected(path: Path, **rules: object) -> SelectedItems:
    """Select products of a journal."""
    with JournalReader(path) as reader:
        return select_items(reader, ItemSelection(**rules))  # type: ignore[arg-type]


@pytest.fixture
def journal(path: Path) -> Path:
    """A journal with two endpoints; one product is in both, and one has no sales."""
    first = [row(1, sales_count="5"), row(2, sales_count="100+"), row(3, sales_count="")]
    other = {**row(2), "sale_info": {"sale_quantity": "7"}}
    other.pop("sales_count", None)
    second = {**row(4), "sale_info": {"sale_quantity": "1.2万+"}}
    second.pop("sales_count", None)
    return write_endpoints(
        path,
        {"category/items": [body(first)], "search/items": [body([other, second])]},
    )


def ids_of(selection: SelectedItems) -> list[int]:
    """Return the last digits of the selected IDs."""
    return [item_id % 1000 for item_id in selection.ids]


def test_each_product_is_selected_once_best_sellers_first(journal: Path) -> None:
    """A product of several listings counts once, with its largest number of pieces sold."""
    every = selected(journal)
    assert (every.found, ids_of(every)) == (4, [4, 2, 1, 3])


@pytest.mark.parametrize(
    ("rules", "ids"),
    [
        ({"min_sales": 5}, [4, 2, 1]),
        ({"min_sales": 101}, [4]),
        ({"top": 2}, [4, 2]),
        ({"top": 2, "min_sales": 200}, [4]),
        ({"cats": frozenset({7})}, [2, 1, 3]),
        ({"min_sales": 10**9}, []),
    ],
)
def test_rules_are_met(journal: Path, rules: dict[str, object], ids: list[int]) -> None:
    """A product without known sales meets no `min_sales`; ties keep the order of the listings."""
    result = selected(journal, **rules)
    assert ids_of(result) == ids
    assert result.found == (3 if "cats" in rules else 4)


def test_a_category_without_listing_is_refused(journal: Path) -> None:
    """A mistyped category must not look like one without products."""
    with pytest.raises(InvalidRequestError, match="no listing of category 8"):
        selected(journal, cats=frozenset({7, 8}))


def test_a_journal_without_listings_of_products_is_refused(path: Path) -> None:
    """Details alone are no listing: there is nothing to select from."""
    write_endpoints(path, {"item_detail": [b'{"code": 200, "data": {"item_id": 5}}']})
    with pytest.raises(InvalidRequestError, match="no listing of products"):
        selected(path)
