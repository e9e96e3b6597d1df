"""Best sellers and cheapest items of each category."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.journals import body, row, write
from tmapi_async.report import gather, render
from tmapi_async.report.item_ranking import _KEPT_GROUPS, CANDIDATE, MAX_RANKED, ItemRanking

ROWS = st.lists(
    st.tuples(
        st.sampled_from("78"),
        st.integers(1, 40),
        st.one_of(st.none(), st.integers(0, 9)),
        st.one_of(st.none(), st.integers(0, 9)),
    ),
    max_size=60,
)


def candidates(rows: list[tuple[str, int, int | None, int | None]], first: int) -> pa.Table:
    """Return rows (category, item, price, sold) of a listing."""
    columns: dict[str, list[Any]] = defaultdict(list)
    for number, (group, item, price, sold) in enumerate(rows):
        values = {
            "group": group,
            "listing": f"listing {group}",
            "row": first + number,
            "item_id": item,
            "amount": None if price is None else Decimal(price),
            "sold": sold,
        }
        for name in CANDIDATE.names:
            columns[name].append(values.get(name))
    return pa.table({name: columns[name] for name in CANDIDATE.names}, schema=CANDIDATE)


@settings(max_examples=40)
@given(ROWS)
def test_the_choice_is_that_of_all_rows(rows):
    """However rows are cut into batches, the best are those of the latest sightings of all."""
    ranking, latest = ItemRanking(), {}
    for start in range(0, len(rows), 7):
        ranking.add_rows(candidates(rows[start : start + 7], start))
    for number, (group, item, price, sold) in enumerate(rows):
        latest[group, item] = (number, price, sold)
    numbers = pa.chunked_array([pa.array([number for number, _, _ in latest.values()], pa.int64())])
    ranking.end_listings(numbers, dict.fromkeys("78", 1))
    items = ranking.items(["7", "8"])
    for group in "78":
        sold = sorted((-s, i) for (g, i), (_, _, s) in latest.items() if g == group and s)
        priced = sorted((p, i) for (g, i), (_, p, _) in latest.items() if g == group and p)
        best = {one.best: one.item_id for one in items if one.group == group and one.best}
        cheapest = {
            one.cheapest: one.item_id for one in items if one.group == group and one.cheapest
        }
        assert [best[place] for place in sorted(best)] == [i for _, i in sold]
        assert [cheapest[place] for place in sorted(cheapest)] == [i for _, i in priced]


def test_too_many_categories_cost_the_small_ones_and_never_mislead():
    """Beyond a bound the smallest categories are given up, and never shown in part."""
    ranking, sizes = ItemRanking(), dict[str, int]()
    for first in range(0, 400, 50):
        rows = []
        for number in range(first, first + 50):
            sizes[str(number)] = 200 if number % 20 == 0 else 100
            items = range(1, sizes[str(number)] + 1)
            rows += [(str(number), 1000 * number + item, item, item) for item in items]
        ranking.add_rows(candidates(rows, 0))
        ranking.end_listings(pa.chunked_array([pa.array(range(len(rows)), pa.int64())]), sizes)
    largest = [str(number) for number in range(0, 400, 20)]
    ranked = ranking.items(largest)
    assert {one.group for one in ranked if one.best == 1} == set(largest)
    shown = {one.group for one in ranking.items(list(sizes))}
    assert len(shown) < 400
    assert len(shown) >= _KEPT_GROUPS


def test_one_category_has_more_places_than_each_of_many(tmp_path):
    """The table is as long for one category as a buyer needs, and bounded for many."""
    one = {7: [body([row(n, sales_count=str(n), price=str(n)) for n in range(1, 201)])]}
    items = gather(write(tmp_path / "one.journal", one)).items.ranked
    assert max(item.best or 0 for item in items) == MAX_RANKED
    assert {item.item_id for item in items} == {*range(1, 51), *range(151, 201)}
    assert [item.item_id for item in items[:2]] == [200, 199]
    many = {
        cat: [body([row(100 * cat + n, sales_count=str(n)) for n in range(1, 21)])]
        for cat in range(1, 41)
    }
    facts = gather(write(tmp_path / "many.journal", many))
    assert len(facts.items.ranked) == 300
    assert "In the categories below: " in render(facts)  # not all are shown
