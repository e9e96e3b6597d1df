"""The types that applications are promised: read by mypy, never run.

A line here that stops type-checking is a change for users, and belongs in CHANGELOG.md.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, assert_type

from tmapi_async import (
    CATEGORY_ITEMS_V2,
    TMAPI,
    AttemptReport,
    BalanceError,
    CategoryItemV2,
    CategoryNode,
    CategoryTree,
    CategoryWalk,
    GateStatistics,
    GlobalSearchItem,
    Item,
    ItemDescription,
    ItemDetail,
    ItemRating,
    ItemSales,
    ItemShipping,
    Listing,
    ListingOutcome,
    ListingsFailedError,
    Observer,
    Page,
    PageReport,
    PageRequest,
    PriceInfo,
    Progress,
    Reject,
    RequestOptions,
    RetryPolicy,
    SearchItem,
    ShopItem,
    ShopItemV2,
    Split,
    TMAPIError,
    Walk,
    WalkStatistics,
    category_items,
    describe,
    money,
)
from tmapi_async.export import ExportSummary, Selection, export_journal
from tmapi_async.harvest import (
    Harvest,
    HarvestProgress,
    HarvestResult,
    JournalReader,
    TokenSource,
)
from tmapi_async.sandbox import Faults, Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import polars as pl
    import pyarrow as pa


class Watching(Observer):
    """An observer of one's own."""

    def on_attempt(self, attempt: AttemptReport) -> None:
        """What is told of an attempt."""
        assert_type(attempt.outcome, str)
        assert_type(attempt.status, int | None)
        assert_type(attempt.request, PageRequest)

    def on_page(self, page: PageReport) -> None:
        """What is told of a page."""
        assert_type(page.attempts, tuple[AttemptReport, ...])
        assert_type(page.items, int)


async def clients() -> None:
    """A client is made with a token or from the environment, and used in a block."""
    TMAPI("token", concurrency=8, rate=2.5, lookahead="off", max_requests=100)
    TMAPI("token", concurrency="auto", auth="header", lookahead=3, retry=RetryPolicy(base=0))
    TMAPI("token", observer=Watching())
    TMAPI("token", cache="pages.db", max_age=300, stale_if_error=True, cache_bytes=2**24)
    TMAPI("token", cache=7)  # type: ignore[arg-type]  # a file or an address
    TMAPI("token", concurrency="all")  # type: ignore[arg-type]  # a number, or "auto"
    TMAPI("token", auth="cookie")  # type: ignore[arg-type]  # query or header
    TMAPI("token", "https://api.tmapi.top")  # type: ignore[call-arg]  # only the token by position
    TMAPI.from_env(concurrency="all")  # type: ignore[arg-type]  # typed as the constructor is
    TMAPI.from_env(concurency=3)  # type: ignore[call-arg]  # a misspelled option
    async with TMAPI.from_env(timeout=30.0) as api:
        assert_type(api, TMAPI)
        assert_type(api.statistics(), GateStatistics)


def numbers() -> Iterator[int]:
    """Yield category IDs."""
    yield 1031910


async def numbers_in_time() -> AsyncIterator[int]:
    """Yield category IDs as they come."""
    yield 1031910


async def walks(api: TMAPI) -> None:
    """A walk is awaited for a page, iterated for items, and asked for pages."""
    assert_type(api.category_items(1031910), Walk[Item])
    assert_type(await api.category_items("1031910"), Page)
    async for item in api.category_items(1031910, free_shipping=True, max_pages=2, unique=True):
        assert_type(item, Item)
    async with api.category_items([1031910, 1031922]) as walk:
        assert_type(walk, Walk[Item])
        async for page in walk.pages():
            assert_type(page, Page)
        assert_type(walk.statistics(), WalkStatistics)
    api.category_items(numbers())
    api.category_items(numbers_in_time())
    api.category_items([1.5])  # type: ignore[list-item]  # an ID is an int, or its digits
    api.category_items(1, on_end=ended)


async def tables(api: TMAPI, journal: JournalReader) -> None:
    """A walk and a journal give tables and data frames."""
    assert_type(await api.category_items(7).to_polars(), pl.DataFrame)
    assert_type(journal.to_polars(Selection(unique=True)), pl.DataFrame)
    await api.category_items(7).to_pandas(decimals="float")  # type: ignore[arg-type]
    journal.to_pandas(Selection(), decimals="arrow")
    table: pa.Table = await api.category_items(7).to_arrow()
    async for batch in api.category_items(7).to_batches(rows=1000):
        table = pa.concat_tables([table, pa.Table.from_batches([batch])])
    journal.to_arrow(unique=True)  # type: ignore[call-arg]  # a Selection


async def listings(api: TMAPI) -> None:
    """Every endpoint is a method whose walk has items of its own type."""
    assert_type(
        api.category_items_v2([7], sort="price_up", price_start="9.90"), Walk[CategoryItemV2]
    )
    assert_type(api.search_items("连衣裙", moq=2, price_end=Decimal(5)), Walk[SearchItem])
    assert_type(api.shop_items(["b2b-1"], sort="time_down"), Walk[ShopItem])
    assert_type(api.shop_items_v2("https://shop1.1688.com", cat_type="0"), Walk[ShopItemV2])
    assert_type(api.global_search_items("bag", cat_id=7, language="en"), Walk[GlobalSearchItem])
    assert_type(await api.item_detail("859086919394"), ItemDetail)
    options: RequestOptions = {"priority": "bulk", "timeout": 5.0, "max_age": 0}
    assert_type(await api.item_detail(859086919394, **options), ItemDetail)
    await api.item_detail(7, unique=True)  # type: ignore[call-arg]  # an option of walks
    assert_type(api.categories(depth=1, **options), CategoryWalk)
    assert_type(api.item_details(api.category_items(7), ordered=True), Walk[ItemDetail])
    async for detail in api.item_details([859086919394, "859086919395"], language="en"):
        assert_type(detail, ItemDetail)
    assert_type(api.item_descriptions([7]), Walk[ItemDescription])
    assert_type(api.item_shipping([7], province="广东", total_weight="0.5"), Walk[ItemShipping])
    api.item_shipping([7])  # type: ignore[call-arg]  # a province is needed
    assert_type(api.item_sales([7]), Walk[ItemSales])
    assert_type(api.item_ratings([7], sort="latest", max_pages=1), Walk[ItemRating])
    api.item_ratings([7], ordered=True)  # type: ignore[call-arg]  # products have several pages
    api.item_details(7, max_pages=2)  # type: ignore[call-arg]  # a product has no pages
    assert_type(api.category_items([7], split=True), Walk[CategoryItemV2])
    assert_type(api.category_items_v2([7], split=Split(ceiling=9)), Walk[CategoryItemV2])
    api.category_items_v2(7, sort="cheap")  # type: ignore[arg-type]  # a documented order
    api.category_items_v2(7, super_factory=True)  # type: ignore[call-arg]  # is_super_factory
    api.search_items(7)  # type: ignore[arg-type]  # a keyword is text
    async for page in api.search_items("连衣裙").pages():
        assert_type(page, Page[SearchItem])
        assert_type(page.items[0].sale_price, Decimal | None)
    assert_type(await api.categories(1031910, depth=2), CategoryTree)
    async for node in api.categories():
        assert_type(node, CategoryNode)
    described = describe(CATEGORY_ITEMS_V2, {"cat_id": 7})
    assert_type(described, Listing)
    assert_type(api.walk([described], max_pages=2), Walk[Any])


def ended(outcome: ListingOutcome) -> None:
    """Hear how a listing ended."""
    assert_type(outcome.listing, Listing)
    if outcome.ending == "failed":
        assert_type(outcome.error, TMAPIError | None)
    outcome.ending == "lost"  # type: ignore[comparison-overlap]  # noqa: B015 - no such ending


def pages(page: Page) -> None:
    """A page has items, rejects and what the server said of the listing."""
    assert_type(page.request, PageRequest)
    assert_type(page.from_cache, bool)
    assert_type(page.age, float)
    assert_type(page.number, int)
    assert_type(page.items, list[Item])
    assert_type(page.rejects, list[Reject])
    assert_type(page.has_next_page, bool)
    assert_type(page.total_count, int | None)
    assert_type(page.body, bytes)
    assert_type(page.to_rows(), list[dict[str, Any]])


def items(item: Item) -> None:
    """An item reads as numbers, and keeps what was sent."""
    assert_type(item.item_id, int)
    assert_type(item.sale_price, Decimal | None)
    assert_type(item.min_order, int | None)
    assert_type(item.sold, int | None)
    assert_type(item.repurchase_percent, Decimal | None)
    assert_type(item.price_info, PriceInfo | None)
    assert_type(item.extra, dict[str, Any])
    assert_type(item.to_dict(), dict[str, Any])
    item.to_dict(mode="pydantic")  # type: ignore[arg-type]  # json or python
    assert_type(money("4.59"), Decimal | None)
    item.title = "changed"  # type: ignore[misc]  # what was sent stays as it was sent


def failures(error: TMAPIError, several: ListingsFailedError) -> None:
    """An error says where it happened, and what is left when it ended a walk."""
    assert_type(error.listing, str | None)
    assert_type(error.page, int | None)
    assert_type(error.attempts, int)
    assert_type(error.code, int | None)
    assert_type(error.progress, Progress | None)
    assert_type(several.errors, tuple[TMAPIError, ...])
    assert issubclass(BalanceError, TMAPIError)


async def harvests(api: TMAPI) -> None:
    """A harvest runs once, tells how far it is, and says in its result what stopped it."""
    harvest = Harvest(api, [category_items(1031910)], journal="a.journal", refresh=True)
    assert_type(harvest.progress(), HarvestProgress)
    result = await harvest.run()
    assert_type(result, HarvestResult)
    assert_type(result.complete, bool)
    assert_type(result.tally.items, int)
    harvest.stop()
    place = TokenSource("env", "TMAPI_TOKENS")
    listings = [category_items(1)]
    Harvest([api, api], listings, journal="a.journal", cluster="tcp://scheduler:8786", tokens=place)
    Harvest(api, listings, journal="a.journal", split=Split())


def journals() -> None:
    """A journal is read page by page, and exported."""
    with JournalReader("a.journal") as journal:
        for page in journal.pages(run=1):
            assert_type(page.listing, Listing)
            assert_type(page.body, bytes)
    summary = export_journal("a.journal", ["a.parquet"], Selection(unique=True))
    assert_type(summary, ExportSummary)
    assert_type(summary.rows, int)


async def sandboxes() -> None:
    """A sandbox is typed too, since applications test with it."""
    async with Sandbox(limit=8, faults=Faults({"500": 0.1})) as sandbox:
        assert_type(sandbox.url, str)
        assert_type(sandbox.stats.peak_in_flight, int)
        assert_type(sandbox.catalogue.item_ids(1031910), list[int])
