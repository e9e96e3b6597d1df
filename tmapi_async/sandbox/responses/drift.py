"""Drift: shapes of the API's fields that have been seen and differ from the documentation.

The ID of a drifted row can still be read. A bad row cannot be decoded by any model; a client must
report it as a reject. The drift of a row is a pure function of the seed and the item, so a page
drifts in the same way every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tmapi_async.sandbox.catalogue.hashing import chance, mix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Row = dict[str, Any]


def _put(**values: Any) -> Callable[[Row], None]:
    return lambda row: row.update(values)


def _drop(name: str) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        row.pop(name, None)

    return change


def _inside(block: str, **values: Any) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        inner = row.get(block)
        if isinstance(inner, dict):
            row[block] = inner | values

    return change


def _id_as_text(row: Row) -> None:
    row["item_id"] = str(row["item_id"])


_PRICES = ("sale_price", "price", "wholesale_price")


def _price_in_row(row: Row) -> None:
    inner = row.get("price_info")
    price = "0.60"
    if isinstance(inner, dict):
        price = str(next((inner[name] for name in _PRICES if inner.get(name)), "56"))
    row["price"] = price.rstrip("0").rstrip(".") or "0"


def _all_prices(value: str | None) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        inner = row.get("price_info")
        if isinstance(inner, dict):
            row["price_info"] = dict.fromkeys(inner, value)

    return change


def _other_price_keys(row: Row) -> None:
    inner = row.get("price_info")
    if isinstance(inner, dict):
        sale = inner.get("sale_price")
        row["price_info"] = {"price": sale, "price_min": sale, "price_max": sale}


def _quantity_as_text(row: Row) -> None:
    row["quantity_begin"] = str(row.get("quantity_begin", 1))


def _moq_instead(row: Row) -> None:
    row["moq"] = str(row.pop("quantity_begin", 1))


def _sales_as_int(row: Row) -> None:
    row["sales_count"] = int(row["sales_count"]) if str(row["sales_count"]).isdigit() else 88


def _image(prefix: str) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        row["img"] = str(row["img"]).replace("https://", prefix)

    return change


SHAPES: Mapping[str, Callable[[Row], None]] = {
    "id-text": _id_as_text,
    "price": _price_in_row,
    "price-two-decimals": _put(price="298.00"),
    "price-null": _put(price=None),
    "price-absent": _drop("price"),
    "prices-empty": _all_prices(""),
    "prices-null": _all_prices(None),
    "price-keys": _other_price_keys,
    "price-info-null": _put(price_info=None),
    "price-info-absent": _drop("price_info"),
    "origin-price-literal-null": _inside("price_info", origin_price="null"),
    "quantity-text": _quantity_as_text,
    "quantity-null": _put(quantity_begin=None),
    "quantity-absent": _drop("quantity_begin"),
    "moq": _moq_instead,
    "sales-int": _sales_as_int,
    "sales-plus": _put(sales_count="100000+"),
    "sales-sold": _put(sales_count="已售300+件"),
    "sales-ten-thousands": _put(sales_count="全网4.1万+件"),
    "sales-null": _put(sales_count=None),
    "sale-quantity-int": _inside("sale_info", sale_quantity=88),
    "sale-quantity-text": _inside("sale_info", sale_quantity="88", sale_quantity_int="88"),
    "sale-quantity-sold": _inside("sale_info", sale_quantity="已售300+件"),
    "sale-quantity-ten-thousands": _inside("sale_info", sale_quantity="全网4.1万+件"),
    "sale-quantity-null": _inside("sale_info", sale_quantity=None, sale_quantity_int=None),
    "sale-info-null": _put(sale_info=None),
    "sale-info-absent": _drop("sale_info"),
    "rate-percent": _inside("shop_info", shop_repurchase_rate="29.2%"),
    "rate-fraction": _inside("shop_info", shop_repurchase_rate="0.3"),
    "rate-empty": _inside("shop_info", shop_repurchase_rate=""),
    "rate-literal-null": _inside("shop_info", shop_repurchase_rate="null"),
    "image-four-slashes": _image("https:////"),
    "image-no-scheme": _image("//"),
    "shop-info-null": _put(shop_info=None),
    "shop-info-absent": _drop("shop_info"),
    "shop-url-literal-null": _inside("shop_info", shop_url="null"),
    "score-info": _inside("shop_info", shop_years=3, score_info={"composite_score": "4.5"}),
    "sore-info": _inside("shop_info", shop_years=3, sore_info={"composite_score": "4.0"}),
    "new-field": _put(is_ad=False, offer_tags=["深度验厂", None], badge={"level": 3}),
    "new-nested-field": _inside("shop_info", biz_type="生产加工", service_tags=["晚发必赔"]),
}
"""Name -> function that changes a row in place. All are in the API's table of drifting types."""


SHAPE_FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("price", "price-two-decimals", "price-null", "price-absent"), "price"),
    **dict.fromkeys(("prices-empty", "prices-null", "price-keys", "price-info-null"), "price_info"),
    **dict.fromkeys(("price-info-absent", "origin-price-literal-null"), "price_info"),
    **dict.fromkeys(("quantity-text", "quantity-null", "quantity-absent"), "quantity_begin"),
    "moq": "quantity_begin",
    **dict.fromkeys(
        ("sales-int", "sales-plus", "sales-sold", "sales-ten-thousands", "sales-null"),
        "sales_count",
    ),
    **dict.fromkeys(
        (name for name in SHAPES if name.startswith(("sale-quantity-", "sale-info-"))), "sale_info"
    ),
    **dict.fromkeys((name for name in SHAPES if name.startswith(("rate-", "shop-"))), "shop_info"),
    **dict.fromkeys(("score-info", "sore-info", "new-nested-field"), "shop_info"),
    **dict.fromkeys(("image-four-slashes", "image-no-scheme"), "img"),
}
"""Name of a shape -> field that it changes. Shapes without an entry fit every row."""


def _bad(**values: Any) -> Callable[[Row], Any]:
    return lambda row: row | values


BAD_SHAPES: Mapping[str, Callable[[Row], Any]] = {
    "id-object": _bad(item_id={"value": 1}),
    "id-null": _bad(item_id=None),
    "id-words": _bad(item_id="n/a"),
    "id-absent": lambda row: {name: value for name, value in row.items() if name != "item_id"},
    "row-text": lambda row: f"offer {row['item_id']} not available",
    "row-null": lambda _: None,
    "row-list": lambda row: [row["item_id"]],
}
"""Name -> function that returns a bad row in place of a row."""


def _without_filters(reply: Row, replacement: Row) -> Row:
    """Replace the filters of a reply; not every endpoint echoes them."""
    data = reply["data"]
    if not isinstance(data, dict) or "filters" not in data:
        return reply
    fields = {name: value for name, value in data.items() if name != "filters"}
    return reply | {"data": fields | replacement}


ENVELOPES: Mapping[str, Callable[[Row], Row]] = {
    "code-text": lambda reply: reply | {"code": "200"},
    "message": lambda reply: {
        "code": reply["code"],
        "message": reply["msg"],
        "data": reply["data"],
    },
    "new-field": lambda reply: reply | {"request_id": "0a1b2c", "cost": None},
    "filters-null": lambda reply: _without_filters(reply, {"filters": None}),
    "filters-absent": lambda reply: _without_filters(reply, {}),
}
"""Name -> function that changes a whole reply; the reply remains a success."""

_MAX_SHAPES = 3


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Probabilities and shapes of drift in rows and replies.

    Attributes:
        rows: Probability that a row drifts; a drifted row has one to three of `shapes`.
        shapes: Names in `SHAPES` to choose from; all by default.
        bad_rows: Probability that a row is bad: no model can decode it.
        bad_shapes: Names in `BAD_SHAPES` to choose from; all by default.
        envelopes: Probability that a reply drifts outside its rows.

    Raises:
        ValueError: A probability is not in [0, 1], or a name is unknown.
    """

    rows: float = 0.0
    shapes: tuple[str, ...] = tuple(SHAPES)
    bad_rows: float = 0.0
    bad_shapes: tuple[str, ...] = tuple(BAD_SHAPES)
    envelopes: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rows", "bad_rows", "envelopes"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"drift {name} must be a probability (0 to 1), not {getattr(self, name)}"
                )
        for chosen, known in ((self.shapes, SHAPES), (self.bad_shapes, BAD_SHAPES)):
            unknown = [name for name in chosen if name not in known]
            if unknown or not chosen:
                raise ValueError(
                    f"unknown drift shapes {unknown}; the shapes are {', '.join(known)}"
                )

    def shapes_of(self, seed: int, item_id: int) -> tuple[str, ...]:
        """Return the names of the shapes of an item's row; empty if the row is clean or bad."""
        if self.bad_shape_of(seed, item_id) or chance(seed, "drift", item_id) >= self.rows:
            return ()
        chosen = mix(seed, "shapes", item_id)
        count = 1 + chosen % _MAX_SHAPES
        names = (self.shapes[(chosen >> 8 * i + 2) % len(self.shapes)] for i in range(count))
        return tuple(dict.fromkeys(names))

    def bad_shape_of(self, seed: int, item_id: int) -> str | None:
        """Return the name of the shape that makes an item's row bad, or None."""
        if not self.bad_rows or chance(seed, "bad", item_id) >= self.bad_rows:
            return None
        return self.bad_shapes[mix(seed, "bad shape", item_id) % len(self.bad_shapes)]

    def row(self, seed: int, row: Row) -> Any:
        """Return the row as the server sends it: unchanged, drifted or bad."""
        item_id = int(row["item_id"])
        bad = self.bad_shape_of(seed, item_id)
        return self.shaped(seed, row, item_id) if bad is None else BAD_SHAPES[bad](row)

    def shaped(self, seed: int, row: Row, item_id: int) -> Row:
        """Return the row unchanged or drifted, never bad.

        Shapes for fields that the rows of the endpoint do not have are left out.
        """
        if self.rows:
            names = self.shapes_of(seed, item_id)
            for name in [name for name in names if SHAPE_FIELDS.get(name, "item_id") in row]:
                SHAPES[name](row)
        return row

    def reply(self, seed: int, reply: Row, *about: object) -> Row:
        """Return the whole reply as the server sends it."""
        if not self.envelopes or chance(seed, "envelope", *about) >= self.envelopes:
            return reply
        names = tuple(ENVELOPES)
        return ENVELOPES[names[mix(seed, "envelope shape", *about) % len(names)]](reply)
