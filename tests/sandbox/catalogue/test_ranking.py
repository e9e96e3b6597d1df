from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.siblings import ITEMS, SHOP, SIBLINGS, V2, seven
from tmapi_async.sandbox import EVERYTHING, Catalogue, Choice, Prices
from tmapi_async.sandbox.catalogue.ranking import Ranking, ties
from tmapi_async.sandbox.responses.config import Config
from tmapi_async.sandbox.responses.listing_views import Views
from tmapi_async.sandbox.responses.stats import Listing

KEY = (7, EVERYTHING)


def looked(ranking, size, replies):
    """Return the orders before and after each of some replies."""
    orders = [list(ranking.order(KEY, range(size)))]
    for _ in range(replies):
        ranking.replies_sent += 1
        orders.append(list(ranking.order(KEY, range(size))))
    return orders


@given(st.integers(0, 2**63), st.integers(0, 60), st.floats(0, 5))
@settings(max_examples=40)
def test_sandbox_ranking_moves_rows_and_loses_none(seed, size, shift):
    """An order always has every row once; reading the order moves no row."""
    ranking = Ranking(seed, shift)
    for order in (orders := looked(ranking, size, 12)):
        assert sorted(order) == list(range(size))
    assert list(ranking.order(KEY, range(size))) == orders[-1]


@given(st.integers(0, 2**63))
@settings(max_examples=20)
def test_sandbox_ranking_follows_from_seed_and_replies(seed):
    """The orders depend on seed and replies only, not on how often they are read."""
    one, rare, other = Ranking(seed, 1.5), Ranking(seed, 1.5), Ranking(seed + 1, 1.5)
    orders = looked(one, 50, 30)
    assert list(rare.order(KEY, range(50))) == list(range(50))
    rare.replies_sent = 30
    assert list(rare.order(KEY, range(50))) == orders[-1]
    assert orders != looked(other, 50, 30)


def test_sandbox_ranking_shifts_as_much_as_asked():
    """The mean number of moves per reply is `shift`."""
    ranking = Ranking(5, 0.4)
    moved = sum(ranking.moves_after(number) for number in range(5000))
    assert 1850 < moved < 2150
    assert {Ranking(5, 3.0).moves_after(number) for number in range(50)} == {3}


def test_sandbox_ranking_moves_mostly_near_and_sometimes_far():
    """Half of the moves stay within two pages of 15,000 rows, and some cross many."""
    distances = []
    for number in range(400):
        ranking = Ranking(number, 1.0)
        ranking.order(KEY, range(15_000))
        ranking.replies_sent = 1
        order = ranking.order(KEY, range(15_000))
        distances.append(max(abs(rank - row) for rank, row in enumerate(order)))
    assert sum(distance <= 130 for distance in distances) > 180
    assert sum(distance > 2000 for distance in distances) > 40


@pytest.mark.parametrize("prices", [[1, 2, 2, 2, 5, 5], [3, 3, 3], [7]])
def test_sandbox_ties_are_bands_of_one_price(prices):
    """For each rank the band is exactly the ranks of the same price."""
    band = ties(prices)
    for rank, price in enumerate(prices):
        same = [other for other, its in enumerate(prices) if its == price]
        assert band(rank) == (same[0], same[-1] + 1)


@pytest.mark.parametrize("path", [V2, ITEMS, SHOP])
@pytest.mark.parametrize("shift", [1.0, 20.0])
async def test_sandbox_walk_through_a_moving_ranking_misses_and_repeats(
    tmapi_sandboxes, ask, path, shift
):
    """Rows that cross the walk are seen twice or not at all; two walks of one seed are the same."""
    walks = []
    for _ in range(2):
        sandbox = await seven(tmapi_sandboxes, 600, shift=shift)
        walks.append(await ask.ids(sandbox, path, **SIBLINGS.get(path, {"cat_id": 7})))
    assert walks[0] == walks[1]
    everything = set(sandbox.catalogue.item_ids(7))
    assert set(walks[0]) <= everything
    assert len(walks[0]) == 600
    missed = everything - set(walks[0])
    repeated = [item_id for item_id, count in Counter(walks[0]).items() if count > 1]
    assert missed
    assert repeated
    assert len(missed) < (0.02 if shift == 1.0 else 0.4) * 600


async def test_sandbox_orders_by_price_stand_still(tmapi_sandboxes, ask):
    """While the ranking moves, orders by price do not, so that a walk by price is whole."""
    sandbox = await seven(tmapi_sandboxes, 200, shift=10.0)
    for sort in ("price_up", "price_down"):
        ids = await ask.ids(sandbox, V2, cat_id=7, sort=sort)
        assert ids == sandbox.catalogue.chosen_ids(7, Choice(sort=sort))
    first, second = [
        (await ask.data(sandbox, V2, cat_id=7, sort="sales"))["items"] for _ in range(2)
    ]
    assert [row["item_id"] for row in first] != [row["item_id"] for row in second]


async def test_sandbox_ties_may_move_among_themselves(tmapi_sandboxes, ask):
    """With `shift_ties`, rows with the same price change places and prices still rise."""
    options = {"prices": {7: Prices(at={"9.90": 100})}, "shift": 20.0, "shift_ties": True}
    sandbox = await seven(tmapi_sandboxes, 200, **options)
    still = sandbox.catalogue.chosen_ids(7, Choice(sort="price_up"))
    pages = await ask.pages(sandbox, V2, cat_id=7, sort="price_up")
    rows = [row for page in pages for row in page["items"]]
    prices = [float(row["price"]) for row in rows]
    assert prices == sorted(prices)
    assert [row["item_id"] for row in rows] != still
    unlike = [
        rank
        for rank, (row, item_id) in enumerate(zip(rows, still, strict=True))
        if row["item_id"] != item_id
    ]
    assert all(prices[rank] == 9.9 for rank in unlike)


def test_sandbox_orders_by_price_mirror_each_other_while_rows_move():
    """The falling order is the rising one backwards at any moment, also past a ceiling."""
    catalogue = Catalogue(3, {7: 200}, prices={7: Prices(at={"9.90": 150})})
    config = Config(catalogue=catalogue, shift=5.0, shift_ties=True, ceiling=120)
    views = Views(config, catalogue, Ranking(3, 5.0))
    up, down = (
        views.view_of(Listing(V2, (("cat_id", "7"), ("sort", sort))))
        for sort in ("price_up", "price_down")
    )
    still = list(views.indices(up, 0, 120))
    for _ in range(20):
        views.ranking.replies_sent += 1
        rising, falling = (list(views.indices(view, 0, 200)) for view in (up, down))
        assert (len(rising), len(falling)) == (120, 120)
        assert rising[80:] == falling[80:][::-1]
        assert list(views.indices(down, 20, 40)) == falling[20:40]
    assert rising != still


async def test_sandbox_ranking_can_be_set_moving(tmapi_sandboxes, ask):
    """`change(shift=...)` starts and stops the moves of a running sandbox."""
    sandbox = await seven(tmapi_sandboxes, 200)
    still = await ask.ids(sandbox, V2, cat_id=7)
    sandbox.change(shift=30.0)
    assert await ask.ids(sandbox, V2, cat_id=7) != still
    sandbox.change(shift=0.0)
    assert await ask.ids(sandbox, V2, cat_id=7) == still
