from __future__ import annotations

import json

import pytest

from tests.support.paths import SAMPLES
from tmapi_async.sandbox import Faults, Listing, Sandbox


def body(page=1, has_next=True, rows=2, **data):
    """A recorded page as JSON text."""
    items = [{"item_id": 100 * page + n, "title": "连衣裙"} for n in range(rows)]
    data = {"page": page, "page_size": 2, "has_next_page": has_next, "items": items, **data}
    return json.dumps({"code": 200, "msg": "success", "data": data})


def folder(tmp_path, **files):
    """A folder with recordings: name (with _ for -) and text of each."""
    for name, text in files.items():
        (tmp_path / f"{name.replace('_', '-')}.json").write_text(text, encoding="utf-8")
    return tmp_path


async def test_sandbox_recordings_walk_to_a_complete_end(tmapi_sandboxes, ask, tmp_path):
    """Recorded pages come in turn; the last one says that there is no other."""
    files = {"category_items_p1": body(1), "my_category_items_v1_p2": body(2)}
    sandbox = await tmapi_sandboxes(bodies=folder(tmp_path, **files))
    rows = await ask.walk(sandbox, 5)
    assert [row["item_id"] for row in rows] == [100, 101, 200, 201]
    beyond = await ask.page(sandbox, 5, 3)
    assert (beyond["items"], beyond["has_next_page"]) == ([], False)


async def test_sandbox_recordings_of_a_category_come_before_those_for_all(
    tmapi_sandboxes, ask, tmp_path
):
    """A file that names a category answers for it; one that does not answers for the others."""
    files = {"category_items": body(rows=1), "category_items_77": body(rows=2)}
    sandbox = await tmapi_sandboxes(bodies=folder(tmp_path, **files))
    assert len((await ask.page(sandbox, 77))["items"]) == 2
    assert len((await ask.page(sandbox, 78))["items"]) == 1


async def test_sandbox_category_without_recording_is_empty(tmapi_sandboxes, ask, tmp_path):
    """Categories without a recording are empty if only named categories were recorded."""
    sandbox = await tmapi_sandboxes(bodies=folder(tmp_path, category_items_77=body()))
    assert (await ask.page(sandbox, 78))["items"] == []


async def test_sandbox_recordings_may_be_served_verbatim(tmapi_sandboxes, ask, tmp_path):
    """`verbatim` sends every recorded byte, also a has_next_page without a next page."""
    text = body() + "\n\n"
    sandbox = await tmapi_sandboxes(bodies=folder(tmp_path, category_items=text), verbatim=True)
    assert (await ask.get(sandbox, cat_id=5))[2] == text.encode()


async def test_sandbox_recorded_error_is_a_fault_by_name(tmapi_sandboxes, ask, tmp_path):
    """An error body is served by script, with the status in its name or 200."""
    files = {"category_items": body(), "error_417_sorry": "{}", "error_odd": '{"message":"?"}'}
    script = {(5, 1): ["error-417-sorry", "error-odd"]}
    sandbox = await tmapi_sandboxes(bodies=folder(tmp_path, **files), faults=Faults(script=script))
    assert [(await ask.get(sandbox, cat_id=5))[0] for _ in range(3)] == [417, 200, 200]
    assert sandbox.stats.codes == {"200": 1, "error-417-sorry": 1, "error-odd": 1}


async def test_sandbox_recording_is_checked_for_its_parameters(tmapi_sandboxes, ask, tmp_path):
    """Token and parameters are looked at before a recording is served."""
    sandbox = await tmapi_sandboxes(bodies=folder(tmp_path, category_items=body()))
    assert (await ask.get(sandbox, cat_id=5, token=None))[0] == 401
    assert (await ask.get(sandbox, cat_id=0))[0] == 422


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no file has the name of a recording"),
        ({"notes": "{}"}, "no file has the name of a recording"),
        ({"category_items": "{oops"}, "category-items.json: not JSON"),
    ],
)
def test_sandbox_folder_must_hold_recordings(tmp_path, files, message):
    """A folder without recordings, or with a broken one, is refused by name."""
    with pytest.raises(ValueError, match=message):
        Sandbox(bodies=folder(tmp_path, **files))


def test_sandbox_ignored_files_can_be_asked_for(tmp_path):
    """Files that fit no rule are left out, and named."""
    recordings = Sandbox(bodies=folder(tmp_path, category_items=body(), notes="{}")).recordings
    assert recordings.ignored == ["notes.json"]


async def test_sandbox_serves_the_documented_rows(tmapi_sandboxes, ask):
    """The documented v1 sample is served row for row, and a walk over it ends."""
    sandbox = await tmapi_sandboxes(bodies=SAMPLES)
    recorded = json.loads((SAMPLES / "doc-category-items-v1.json").read_bytes())
    assert await ask.walk(sandbox, 1031910) == recorded["data"]["items"]


@pytest.mark.parametrize(
    ("path", "file", "query"),
    [
        ("/1688/category/items/v2", "doc-category-items-v2", {"cat_id": 1}),
        ("/1688/search/items", "doc-search-items", {"keyword": "x"}),
        ("/1688/shop/items", "doc-shop-items", {"member_id": "x"}),
        ("/1688/shop/items/v2", "doc-shop-items-v2", {"shop_url": "x"}),
        ("/1688/global/search/items", "doc-global-search-items", {"keyword": "x"}),
        ("/1688/category/info", "doc-category-info", {}),
        ("/1688/item_detail", "doc-item-detail", {"item_id": 1}),
        ("/1688/item_desc", "doc-item-desc", {"item_id": 1}),
        ("/1688/item/shipping", "doc-item-shipping", {"item_id": 1, "province": "x"}),
        ("/1688/item/statistics/sales", "doc-item-statistics-sales", {"item_id": 1}),
        ("/1688/item/rating", "doc-item-rating", {"item_id": 1}),
    ],
)
async def test_sandbox_serves_siblings_at_their_paths(tmapi_sandboxes, ask, path, file, query):
    """Each sibling sample is served at its own path, its rows untouched, its totals reachable."""
    sandbox = await tmapi_sandboxes(bodies=SAMPLES)
    status, _, sent = await ask.get(sandbox, path, **query)
    data = json.loads(sent)["data"]
    recorded = json.loads((SAMPLES / f"{file}.json").read_bytes())["data"]
    assert status == 200
    assert data.get("items") == recorded.get("items")
    assert data.get("list") == recorded.get("list")
    assert not data.get("has_next_page")
    assert sandbox.stats.asked == {
        Listing(path, tuple((k, str(v)) for k, v in query.items())): {1: 1}
    }
    if "total_count" in recorded:
        assert type(data["total_count"]) is type(recorded["total_count"])
        assert int(data["total_count"]) == len(recorded["items"])
    else:
        assert data | {"has_next_page": 0} == recorded | {"has_next_page": 0}


@pytest.mark.parametrize(
    ("name", "status"),
    [("error-401-missing-key", 401), ("error-404-no-route", 404), ("error-balance-gateway", 200)],
)
async def test_sandbox_serves_the_sample_errors(tmapi_sandboxes, ask, name, status):
    """Each sample error body is sent byte for byte under its status."""
    sandbox = await tmapi_sandboxes(bodies=SAMPLES, faults=Faults({name: 1.0}))
    answer = await ask.get(sandbox, cat_id=5)
    assert (answer[0], answer[2]) == (status, (SAMPLES / f"{name}.json").read_bytes())
