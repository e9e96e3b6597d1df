"""The planner against an API in memory. Hypothesis draws its undocumented traits."""

from __future__ import annotations

import random
from decimal import Decimal

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from tests.support.shop import ROOT, BudgetSpentError, PlannerDriver, Product, Shop
from tmapi_async.api.listings import Listing
from tmapi_async.crawl.splitting import Reconciliation, SplitPlanner

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


def planner_for(shop: Shop, root: Listing = ROOT) -> SplitPlanner:
    """Return a planner for a shop's endpoint."""
    return SplitPlanner(root, flags=shop.flags, ceiling=shop.ceiling)


def priced(shop: Shop) -> set[int]:
    """Return the products that price filters cannot hide."""
    return {item.id for item in shop.products if item.price is not None}


@given(shop=shops())
def test_all_that_the_api_can_show_is_found(shop: Shop) -> None:
    """Every product that some listing of one price shows is found, for any meaning of the bounds.

    A filter is used only if first pages of a few rows show that it filters. If that leaves products
    out of reach, the result says so.
    """
    driver = PlannerDriver(shop, budget=20_000)
    planner = driver.run(planner_for(shop))
    if shop.filters_prices and not (shop.flags and planner.reconcile().short):
        assert shop.showable() <= driver.items
    assert planner.expectation().least == 0
    assert planner.expectation().settled


@given(shop=shops(prices=st.none() | PRICES))
def test_complete_is_never_said_of_less(shop: Shop) -> None:
    """A result is called complete only if every product with a price was found."""
    driver = PlannerDriver(shop, budget=20_000)
    reconciliation = driver.run(planner_for(shop)).reconcile()
    assert reconciliation.distinct == len(driver.items)
    if reconciliation.complete:
        assert priced(shop) <= driver.items
    else:
        assert len(str(reconciliation).splitlines()) > 1


@pytest.mark.slow
@given(shop=shops(prices=PRICES | st.integers(1, 999).map(lambda n: Decimal(n) / 200)))
def test_prices_below_a_cent_are_found_or_reported(shop: Shop) -> None:
    """A price finer than the known step is found, or the result is not called complete."""
    driver = PlannerDriver(shop, budget=20_000)
    reconciliation = driver.run(planner_for(shop)).reconcile()
    assert not reconciliation.complete or priced(shop) <= driver.items


@pytest.mark.slow
@given(shop=shops(), seeds=st.tuples(st.integers(), st.integers()))
def test_the_order_of_answers_changes_nothing(shop: Shop, seeds: tuple[int, int]) -> None:
    """The same pages are requested in any order of the answers."""
    drivers = [PlannerDriver(shop, seed, budget=20_000) for seed in seeds]
    planners = [driver.run(planner_for(shop)) for driver in drivers]
    assert set(drivers[0].sent) == set(drivers[1].sent)
    assert set(planners[0].listings) == set(planners[1].listings)


@pytest.mark.slow
@given(shop=shops(), budget=st.integers(0, 60), seed=st.integers())
def test_a_replay_continues_where_the_budget_ended(shop: Shop, budget: int, seed: int) -> None:
    """A replay sends no more than the budget, and nothing twice, until everything was requested."""
    whole = PlannerDriver(shop, budget=20_000)
    whole.run(planner_for(shop))
    driver, starts = PlannerDriver(shop, seed, budget), 0
    while True:
        starts += 1
        before = driver.requests
        try:
            driver.run(planner_for(shop))
            break
        except BudgetSpentError:
            assert driver.requests == driver.budget
            assert driver.requests - before <= max(budget, 1)
            driver.budget += max(budget, 1)
    assert len(driver.sent) == len(set(driver.sent))
    assert set(driver.sent) == set(whole.sent)


@given(shop=shops(), low=PRICES, high=PRICES)
def test_a_price_band_of_the_listing_is_kept(shop: Shop, low: Decimal, high: Decimal) -> None:
    """A listing with price bounds of its own is divided within them, and is found whole."""
    low, high = min(low, high), max(low, high)
    params = [*ROOT.params, ("price_start", str(low)), ("price_end", str(high)), ("sort", "sales")]
    root = Listing(ROOT.endpoint, tuple(sorted(params)))
    driver = PlannerDriver(shop, budget=20_000)
    planner = driver.run(planner_for(shop, root))
    for listing in planner.listings:
        bounds = dict(listing.params)
        assert low <= Decimal(bounds["price_start"]) or not shop.filters_prices
        assert Decimal(bounds["price_end"]) <= high or not shop.filters_prices
    if shop.filters_prices and planner.reconcile().complete:
        params = dict(root.params)
        inside = {item.id for item in shop.products if shop.matches(item, params)}
        assert inside <= driver.items


def crowd(seed: int, *, heavy: int, flags: tuple[tuple[str, float], ...] = ()) -> list[Product]:
    """Return 15,000 products: `heavy` of them at 9.90, the others with log-normal prices."""
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


@pytest.mark.slow
@pytest.mark.parametrize("false_filters", [None, True, False])
@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("end", [True, False])
def test_fifteen_thousand_products_cost_a_quarter_more_pages(
    start: bool, end: bool, false_filters: bool | None
) -> None:
    """Of 15,000 products, 3,000 at one price, all are found below the ceiling of 2,000.

    They cost at most a quarter more pages than they fill.
    """
    flags = SHARES if false_filters is not None else ()
    shop = Shop(
        crowd(7, heavy=3000, flags=flags),
        flags=tuple(name for name, _ in flags),
        start_inclusive=start,
        end_inclusive=end,
        false_filters=bool(false_filters),
    )
    driver = PlannerDriver(shop)
    reconciliation = driver.run(planner_for(shop)).reconcile()
    assert len(driver.items) == 15_000
    assert reconciliation.complete
    assert driver.requests <= 937
    assert reconciliation.requests == driver.requests
    assert 15_000 <= reconciliation.promised < 17_500


@pytest.mark.slow
@pytest.mark.parametrize("start", [True, False])
def test_more_of_one_price_than_both_orders_show(start: bool) -> None:
    """Of 5,000 products at one price listings show 4,000: these are found, the rest is reported."""
    shop = Shop(crowd(3, heavy=5000), start_inclusive=start)
    driver = PlannerDriver(shop)
    reconciliation = driver.run(planner_for(shop)).reconcile()
    assert driver.items == shop.showable()
    assert 15_000 - len(driver.items) == sum(item.price == NINE for item in shop.products) - 4000
    assert not reconciliation.complete
    assert reconciliation.short
    (piece,) = (piece for piece in reconciliation.pieces if piece.verdict != "proven")
    assert piece.found == 4000
    assert "4,000 found" in str(reconciliation)
    bound = "9.9" if start else "9.89"  # an inclusive bound lets the band be narrowed
    assert f"price_start={bound}&" in str(piece)


@pytest.mark.slow
@pytest.mark.parametrize("late", [True, False])
def test_orders_walked_at_different_times_are_no_proof(late: bool) -> None:
    """Between two walks a row may move from the range that neither read to one that was read."""
    shop = Shop(crowd(3, heavy=3000))

    class Interrupted(Shop):
        def page(self, listing, number):
            resumed = late and number > 50 and dict(listing.params).get("sort") == "price_down"
            at = number + 1_000_000 * resumed
            return msgspec.structs.replace(shop.page(listing, number), at=at)

    driver = PlannerDriver(Interrupted(shop.products))
    reconciliation = driver.run(planner_for(shop)).reconcile()
    assert len(driver.items) == 15_000
    assert reconciliation.missing == 0
    assert reconciliation.complete == (not late)
    heavy = sum(item.price == NINE for item in shop.products)
    assert (f"{heavy:,} of about {heavy:,} found" in str(reconciliation)) == late


@pytest.mark.slow
@pytest.mark.parametrize("false_filters", [True, False])
def test_filters_find_items_that_no_order_shows(false_filters: bool) -> None:
    """If one price has 7,000 products, filters are set, one within the other, while they divide."""
    names = tuple(name for name, _ in SHARES)
    shop = Shop(crowd(5, heavy=7000, flags=SHARES), flags=names, false_filters=false_filters)
    driver = PlannerDriver(shop)
    reconciliation = driver.run(planner_for(shop)).reconcile()
    assert shop.showable() <= driver.items
    assert reconciliation.complete == (len(driver.items) == 15_000)
    if false_filters:
        assert len(driver.items) == 15_000


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("heavy", [400, 600])
def test_a_set_of_filters_is_divided_once(heavy: int, seed: int) -> None:
    """Filters set in either order are one listing: walked once, and counted wherever they belong.

    Divided a second time, the listing looked empty, and more filters were tried within it.
    """
    names = ("free_shipping", "is_super_factory", "new_arrival")
    chance = random.Random(seed)  # noqa: S311 - no secrets
    products = [
        Product(number, NINE, frozenset(name for name in names if chance.random() < 0.6))
        for number in range(1, heavy + 1)
    ]
    shop = Shop(products, flags=names, ceiling=100, false_filters=False)
    driver = PlannerDriver(shop, seed, budget=2000)
    reconciliation = driver.run(planner_for(shop)).reconcile()
    pieces = [frozenset(piece.parts) for piece in reconciliation.pieces]
    assert len(pieces) == len(set(pieces))
    assert all(piece.found for piece in reconciliation.pieces)
    assert shop.showable() <= driver.items
    outer = [piece for piece in reconciliation.pieces if not piece.inner]
    assert [piece.found for piece in outer] == [len(driver.items)]


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("advert_price", [50, 5000])
def test_an_advert_does_not_stand_for_a_row_that_was_missed(moved: bool, advert_price: int) -> None:
    """With adverts on its pages, a part is complete only if no row of it was shown twice.

    A row that moves past the walk pushes another one to a second page. The adverts bring the number
    of items up to the total even so, unless their prices are others.
    """
    products = [Product(n, Decimal(n)) for n in range(1, 101)]
    root = Listing(ROOT.endpoint, (*ROOT.params, ("price_end", "1000")))
    honest_page = Shop(products).page

    class Advertising(Shop):
        def page(self, listing, number):
            page = honest_page(listing, number)
            rows = list(page.rows)
            if moved and number == 3:
                rows[0] = honest_page(listing, 2).rows[-1]
            rows.insert(5, (9000 + number, Decimal(advert_price)))
            return msgspec.structs.replace(page, rows=tuple(rows))

    driver = PlannerDriver(Advertising(products))
    reconciliation = driver.run(planner_for(driver.shop, root)).reconcile()
    # A second walk, in the other order, is worth its cost only where rows are known to be missing.
    assert driver.requests == (10 if moved and advert_price > 1000 else 5)
    assert ({product.id for product in products} <= driver.items) == reconciliation.complete
    assert ("uncertain" in str(reconciliation)) == (not reconciliation.complete)


def test_a_listing_that_fits_is_not_divided() -> None:
    """A listing below the ceiling costs only its own pages."""
    shop = Shop([Product(n, Decimal(n)) for n in range(1, 1990)])
    driver = PlannerDriver(shop)
    reconciliation = driver.run(planner_for(shop)).reconcile()
    assert driver.requests == 100
    assert {listing for listing, _ in driver.sent} == {ROOT}
    assert reconciliation.complete
    assert not reconciliation.divided


@pytest.mark.slow
def test_the_cost_is_expected_before_it_is_spent() -> None:
    """The minimum is never too high, and it is exact once every part fits."""
    shop = Shop(crowd(1, heavy=0))
    planner, driver = planner_for(shop), PlannerDriver(shop)
    expectations: list[tuple[int, object]] = []
    add_page = planner.page

    def record(listing, page):
        queries = add_page(listing, page)
        expectations.append((driver.requests, planner.expectation()))
        return queries

    planner.page = record
    driver.run(planner)
    for spent, expected in expectations:
        assert spent + expected.least <= driver.requests
    settled = [(spent, expected) for spent, expected in expectations if expected.settled]
    assert all(spent + expected.least == driver.requests for spent, expected in settled)
    likely = [
        (spent, expected.likely)
        for spent, expected in expectations
        if expected.likely is not None and not expected.settled
    ]
    assert likely
    assert abs(likely[-1][0] + likely[-1][1] - driver.requests) < 0.5 * driver.requests


def test_a_part_that_fails_is_named() -> None:
    """A part that could not be walked is named with its error, and nothing is called complete."""
    shop = Shop([Product(n, Decimal(n)) for n in range(1, 10)])
    planner = planner_for(shop)
    planner.begin()
    planner.page(ROOT, shop.page(ROOT, 1))
    planner.walk_ended(ROOT, "failed", "code 417")
    reconciliation = planner.reconcile()
    assert reconciliation.failed
    assert not reconciliation.complete
    assert "code 417" in str(reconciliation)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_a_part_that_brings_too_few_rows_is_walked_again_in_reversed_order(seed: int) -> None:
    """Rows missed by one walk are searched in a second one; those still missing are uncertain."""
    products = [Product(n, Decimal(n)) for n in range(1, 1001)]
    shop = Shop(products)
    chance = random.Random(seed)  # noqa: S311 - no secrets
    driver = PlannerDriver(shop)
    honest_page = shop.page

    class Slipping(Shop):
        def page(self, listing, number):
            page = honest_page(listing, number)
            rows = tuple(row for row in page.rows if chance.random() > 0.1)
            return msgspec.structs.replace(page, rows=rows)

    driver.shop = Slipping(products)
    reconciliation = driver.run(planner_for(shop)).reconcile()
    assert driver.requests == 100
    assert reconciliation.distinct == len(driver.items)
    assert reconciliation.missing == 1000 - len(driver.items)
    assert reconciliation.complete == (len(driver.items) == 1000)
    assert reconciliation.distinct > 970


class Untold(Shop):
    """A shop that sends no total."""

    def page(self, listing, number):
        """Return one page of a listing, without its total."""
        return msgspec.structs.replace(super().page(listing, number), total=None)


class Unreadable(Shop):
    """A shop whose rows cannot be decoded."""

    def page(self, listing, number):
        """Return one page of a listing, its rows as rejects."""
        page = super().page(listing, number)
        return msgspec.structs.replace(page, rows=(), rejects=len(page.rows), reason="no ID")


class PartlyUnreadable(Unreadable):
    """A shop whose most expensive rows cannot be decoded, where they fill a part."""

    def page(self, listing, number):
        """Return one page of a listing, its rows as rejects in the part of the highest prices."""
        page = Shop.page(self, listing, number)
        params = dict(listing.params)
        top = "price_start" in params and "price_end" not in params
        return super().page(listing, number) if top and page.total < self.ceiling else page


def thousand(kind: type[Shop], ceiling: int) -> Reconciliation:
    """Divide a listing of 1,000 products of different prices."""
    shop = kind([Product(n, Decimal(n)) for n in range(1, 1001)], ceiling=ceiling)
    return PlannerDriver(shop).run(planner_for(shop)).reconcile()


def test_a_listing_without_a_total_is_not_complete_at_the_ceiling() -> None:
    """Where no total says that there are no more rows, those at the ceiling prove nothing."""
    reconciliation = thousand(Untold, 200)
    assert reconciliation.distinct == 200
    assert not reconciliation.complete
    assert not reconciliation.failed
    assert "200 of an unknown number found: the API may show no more" in str(reconciliation)
    assert thousand(Untold, 2000).complete, "below the ceiling, the server's word is enough"


def test_rows_that_cannot_be_decoded_prove_no_part() -> None:
    """A part whose rows are all rejects is uncertain; a listing that has nothing else failed."""
    for ceiling in (2000, 200):
        reconciliation = thousand(Unreadable, ceiling)
        assert reconciliation.failed, ceiling
        assert not reconciliation.complete, ceiling
    reconciliation = thousand(PartlyUnreadable, 200)
    assert not reconciliation.complete
    assert not reconciliation.failed
    assert "no row of it can be decoded: no ID" in str(reconciliation)


class MovingShop(Shop):
    """A shop of one price whose rows move with each page; a page is asked for and read in a tick.

    A tick is longer than the times of pages are rounded by. Rows move as far as they like, each at
    most once and no more of them than `most`, and none leaves.
    """

    def __init__(
        self, count: int, chance: random.Random, moves: float, *, most: int, **traits: object
    ) -> None:
        super().__init__([Product(n, NINE) for n in range(count)], **traits)  # type: ignore[arg-type]
        unmoved = chance.sample(self.products, min(most, count))
        state = {"rows": [*self.products], "tick": 1_000, "unmoved": unmoved}
        self.__dict__.update(state, chance=chance, moves=moves)

    def _ordered(self, products, sort):
        rows = [item for item in self.rows if item in set(products)]
        return rows[::-1] if sort == "price_down" else rows

    def page(self, listing, number):
        """Return one page of a listing as it is now."""
        self._results.clear()
        self.__dict__["tick"] += 20
        times = {"at": self.tick, "asked": self.tick - 10}
        page = msgspec.structs.replace(super().page(listing, number), **times)
        if self.unmoved and self.chance.random() < self.moves:
            row = self.unmoved.pop(self.chance.randrange(len(self.unmoved)))
            self.rows.remove(row)
            self.rows.insert(self.chance.randrange(len(self.rows) + 1), row)
        return page


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(41, 62),
    moves=st.floats(0, 0.3),
    ahead=st.floats(0, 1),
    seed=st.integers(0, 2**32),
    pauses=st.booleans(),
)
def test_one_price_is_complete_only_if_no_row_was_missed(
    count: int, moves: float, ahead: float, seed: int, pauses: bool
) -> None:
    """However far one order is walked ahead of the other, a row that slips past both is noticed."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    shop = MovingShop(count, chance, moves, most=1, ceiling=40, size=1)
    driver = PlannerDriver(shop, seed=seed, ahead=ahead)
    planner = planner_for(shop)
    if not pauses:
        planner.page_limit = lambda _: None  # type: ignore[method-assign]
    reconciliation = driver.run(planner).reconcile()
    assert reconciliation.complete <= (len(driver.items) == count)


class SlippingShop(MovingShop):
    """A shop in which one row moves: to the front, after the last page of the rising order."""

    def page(self, listing, number):
        """Return one page of a listing as it is now."""
        page = super().page(listing, number)
        if ("sort", "price_up") in listing.params and not page.has_next:
            self.rows.insert(0, self.rows.pop(45))
        return page


@pytest.mark.parametrize("pauses", [True, False])
def test_a_row_that_slips_past_the_walk_that_ended_first_is_noticed(pauses: bool) -> None:
    """Both walks overlap row for row, within a second; still a row is missing if one ended early.

    If both walks pause before their last pages, the row moves too late to be missed.
    """
    shop = SlippingShop(55, random.Random(0), 0.0, most=0, ceiling=40, size=1)  # noqa: S311 - no secrets
    driver = PlannerDriver(shop, ahead=1.0)
    planner = planner_for(shop)
    if not pauses:
        planner.page_limit = lambda _: None  # type: ignore[method-assign]
    reconciliation = driver.run(planner).reconcile()
    assert len(driver.items) == (55 if pauses else 54)
    assert not reconciliation.complete
