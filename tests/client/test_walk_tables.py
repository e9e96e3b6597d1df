"""The items of a walk as Arrow tables and data frames, over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tests.support.paths import ROOT
from tmapi_async import (
    CATEGORY_ITEMS,
    CATEGORY_ITEMS_V2,
    ENDPOINTS,
    GLOBAL_SEARCH_ITEMS,
    ITEM_DETAIL,
    TMAPI,
    BalanceError,
    ClosedError,
    InvalidRequestError,
    ListingsFailedError,
    Walk,
    category_items,
    describe,
)
from tmapi_async.api.columns import layout
from tmapi_async.errors.extras import install_command
from tmapi_async.export import ExportRefusedError
from tmapi_async.export.arrow import item_schema
from tmapi_async.export.outputs import extra_checks
from tmapi_async.sandbox import Drift, Faults

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("tidy")

SHOP_URL = "https://seven.1688.com"
CATALOGUE = {
    "categories": {7: 45, 8: 21, 9: 0},
    "words": {"seven": 7},
    "shops": {"b2b-7": 7, SHOP_URL: 7},
}
WALKS: dict[str, Callable[[TMAPI], Walk[Any]]] = {
    "category/items": lambda api: api.category_items([7, 8]),
    "category/items/v2": lambda api: api.category_items_v2(7),
    "search/items": lambda api: api.search_items("seven"),
    "shop/items": lambda api: api.shop_items("b2b-7"),
    "shop/items/v2": lambda api: api.shop_items_v2(SHOP_URL),
    "global/search/items": lambda api: api.global_search_items("seven"),
}


def place(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return the place of a row: pages of several listings come in any order."""
    return row["listing"], row["page"], row["position"]


@pytest.mark.parametrize("name", WALKS)
async def test_a_table_has_the_rows_of_the_pages(tmapi_sandboxes, name):
    """For every endpoint a table holds the documented rows, each in the type of its column."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        table = await WALKS[name](api).to_arrow()
        pages = [page async for page in WALKS[name](api).pages()]
    endpoint = ENDPOINTS[name]
    assert table.schema == item_schema(endpoint, run=False)
    rows = sorted((row for page in pages for row in page.to_rows(mode="python")), key=place)
    stored = sorted(table.to_pylist(), key=place)
    json_columns = [
        column.name for column in layout(endpoint.item).columns if column.kind == "json"
    ]
    for row in stored:  # JSON is text in tables
        row |= {name: json.loads(row[name] or "null") for name in (*json_columns, "extra")}
    for row in (*rows, *stored):
        del row["fetched_at"]  # of another walk
    assert stored == rows
    assert len(rows) == (45 + 21 if name == "category/items" else 45)


async def test_frames_have_the_rows_of_the_table(tmapi_sandboxes):
    """Frames of polars and pandas hold the same exact values as the table."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        table = await api.category_items(7).to_arrow()
        polars = await api.category_items(7).to_polars()
        pandas = await api.category_items(7).to_pandas()
        arrow = await api.category_items(7).to_pandas(decimals="arrow")
        with pytest.raises(ExportRefusedError, match="decimals must be 'object' or 'arrow'"):
            await api.category_items(7).to_pandas(decimals="float")  # type: ignore[arg-type]
    for name in ("item_id", "title", "price_info_sale_price", "sales_count"):
        for frame in (polars, pandas, arrow):
            assert list(frame[name]) == table[name].to_pylist()


@pytest.mark.parametrize(
    ("ask", "endpoint"),
    [
        (lambda api: api.category_items(9), CATEGORY_ITEMS),
        (lambda api: api.category_items([]), CATEGORY_ITEMS),
        (lambda api: api.category_items(iter([])), CATEGORY_ITEMS),
        (lambda api: api.category_items([], split=True), CATEGORY_ITEMS_V2),
        (lambda api: api.global_search_items(iter([])), GLOBAL_SEARCH_ITEMS),
        (lambda api: api.walk(describe(CATEGORY_ITEMS_V2, {"cat_id": 9})), CATEGORY_ITEMS_V2),
        (lambda api: api.walk([]), CATEGORY_ITEMS),
    ],
)
async def test_a_walk_without_items_is_a_table_without_rows(tmapi_sandboxes, ask, endpoint):
    """The columns and types are there even if nothing was found, or nothing was asked."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        table = await ask(api).to_arrow()
        batches = [batch async for batch in ask(api).to_batches()]
        frames = [await ask(api).to_polars(), await ask(api).to_pandas()]
    schema = item_schema(endpoint, run=False)
    assert (table.num_rows, table.schema) == (0, schema)
    assert [(batch.num_rows, batch.schema) for batch in batches] == [(0, schema)]
    assert [(len(frame), list(frame.columns)) for frame in frames] == [(0, schema.names)] * 2


async def test_details_are_a_table(tmapi_sandboxes):
    """An endpoint without pages has a table too: a row for each product."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    ids = sandbox.catalogue.item_ids(7)[:3]
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        table = await api.item_details(ids, ordered=True).to_arrow()
    assert table["item_id"].to_pylist() == ids
    assert table.schema == item_schema(ITEM_DETAIL, run=False)


async def test_batches_have_the_rows_asked_for(tmapi_sandboxes):
    """Every batch but the last has at least the rows asked for; together they are the table."""
    sandbox = await tmapi_sandboxes(categories={7: 95})
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        batches = [batch async for batch in api.category_items(7).to_batches(rows=30)]
        with pytest.raises(InvalidRequestError, match="rows must be a whole number from 1"):
            api.category_items(7).to_batches(rows=0)
    assert [batch.num_rows for batch in batches] == [40, 40, 15]
    ids = pa.Table.from_batches(batches)["item_id"].to_pylist()
    assert ids == sandbox.catalogue.item_ids(7)


async def test_a_table_that_an_error_cuts_off_is_kept(tmapi_sandboxes):
    """The caller gets the error, and every row that was paid for before it."""
    sandbox = await tmapi_sandboxes(categories={7: 95}, quota=3, balance="bare")
    async with TMAPI("sandbox", base_url=sandbox.url, lookahead="off") as api:
        walk = api.category_items(7)
        with pytest.raises(BalanceError):
            await walk.to_polars()
        assert walk.partial["item_id"].to_pylist() == sandbox.catalogue.item_ids(7)[:60]
        with pytest.raises(ClosedError):
            await walk.to_arrow()
        assert walk.partial.num_rows == 60


async def test_batches_come_before_the_error(tmapi_sandboxes):
    """A stream of batches gives the rows that were read, and then raises."""
    sandbox = await tmapi_sandboxes(categories={7: 95}, quota=3, balance="bare")
    async with TMAPI("sandbox", base_url=sandbox.url, lookahead="off") as api:
        batches = api.category_items(7).to_batches()
        assert (await anext(batches)).num_rows == 60
        with pytest.raises(BalanceError):
            await anext(batches)


async def test_one_failed_listing_costs_no_rows_of_the_others(tmapi_sandboxes):
    """If one listing of several fails, the error comes last, and the rows of all are kept."""
    sandbox = await tmapi_sandboxes(**CATALOGUE, faults=Faults(script={(8, 2): "422"}))
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.category_items([7, 8])
        with pytest.raises(ListingsFailedError):
            await walk.to_arrow()
    assert walk.partial["cat_id"].to_pylist().count(7) == 45
    assert walk.partial["cat_id"].to_pylist().count(8) == 20


async def test_a_cancelled_table_keeps_its_rows(tmapi_sandboxes):
    """After a cancellation the rows read before it are there."""
    sandbox = await tmapi_sandboxes(categories={7: 95}, faults=Faults(script={(7, 3): "hang"}))
    async with TMAPI("sandbox", base_url=sandbox.url, lookahead="off") as api:
        walk = api.category_items(7)
        task = asyncio.ensure_future(walk.to_pandas())
        while walk.statistics().pages < 2:  # noqa: ASYNC110 - nothing tells of a page taken
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert walk.partial.num_rows == 40


async def test_a_cancelled_batch_is_no_end(tmapi_sandboxes):
    """A batch that was cancelled leaves its rows, and the stream does not seem to have ended."""
    sandbox = await tmapi_sandboxes(categories={7: 95}, faults=Faults(script={(7, 3): "hang"}))
    client = TMAPI("sandbox", base_url=sandbox.url, lookahead="off")
    async with client as api, api.category_items(7) as walk:
        batches = walk.to_batches()
        task = asyncio.ensure_future(anext(batches))
        while walk.statistics().pages < 2:  # noqa: ASYNC110 - nothing tells of a page taken
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ClosedError, match="cut off"):
            await anext(batches)
    assert walk.partial.num_rows == 40


async def test_several_endpoints_are_no_table(tmapi_sandboxes):
    """A walk over several endpoints is refused before anything is sent, if that can be known."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    listings = [category_items(7), describe(CATEGORY_ITEMS_V2, {"cat_id": 7})]
    async with TMAPI("sandbox", base_url=sandbox.url, lookahead="off") as api:
        with pytest.raises(InvalidRequestError, match="make a walk for each endpoint"):
            api.walk(listings).to_batches()
        with pytest.raises(InvalidRequestError, match="make a walk for each endpoint"):
            await api.walk(listings).to_arrow()
        assert sandbox.stats.requests == 0
        with pytest.raises(InvalidRequestError, match="make a walk for each endpoint"):
            await api.walk(iter(listings)).to_arrow()


async def test_rejects_are_no_rows(tmapi_sandboxes):
    """A row that cannot be decoded leaves a gap in the positions, as in every other form."""
    drift = Drift(bad_rows=0.2)
    sandbox = await tmapi_sandboxes(categories={7: 95}, drift=drift)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.category_items(7)
        table = await walk.to_arrow()
    assert walk.statistics().rejects > 0
    assert table.num_rows + walk.statistics().rejects == 95


@pytest.mark.parametrize(
    ("method", "missing"),
    [
        ("to_arrow", "pyarrow"),
        ("to_batches", "pyarrow"),
        ("to_polars", "polars"),
        ("to_pandas", "pandas"),
    ],
)
async def test_a_missing_library_is_told_before_anything_is_sent(
    tmapi_sandboxes, monkeypatch, method, missing
):
    """The message says how to install the library, and no page was paid for."""
    there = extra_checks.importlib.util.find_spec
    monkeypatch.setattr(
        extra_checks.importlib.util, "find_spec", lambda n: None if n == missing else there(n)
    )
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    extra = "arrow" if missing == "pyarrow" else missing
    told = f"{method}() needs {missing}, which is not installed: run {install_command(extra)}"
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        with pytest.raises(ExportRefusedError, match=re.escape(told)):
            await getattr(api.category_items(7), method)()
    assert sandbox.stats.requests == 0


@pytest.mark.slow
def test_the_libraries_are_imported_when_they_are_used():
    """The client and the reader of journals load no library of tables."""
    code = (
        "import sys, tmapi_async.client.client, tmapi_async.harvest;"
        "print(sorted({'pyarrow', 'polars', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


async def test_a_walk_in_a_notebook_is_a_table_of_counts(tmapi_sandboxes):
    """Showing a walk sends nothing: it has the counts so far, and no rows."""
    sandbox = await tmapi_sandboxes(**CATALOGUE)
    async with TMAPI("sandbox", base_url=sandbox.url, lookahead="off") as api:
        walk = api.category_items(7)
        assert "<caption>Walk, not begun</caption>" in walk._repr_html_()
        assert sandbox.stats.requests == 0
        await walk.to_arrow()
    html = walk._repr_html_()
    assert "<caption>Walk, closed</caption>" in html
    assert "<th>items</th>" in html
    assert "<td>45</td>" in html
    assert len(html) < 1_000
