"""What changed between two runs: new, gone, dearer, cheaper, selling more. No I/O.

An item counts as *gone* only where both runs walked its listing to the end that the server told,
and as *new* only where the earlier one did: from a listing that was cut short, failed or is capped
nothing follows about what was not on the pages.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.export.arrow import MONEY, PERCENT

KEYS = ("listing", "item_id")

SIGHTING = pa.schema(
    [
        pa.field("listing", pa.string()),
        pa.field("cat_id", pa.int64()),
        pa.field("item_id", pa.int64()),
        pa.field("title", pa.string()),
        pa.field("price", MONEY),
        pa.field("sold", pa.int64()),
    ]
)
"""What of an item is compared: its selling price in yuan, and the pieces sold."""

CHANGE = pa.schema(
    [
        pa.field("change", pa.string(), nullable=False),
        pa.field("listing", pa.string(), nullable=False),
        pa.field("cat_id", pa.int64()),
        pa.field("item_id", pa.int64(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("price_before", MONEY),
        pa.field("price_after", MONEY),
        pa.field("price_change_percent", PERCENT),
        pa.field("sold_before", pa.int64()),
        pa.field("sold_after", pa.int64()),
        pa.field("sold_growth", pa.int64()),
    ]
)
"""One row for each item that changed; `change` is `new`, `gone`, `dearer`, `cheaper` or `sales`.

An item whose price changed is `dearer` or `cheaper`, whatever its sales did; their growth stands in
`sold_growth` all the same. `sales` are items of an unchanged price that sold more or, since the
site corrects its counts, less.
"""

KINDS = ("new", "gone", "dearer", "cheaper", "sales")


class ChangeCounts(msgspec.Struct):
    """How much changed, of a category or of all.

    Attributes:
        before: Items of the earlier run.
        after: Items of the later run.
        new: Items that only the later run has.
        gone: Items that only the earlier run has.
        dearer: Items whose price rose.
        cheaper: Items whose price fell.
        sales: Items whose count of pieces sold differs, their price not.
    """

    before: int = 0
    after: int = 0
    new: int = 0
    gone: int = 0
    dearer: int = 0
    cheaper: int = 0
    sales: int = 0


def latest(sightings: pa.Table) -> pa.Table:
    """The last sighting of each item of each listing, of sightings in the order of commits."""
    place = pa.array(range(sightings.num_rows), pa.int64())
    last = (
        sightings.select(list(KEYS))
        .append_column("place", place)
        .group_by(list(KEYS))
        .aggregate([("place", "max")])["place_max"]
    )
    return sightings.take(pc.array_take(last.combine_chunks(), pc.sort_indices(last)))


def whole(listing: pa.Array, roots: dict[str, str]) -> pa.Array:
    """Identities with each part of a divided listing named as the listing itself.

    An item may be in another part of it the next time: the bands are cut anew.

    Args:
        listing: Identities.
        roots: Identity of a part to that of its listing.
    """
    if not roots:
        return listing
    parts, names = pa.array(list(roots), pa.string()), pa.array(list(roots.values()), pa.string())
    return pc.coalesce(names.take(pc.index_in(listing, value_set=parts)), listing)


def compare(
    before: pa.Table, after: pa.Table, *, walked_before: set[str], walked_both: set[str]
) -> tuple[pa.Table, int]:
    """Compare two runs.

    Args:
        before: Latest sightings of the earlier run (`SIGHTING`), one for each item of a listing.
        after: The same of the later run.
        walked_before: Identities of the listings that the earlier run walked to their end.
        walked_both: Identities of those that both did.

    Returns:
        The changes (`CHANGE`), ordered by listing, kind and item, and how many items stand in one
        run alone without its being known why.
    """
    joined = _joined(before, after)
    was, now = pc.is_valid(joined["here_before"]), pc.is_valid(joined["here_after"])
    kind = _kinds(joined, was, now, walked_before, walked_both)
    unsure = pc.sum(pc.equal(kind, "unsure")).as_py() or 0
    changed = pc.is_in(kind, value_set=pa.array(KINDS))
    table = _columns(joined, kind).filter(changed)
    order = [("listing", "ascending"), ("change", "ascending"), ("item_id", "ascending")]
    return table.sort_by(order), unsure


def _joined(before: pa.Table, after: pa.Table) -> pa.Table:
    """Both runs side by side; `here_before` and `here_after` are null where an item is missing."""
    sides = [
        side.append_column("here", pa.array([True] * side.num_rows, pa.bool_()))
        for side in (after, before)
    ]
    return sides[0].join(
        sides[1],
        keys=list(KEYS),
        join_type="full outer",
        left_suffix="_after",
        right_suffix="_before",
        use_threads=False,
    )


def _kinds(
    joined: pa.Table,
    was: pa.ChunkedArray,
    now: pa.ChunkedArray,
    walked_before: set[str],
    walked_both: set[str],
) -> pa.ChunkedArray:
    listing = joined["listing"]
    price = _sign(joined, "price")
    missing = pc.if_else(
        was,
        pc.if_else(_among(listing, walked_both), "gone", "unsure"),
        pc.if_else(_among(listing, walked_before), "new", "unsure"),
    )
    sold = pc.if_else(pc.not_equal(_sign(joined, "sold"), 0), "sales", "same")
    moved = pc.if_else(
        pc.greater(price, 0), "dearer", pc.if_else(pc.less(price, 0), "cheaper", sold)
    )
    return pc.if_else(pc.and_(was, now), moved, missing)


def _among(listing: pa.ChunkedArray, known: set[str]) -> pa.ChunkedArray:
    return pc.is_in(listing, value_set=pa.array(sorted(known), pa.string()))


def _sign(joined: pa.Table, name: str) -> pa.ChunkedArray:
    """1 where the value rose, -1 where it fell, else 0: also where one of the two is not known."""
    difference = pc.subtract(joined[f"{name}_after"], joined[f"{name}_before"])
    return pc.fill_null(pc.cast(pc.sign(difference), pa.int8()), 0)


def _columns(joined: pa.Table, kind: pa.ChunkedArray) -> pa.Table:
    price = (
        pc.cast(joined["price_before"], pa.float64()),
        pc.cast(joined["price_after"], pa.float64()),
    )
    rise = pc.multiply(pc.divide(pc.subtract(price[1], price[0]), _not_zero(price[0])), 100.0)
    # A share is for reading: four decimals, and nothing where it would not fit the column.
    small = pc.if_else(pc.less(pc.abs(rise), 99_999.0), rise, None)
    columns = {
        "change": kind,
        "listing": joined["listing"],
        "cat_id": pc.coalesce(joined["cat_id_after"], joined["cat_id_before"]),
        "item_id": joined["item_id"],
        "title": pc.coalesce(joined["title_after"], joined["title_before"]),
        "price_before": joined["price_before"],
        "price_after": joined["price_after"],
        "price_change_percent": pc.cast(pc.round(small, 4), PERCENT, safe=False),
        "sold_before": joined["sold_before"],
        "sold_after": joined["sold_after"],
        "sold_growth": pc.subtract(joined["sold_after"], joined["sold_before"]),
    }
    return pa.table([pc.cast(columns[f.name], f.type) for f in CHANGE], schema=CHANGE)


def _not_zero(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(values, 0.0), None, values)


def group(table: pa.Table) -> pa.ChunkedArray:
    """What items are counted by: their category, or their listing where it has none."""
    category = pc.cast(table["cat_id"], pa.string())
    if not category.null_count:
        return category
    return pc.coalesce(category, pc.cast(table["listing"], pa.string()))


def change_counts(before: pa.Table, after: pa.Table, changes: pa.Table) -> dict[str, ChangeCounts]:
    """How much changed, category by category (or listing); sums of them are the whole.

    Args:
        before: Latest sightings of the earlier run.
        after: The same of the later run.
        changes: What `compare` returned.
    """
    found: dict[str, ChangeCounts] = {}
    for name, table in (("before", before), ("after", after)):
        for row in _counted(table, "group"):
            setattr(found.setdefault(row["group"], ChangeCounts()), name, row["item_id_count"])
    for row in _counted(changes, "group", "change"):
        setattr(found.setdefault(row["group"], ChangeCounts()), row["change"], row["item_id_count"])
    return dict(sorted(found.items(), key=lambda pair: _place(pair[0])))


def _counted(table: pa.Table, *by: str) -> list[dict[str, Any]]:
    grouped = table.append_column("group", group(table)).group_by(list(by))
    found: list[dict[str, Any]] = grouped.aggregate([("item_id", "count")]).to_pylist()
    return found


def _place(group: str) -> tuple[bool, int, str]:
    """Categories by their numbers, then listings."""
    number = int(group) if group.isdigit() else 0
    return (not number, number, group)
