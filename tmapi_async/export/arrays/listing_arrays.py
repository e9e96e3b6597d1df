"""Rows by listing: the latest of each item, the listing of a part, the group of an item."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

KEYS = ("listing", "item_id")
"""Columns that identify an item of a listing."""


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


def group_names(table: pa.Table) -> pa.ChunkedArray:
    """Return the group of each item: its category, or its listing if it has no category."""
    category = pc.cast(table["cat_id"], pa.string())
    if not category.null_count:
        return category
    return pc.coalesce(category, pc.cast(table["listing"], pa.string()))
