from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.journals import body, of_catalogue, of_rows, row, write
from tests.support.making import sample
from tests.support.paths import ROOT
from tmapi_async.api.columns import Column, layout
from tmapi_async.api.decoding import decoder
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.api.listings import category_items
from tmapi_async.api.rows import PROVENANCE, Origin, item_rows
from tmapi_async.export import ExportSummary, Selection, export_journal
from tmapi_async.export.arrays.number_arrays import convert_each, text_numbers
from tmapi_async.export.arrow import ItemColumns, item_schema, record_batch
from tmapi_async.export.chunks import Chunk, read_by_listing, read_chunks
from tmapi_async.export.postgres_table import table_columns
from tmapi_async.export.selection import resolve
from tmapi_async.export.sinks import Conversions, Rows
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.views import StoredPage
from tmapi_async.sandbox.responses.drift import SHAPES, Drift

# Spelled out, not derived: this is what users are promised.
TYPES = {
    "listing": "string",
    "cat_id": "int64",
    "page": "int32",
    "position": "int32",
    "run": "int32",
    "fetched_at": "timestamp[us, tz=UTC]",
    "item_id": "int64",
    "product_url": "string",
    "title": "string",
    "img": "string",
    "price": "decimal128(20, 4)",
    "price_info_sale_price": "decimal128(20, 4)",
    "price_info_show_price": "decimal128(20, 4)",
    "price_info_origin_price": "decimal128(20, 4)",
    "quantity_begin": "int64",
    "sales_count": "int64",
    "sale_info_sale_quantity_int": "int64",
    "sale_info_buyer_count": "int64",
    "shop_info_login_id": "string",
    "shop_info_shop_url": "string",
    "shop_info_company_name": "string",
    "shop_info_is_super_factory": "bool",
    "shop_info_shop_repurchase_rate": "decimal128(18, 6)",
    "price_text": "string",
    "price_info_sale_price_text": "string",
    "price_info_show_price_text": "string",
    "price_info_origin_price_text": "string",
    "quantity_begin_text": "string",
    "sales_count_text": "string",
    "sale_info_sale_quantity_int_text": "string",
    "sale_info_buyer_count_text": "string",
    "shop_info_is_super_factory_text": "string",
    "shop_info_shop_repurchase_rate_text": "string",
    "extra": "string",
}
NEVER_NULL = {"listing", "page", "position", "run", "fetched_at", "item_id"}
PRICES = [column.name for column in layout(CATEGORY_ITEMS.item).columns if column.kind == "money"]


def parquet(journal: Path, selection: Selection | None = None) -> tuple[pa.Table, ExportSummary]:
    """Export a journal to Parquet, check the types in the file and read the table back."""
    path = journal.with_suffix(".parquet")
    summary = export_journal(journal, [str(path)], selection)
    schema = pq.ParquetFile(path).schema_arrow
    assert {field.name: str(field.type) for field in schema} == TYPES
    assert {field.name for field in schema if not field.nullable} == NEVER_NULL
    return pq.read_table(path), summary


def only(journal: Path) -> dict[str, Any]:
    """Return the only row of an export."""
    (result,) = parquet(journal)[0].to_pylist()
    return result


def test_the_sample_has_the_types_and_values_promised(tmp_path: Path) -> None:
    """The sample of v1 becomes a table with exact prices, whole counts and no text."""
    table, summary = parquet(write(tmp_path / "a.journal", {7: [sample("doc-category-items-v1")]}))
    first = table.to_pylist()[0]
    assert first["item_id"] == 810000000101
    assert first["price"] is None
    assert first["price_info_sale_price"] == Decimal("12.80")
    assert first["price_info_origin_price"] == Decimal("15.60")
    assert (first["quantity_begin"], first["sales_count"]) == (50, 24310)
    assert first["shop_info_is_super_factory"] is False
    assert first["shop_info_shop_repurchase_rate"] == Decimal("41.25")
    assert first["title"].startswith("示例棉麻连衣裙")
    assert all(value is None for name, value in first.items() if name.endswith("_text"))
    assert (summary.unread, summary.bounds, summary.rejects) == ({}, {}, 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_drifted_shape_keeps_the_types(tmp_path: Path, shape: str) -> None:
    """With any drift, the types of the file stay, no price becomes 0 and no price is lost."""
    drift = Drift(rows=1.0, shapes=(shape,))
    journal, catalogue = of_catalogue(tmp_path / "a.journal", {7: 20}, drift)
    table, summary = parquet(journal)
    assert table["item_id"].to_pylist() == list(catalogue.item_ids(7))
    assert summary.unread == {}
    for name in PRICES:
        assert 0 not in table[name].to_pylist()
    plain = [catalogue.item(7, n)["price_info"]["sale_price"] for n in range(20)]
    if not shape.startswith(("prices-", "price-keys", "price-info-")):
        assert table["price_info_sale_price"].to_pylist() == [Decimal(text) for text in plain]


ODD = {
    "sales_count": {
        "100000+": (100000, "100000+"),
        "已售300+件": (300, "已售300+件"),
        "全网4.1万+件": (41000, "全网4.1万+件"),
        "many": (None, "many"),
        "88.5": (88, "88.5"),
        "": (None, None),
        "null": (None, None),
        None: (None, None),
        "007": (7, None),
        -3: (-3, None),
        "99999999999999999999": (None, "99999999999999999999"),
        10**30: (None, str(10**30)),
    },
    "price": {
        "0.60": (Decimal("0.6"), None),
        "56": (Decimal(56), None),
        "0": (Decimal(0), None),
        "": (None, None),
        "null": (None, None),
        None: (None, None),
        "面议": (None, "面议"),
        "4.59-5.00": (None, "4.59-5.00"),
        "0.1234": (Decimal("0.1234"), None),
        "0.12345": (None, "0.12345"),
        "1e5": (Decimal(100000), None),
        4.59: (Decimal("4.59"), None),
        1234567890123456: (Decimal(1234567890123456), None),
        "12345678901234567": (None, "12345678901234567"),
        " 4.59 ": (Decimal("4.59"), None),
    },
}
RATES = {
    "38.46": (Decimal("38.46"), None),
    "29.2%": (Decimal("29.2"), None),
    "0.3": (Decimal("0.3"), "0.3"),
    "0.79%": (Decimal("0.79"), None),
    "0": (Decimal(0), None),
    "1": (Decimal(1), None),
    "": (None, None),
    "n/a": (None, "n/a"),
    38.46: (Decimal("38.46"), None),
}


@pytest.mark.parametrize(
    ("name", "sent", "read"),
    [(name, sent, read) for name, cases in ODD.items() for sent, read in cases.items()],
)
def test_odd_numbers_are_null_or_exact_and_counted(
    tmp_path: Path, name: str, sent: object, read: tuple[object, str | None]
) -> None:
    """A value is exact or null; otherwise its text is in the `..._text` column and is counted."""
    table, summary = parquet(of_rows(tmp_path / "a.journal", row(1, **{name: sent})))
    result = table.to_pylist()[0]
    assert (result[name], result[f"{name}_text"]) == read
    value, text = read
    assert summary.unread == ({name: 1} if text is not None and value is None else {})
    assert summary.bounds == ({name: 1} if text is not None and value is not None else {})


@pytest.mark.parametrize(("sent", "read"), RATES.items())
def test_rates_are_percent(
    tmp_path: Path, sent: object, read: tuple[Decimal | None, str | None]
) -> None:
    """Rates are percent as sent; one below 1, which may be a fraction, also keeps its text."""
    shop = {"shop_repurchase_rate": sent}
    result = only(of_rows(tmp_path / "a.journal", row(1, shop_info=shop)))
    name = "shop_info_shop_repurchase_rate"
    assert (result[name], result[f"{name}_text"]) == read


def test_columns_of_mixed_values_are_read_one_by_one(tmp_path: Path) -> None:
    """Values of several JSON types in one column are each read in the same way as alone."""
    sent = [200, "200", None, "", "200+", "x", 2.0]
    rows = [row(n, quantity_begin=value) for n, value in enumerate(sent, 1)]
    table, summary = parquet(of_rows(tmp_path / "a.journal", *rows))
    assert table["quantity_begin"].to_pylist() == [200, 200, None, None, 200, None, 2]
    texts = [None, None, None, None, "200+", "x", None]
    assert table["quantity_begin_text"].to_pylist() == texts
    assert (summary.unread, summary.bounds) == ({"quantity_begin": 1}, {"quantity_begin": 1})


def test_unknown_fields_are_json_in_one_column(tmp_path: Path) -> None:
    """Fields without a column are in `extra`, nested as sent; `extra` is null if there are none."""
    rows = [row(1, badge={"level": 3}, shop_info={"tags": ["深度验厂"]}), row(2)]
    first, second = parquet(of_rows(tmp_path / "a.journal", *rows))[0]["extra"].to_pylist()
    assert json.loads(first) == {"badge": {"level": 3}, "shop_info": {"tags": ["深度验厂"]}}
    assert second is None


def test_rejects_leave_gaps_and_are_counted(tmp_path: Path) -> None:
    """A row that cannot be decoded is not in the table; the other rows keep their positions."""
    journal = of_rows(tmp_path / "a.journal", row(1), None, row("x"), row(4))
    table, summary = parquet(journal)
    assert table["position"].to_pylist() == [0, 3]
    assert table["item_id"].to_pylist() == [1, 4]
    assert (summary.rows, summary.rejects) == (2, 2)


def test_positions_count_the_rows_of_a_large_page(tmp_path: Path) -> None:
    """A page with more rows than usual has all positions, and the page behind it begins at 0."""
    pages = [body([row(n) for n in range(1, 251)]), body([row(251), row(252)])]
    table, _ = parquet(write(tmp_path / "a.journal", {7: pages}))
    assert table["position"].to_pylist() == [*range(250), 0, 1]
    assert table["page"].to_pylist() == [1] * 250 + [2] * 2


def test_every_row_says_where_it_comes_from(tmp_path: Path) -> None:
    """Every row has its listing, category, page, position, run and time."""
    path = tmp_path / "a.journal"
    write(path, {7: [body([row(1), row(2)]), body([row(3)])], 8: [body([row(4)])]})
    result = parquet(path)[0].select(["listing", "cat_id", "page", "position", "run"]).to_pylist()
    assert [tuple(values.values()) for values in result] == [
        ("category/items?cat_id=7", 7, 1, 0, 1),
        ("category/items?cat_id=7", 7, 1, 1, 1),
        ("category/items?cat_id=7", 7, 2, 0, 1),
        ("category/items?cat_id=8", 8, 1, 0, 1),
    ]
    times = {str(time) for time in parquet(path)[0]["fetched_at"].to_pylist()}
    assert times == {"2026-01-05 09:30:00.250000+00:00"}


def test_an_empty_journal_is_an_empty_table(tmp_path: Path) -> None:
    """An export without rows writes a file with every column."""
    table, summary = parquet(write(tmp_path / "a.journal", {7: []}))
    assert (table.num_rows, summary.rows) == (0, 0)


NUMBERS = (
    st.none()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
NUMBERS |= st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,8})?[+%万]?", fullmatch=True)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"item_id": st.integers(1, 2**63 - 1)},
        optional={
            "title": st.none() | st.text(max_size=20) | st.just("null"),
            "price": NUMBERS,
            "sales_count": NUMBERS,
            "price_info": st.none() | st.fixed_dictionaries({}, optional={"sale_price": NUMBERS}),
            "shop_info": st.fixed_dictionaries(
                {},
                optional={
                    "is_super_factory": st.none() | st.booleans() | st.sampled_from(["true", "?"]),
                    "shop_repurchase_rate": NUMBERS,
                    "login_id": NUMBERS,
                },
            ),
            "new": st.text(max_size=3),
        },
    ),
    max_size=6,
)


@settings(deadline=None)
@given(ROWS)
def test_a_table_says_what_json_lines_say(rows: list[dict[str, Any]]) -> None:
    """A table has the values of the rows, except numbers that its columns cannot store."""
    text = body(rows)
    success, rejects = decoder("category/items").decode(text)
    items = success.data.items
    gaps = {reject.position for reject in rejects}
    positions = [n for n in range(len(rows)) if n not in gaps]
    page = StoredPage(1, 1, 3, category_items(7), 2, 1.5, 1, 0.1, False, 0, 0, text)
    chunk = Chunk(CATEGORY_ITEMS, [page], [items], [positions], len(rejects))
    conversions, counted = Conversions(), Conversions()
    result = record_batch(chunk, conversions).to_pylist()
    (origin, *_), *_ = chunk.origins()
    assert isinstance(origin, Origin)
    expected = list(item_rows(origin, items, positions))
    assert [list(one) for one in result] == [item_schema(CATEGORY_ITEMS).names] * len(expected)
    equal = True
    for one, other in zip(result, expected, strict=True):
        assert list(one) == list(other)
        for column in layout(CATEGORY_ITEMS.item).columns:
            value, expected_value = one[column.name], other[column.name]
            if value != expected_value:
                equal = False
                assert value is None
                assert one[column.text or ""] is not None
        for name in ("run", "cat_id", *PROVENANCE):
            assert one[name] == other[name]
        assert json.loads(one["extra"] or "null") == other["extra"]
    lines = Rows(CATEGORY_ITEMS, counted, batches=False, lines=True)
    lines.add(chunk)
    assert lines.lines.count(b"\n") == len(items)
    assert counted == conversions or not equal


def test_the_schema_page_is_the_schema() -> None:
    """The page that documents the table names every column, its type and whether it may be null."""
    page = ROOT / "docs" / "reference" / "item-schema.md"
    text = page.read_text("utf-8").partition("## The other endpoints")[0]
    listed = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|", text, re.MULTILINE)
    documented = {name: (kind.replace(", UTC]", ", tz=UTC]"), sql) for name, kind, sql in listed}
    expected = {
        column.name: (
            TYPES[column.name] + (", never null" if column.name in NEVER_NULL else ""),
            column.type,
        )
        for column in table_columns(CATEGORY_ITEMS)
        if not column.name.endswith("_text")
    }
    expected["extra"] = ("string (a JSON object)", "jsonb")
    assert documented == expected


def test_misspelt_pictures_are_mended_in_a_table_as_in_json_lines(tmp_path: Path) -> None:
    """Addresses as sent are in `extra` of their rows alone, beside unknown fields."""
    images = ["https:////a.example/1.jpg", "https://a.example/2.jpg", "//a.example/3.jpg", None]
    rows = [row(n, img=img, **({"new": n} if n % 2 else {})) for n, img in enumerate(images, 1)]
    table = parquet(of_rows(tmp_path / "a.journal", *rows))[0]
    assert table["img"].to_pylist() == [
        "https://a.example/1.jpg",
        "https://a.example/2.jpg",
        "https://a.example/3.jpg",
        None,
    ]
    extras = [json.loads(text) if text else None for text in table["extra"].to_pylist()]
    assert extras == [{"new": 1, "img": images[0]}, None, {"new": 3, "img": images[2]}, None]


def test_some_columns_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    """Columns that are read alone have the same values as among all columns, odd ones included."""
    journal, _ = of_catalogue(tmp_path / "a.journal", {7: 300}, Drift(rows=0.3))
    names = frozenset(("item_id", "title", "price_info_sale_price", "sales_count", "absent"))
    with JournalReader(journal) as reader:
        scope = resolve(reader, Selection())
        (whole_chunk,) = read_chunks(reader, scope)
        whole = record_batch(whole_chunk, Conversions({}, {}))
        groups = read_by_listing(reader, [scope], {}, names)
        items = [
            item for (part,) in groups for chunk in part for page in chunk.items for item in page
        ]
    columns = ItemColumns(items, scope.endpoint, Conversions({}, {}))
    assert columns.num_rows == whole.num_rows
    assert names - set(columns.column_names) == {"absent"}
    for name in names - {"absent"}:
        assert columns[name].equals(whole[name]), name


@pytest.mark.parametrize("kind", ["money", "count", "percent"])
@given(st.data())
def test_numbers_in_bulk_are_those_read_one_by_one(kind: str, data: st.DataObject) -> None:
    """The fast way over whole columns gives what the reader of a single value gives."""
    plain = ["0", "1", "007", "12.50", "0.79", "1.23456", "", "12345678901234567"]
    odd = [".5", "1.", "1..2", "1e5", "-1", "29.2%", "100000+", None, 3, " 1", "null", 10**20]
    pool = data.draw(st.sampled_from([plain, plain + odd]))
    inputs = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=6))
    column = Column("x", ("x",), kind, 0, "x_text")  # type: ignore[arg-type]
    counts, expected_counts = Conversions({}, {}), Conversions({}, {})
    sent = pa.array([value if value is None else str(value) for value in inputs], pa.string())
    numbers = {index: value for index, value in enumerate(inputs) if isinstance(value, int)}
    values, texts = text_numbers(column, sent, numbers, counts)
    expected, expected_texts = convert_each(column, inputs, expected_counts)
    assert values.equals(expected)
    assert (texts or pa.nulls(len(inputs), pa.string())).equals(expected_texts)
    assert counts == expected_counts
