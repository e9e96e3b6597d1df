"""Facts of a report."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.endpoint_journals import TREE, listing, write_endpoints
from tests.support.hostile_texts import HOSTILE
from tests.support.journals import body, row, write
from tests.support.making import dumped
from tmapi_async.errors import InvalidRequestError
from tmapi_async.report import gather, render


def test_figures_are_those_of_the_journal(journal):
    """Items, states, rejects and changes agree with the journal."""
    facts = gather(journal)
    assert (facts.run, facts.runs, facts.states) == (2, 2, {"complete": 2})
    assert facts.items.distinct == len(HOSTILE)
    assert facts.changes is not None
    assert facts.changes.total["gone"] == 1
    assert facts.changes.partial == 1  # the listing with the row that could not be read
    assert facts.changes.total["dearer"] == len(HOSTILE) - 1
    assert gather(journal, run=1).changes is None


def test_a_run_that_is_not_there_is_refused(journal):
    """A missing run is refused with the numbers of the existing runs."""
    with pytest.raises(InvalidRequestError, match="no run 9: its latest runs are 1, 2"):
        gather(journal, run=9)


def test_a_report_of_a_run_shows_the_rejects_of_that_run_alone(journal):
    """A report shows only the rejects of its own run."""
    assert gather(journal, run=1).reject_rows == []
    assert len(gather(journal, run=2).reject_rows) == 1


def test_what_an_endpoint_does_not_tell_is_null(tmp_path: Path) -> None:
    """Rows of shop/items/v2 have no page, shop or rate: the report invents none."""
    journal = write_endpoints(
        tmp_path / "a.journal",
        {"shop/items/v2": [body([row(1, price="2", sale_info={"sale_quantity": 5})])]},
    )
    (item,) = gather(journal).items.ranked
    assert (item.product_url, item.company, item.rate) == (None, None, None)
    assert (item.price, item.sold, item.best, item.cheapest) == (Decimal(2), 5, 1, 1)


def test_a_report_tells_of_one_endpoint(tmp_path: Path) -> None:
    """Listings, pages and rejects belong to one endpoint; other endpoints are only named."""
    pages = {
        "category/items": [body([row(1), None]), body([row(3)])],
        "search/items": [body([row(2, price="5")])],
        "category/info": [TREE],
    }
    journal = write_endpoints(tmp_path / "a.journal", pages)
    facts = gather(journal, endpoint="search")
    assert (facts.endpoint, facts.states, facts.pages) == ("search/items", {"complete": 1}, 1)
    assert [one.listing for one in facts.listings] == [listing("search/items").identity]
    assert facts.others == {"category/items": 1, "category/info": 1}
    assert facts.reject_rows == []
    page = render(facts)
    assert "search/items. Run 1 of 1" in page
    assert "1 listing of category/items, 1 listing of category/info" in page
    facts = gather(journal, endpoint="category-v1")
    assert (facts.pages, [one.raw for one in facts.reject_rows]) == (2, ["null"])


def test_a_report_compares_though_the_earlier_run_held_more(tmp_path: Path) -> None:
    """Changes are those of the reported endpoint, also if the earlier run has other endpoints."""
    first = {"category/items": [body([row(1)])], "search/items": [body([row(2, price="5")])]}
    journal = write_endpoints(tmp_path / "a.journal", first)
    write_endpoints(journal, {"search/items": [body([row(2, price="6")])]}, refresh=True)
    facts = gather(journal, endpoint="search")
    assert facts.changes is not None
    assert facts.changes.total["dearer"] == 1


def test_a_report_shows_the_latest_visit_of_each_listing(journal: Path) -> None:
    """After a refresh of one listing the others stay in the report, which names the runs."""
    write(journal, {8: [body([row(91, price="4")])]}, refresh=True)
    facts = gather(journal)
    assert (facts.run, facts.listing_runs, facts.states) == (3, (2, 3), {"complete": 2})
    assert facts.items.distinct == len(HOSTILE)
    assert facts.reject_rows == []  # the row of run 2 belongs to the earlier visit of category 8
    page = render(facts)
    assert "latest finished visit of each listing (runs 2 and 3)" in page
    assert "are those of run 3" in page
    assert gather(journal, run=3).states == {"complete": 1}


def test_a_report_names_listings_with_a_later_unfinished_visit(journal: Path) -> None:
    """An unfinished refresh does not hide the rows of the finished visits."""
    write(journal, {7: [], 8: []}, refresh=True, state="open")
    facts = gather(journal)
    assert (facts.superseded, facts.states) == (2, {"complete": 2})
    assert "2 listings have a later visit that is not finished" in render(facts)


def test_details_are_reported_by_the_category_that_they_name(tmp_path: Path) -> None:
    """A detail is a listing of its own; ten thousand groups of one product would say nothing."""
    details = [
        {"item_id": number, "category_id": category, "price_info": {"price": "2.00"}}
        for number, category in enumerate((5, "5", "none", None, ""), 1)
    ]
    bodies = [dumped({"code": 200, "data": detail}) for detail in details]
    journal = write_endpoints(
        tmp_path / "a.journal", {"category/items": [body([row(1)])], "item_detail": bodies}
    )
    categories = gather(journal, endpoint="item-detail").items.categories
    assert {one.group: one.priced for one in categories} == {"5": 2, "item_detail?q=7": 3}
    assert gather(journal).others == {"item_detail": 1}


def test_a_category_without_prices_is_reported(tmp_path: Path) -> None:
    """Categories are counted by their items, whether or not these have a price."""
    pages = {7: [body([row(1), row(2)])], 8: [body([row(3, price="4")])]}
    facts = gather(write(tmp_path / "a.journal", pages))
    assert [(one.group, one.items, one.priced) for one in facts.items.categories] == [
        ("7", 2, 0),
        ("8", 1, 1),
    ]
    assert "7" in render(facts)
