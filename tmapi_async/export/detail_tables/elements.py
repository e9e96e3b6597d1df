"""Elements of the details of a product, each kind of element a table of its own.

A detail has lists: variants (SKUs), attributes, pictures. The table of details keeps them as JSON.
Here each element is a row with columns of its own, made from the same pages of a journal. What no
column holds is in `extra`, as for every other row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tmapi_async.api.columns import RowStruct
from tmapi_async.api.decoding import SingleDecoder
from tmapi_async.api.details import ItemDetail
from tmapi_async.api.endpoints import ITEM_DETAIL, Endpoint
from tmapi_async.api.values import (
    Count,
    ItemId,
    Money,
    OtherNumber,
    Picture,
    TextOrDigits,
    Wire,
)


class DetailElement(RowStruct, frozen=True, gc=False, kw_only=True):
    """Base of the elements of a detail.

    Attributes:
        item_id: Product ID.
    """

    item_id: ItemId


class PackageInfo(Wire, frozen=True, gc=False, kw_only=True):
    """Weight of a packed variant in kg, its size in cm and its volume."""

    weight: OtherNumber = None
    length: OtherNumber = None
    width: OtherNumber = None
    height: OtherNumber = None
    volume: OtherNumber = None


class ItemSku(DetailElement, frozen=True, gc=False, kw_only=True):
    """A variant (SKU) of a product.

    Attributes:
        skuid: ID of the variant; `specid` is the one that orders use.
        props_ids: Numbers of its properties and their values (`"0:1;1:2"`).
        props_names: The same in words (`"颜色:白色;尺码:L"`).
        stock: Pieces in stock.
        img: Address of its picture, from the list of property values; None if it has none.
    """

    skuid: TextOrDigits = None
    specid: TextOrDigits = None
    sale_price: Money = None
    origin_price: Money = None
    stock: Count = None
    props_ids: str | None = None
    props_names: str | None = None
    sale_count: Count = None
    package_info: PackageInfo | None = None
    img: Picture = None


class ItemAttribute(DetailElement, frozen=True, gc=False, kw_only=True):
    """An attribute of a product, such as its material.

    Attributes:
        name: Name of the attribute.
        value: Its value, as text.
    """

    name: str | None = None
    value: TextOrDigits = None


class ItemPicture(DetailElement, frozen=True, gc=False, kw_only=True):
    """A picture of a product, in the order of the product's page."""

    img: Picture = None


class DetailTable(Endpoint, frozen=True, kw_only=True):
    """Table of one kind of element, described like an endpoint. Its pages are those of details.

    Attributes:
        split: Yields the rows of a detail: each is a dict with the fields of `item`.
    """

    split: Callable[[ItemDetail], Iterator[dict[str, Any]]]

    def elements(self, items: list[Any]) -> list[Any]:
        """Return the elements of details, decoded as rows of a page are."""
        decode = _decoder(self.short).decode_row
        encode = msgspec.json.encode
        return [
            decode(msgspec.Raw(encode({**element, "item_id": item.item_id})))
            for item in items
            for element in self.split(item)
        ]


@functools.cache
def _decoder(table: str) -> SingleDecoder[Any]:
    return SingleDecoder(DETAIL_TABLES[table].item)


def _skus(detail: ItemDetail) -> Iterator[dict[str, Any]]:
    pictures = _pictures_of_values(detail)
    for sku in _elements(detail.skus):
        if not isinstance(sku, dict):
            yield {"sku": sku}
            continue
        ids = str(sku.get("props_ids") or "").split(";")
        yield {"img": next(filter(None, map(pictures.get, ids)), None), **sku}


def _pictures_of_values(detail: ItemDetail) -> dict[str, Any]:
    """Return `pid:vid` -> address of the picture of a property value."""
    return {
        f"{prop.get('pid')}:{value.get('vid')}": value.get("imageUrl")
        for prop in _elements(detail.sku_props)
        if isinstance(prop, dict)
        for value in _elements(prop.get("values"))
        if isinstance(value, dict)
    }


def _attributes(detail: ItemDetail) -> Iterator[dict[str, Any]]:
    for entry in _elements(detail.product_props):
        if not isinstance(entry, dict):
            yield {"value": entry}
            continue
        for name, value in entry.items():
            yield {"name": name, "value": value}


def _pictures(detail: ItemDetail) -> Iterator[dict[str, Any]]:
    return ({"img": address} for address in _elements(detail.main_imgs))


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(
    short: str, item: type[DetailElement], split: Callable[[ItemDetail], Iterator[dict[str, Any]]]
) -> DetailTable:
    detail = msgspec.structs.asdict(ITEM_DETAIL)
    return DetailTable(**{**detail, "short": short, "item": item, "split": split})


DETAIL_TABLES = {
    table.short: table
    for table in (
        _table("item-skus", ItemSku, _skus),
        _table("item-attributes", ItemAttribute, _attributes),
        _table("item-pictures", ItemPicture, _pictures),
    )
}
"""Tables of elements by their names on the command line."""
