"""Changes between the items of two runs: new, gone, dearer, cheaper, other sales. No I/O.

An item counts as *gone* only if both runs read its listing completely, and as *new* only if the
earlier run did. A listing that was cut short, failed or is capped proves nothing about the items
that were not on its pages.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.export.arrays.number_arrays import MONEY, PERCENT

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
"""Columns that are compared: the selling price in yuan and the number of pieces sold."""

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

An item with a changed price is `dearer` or `cheaper`, whether or not its sales changed;
`sold_growth` is given in any case. `sales` are items with the same price and another number of
pieces sold. The number can also be smaller, since the site corrects its counts.
"""

KINDS = ("new", "gone", "dearer", "cheaper", "sales")


class ChangeCounts(msgspec.Struct):
    """Number of changes in a category, or in all.

    Attributes:
        before: Items of the earlier run.
        after: Items of the later run.
        new: Items of the later run only.
        gone: Items of the earlier run only.
        dearer: Items whose price rose.
        cheaper: Items whose price fell.
        sales: Items with the same price and another number of pieces sold.
    """

    before: int = 0
    after: int = 0
    new: int = 0
    gone: int = 0
    dearer: int = 0
    cheaper: int = 0
    sales: int = 0


def latest_sightings(sightings: pa.Table) -> pa.Table:
    """Return the last sighting of each item in each listing; input in the order of commits."""
    index = pa.array(range(sightings.num_rows), pa.int64())
    last = (
        sightings.select(list(KEYS))
        .append_column("index", index)
        .group_by(list(KEYS))
        .aggregate([("index", "max")])["index_max"]
    )
    return sightings.take(pc.array_take(last.combine_chunks(), pc.sort_indices(last)))


def undivided_listings(listing: pa.Array, roots: dict[str, str]) -> pa.Array:
    """Replace the identity of each part by the identity of the divided listing.

    An item may be in another part in the next run, because price bands are chosen anew.

    Args:
        listing: Identities.
        roots: Identity of a part -> identity of its listing.
    """
    if not roots:
        return listing
    parts, names = pa.array(list(roots), pa.string()), pa.array(list(roots.values()), pa.string())
    return pc.coalesce(names.take(pc.index_in(listing, value_set=parts)), listing)


def compare(
    before: pa.Table, after: pa.Table, *, complete_before: set[str], complete_both: set[str]
) -> tuple[pa.Table, int]:
    """Compare two runs.

    Args:
        before: Latest sightings of the earlier run (`SIGHTING`), one for each item of a listing.
        after: Latest sightings of the later run.
        complete_before: Identities of the listings that the earlier run read completely.
        complete_both: Identities of the listings that both runs read completely.

    Returns:
        The changes (`CHANGE`), ordered by listing, kind and item; and the number of items of one
        run only that count neither as new nor as gone.
    """
    joined = _joined(before, after)
    kind = _kinds(joined, complete_before, complete_both)
    unsure = pc.sum(pc.equal(kind, "unsure")).as_py() or 0
    changed = pc.is_in(kind, value_set=pa.array(KINDS))
    table = _columns(joined, kind).filter(changed)
    order = [("listing", "ascending"), ("change", "ascending"), ("item_id", "ascending")]
    return table.sort_by(order), unsure


def _joined(before: pa.Table, after: pa.Table) -> pa.Table:
    """Join both runs; `present_before` or `present_after` is null if the run lacks the item."""
    sides = [
        side.append_column("present", pa.array([True] * side.num_rows, pa.bool_()))
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


def _kinds(joined: pa.Table, complete_before: set[str], complete_both: set[str]) -> pa.ChunkedArray:
    """Return the kind of each item's change, or "same", or "unsure"."""
    listing, price = joined["listing"], _sign(joined, "price")
    before, after = pc.is_valid(joined["present_before"]), pc.is_valid(joined["present_after"])
    in_one_run = pc.if_else(
        before,
        pc.if_else(_is_in(listing, complete_both), "gone", "unsure"),
        pc.if_else(_is_in(listing, complete_before), "new", "unsure"),
    )
    sold = pc.if_else(pc.not_equal(_sign(joined, "sold"), 0), "sales", "same")
    in_both_runs = pc.if_else(
        pc.greater(price, 0), "dearer", pc.if_else(pc.less(price, 0), "cheaper", sold)
    )
    return pc.if_else(pc.and_(before, after), in_both_runs, in_one_run)


def _is_in(listing: pa.ChunkedArray, identities: set[str]) -> pa.ChunkedArray:
    return pc.is_in(listing, value_set=pa.array(sorted(identities), pa.string()))


def _sign(joined: pa.Table, name: str) -> pa.ChunkedArray:
    """Return 1 if the value rose, -1 if it fell, else 0 (also if one of the two is unknown)."""
    difference = pc.subtract(joined[f"{name}_after"], joined[f"{name}_before"])
    return pc.fill_null(pc.cast(pc.sign(difference), pa.int8()), 0)


def _columns(joined: pa.Table, kind: pa.ChunkedArray) -> pa.Table:
    old_price = pc.cast(joined["price_before"], pa.float64())
    new_price = pc.cast(joined["price_after"], pa.float64())
    rise = pc.multiply(
        pc.divide(pc.subtract(new_price, old_price), _zero_as_null(old_price)), 100.0
    )
    # Percentages are for reading: four decimals, and null if the number does not fit the column.
    percent = pc.if_else(pc.less(pc.abs(rise), 99_999.0), rise, None)
    columns = {
        "change": kind,
        "listing": joined["listing"],
        "cat_id": pc.coalesce(joined["cat_id_after"], joined["cat_id_before"]),
        "item_id": joined["item_id"],
        "title": pc.coalesce(joined["title_after"], joined["title_before"]),
        "price_before": joined["price_before"],
        "price_after": joined["price_after"],
        "price_change_percent": pc.cast(pc.round(percent, 4), PERCENT, safe=False),
        "sold_before": joined["sold_before"],
        "sold_after": joined["sold_after"],
        "sold_growth": pc.subtract(joined["sold_after"], joined["sold_before"]),
    }
    return pa.table([pc.cast(columns[f.name], f.type) for f in CHANGE], schema=CHANGE)


def _zero_as_null(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(values, 0.0), None, values)


def group_names(table: pa.Table) -> pa.ChunkedArray:
    """Return the group of each item: its category, or its listing if it has no category."""
    category = pc.cast(table["cat_id"], pa.string())
    if not category.null_count:
        return category
    return pc.coalesce(category, pc.cast(table["listing"], pa.string()))


def add_counts(
    counts: dict[str, ChangeCounts], before: pa.Table, after: pa.Table, changes: pa.Table
) -> None:
    """Count changes by category, or by listing. The sum of the counts is the total.

    Args:
        counts: Counts of other listings so far, which this function adds to.
        before: Latest sightings of the earlier run.
        after: Latest sightings of the later run.
        changes: Changes, as returned by `compare`.
    """

    def add(group: str, name: str, number: int) -> None:
        group_counts = counts.setdefault(group, ChangeCounts())
        setattr(group_counts, name, getattr(group_counts, name) + number)

    for name, table in (("before", before), ("after", after)):
        for row in _counted(table, "group"):
            add(row["group"], name, row["item_id_count"])
    for row in _counted(changes, "group", "change"):
        add(row["group"], row["change"], row["item_id_count"])


def sort_counts(counts: dict[str, ChangeCounts]) -> dict[str, ChangeCounts]:
    """Return counts ordered by category number, then by listing."""
    return dict(sorted(counts.items(), key=lambda pair: _sort_key(pair[0])))


def _counted(table: pa.Table, *by: str) -> list[dict[str, Any]]:
    grouped = table.append_column("group", group_names(table)).group_by(list(by))
    rows: list[dict[str, Any]] = grouped.aggregate([("item_id", "count")]).to_pylist()
    return rows


def _sort_key(group: str) -> tuple[bool, int, str]:
    """Order categories by number, before listings."""
    number = int(group) if group.isdigit() else 0
    return (not number, number, group)
