"""Items of two visits of a listing: rows that were sent alike need not be decoded."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.journals import body, row
from tmapi_async.api.decoding import decoder
from tmapi_async.api.listings import category_items
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.export import chunks
from tmapi_async.export.changes import comparison_plan
from tmapi_async.export.changes.change_files import json_lines
from tmapi_async.export.changes.comparison import Comparison, compare_runs
from tmapi_async.journal.journal import Journal
from tmapi_async.journal.records import PageRecord, Totals
from tmapi_async.journal.statements import begin_visit, end_visit

USUAL = {"price_info": {"sale_price": "1.00"}, "sales_count": "5"}
ODD_FIELDS = (
    {"price_info": {"sale_price": "2.00"}},
    {"price_info": {"sale_price": []}},
    {"price_info": None, "price": "3"},
    {"sales_count": "100000+"},
    {"sales_count": {}},
    {"title": 7},
    {"unknown": [1, 2]},
)


async def record(path: Path, visits: dict[int, list[bytes]]) -> None:
    """Record a run of categories with these bodies, with figures as a harvest records them."""
    journal = Journal.open(path)
    plan = journal.plan([category_items(cat_id) for cat_id in visits], refresh=True)
    start = journal.begin(plan, host="http://127.0.0.1", version="test", counts=RequestCounts)
    for visit in start.visits:
        bodies = visits[visit.listing.cat_id or 0]
        journal.apply(begin_visit(visit, 1.0))
        ids: list[int] = []
        spoilt = 0
        for number, text in enumerate(bodies, 1):
            success, rejects = decoder("category/items").decode(text)
            items = success.data.items
            more = number < len(bodies)
            page = PageRecord(
                number, text, 1.0, 1, 0.05, 200, 20, more, None, len(items), tuple(rejects)
            )
            await journal.append(visit, page)
            ids += [item.item_id for item in items]
            spoilt += len(rejects)
        totals = Totals(len(bodies), len(ids), len(set(ids)), spoilt, len(bodies))
        journal.apply(end_visit(visit, "complete", totals, now=2.0))
    await journal.close()


def found(comparison: Comparison) -> tuple[object, ...]:
    """Return all that a comparison finds."""
    lines = b"".join(json_lines(comparison.store.batches()))
    return lines, comparison.change_counts, comparison.unsure, comparison.partial


def compared(path: Path) -> tuple[object, ...]:
    """Compare the runs of a journal, and check that decoding every row finds the same."""
    fast = found(compare_runs(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison_plan, "MOST_PAIRED_ROWS", 0)
        assert found(compare_runs(path)) == fast
    return fast


def changed_run(dice: random.Random, pages: list[list[dict[str, object]]]) -> list[bytes]:
    """Return the pages of a later run: some rows changed, moved, repeated, new or unreadable."""
    rows = [dict(each) for each in itertools.chain(*pages)]
    for each in rows:
        if dice.random() < 0.3:
            each.update(dice.choice(ODD_FIELDS))
    if dice.random() < 0.4:
        rows.insert(dice.randrange(len(rows) + 1), row(dice.randrange(1, 60), **USUAL))
    if dice.random() < 0.3:
        del rows[dice.randrange(len(rows))]
    if dice.random() < 0.2:
        rows.insert(dice.randrange(len(rows) + 1), {"item_id": {}})
    size = dice.choice((3, 5))
    return [body(rows[start : start + size]) for start in range(0, len(rows), size)] or [body([])]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), groups=st.sampled_from([1, 50_000]))
def test_rows_sent_alike_make_no_difference(
    tmp_path_factory: pytest.TempPathFactory, seed: int, groups: int
) -> None:
    """With drift, rejects, repeated and moved rows, all rows decoded give the same changes."""
    dice, path = random.Random(seed), tmp_path_factory.mktemp("j") / "j.tmapi"  # noqa: S311 - no secret
    first, second = {}, {}
    for cat_id in (7, 8, 9):
        numbers = dice.sample(range(1, 60), dice.randrange(1, 16))
        if dice.random() < 0.3:
            numbers.append(numbers[0])
        rows = [row(number, **USUAL) for number in numbers]
        pages = [rows[start : start + 5] for start in range(0, len(rows), 5)]
        first[cat_id] = list(map(body, pages))
        second[cat_id] = changed_run(dice, pages)
    asyncio.run(record(path, first))
    asyncio.run(record(path, second))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "GROUP_ROWS", groups)
        compared(path)


def test_damaged_page_is_compared_whole(tmp_path: Path) -> None:
    """A page that is no JSON, with every row mended, is compared with one that is."""
    rows = [row(number, **USUAL) for number in (1, 2, 3)]
    sound = body(rows)
    damaged = sound.replace(b'"5"', b'"\x015"', 1)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(damaged)
    path = tmp_path / "j.tmapi"
    asyncio.run(record(path, {7: [sound]}))
    asyncio.run(record(path, {7: [damaged]}))
    compared(path)


def test_item_of_two_pages_counts_with_its_latest_row(tmp_path: Path) -> None:
    """An item that a later page shows otherwise has changed, though its first row is alike."""
    path = tmp_path / "j.tmapi"
    again = row(1, price_info={"sale_price": "9.00"}, sales_count="5")
    asyncio.run(record(path, {7: [body([row(1, **USUAL)]), body([row(2, **USUAL)])]}))
    asyncio.run(record(path, {7: [body([row(1, **USUAL)]), body([row(2, **USUAL), again])]}))
    _, counts, _, _ = compared(path)
    assert counts["7"].dearer == 1  # type: ignore[index]
