"""Sightings of items, and the items that two visits do not show alike."""

from __future__ import annotations

from typing import Any

from tests.support.journals import body, row
from tmapi_async import Item
from tmapi_async.api.decoding import decoder, field_decoder
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.export.changes.item_values import COMPARED
from tmapi_async.export.changes.sightings import ItemPairs, Sightings


def seen(*items: Any, listing: str = "a", cat_id: int | None = 1) -> Sightings:
    """Return the sightings of the items of one listing."""
    sightings = Sightings()
    sightings.add(listing, cat_id, items)
    return sightings


def test_latest_sighting_of_an_item_counts() -> None:
    """An item that several pages show is the one of the page that was committed last."""
    sightings = seen(Item(item_id=1, title="first"))
    sightings.add("a", 1, [Item(item_id=1, title="second")])
    assert sightings.listings["a"].items == {1: Item(item_id=1, title="second")}


def test_items_that_were_sent_alike_are_not_read() -> None:
    """Only items with a difference are paired, and those of one visit only."""
    alike = [Item(item_id=1, price="2"), Item(item_id=2, price="2")]
    before = seen(alike[0], alike[1], Item(item_id=3))
    after = seen(alike[0], Item(item_id=2, price="3"), Item(item_id=4))
    pairs = ItemPairs(before, after, {"a"}, {"a"})
    assert [item.item_id for item in pairs.both.after] == [2]
    assert pairs.both.before == [alike[1]]
    assert pairs.new.after == [Item(item_id=4)]
    assert pairs.gone.before == [Item(item_id=3)]
    assert pairs.unsure == 0


def test_listing_of_one_visit_keeps_its_category() -> None:
    """The category of a listing is known from whichever visit has it."""
    for before, after in (
        (seen(Item(item_id=1)), Sightings()),
        (Sightings(), seen(Item(item_id=1))),
    ):
        pairs = ItemPairs(before, after, {"a"}, {"a"})
        assert [*pairs.new.cat_ids, *pairs.gone.cat_ids] == [1]


def test_page_that_only_the_whole_decoder_reads_is_compared_all_the_same() -> None:
    """Rows of a page that did not fit are compared with those that did."""
    rows = [row(1), row(2)]
    whole, rejects = decoder(CATEGORY_ITEMS.name).decode(body([*rows, row(3, title=[])]))
    fields = field_decoder(CATEGORY_ITEMS.name, COMPARED)
    assert fields is not None
    narrow = fields.decode(body(rows))
    assert narrow is not None
    assert not rejects
    pairs = ItemPairs(seen(*whole.data.items), seen(*narrow), {"a"}, {"a"})
    assert sorted(item.item_id for item in pairs.both.after) == [1, 2]
    assert [item.item_id for item in pairs.gone.before] == [3]
