"""Rows, tables and changes of every endpoint."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export.test_arrow import NUMBERS
from tests.support.journals import BEGAN, body, row
from tests.support.making import sample, sample_name
from tests.support.paths import ROOT
from tmapi_async.api.columns import columns
from tmapi_async.api.decoding import decoder
from tmapi_async.api.endpoints import BY_SHORT_NAME, ENDPOINTS, Endpoint
from tmapi_async.api.listings import Listing
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.api.rows import PROVENANCE, Origin, item_rows
from tmapi_async.cli.commands.export import ExportOptions, run_export
from tmapi_async.dlt import items as dlt_items
from tmapi_async.export import ExportRefusedError, Selection, export_journal
from tmapi_async.export.arrow import item_schema, json_columns, record_batch
from tmapi_async.export.changes.comparison import compare_runs
from tmapi_async.export.endpoint_choice import EXPORTED, choose_endpoint
from tmapi_async.export.postgres_table import table_columns
from tmapi_async.export.selection import Chunk
from tmapi_async.export.semantics import semantic_column
from tmapi_async.export.sinks import Conversions
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.records import PageRecord, Totals
from tmapi_async.journal.statements import begin_visit, end_visit
from tmapi_async.journal.views import StoredPage
from tmapi_async.report import gather, render

PAGED = list(BY_SHORT_NAME.values())
TREE = b'{"code": 200, "data": {"id": "5", "children": []}}'


def listing(endpoint: str) -> Listing:
    """Some listing of an endpoint."""
    name = "cat_id" if endpoint.startswith("category") else "q"
    return Listing(endpoint, ((name, "7"),))


def write(path: Path, pages: Mapping[str, Sequence[bytes]], *, refresh: bool = False) -> Path:
    """Record one start: bodies by endpoint."""

    async def main() -> None:
        journal = Journal.open(path)
        plan = journal.plan([listing(name) for name in pages], refresh=refresh)
        start = journal.begin(plan, host="http://127.0.0.1", version="test", counts=RequestCounts)
        for visit in start.visits:
            bodies = pages[visit.listing.endpoint]
            journal.apply(begin_visit(visit, BEGAN))
            for number, text in enumerate(bodies, 1):
                known = visit.listing.endpoint in ENDPOINTS
                bad = decoder(visit.listing.endpoint).decode(text)[1] if known else ()
                page = (number, text, BEGAN, 1, 0.05, 200, 20, False, None, 1, tuple(bad))
                await journal.append(visit, PageRecord(*page))
            totals = Totals(len(bodies), len(bodies), len(bodies), 0, len(bodies))
            journal.apply(end_visit(visit, "complete", totals, now=time.time()))
        await journal.close()

    asyncio.run(main())
    return path


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda one: one.name)
def test_every_field_has_a_kind_and_a_name_of_its_own(endpoint: Endpoint) -> None:
    """No field of any struct lacks a kind, and no two columns of a row share a name."""
    found = columns(endpoint.item)
    names = [*PROVENANCE, "run", *(c.name for c in found), *(c.text for c in found if c.text)]
    assert len({*names, "extra"}) == len(names) + 1


def flat(value: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """What was sent, by the names of a row's columns; lists stay whole."""
    if not isinstance(value, dict):
        return {"_".join(path): value}
    return {name: v for key, part in value.items() for name, v in flat(part, (*path, key)).items()}


def says(found: Any, text: Any, sent: Any) -> bool:
    """Whether a column, or the text beside it, says what was sent."""
    if sent in (None, "", "null"):
        return found in (None, "")
    if text is not None:
        return bool(text == str(sent))
    if isinstance(sent, bool) or isinstance(found, bool | list | dict):
        return bool(found == sent)
    if str(found) == str(sent):
        return True
    return Decimal(str(found)) == Decimal(str(sent).removesuffix("%"))


@pytest.mark.parametrize("name", EXPORTED)
def test_every_value_of_the_samples_is_in_every_form(
    tmp_path: Path, postgres: str, name: str
) -> None:
    """JSON lines, CSV, Parquet, DuckDB and Postgres hold each value of the samples."""
    endpoint = ENDPOINTS[name]
    text = sample(sample_name(endpoint))
    data = json.loads(text)["data"]
    sent = data["items"] if endpoint.paged else [data]
    journal = write(tmp_path / "a.journal", {name: [text]})
    files = [str(tmp_path / f"a.{ending}") for ending in ("jsonl", "csv", "parquet", "duckdb")]
    done = export_journal(journal, [*files, postgres])
    assert (done.endpoint, done.rows, done.unread, done.rejects) == (name, len(sent), {}, 0)
    lines = [json.loads(line) for line in Path(files[0]).read_bytes().splitlines()]
    table = pq.read_table(files[2]).to_pylist()
    with duckdb.connect(files[3]) as database:
        tabled = database.sql("SELECT * FROM items ORDER BY position").to_arrow_table().to_pylist()
    query = "SELECT * FROM items ORDER BY position"
    with psycopg.connect(postgres, row_factory=psycopg.rows.dict_row) as connection:
        served = connection.execute(query).fetchall()
    csv = duckdb.sql(f"SELECT * FROM read_csv('{files[1]}', all_varchar=true)")  # noqa: S608
    assert csv.columns == item_schema(endpoint).names
    told = csv.to_arrow_table().to_pylist()
    jsons = json_columns(endpoint)
    for number, one in enumerate(sent):
        for rows in (lines, table, tabled, served, told):
            held = dict(rows[number])
            for column in jsons:
                if isinstance(held[column], str):
                    held[column] = json.loads(held[column])
            for column in columns(endpoint.item):
                value = one
                for step in column.path:
                    value = (value or {}).get(step)
                if column.kind == "flag" and isinstance(held[column.name], str):
                    held[column.name] = held[column.name] == "true"
                beside = held.get(column.text) if column.text else None
                assert says(held[column.name], beside or None, value), (column, held, value)
            assert held["extra"] is None


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(list(EXPORTED.values())))
def test_drifted_rows_say_the_same_in_every_form(data: st.DataObject, endpoint: Endpoint) -> None:
    """A table says what the rows say, and what it means is what the item's accessors tell."""
    flags = st.none() | st.booleans() | st.sampled_from(["true", "?"])
    blocks = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
    kinds: dict[str, Any] = {"flag": flags, "json": blocks, "text": st.none() | st.text(max_size=5)}
    sent: dict[str, Any] = {"item_id": data.draw(st.integers(1, 2**63 - 1))}
    for column in columns(endpoint.item)[1:]:
        if data.draw(st.booleans()):
            at = sent
            for step in column.path[:-1]:
                at = at.setdefault(step, {})
            at[column.path[-1]] = data.draw(kinds.get(column.kind, NUMBERS))
    text = body([sent]) if endpoint.paged else json.dumps({"code": 200, "data": sent}).encode()
    items = decoder(endpoint.name).decode(text)[0].data.items
    origin = Origin(listing(endpoint.name), 1, datetime.fromtimestamp(1.5, UTC), 3)
    page = StoredPage(1, 1, 3, origin.listing, 1, 1.5, 1, 0.1, False, 0, 0, text)
    batch = record_batch(Chunk(endpoint, [page], [items], [range(len(items))]), Conversions())
    jsons = json_columns(endpoint)
    for one, other, item in zip(
        batch.to_pylist(), item_rows(origin, items, range(len(items))), items, strict=True
    ):
        assert list(one) == list(other)
        fits = True
        for column in columns(endpoint.item):
            value, told = one[column.name], other[column.name]
            if column.name in jsons:
                value = json.loads(value or "null")
            if value != told:
                assert value is None
                assert one[column.text or ""] is not None
                fits = False
        if fits:
            assert semantic_column(batch, "price").to_pylist() == [item.sale_price]
            assert semantic_column(batch, "sold").to_pylist() == [item.sold]


def test_what_an_endpoint_does_not_tell_is_null(tmp_path: Path) -> None:
    """A report of shop/items/v2, which has no product page, no shop and no rate, has no links."""
    journal = write(
        tmp_path / "a.journal",
        {"shop/items/v2": [body([row(1, price="2", sale_info={"sale_quantity": 5})])]},
    )
    (item,) = gather(journal).items.bestsellers
    assert (item.product_url, item.company, item.price, item.sold) == (
        None,
        None,
        "2.00",
        5,
    )


def test_an_export_is_of_one_endpoint(tmp_path: Path) -> None:
    """Several endpoints are refused before anything is written, with their names and the option."""
    pages = {
        "category/items": [body([row(1)])],
        "search/items": [body([row(2)])],
        "category/info": [TREE],
    }
    journal = write(tmp_path / "a.journal", pages)
    write(journal, pages, refresh=True)
    target = tmp_path / "a.jsonl"
    said = r"--endpoint: category-v1 \(category/items\), search \(search/items\)$"
    for doing in (
        lambda: export_journal(journal, [str(target)]),
        lambda: compare_runs(journal),
        lambda: gather(journal),
        lambda: list(dlt_items(journal)),
    ):
        with pytest.raises(Exception, match=said):
            doing()
    assert not target.exists()
    for name in ("search", "search/items"):
        assert export_journal(journal, [str(target)], Selection(endpoint=name)).rows == 1
        assert json.loads(target.read_bytes())["item_id"] == 2
    assert compare_runs(journal, endpoint="search").total.after == 1
    assert gather(journal, endpoint="search").items.distinct == 1
    assert export_journal(journal, [str(target)], Selection(cats=frozenset({7}))).rows == 1
    with pytest.raises(
        ExportRefusedError, match=r"run 2 of the journal has no listing of shop/items"
    ):
        export_journal(journal, [str(target)], Selection(endpoint="shop"))
    with pytest.raises(ExportRefusedError, match="use one of category-v1, category-v2"):
        Selection(endpoint="category/info")


def test_a_report_tells_of_one_endpoint(tmp_path: Path) -> None:
    """Its listings, pages and rejects are of that endpoint too; what else there is, is named."""
    pages = {
        "category/items": [body([row(1), None]), body([row(3)])],
        "search/items": [body([row(2, price="5")])],
        "category/info": [TREE],
    }
    journal = write(tmp_path / "a.journal", pages)
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
    """What changed is told of the report's endpoint, also where the earlier run had others."""
    first = {"category/items": [body([row(1)])], "search/items": [body([row(2, price="5")])]}
    journal = write(tmp_path / "a.journal", first)
    write(journal, {"search/items": [body([row(2, price="6")])]}, refresh=True)
    facts = gather(journal)
    assert facts.changes is not None
    assert facts.changes.total["dearer"] == 1


SCORES = {
    "4.67": (Decimal("4.67"), None),
    4.9: (Decimal("4.9"), None),
    "0.123456": (Decimal("0.123456"), None),
    "0.1234567": (None, "0.1234567"),
    "123456789012.5": (Decimal("123456789012.5"), None),
    "1234567890123": (None, "1234567890123"),
    "4.5/5": (None, "4.5/5"),
    "": (None, None),
}


@pytest.mark.parametrize(("sent", "read"), SCORES.items())
def test_scores_are_exact_or_null_and_counted(
    tmp_path: Path, sent: object, read: tuple[Decimal | None, str | None]
) -> None:
    """A score is in its column exactly, or null with what was sent beside it, and is counted."""
    rows = [row(1, goods_score=sent), row(2, goods_score="5.0")]
    journal = write(tmp_path / "a.journal", {"global/search/items": [body(rows)]})
    done = export_journal(journal, [str(tmp_path / "a.parquet")])
    first, second = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert (first["goods_score"], first["goods_score_text"]) == read
    assert (second["goods_score"], second["goods_score_text"]) == (5, None)
    assert done.unread == ({"goods_score": 1} if read[1] else {})


def test_json_that_postgres_cannot_hold_is_stored_all_the_same(
    tmp_path: Path, postgres: str
) -> None:
    """U+0000 in plain JSON and in `extra` becomes U+FFFD there; nothing else is lost."""
    sent = row(1, category_path=["a\0b", {"c\0": None}], new="\0")
    journal = write(tmp_path / "a.journal", {"search/items": [body([sent])]})
    export_journal(journal, [postgres])
    with psycopg.connect(postgres) as connection:
        (found,) = connection.execute("SELECT category_path, extra FROM items").fetchall()
    assert found == (["a\ufffdb", {"c\ufffd": None}], {"new": "\ufffd"})


def test_the_category_tree_is_no_row(tmp_path: Path) -> None:
    """What is cached of the tree is in no export; alone it is refused."""
    pages = {"category/items": [body([row(1)])], "category/info": [TREE]}
    journal = write(tmp_path / "a.journal", pages)
    assert export_journal(journal, [str(tmp_path / "a.jsonl")]).rows == 1
    with pytest.raises(ExportRefusedError, match="no products, only category/info"):
        choose_endpoint({"category/info"}, None, "run 1")


def test_an_endpoint_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """Listings of an endpoint that is not known here are named, unless a known one is chosen."""
    pages = {"category/items": [body([row(1)])], "brand/items": [body([row(2)])]}
    journal = write(tmp_path / "a.journal", pages)
    options = ExportOptions(journal=journal, to=[str(tmp_path / "a.jsonl")], quiet=True)
    assert run_export(options) == 2
    with pytest.raises(ExportRefusedError, match="brand/items, which this version"):
        export_journal(journal, [str(tmp_path / "a.jsonl")])
    chosen = Selection(endpoint="category-v1")
    assert export_journal(journal, [str(tmp_path / "a.jsonl")], chosen).rows == 1


@pytest.mark.parametrize("endpoint", list(EXPORTED.values())[1:], ids=lambda one: one.name)
def test_the_schema_page_has_a_table_for_each_endpoint(endpoint: Endpoint) -> None:
    """The page names every column of the item with its types, in the order of a row."""
    page = (ROOT / "docs" / "reference" / "item-schema.md").read_text("utf-8")
    section = page.partition(f"\n### {endpoint.name}\n")[2].partition("\n#")[0]
    listed = re.findall(
        r"^\| `(\w+)` \| ([^|]+?)(?:, never null| \(JSON\))? \| (.+?) \|", section, re.MULTILINE
    )
    served = {column.name: column.type for column in table_columns(endpoint)}
    kinds = {field.name: str(field.type) for field in item_schema(endpoint)}
    names = [column.name for column in columns(endpoint.item)]
    assert listed == [(name, kinds[name], served[name]) for name in names]
