"""Changes between two runs."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmapi_async import Item
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.api.items import PriceInfo
from tmapi_async.export.changes.diff import KINDS, add_counts, compare, sort_counts
from tmapi_async.export.changes.sightings import ItemPairs, Sightings

LISTINGS = ("a", "b", "c")


def sightings(rows):
    """Return the sightings of rows in the order of commits."""
    items = Sightings()
    for listing, cat_id, number, title, price, sold in rows:
        prices = None if price is None else PriceInfo(sale_price=price)
        item = Item(item_id=number, title=title, price_info=prices, sales_count=sold)
        items.add(listing, cat_id, [item])
    return items


def table_of(before, after, complete_before, complete_both):
    """Return the changes between two runs as a table, and the number of unsure items."""
    pairs = ItemPairs(before, after, complete_before, complete_both)
    return compare(pairs, CATEGORY_ITEMS), pairs.unsure


def changed(
    before, after, *, complete_before=frozenset(LISTINGS), complete_both=frozenset(LISTINGS)
):
    """Return the changes between two runs as dicts, and the number of unsure items."""
    table, unsure = table_of(sightings(before), sightings(after), complete_before, complete_both)
    return table.to_pylist(), unsure


def counted(before, after, changes):
    """Return the changes by category, or by listing."""
    counts = {}
    add_counts(counts, before, after, changes)
    return sort_counts(counts)


def row(item, price="1.00", sold=5, listing="a"):
    """One sighting."""
    return (listing, 1, item, f"title {item}", price, sold)


def test_the_latest_sighting_of_an_item_is_the_one_compared():
    """An item with several sightings counts once, with its latest values."""
    changes, _ = changed([row(1, "1.00"), row(1, "2.00")], [row(1, "2.00")])
    assert changes == []


def test_a_price_that_rose_or_fell_is_told_with_its_share():
    """A changed price is reported with the change in percent of the earlier price."""
    changes, _ = changed([row(1, "2.00"), row(2, "2.00")], [row(1, "2.50"), row(2, "1.00")])
    values = [(r["item_id"], r["change"], r["price_change_percent"]) for r in changes]
    assert sorted(values) == [(1, "dearer", Decimal(25)), (2, "cheaper", Decimal(-50))]


@pytest.mark.parametrize(("before", "after"), [(None, "1.00"), ("1.00", None), (None, None)])
def test_a_price_that_is_not_known_is_not_a_price_of_zero(before, after):
    """An unknown price on either side is no change."""
    changes, _ = changed([row(1, before)], [row(1, after)])
    assert changes == []


def test_a_price_that_was_zero_has_no_share():
    """A rise from 0 has no percentage."""
    changes, _ = changed([row(1, "0")], [row(1, "1.00")])
    assert [(r["change"], r["price_change_percent"]) for r in changes] == [("dearer", None)]


def test_gone_needs_both_runs_to_have_walked_the_listing():
    """An item that is missing from a listing cut short is unsure, not gone."""
    changes, unsure = changed([row(1)], [], complete_both=frozenset())
    assert (changes, unsure) == ([], 1)
    changes, unsure = changed([row(1)], [])
    assert ([r["change"] for r in changes], unsure) == (["gone"], 0)


def test_new_needs_the_earlier_run_to_have_walked_the_listing():
    """An item that is missing from an unfinished earlier run is unsure, not new."""
    changes, unsure = changed([], [row(1)], complete_before=frozenset())
    assert (changes, unsure) == ([], 1)
    changes, unsure = changed([], [row(1)], complete_both=frozenset())
    assert ([r["change"] for r in changes], unsure) == (["new"], 0)


rows = st.lists(
    st.builds(
        row,
        st.integers(1, 6),
        st.sampled_from([None, "0", "0.5", "1.00", "1", "7.1234"]),
        st.one_of(st.none(), st.integers(0, 3)),
        st.sampled_from(LISTINGS),
    ),
    max_size=12,
)


@settings(deadline=None)  # Arrow's first join loads its kernels
@given(rows, rows, st.sets(st.sampled_from(LISTINGS)), st.sets(st.sampled_from(LISTINGS)))
def test_changes_are_what_a_plain_loop_finds(before, after, ended_before, ended_after):
    """For any two runs, the Arrow code and a plain loop find the same changes."""
    both = ended_before & ended_after
    table, unsure = table_of(sightings(before), sightings(after), ended_before, both)
    expected = Counter(
        kind for kind in plain(before, after, ended_before, both).values() if kind != "same"
    )
    assert expected.pop("unsure", 0) == unsure
    assert Counter(table["change"].to_pylist()) == expected


def plain(before, after, ended_before, both):
    """Return the kind of change of each item, by a plain loop."""
    old = {(r[0], r[2]): r for r in before}
    new = {(r[0], r[2]): r for r in after}
    changes = {}
    for key in old.keys() | new.keys():
        if key not in new:
            changes[key] = "gone" if key[0] in both else "unsure"
        elif key not in old:
            changes[key] = "new" if key[0] in ended_before else "unsure"
        else:
            changes[key] = moved(old[key], new[key])
    return changes


def moved(old, new):
    """Return the kind of change of an item in both runs."""
    prices = [None if row[4] is None else Decimal(row[4]) for row in (old, new)]
    if None not in prices and prices[0] != prices[1]:
        return "dearer" if prices[1] > prices[0] else "cheaper"
    return "sales" if None not in (old[5], new[5]) and old[5] != new[5] else "same"


def test_the_figures_of_the_categories_sum_to_the_changes():
    """Every change counts once, under its category and kind."""
    before = sightings([row(1), row(2), row(3, sold=1)])
    after = sightings([row(2, "3.00"), row(3, sold=2), row(4)])
    table, _ = table_of(before, after, {"a"}, {"a"})
    (figures,) = counted(before, after, table).values()
    assert (figures.before, figures.after) == (3, 3)
    assert {kind: getattr(figures, kind) for kind in KINDS} == {
        "new": 1,
        "gone": 1,
        "dearer": 1,
        "cheaper": 0,
        "sales": 1,
    }


def test_listings_without_a_category_are_counted_one_by_one():
    """Categories come first, sorted by number; items without a category count by listing."""
    before = sightings([(name, cat, 1, None, None, None) for name, cat in PLACES])
    table, _ = table_of(before, sightings([]), (), {"b", "d"})
    changes = counted(before, sightings([]), table)
    assert [(name, one.before, one.gone) for name, one in changes.items()] == [
        ("9", 1, 0),
        ("10", 2, 1),
        ("b", 1, 1),
        ("c", 1, 0),
    ]


PLACES = [("c", None), ("a", 10), ("d", 10), ("e", 9), ("b", None)]


def test_counts_of_several_groups_of_listings_are_summed():
    """A category whose listings are in several groups has the sums of all of them."""
    counts = {}
    for listing in ("a", "b"):
        before = sightings([row(1, listing=listing), row(2, listing=listing)])
        after = sightings([row(1, "3.00", listing=listing)])
        table, _ = table_of(before, after, (), LISTINGS)
        add_counts(counts, before, after, table)
    (total,) = counts.values()
    assert (total.before, total.after, total.dearer, total.gone) == (4, 2, 2, 2)
