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

DOCUMENTED = (
    {
        "item_id": 884674536008,
        "product_url": "https://detail.1688.com/offer/884674536008.html",
        "title": "2025夏季新款温柔碎花法式连衣裙女高级感广州十三行蓬蓬裙子女装",
        "price_info_sale_price": "4.59",
        "price_info_show_price": "4.59",
        "price_info_origin_price": "5.40",
        "quantity_begin": 200,
        "sales_count": 180100,
        "sale_info_sale_quantity_int": 180100,
        "sale_info_buyer_count": 89750,
        "shop_info_login_id": "衣耘服装厂",
        "shop_info_shop_url": "https://yiyunfuzhuang888.1688.com",
        "shop_info_company_name": "广州衣耘服装厂",
        "shop_info_shop_repurchase_rate": "38.46",
    },
    {
        "item_id": 769734131977,
        "product_url": "https://detail.1688.com/offer/769734131977.html",
        "title": "欧美跨境度假风蕾丝沙滩裙V领镂空开叉连体设计感连衣裙",
        "price_info_sale_price": "44.00",
        "price_info_show_price": "44.00",
        "price_info_origin_price": "44.00",
        "quantity_begin": 3,
        "sales_count": 60627,
        "sale_info_sale_quantity_int": 60627,
        "sale_info_buyer_count": 60044,
        "shop_info_login_id": "xiangtongdz",
        "shop_info_shop_url": "https://xiangtongdz.1688.com",
        "shop_info_company_name": "广州市昀晟电子科技有限公司",
        "shop_info_shop_repurchase_rate": "18.18",
    },
)


def test_the_recorded_page_has_every_documented_field() -> None:
    """The recorded page decodes strictly: every field has its documented value, none is unknown."""
    body = sample("doc-category-items-v1")
    page = page_of(body)
    assert (page.echoed_page, page.page_size, page.has_next_page) == (1, 2, True)
    assert (page.total_count, page.rejects, page.extra) == (None, [], {})
    first, second = page.items
    assert (first.item_id, second.item_id) == (884674536008, 769734131977)
    assert first.title == DOCUMENTED[0]["title"]
    assert first.img is not None
    assert first.img.endswith("_!!2215924096783-0-cib.jpg")
    assert first.price == ""
    assert first.price_info == PriceInfo(sale_price="4.59", show_price="4.59", origin_price="5.40")
    assert first.sale_info == SaleInfo(sale_quantity_int=180100, buyer_count=89750)
    assert second.shop_info == ShopInfo(
        login_id="xiangtongdz",
        shop_url="https://xiangtongdz.1688.com",
        company_name="广州市昀晟电子科技有限公司",
        is_super_factory=False,
        shop_repurchase_rate="18.18",
    )
    assert (first.sale_price, second.sale_price) == (Decimal("4.59"), Decimal("44.00"))
    assert (first.origin_price, first.min_order, first.sold) == (Decimal("5.40"), 200, 180_100)
    assert second.repurchase_percent == Decimal("18.18")
    assert [item.extra for item in page.items] == [{}, {}]


def test_the_recorded_page_loses_nothing() -> None:
    """The items hold every value of the recorded rows."""
    body = sample("doc-category-items-v1")
    for item, sent in zip(page_of(body).items, json.loads(body)["data"]["items"], strict=True):
        blocks = {name: value for name, value in sent.items() if isinstance(value, dict)}
        assert {n: getattr(item, n) for n in sent if n not in blocks} == {
            n: value for n, value in sent.items() if n not in blocks
        }
        for name, block in blocks.items():
            assert {n: getattr(getattr(item, name), n) for n in block} == block


def test_the_recorded_rows_print_with_their_documented_values() -> None:
    """The rows of the recorded page as JSON lines have the documented values."""
    printed = json_lines(page_of(sample("doc-category-items-v1"))).splitlines()
    for place, (line, wanted) in enumerate(zip(printed, DOCUMENTED, strict=True)):
        found = json.loads(line)
        assert {name: found[name] for name in wanted} == wanted
        assert (found["price"], found["extra"]) == (None, None)
        assert (found["position"], found["page"], found["cat_id"]) == (place, 3, 1031910)
        assert found["shop_info_is_super_factory"] is False


@pytest.mark.parametrize(
    ("name", "kind", "code", "message"),
    [
        ("error-401-missing-key", AuthenticationError, 4011, "no API key found in request"),
        ("error-404-no-route", RouteError, None, "no Route matched with those values"),
        ("error-balance-gateway", BalanceError, None, "Insufficient API balance"),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500, 502])
def test_each_recorded_error_is_its_own_exception(
    name: str, kind: type[TMAPIError], code: int | None, message: str, status: int
) -> None:
    """Each recorded error body ends all work, under any status that says less than its text."""
    error = read(sample(name), status)
    assert type(error) is kind
    assert (error.code, error.message) == (code, message)
    assert error.recovery is Recovery.HALT
