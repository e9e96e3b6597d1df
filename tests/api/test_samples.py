from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.support.making import page_of, read, sample
from tmapi_async import (
    AuthenticationError,
    BalanceError,
    PriceInfo,
    Recovery,
    RouteError,
    SaleInfo,
    ShopInfo,
    TMAPIError,
)
from tmapi_async.api.rows import json_lines

EXPECTED_ROWS = (
    {
        "item_id": 810000000101,
        "product_url": "https://detail.1688.com/offer/810000000101.html",
        "title": "示例棉麻连衣裙春秋宽松中长款女装批发",
        "price_info_sale_price": "12.80",
        "price_info_show_price": "12.80",
        "price_info_origin_price": "15.60",
        "quantity_begin": 50,
        "sales_count": 24310,
        "sale_info_sale_quantity_int": 24310,
        "sale_info_buyer_count": 1987,
        "shop_info_login_id": "示例服装厂",
        "shop_info_shop_url": "https://example-dress.1688.com",
        "shop_info_company_name": "示例市晴川服装厂",
        "shop_info_shop_repurchase_rate": "41.25",
    },
    {
        "item_id": 810000000202,
        "product_url": "https://detail.1688.com/offer/810000000202.html",
        "title": "示例雪纺半身裙高腰百褶裙跨境货源",
        "price_info_sale_price": "36.00",
        "price_info_show_price": "36.00",
        "price_info_origin_price": "36.00",
        "quantity_begin": 2,
        "sales_count": 8064,
        "sale_info_sale_quantity_int": 8064,
        "sale_info_buyer_count": 7950,
        "shop_info_login_id": "exampleskirts",
        "shop_info_shop_url": "https://example-skirts.1688.com",
        "shop_info_company_name": "示例市白鹭纺织有限公司",
        "shop_info_shop_repurchase_rate": "16.67",
    },
)


def test_the_sample_page_has_every_documented_field() -> None:
    """The sample page decodes strictly: every field has the value of the file, none is unknown."""
    body = sample("doc-category-items-v1")
    page = page_of(body)
    assert (page.echoed_page, page.page_size, page.has_next_page) == (1, 2, True)
    assert (page.total_count, page.rejects, page.extra) == (None, [], {})
    first, second = page.items
    assert (first.item_id, second.item_id) == (810000000101, 810000000202)
    assert first.title == EXPECTED_ROWS[0]["title"]
    assert first.img is not None
    assert first.img.endswith("_!!2200000000101-0-cib.jpg")
    assert first.price == ""
    assert first.price_info == PriceInfo(
        sale_price="12.80", show_price="12.80", origin_price="15.60"
    )
    assert first.sale_info == SaleInfo(sale_quantity_int=24310, buyer_count=1987)
    assert second.shop_info == ShopInfo(
        login_id="exampleskirts",
        shop_url="https://example-skirts.1688.com",
        company_name="示例市白鹭纺织有限公司",
        is_super_factory=False,
        shop_repurchase_rate="16.67",
    )
    assert (first.sale_price, second.sale_price) == (Decimal("12.80"), Decimal("36.00"))
    assert (first.origin_price, first.min_order, first.sold) == (Decimal("15.60"), 50, 24_310)
    assert second.repurchase_percent == Decimal("16.67")
    assert [item.extra for item in page.items] == [{}, {}]


def test_the_sample_page_loses_nothing() -> None:
    """The items hold every value of the sample rows."""
    body = sample("doc-category-items-v1")
    for item, sent in zip(page_of(body).items, json.loads(body)["data"]["items"], strict=True):
        blocks = {name: value for name, value in sent.items() if isinstance(value, dict)}
        assert {n: getattr(item, n) for n in sent if n not in blocks} == {
            n: value for n, value in sent.items() if n not in blocks
        }
        for name, block in blocks.items():
            assert {n: getattr(getattr(item, name), n) for n in block} == block


def test_the_sample_rows_print_with_their_values() -> None:
    """The rows of the sample page as JSON lines have the values of the file."""
    printed = json_lines(page_of(sample("doc-category-items-v1"))).splitlines()
    for place, (line, expected) in enumerate(zip(printed, EXPECTED_ROWS, strict=True)):
        row = json.loads(line)
        assert {name: row[name] for name in expected} == expected
        assert (row["price"], row["extra"]) == (None, None)
        assert (row["position"], row["page"], row["cat_id"]) == (place, 3, 1031910)
        assert row["shop_info_is_super_factory"] is False


@pytest.mark.parametrize(
    ("name", "kind", "code", "message"),
    [
        ("error-401-missing-key", AuthenticationError, 4011, "no API key found in request"),
        ("error-404-no-route", RouteError, None, "no Route matched with those values"),
        ("error-balance-gateway", BalanceError, None, "Insufficient API balance"),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500, 502])
def test_each_sample_error_is_its_own_exception(
    name: str, kind: type[TMAPIError], code: int | None, message: str, status: int
) -> None:
    """Each sample error ends all work, under any status less specific than its text."""
    error = read(sample(name), status)
    assert type(error) is kind
    assert (error.code, error.message) == (code, message)
    assert error.recovery is Recovery.HALT
