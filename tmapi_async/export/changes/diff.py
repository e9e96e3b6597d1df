"""Changes between the items of two runs: new, gone, dearer, cheaper, other sales. No I/O.

An item counts as *gone* only if both runs read its listing completely, and as *new* only if the
earlier run did. A listing that was cut short, failed or is capped proves nothing about the items
that were not on its pages.
"""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.export.arrays.listing_arrays import group_names
from tmapi_async.export.arrays.number_arrays import MONEY, PERCENT

from .item_values import read_values
from .sightings import ItemPairs, Sightings, numbers_of_items

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


def compare(pairs: ItemPairs, endpoint: Endpoint) -> pa.Table:
    """Return the changes of items (`CHANGE`), ordered by listing, kind and item.

    Args:
        pairs: Items that may have changed.
        endpoint: The endpoint of all items.
    """
    values = read_values(pairs, endpoint)
    kinds = pc.coalesce(values["visit"], _kinds(values))
    changed = pc.not_equal(kinds, "same")
    columns = _columns(values.filter(changed))
    columns["change"] = kinds.filter(changed)
    table = pa.table([pc.cast(columns[f.name], f.type) for f in CHANGE], schema=CHANGE)
    order = [("listing", "ascending"), ("change", "ascending"), ("item_id", "ascending")]
    return table.sort_by(order)


def _kinds(pairs: pa.Table) -> pa.ChunkedArray:
    """Return the kind of change of each item of both visits, or "same"."""
    price = _sign(pairs["price_before"], pairs["price_after"])
    sold = _sign(pairs["sold_before"], pairs["sold_after"])
    sales = pc.if_else(pc.not_equal(sold, 0), "sales", "same")
    return pc.if_else(
        pc.greater(price, 0), "dearer", pc.if_else(pc.less(price, 0), "cheaper", sales)
    )


def _sign(before: pa.Array, after: pa.Array) -> pa.Array:
    """Return 1 if the value rose, -1 if it fell, else 0 (also if one of the two is unknown)."""
    return pc.fill_null(pc.cast(pc.sign(pc.subtract(after, before)), pa.int8()), 0)


def _columns(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    old_price = pc.cast(rows["price_before"], pa.float64())
    new_price = pc.cast(rows["price_after"], pa.float64())
    rise = pc.multiply(
        pc.divide(pc.subtract(new_price, old_price), _zero_as_null(old_price)), 100.0
    )
    # Percentages are for reading: four decimals, and null if the number does not fit the column.
    percent = pc.if_else(pc.less(pc.abs(rise), 99_999.0), rise, None)
    columns = {name: rows[name] for name in rows.column_names}
    columns["price_change_percent"] = pc.cast(pc.round(percent, 4), PERCENT, safe=False)
    columns["sold_growth"] = pc.subtract(rows["sold_after"], rows["sold_before"])
    return columns


def _zero_as_null(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(values, 0.0), None, values)


def add_counts(
    counts: dict[str, ChangeCounts], before: Sightings, after: Sightings, changes: pa.Table
) -> None:
    """Count changes by category, or by listing. The sum of the counts is the total.

    Args:
        counts: Counts of other listings so far, which this function adds to.
        before: Sightings of the earlier visits.
        after: Sightings of the later visits.
        changes: Changes, as returned by `compare`.
    """

    def add(group: str, name: str, number: int) -> None:
        group_counts = counts.setdefault(group, ChangeCounts())
        setattr(group_counts, name, getattr(group_counts, name) + number)

    for name, sightings in (("before", before), ("after", after)):
        for group, number in numbers_of_items(sightings):
            add(group, name, number)
    grouped = changes.append_column("group", group_names(changes)).group_by(["group", "change"])
    for row in grouped.aggregate([("item_id", "count")]).to_pylist():
        add(row["group"], row["change"], row["item_id_count"])


def merge_counts(counts: dict[str, ChangeCounts], more: dict[str, ChangeCounts]) -> None:
    """Add counts of other listings to `counts`."""
    for group, figures in more.items():
        total = counts.setdefault(group, ChangeCounts())
        for name in ChangeCounts.__struct_fields__:
            setattr(total, name, getattr(total, name) + getattr(figures, name))


def sort_counts(counts: dict[str, ChangeCounts]) -> dict[str, ChangeCounts]:
    """Return counts ordered by category number, then by listing."""
    return dict(sorted(counts.items(), key=lambda pair: _sort_key(pair[0])))


def _sort_key(group: str) -> tuple[bool, int, str]:
    """Order categories by number, before listings."""
    number = int(group) if group.isdigit() else 0
    return (not number, number, group)
