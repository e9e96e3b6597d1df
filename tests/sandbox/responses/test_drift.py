from __future__ import annotations

import copy

import msgspec
import pytest

from tmapi_async.sandbox import Catalogue, Drift
from tmapi_async.sandbox.responses.drift import BAD_SHAPES, ENVELOPES, SHAPE_FIELDS, SHAPES
from tmapi_async.sandbox.responses.product_rows import ROWS, RowContext

CLEAN = Catalogue(1, {5: 1}).item(5, 0)
REPLY = {"code": 200, "msg": "success", "data": {"has_next_page": True, "filters": {}, "items": []}}


@pytest.mark.parametrize("name", SHAPES)
def test_sandbox_drifted_row_differs_and_keeps_its_item(name):
    """Each shape changes the row and leaves its ID readable."""
    row = copy.deepcopy(CLEAN)
    row["shop_info"]["shop_repurchase_rate"] = "12.00"
    before = copy.deepcopy(row)
    drifted = Drift(rows=1.0, shapes=(name,)).row(1, row)
    assert drifted != before
    assert int(drifted["item_id"]) == CLEAN["item_id"]


@pytest.mark.parametrize("name", SHAPES)
def test_sandbox_shapes_stand_what_other_shapes_left(name):
    """Any combination of shapes on one row works, also if blocks are missing."""
    for other in SHAPES:
        row = copy.deepcopy(CLEAN)
        SHAPES[other](row)
        SHAPES[name](row)
        assert msgspec.json.decode(msgspec.json.encode(row)) == row


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("path", ROWS)
def test_sandbox_shapes_change_only_fields_that_the_endpoint_has(path, name):
    """A drifted row of any endpoint keeps its ID and gains no field of another endpoint."""
    for index in range(8):
        row = ROWS[path](Catalogue(1, {5: 8}).product(5, index), RowContext(("5",), "鞋"))
        before = copy.deepcopy(row)
        drifted = Drift(rows=1.0, shapes=(name,)).row(1, row)
        assert int(drifted["item_id"]) == int(before["item_id"])
        gained = set(drifted) - set(before)
        assert gained <= {"moq", "is_ad", "offer_tags", "badge"}
        assert SHAPE_FIELDS.get(name, "item_id") in before or drifted == before


def test_sandbox_shapes_say_which_field_they_change():
    """A shape with an entry in `SHAPE_FIELDS` changes only this field of a v1 row."""
    for name, field in SHAPE_FIELDS.items():
        row = copy.deepcopy(CLEAN)
        SHAPES[name](row)
        changed = {key for key in {**row, **CLEAN} if row.get(key, ...) != CLEAN.get(key, ...)}
        assert changed <= {field, "moq", "price"}
    assert set(SHAPE_FIELDS) | {"id-text", "new-field"} == set(SHAPES)


@pytest.mark.parametrize("name", BAD_SHAPES)
def test_sandbox_bad_row_has_no_readable_id(name):
    """A bad row is not an object, or its ID is not a number."""
    bad = Drift(bad_rows=1.0, bad_shapes=(name,)).row(1, copy.deepcopy(CLEAN))
    readable = isinstance(bad, dict) and str(bad.get("item_id")).isdigit()
    assert not readable


@pytest.mark.parametrize("name", ENVELOPES)
def test_sandbox_drifted_envelope_stays_a_success(name):
    """A reply that drifts outside its rows still has code 200 and its rows."""
    drifted = ENVELOPES[name](copy.deepcopy(REPLY))
    assert drifted != REPLY
    assert int(drifted["code"]) == 200
    assert drifted["data"]["items"] == []
    assert drifted["data"]["has_next_page"] is True


def test_sandbox_drift_is_a_function_of_seed_and_item():
    """The same item drifts in the same way each time; the share is about the probability."""
    drift = Drift(rows=0.3, bad_rows=0.1)
    ids = Catalogue(1, {5: 2000}).item_ids(5)
    shapes = [drift.shapes_of(1, item_id) for item_id in ids]
    bad = [drift.bad_shape_of(1, item_id) for item_id in ids]
    assert shapes == [drift.shapes_of(1, item_id) for item_id in ids]
    assert 400 < sum(map(bool, shapes)) < 680
    assert 140 < sum(map(bool, bad)) < 260
    assert not any(shape and worse for shape, worse in zip(shapes, bad, strict=True))
    assert {name for names in shapes for name in names} == set(SHAPES)


def test_sandbox_no_drift_by_default():
    """By default nothing drifts."""
    row = copy.deepcopy(CLEAN)
    assert Drift().row(1, row) == CLEAN
    assert Drift().reply(1, REPLY, "page") is REPLY


@pytest.mark.parametrize(
    "options", [{"rows": 1.5}, {"bad_rows": -0.1}, {"envelopes": 2}, {"shapes": ("nonsense",)}]
)
def test_sandbox_drift_refuses_bad_options(options):
    """A probability out of range or an unknown shape is refused."""
    with pytest.raises(ValueError, match="drift"):
        Drift(**options)
