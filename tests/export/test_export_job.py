"""Exports of every endpoint to every destination."""

from __future__ import annotations

import json
import re
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
from tests.support.endpoint_journals import listing, write_endpoints
from tests.support.journals import body, row
from tests.support.making import sample, sample_name
from tests.support.paths import ROOT
from tmapi_async.api.columns import columns
from tmapi_async.api.decoding import decoder
from tmapi_async.api.endpoints import ENDPOINTS, Endpoint
from tmapi_async.api.rows import PROVENANCE, Origin, item_rows
from tmapi_async.api.values import picture
from tmapi_async.export import export_journal
from tmapi_async.export.arrow import item_schema, json_columns, record_batch
from tmapi_async.export.chunks import Chunk
from tmapi_async.export.detail_tables.elements import DETAIL_TABLES
from tmapi_async.export.endpoint_choice import EXPORTED, table_name
from tmapi_async.export.postgres_table import table_columns
from tmapi_async.export.semantics import semantic_column
from tmapi_async.export.sinks import Conversions
from tmapi_async.journal.views import StoredPage


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda one: one.name)
def test_every_field_has_a_kind_and_a_name_of_its_own(endpoint: Endpoint) -> None:
    """Every field of an item has a kind, and all columns of a row have different names."""
    result = columns(endpoint.item)
    names = [*PROVENANCE, "run", *(c.name for c in result), *(c.text for c in result if c.text)]
    assert len({*names, "extra"}) == len(names) + 1


def flat(value: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the sent values by column name; lists are not flattened."""
    if not isinstance(value, dict):
        return {"_".join(path): value}
    return {name: v for key, part in value.items() for name, v in flat(part, (*path, key)).items()}


def says(result: Any, text: Any, sent: Any) -> bool:
    """Return True if a column, or its `..._text` column, contains the sent value."""
    if sent in (None, "", "null"):
        return result in (None, "")
    if text is not None:
        return bool(text == str(sent))
    if isinstance(sent, bool) or isinstance(result, bool | list | dict):
        return bool(result == sent)
    if str(result) == str(sent):
        return True
    return Decimal(str(result)) == Decimal(str(sent).removesuffix("%"))


def mended(sent: Any, row: dict[str, Any]) -> Any:
    """Return the address of a picture as rows have it; a misspelt one is kept in `extra`."""
    address = picture(sent)
    if sent not in (None, "", "null", address):
        assert sent in str(row.pop("extra"))
        row["extra"] = None
    return address


@pytest.mark.parametrize("name", EXPORTED)
def test_every_value_of_the_samples_is_in_every_form(
    tmp_path: Path, postgres: str, name: str
) -> None:
    """JSON lines, CSV, Parquet, DuckDB and Postgres contain each value of the samples."""
    endpoint = ENDPOINTS[name]
    text = sample(sample_name(endpoint))
    data = json.loads(text)["data"]
    # A reply without an ID is about the product of its listing.
    rows_sent = data[endpoint.rows] if endpoint.paged else [data]
    sent = [{"item_id": 7, **row} for row in rows_sent]
    journal = write_endpoints(tmp_path / "a.journal", {name: [text]})
    files = [str(tmp_path / f"a.{ending}") for ending in ("jsonl", "csv", "parquet", "duckdb")]
    summary = export_journal(journal, [*files, postgres])
    assert (summary.endpoint, summary.rows, summary.unread, summary.rejects) == (
        name,
        len(sent),
        {},
        0,
    )
    lines = [json.loads(line) for line in Path(files[0]).read_bytes().splitlines()]
    table = pq.read_table(files[2]).to_pylist()
    query = f"SELECT * FROM {table_name(endpoint)} ORDER BY position"  # noqa: S608 - our own names
    with duckdb.connect(files[3]) as database:
        tabled = database.sql(query).to_arrow_table().to_pylist()
    with psycopg.connect(postgres, row_factory=psycopg.rows.dict_row) as connection:
        served = connection.execute(query).fetchall()
    csv = duckdb.sql(f"SELECT * FROM read_csv('{files[1]}', all_varchar=true)")  # noqa: S608
    assert csv.columns == item_schema(endpoint).names
    csv_rows = csv.to_arrow_table().to_pylist()
    jsons = json_columns(endpoint)
    for number, one in enumerate(sent):
        for rows in (lines, table, tabled, served, csv_rows):
            values = dict(rows[number])
            for column in jsons:
                if isinstance(values[column], str):
                    values[column] = json.loads(values[column])
            for column in columns(endpoint.item):
                value = one
                for step in column.path:
                    value = (value or {}).get(step)
                if column.kind == "flag" and isinstance(values[column.name], str):
                    values[column.name] = values[column.name] == "true"
                value = mended(value, values) if column.kind == "picture" else value
                beside = values.get(column.text) if column.text else None
                assert says(values[column.name], beside or None, value), (column, values, value)
            assert values["extra"] is None


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(list(EXPORTED.values())))
def test_drifted_rows_say_the_same_in_every_form(data: st.DataObject, endpoint: Endpoint) -> None:
    """A table has the values of the rows, and the prices and sales of the item's properties."""
    flags = st.none() | st.booleans() | st.sampled_from(["true", "?"])
    blocks = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
    kinds: dict[str, Any] = {"flag": flags, "json": blocks, "text": st.none() | st.text(max_size=5)}
    ids = {"item_id", endpoint.item.row_key}
    sent: dict[str, Any] = {name: data.draw(st.integers(1, 2**63 - 1)) for name in ids}
    for column in columns(endpoint.item):
        if column.name not in ids and data.draw(st.booleans()):
            at = sent
            for step in column.path[:-1]:
                at = at.setdefault(step, {})
            at[column.path[-1]] = data.draw(kinds.get(column.kind, NUMBERS))
    single = json.dumps({"code": 200, "data": sent}).encode()
    text = body([sent], name=endpoint.rows) if endpoint.paged else single
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
            value, csv_rows = one[column.name], other[column.name]
            if column.name in jsons:
                value = json.loads(value or "null")
            if value != csv_rows:
                assert value is None
                assert one[column.text or ""] is not None
                fits = False
        if fits:
            assert semantic_column(batch, "price").to_pylist() == [item.sale_price]
            assert semantic_column(batch, "sold").to_pylist() == [item.sold]


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
    """A score is exact, or null with its text beside it, and is counted."""
    rows = [row(1, goods_score=sent), row(2, goods_score="5.0")]
    journal = write_endpoints(tmp_path / "a.journal", {"global/search/items": [body(rows)]})
    summary = export_journal(journal, [str(tmp_path / "a.parquet")])
    first, second = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert (first["goods_score"], first["goods_score_text"]) == read
    assert (second["goods_score"], second["goods_score_text"]) == (5, None)
    assert summary.unread == ({"goods_score": 1} if read[1] else {})


@pytest.mark.parametrize(
    ("name", "endpoint"), [*list(EXPORTED.items())[1:], *DETAIL_TABLES.items()]
)
def test_the_schema_page_has_a_table_for_each_endpoint(name: str, endpoint: Endpoint) -> None:
    """The page names every column of the item with its types, in the order of a row."""
    page = (ROOT / "docs" / "reference" / "item-schema.md").read_text("utf-8")
    section = page.partition(f"\n### {name}\n")[2].partition("\n#")[0]
    listed = re.findall(
        r"^\| `(\w+)` \| ([^|]+?)(?:, never null| \(JSON\))? \| (.+?) \|", section, re.MULTILINE
    )
    served = {column.name: column.type for column in table_columns(endpoint)}
    kinds = {field.name: str(field.type) for field in item_schema(endpoint)}
    names = [column.name for column in columns(endpoint.item)]
    assert listed == [(name, kinds[name], served[name]) for name in names]
