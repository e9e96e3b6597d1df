"""The planner against an API in memory whose every undocumented trait is drawn."""

from __future__ import annotations

import random
from decimal import Decimal

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from tests.support.shop import ROOT, BudgetSpentError, Driver, Product, Shop
from tmapi_async.api.listings import Listing
from tmapi_async.crawl.splitting import SplitPlanner

FLAGS = ("free_shipping", "new_arrival")
PRICES = st.one_of(
    st.sampled_from([Decimal(n) for n in ("9.89", "9.90", "9.91", "5.00", "0.01", "56")]),
    st.integers(1, 3000).map(lambda n: Decimal(n) / 100),
)


@st.composite
def shops(draw: st.DrawFn, *, prices: st.SearchStrategy[Decimal | None] = PRICES) -> Shop:
    """A small shop with a small ceiling; some of its prices hold many products."""
    flags = FLAGS[: draw(st.integers(0, 2))]
    groups = draw(st.lists(st.tuples(prices, st.integers(1, 12)), max_size=12))
    chance = random.Random(draw(st.integers(0, 2**16)))  # noqa: S311 - no secrets
    spread = [price for price, many in groups for _ in range(many)]
    chance.shuffle(spread)
    products = [
        Product(number, price, frozenset(flag for flag in flags if chance.random() < 0.4))
        for number, price in enumerate(spread, 1)
    ]
    return Shop(
        products,
        ceiling=draw(st.integers(2, 12)),
        size=draw(st.integers(1, 5)),
        flags=flags,
        start_inclusive=draw(st.booleans()),
        end_inclusive=draw(st.booleans()),
        false_filters=draw(st.booleans()),
        ties=draw(st.sampled_from(["reversed", "same"])),
        hides_unpriced=draw(st.booleans()),
        filters_prices=draw(st.sampled_from([True, True, True, False])),
    )


def family(shop: Shop, root: Listing = ROOT) -> SplitPlanner:
    """A planner for a shop's endpoint."""
    return SplitPlanner(root, flags=shop.flags, ceiling=shop.ceiling)


def priced(shop: Shop) -> set[int]:
    """The products that price filters cannot hide."""
    return {one.id for one in shop.products if one.price is not None}


@given(shop=shops())
def test_all_that_the_api_can_show_is_found(shop: Shop) -> None:
    """Every product that any listing of one price shows is found, for any meaning of the bounds.

    Filters are tried as far as first pages of a few rows tell that they filter: what then is out of
    reach is said.
    """
    driver = Driver(shop, budget=20_000)
    planner = driver.run(family(shop))
    if shop.filters_prices and not (shop.flags and planner.reconcile().short):
        assert shop.showable() <= driver.found
    assert planner.expectation().least == 0
    assert planner.expectation().settled


@given(shop=shops(prices=st.none() | PRICES))
def test_complete_is_never_said_of_less(shop: Shop) -> None:
    """Where it is called complete, every product with a price was found."""
    driver = Driver(shop, budget=20_000)
    account = driver.run(family(shop)).reconcile()
    assert account.distinct == len(driver.found)
    if account.complete:
        assert priced(shop) <= driver.found
    else:
        assert len(str(account).splitlines()) > 1


@given(shop=shops(prices=PRICES | st.integers(1, 999).map(lambda n: Decimal(n) / 200)))
def test_prices_below_a_cent_are_found_or_missed_aloud(shop: Shop) -> None:
    """A price finer than the step that was known is found, or nothing is called complete."""
    driver = Driver(shop, budget=20_000)
    account = driver.run(family(shop)).reconcile()
    assert not account.complete or priced(shop) <= driver.found


@given(shop=shops(), seeds=st.tuples(st.integers(), st.integers()))
def test_the_order_of_answers_changes_nothing(shop: Shop, seeds: tuple[int, int]) -> None:
    """The same parts are asked for, page by page, in whatever order the answers come."""
    drivers = [Driver(shop, seed, budget=20_000) for seed in seeds]
    planners = [driver.run(family(shop)) for driver in drivers]
    assert set(drivers[0].asked) == set(drivers[1].asked)
    assert set(planners[0].listings) == set(planners[1].listings)


@given(shop=shops(), budget=st.integers(0, 60), seed=st.integers())
def test_a_replay_goes_on_where_the_budget_ended(shop: Shop, budget: int, seed: int) -> None:
    """No more is sent than the budget, and nothing twice, until all has been asked for."""
    whole = Driver(shop, budget=20_000)
    whole.run(family(shop))
    driver, starts = Driver(shop, seed, budget), 0
    while True:
        starts += 1
        before = driver.requests
        try:
            driver.run(family(shop))
            break
        except BudgetSpentError:
            assert driver.requests == driver.budget
            assert driver.requests - before <= max(budget, 1)
            driver.budget += max(budget, 1)
    assert len(driver.asked) == len(set(driver.asked))
    assert set(driver.asked) == set(whole.asked)


@given(shop=shops(), low=PRICES, high=PRICES)
def test_a_band_that_was_asked_for_is_kept(shop: Shop, low: Decimal, high: Decimal) -> None:
    """A listing with price bounds of its own is divided within them, and finds what they hold."""
    low, high = min(low, high), max(low, high)
    params = [*ROOT.params, ("price_start", str(low)), ("price_end", str(high)), ("sort", "sales")]
    root = Listing(ROOT.endpoint, tuple(sorted(params)))
    driver = Driver(shop, budget=20_000)
    planner = driver.run(family(shop, root))
    for listing in planner.listings:
        bounds = dict(listing.params)
        assert low <= Decimal(bounds["price_start"]) or not shop.filters_prices
        assert Decimal(bounds["price_end"]) <= high or not shop.filters_prices
    if shop.filters_prices and planner.reconcile().complete:
        inside = {one.id for one in shop.products if shop._matches(one, dict(root.params))}
        assert inside <= driver.found


def crowd(seed: int, *, heavy: int, flags: tuple[tuple[str, float], ...] = ()) -> list[Product]:
    """15,000 products: so many at 9.90, the others' prices log-normal."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    prices = [Decimal("9.90")] * heavy
    while len(prices) < 15_000:
        prices.append(Decimal(max(1, round(chance.lognormvariate(3, 1.2) * 100))) / 100)
    chance.shuffle(prices)
    return [
        Product(number, price, frozenset(name for name, p in flags if chance.random() < p))
        for number, price in enumerate(prices, 1)
    ]


NINE = Decimal("9.90")
SHARES = (
    ("free_shipping", 0.3),
    ("is_super_factory", 0.05),
    ("new_arrival", 0.1),
    ("support_dropshipping", 0.5),
)


@pytest.mark.parametrize("false_filters", [None, True, False])
@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("end", [True, False])
def test_fifteen_thousand(start: bool, end: bool, false_filters: bool | None) -> None:
    """15,000 products, 3,000 of one price, ceiling 2,000: all, for a quarter more pages."""
    flags = SHARES if false_filters is not None else ()
    shop = Shop(
        crowd(7, heavy=3000, flags=flags),
        flags=tuple(name for name, _ in flags),
        start_inclusive=start,
        end_inclusive=end,
        false_filters=bool(false_filters),
    )
    driver = Driver(shop)
    account = driver.run(family(shop)).reconcile()
    assert len(driver.found) == 15_000
    assert account.complete
    assert driver.requests <= 937
    assert account.requests == driver.requests
    assert 15_000 <= account.promised < 17_500


@pytest.mark.parametrize("start", [True, False])
def test_more_of_one_price_than_both_orders_show(start: bool) -> None:
    """Of 5,000 at one price listings show 4,000: those are found, the rest is named."""
    shop = Shop(crowd(3, heavy=5000), start_inclusive=start)
    driver = Driver(shop)
    account = driver.run(family(shop)).reconcile()
    assert driver.found == shop.showable()
    assert 15_000 - len(driver.found) == sum(one.price == NINE for one in shop.products) - 4000
    assert not account.complete
    assert account.short
    (piece,) = (piece for piece in account.pieces if piece.verdict != "proven")
    assert piece.found == 4000
    assert "4,000 found" in str(account)
    bound = "9.9" if start else "9.89"  # where bounds are seen to show, the band is narrowed
    assert f"price_start={bound}&" in str(piece)


@pytest.mark.parametrize("late", [True, False])
def test_orders_walked_at_different_times_prove_nothing(late: bool) -> None:
    """Between the walks a row may have moved from what neither had read to what one had."""
    shop = Shop(crowd(3, heavy=3000))

    class Interrupted(Shop):
        def page(self, listing, number):
            resumed = late and number > 50 and dict(listing.params).get("sort") == "price_down"
            at = number + 1_000_000 * resumed
            return msgspec.structs.replace(shop.page(listing, number), at=at)

    driver = Driver(Interrupted(shop.products))
    account = driver.run(family(shop)).reconcile()
    assert len(driver.found) == 15_000
    assert account.missing == 0
    assert account.complete == (not late)
    heavy = sum(one.price == NINE for one in shop.products)
    assert (f"{heavy:,} of about {heavy:,} found" in str(account)) == late


@pytest.mark.parametrize("false_filters", [True, False])
def test_filters_show_what_orders_do_not(false_filters: bool) -> None:
    """Where one price holds 7,000, filters are set, one within the other, as far as they divide."""
    names = tuple(name for name, _ in SHARES)
    shop = Shop(crowd(5, heavy=7000, flags=SHARES), flags=names, false_filters=false_filters)
    driver = Driver(shop)
    account = driver.run(family(shop)).reconcile()
    assert shop.showable() <= driver.found
    assert account.complete == (len(driver.found) == 15_000)
    if false_filters:
        assert len(driver.found) == 15_000


def test_what_fits_is_walked_as_it_is() -> None:
    """A listing below the ceiling costs its own pages and nothing else."""
    shop = Shop([Product(n, Decimal(n)) for n in range(1, 1990)])
    driver = Driver(shop)
    account = driver.run(family(shop)).reconcile()
    assert driver.requests == 100
    assert {listing for listing, _ in driver.asked} == {ROOT}
    assert account.complete
    assert not account.divided


def test_the_cost_is_told_before_it_is_spent() -> None:
    """The least expected never overshoots; once every part fits it is exact."""
    shop = Shop(crowd(1, heavy=0))
    planner, driver = family(shop), Driver(shop)
    told: list[tuple[int, object]] = []
    page = planner.page

    def noted(listing, sight):
        steps = page(listing, sight)
        told.append((driver.requests, planner.expectation()))
        return steps

    planner.page = noted
    driver.run(planner)
    for spent, expected in told:
        assert spent + expected.least <= driver.requests
    settled = [(spent, expected) for spent, expected in told if expected.settled]
    assert all(spent + expected.least == driver.requests for spent, expected in settled)
    likely = [(spent, e.likely) for spent, e in told if e.likely is not None and not e.settled]
    assert likely
    assert abs(likely[-1][0] + likely[-1][1] - driver.requests) < 0.5 * driver.requests


def test_a_part_that_fails_is_named() -> None:
    """A part that could not be walked is told, with its error; nothing is called complete."""
    shop = Shop([Product(n, Decimal(n)) for n in range(1, 10)])
    planner = family(shop)
    planner.begin()
    planner.page(ROOT, shop.page(ROOT, 1))
    planner.ended(ROOT, "failed", "code 417")
    account = planner.reconcile()
    assert account.failed
    assert not account.complete
    assert "code 417" in str(account)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_a_part_that_brings_too_little_is_walked_the_other_way_round(seed: int) -> None:
    """Rows that slip past one walk are looked for once more, and what stays out is uncertain."""
    products = [Product(n, Decimal(n)) for n in range(1, 1001)]
    shop = Shop(products)
    chance = random.Random(seed)  # noqa: S311 - no secrets
    driver = Driver(shop)
    honest = shop.page

    class Slipping(Shop):
        def page(self, listing, number):
            sight = honest(listing, number)
            kept = tuple(row for row in sight.rows if chance.random() > 0.1)
            return type(sight)(
                number=number, total=sight.total, rows=kept, has_next=sight.has_next, page_size=20
            )

    driver.shop = Slipping(products)
    account = driver.run(family(shop)).reconcile()
    assert driver.requests == 100
    assert account.distinct == len(driver.found)
    assert account.missing == 1000 - len(driver.found)
    assert account.complete == (len(driver.found) == 1000)
    assert account.distinct > 970
