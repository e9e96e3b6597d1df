"""Products: the facts behind a row, computed from a seed and a position."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .hashing import bits, mix


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_STYLES = _words(
    "2025夏季新款 跨境外贸 欧美风 韩版宽松 法式复古 国潮刺绣 简约百搭 高级感 "
    "新中式 美式街头 日系森女 港风气质 甜酷辣妹 学院风 度假风 通勤轻熟"
)
_CUTS = _words(
    "碎花 纯色 条纹 格子 印花 镂空 蕾丝 牛仔 针织 雪纺 丝绒 棉麻 加绒加厚 冰丝 亮片 拼接"
)
_FORMS = _words("V领 圆领 高腰 修身 宽松 长款 短款 中长款 收腰 A字 开叉 连体 无袖 长袖 五分袖 大码")
_GOODS = _words(
    "连衣裙 T恤 衬衫 半身裙 牛仔裤 卫衣 风衣 羽绒服 太阳镜 项链 耳环 托特包 双肩包 遮阳帽 睡衣 "
    "瑜伽裤 运动鞋 拖鞋 发饰 手表 围巾 儿童套装 宠物衣服 收纳盒 保温杯 雨伞 台灯 剪刀 手机壳 "
    "充电线 抱枕 窗帘"
)
_ENDINGS = _words(
    "女装批发 厂家直销 一件代发 现货速发 支持定制 源头工厂 广州十三行 义乌货源 "
    "网红爆款 ins风 直播爆款 外贸原单 免费拿样 可贴牌 七天包退 跨境专供"
)
_CITIES = _words("广州 义乌 杭州 深圳 泉州 汕头 东莞 温州 台州 青岛 佛山 苏州 宁波 金华 揭阳 中山")
_NAMES = _words("衣耘 祥通 昀晟 喜字 泉森 爱昌 淘圣 悦装 春霞 锦绣 鸿运 丽人 名扬 佳美 恒信 盛世")
_TRADES = _words(
    "服装厂 电子科技有限公司 商贸有限公司 制衣有限公司 饰品商行 箱包厂 鞋业有限公司 家居用品厂"
)
SHOPS = 4093
"""Number of sellers."""

_SUPER_FACTORIES = 52  # of 256: one shop in five
_DROPSHIPPERS = 5  # of 8
_QUANTITIES = (1, 1, 1, 1, 1, 2, 2, 2, 3, 5, 10, 20, 30, 50, 100, 200)
_SHELF_PRICES = (990, 1990, 2990, 590, 3990, 1500, 2500, 9900)


class Shop(NamedTuple):
    """A seller.

    Attributes:
        login_id: Login name, Latin or Chinese.
        url: Address of the shop.
        company: Company name.
        super_factory: True for one shop in five.
        repurchase_rate: Percent with two decimals, or `""`.
    """

    login_id: str
    url: str
    company: str
    super_factory: bool
    repurchase_rate: str


class CatalogueProduct(NamedTuple):
    """Facts about one product, for all endpoints. Amounts are in fen (1/100 yuan)."""

    item_id: int
    title: str
    image: str
    sale_price: int
    origin_price: int
    quantity_begin: int
    sales: int
    buyers: int
    shop: Shop
    dropshipping: bool
    free_shipping: bool


DOCUMENTED_CATEGORY = 1031910
"""Category of the example for `GET /1688/category/items` in the API document."""

DOCUMENTED = (
    CatalogueProduct(
        item_id=884674536008,
        title="2025夏季新款温柔碎花法式连衣裙女高级感广州十三行蓬蓬裙子女装",
        image="O1CN01n7ZpIr1zyfRRHlyvV_!!2215924096783-0-cib.jpg",
        sale_price=459,
        origin_price=540,
        quantity_begin=200,
        sales=180100,
        buyers=89750,
        shop=Shop(
            "衣耘服装厂", "https://yiyunfuzhuang888.1688.com", "广州衣耘服装厂", False, "38.46"
        ),
        dropshipping=True,
        free_shipping=True,
    ),
    CatalogueProduct(
        item_id=769734131977,
        title="欧美跨境度假风蕾丝沙滩裙V领镂空开叉连体设计感连衣裙",
        image="O1CN01Zq7l8S2EzKFQjexo0_!!1022268815-0-cib.jpg",
        sale_price=4400,
        origin_price=4400,
        quantity_begin=3,
        sales=60627,
        buyers=60044,
        shop=Shop(
            "xiangtongdz",
            "https://xiangtongdz.1688.com",
            "广州市昀晟电子科技有限公司",
            False,
            "18.18",
        ),
        dropshipping=True,
        free_shipping=False,
    ),
)
"""The two rows of the example in the API document, the first rows of their category."""


@lru_cache(maxsize=SHOPS)
def shop(seed: int, number: int) -> Shop:
    """Return a shop by number, a pure function of the seed."""
    random_bits = mix(seed, "shop", number)
    city, name = _CITIES[random_bits & 15], _NAMES[random_bits >> 4 & 15]
    company = f"{city}{name}{_TRADES[random_bits >> 8 & 7]}"
    login = company if random_bits >> 11 & 1 else f"shop{number}{random_bits >> 12 & 0xFFF:03x}"
    rate = "" if random_bits >> 24 & 7 == 0 else f"{(random_bits >> 27) % 9000 / 100:.2f}"
    return Shop(
        login_id=login,
        url=f"https://shop{number}{random_bits >> 12 & 0xFFFF:04x}.1688.com",
        company=company,
        super_factory=random_bits >> 48 & 0xFF < _SUPER_FACTORIES,
        repurchase_rate=rate,
    )


def flags(seed: int, position: int) -> tuple[bool, bool, bool]:
    """Return `(super_factory, support_dropshipping, free_shipping)` of a position only."""
    _, _, random_bits = bits(seed, position)
    super_factory = shop(seed, random_bits % SHOPS).super_factory
    return super_factory, random_bits >> 40 & 7 < _DROPSHIPPERS, random_bits >> 43 & 1 == 1


def amounts_of(seed: int, position: int) -> tuple[int, int, int]:
    """Return `(sale_price, sales, quantity_begin)` of a position only."""
    _, amounts, _ = bits(seed, position)
    return _price(amounts), _sales(amounts), _QUANTITIES[amounts >> 46 & 15]


def product(seed: int, position: int, item_id: int) -> CatalogueProduct:
    """Return the product at a position of the catalogue, a pure function of the seed."""
    words, amounts, random_bits = bits(seed, position)
    sale, sales = _price(amounts), _sales(amounts)
    return CatalogueProduct(
        item_id,
        _title(words),
        f"O1CN01{words >> 24:010X}_!!{2200000000000 + (random_bits & 0xFFFFFFFF)}-0-cib.jpg",
        sale,
        sale + (sale * (amounts >> 40 & 31) // 100 if amounts >> 45 & 1 else 0),
        _QUANTITIES[amounts >> 46 & 15],
        sales,
        sales * (amounts >> 54 & 0xFF) // 256,
        shop(seed, random_bits % SHOPS),
        random_bits >> 40 & 7 < _DROPSHIPPERS,
        random_bits >> 43 & 1 == 1,
    )


def row_v1(product: CatalogueProduct) -> str:
    """Return a row of `GET /1688/category/items` as JSON, with every documented field."""
    item_id, sale, sales = product.item_id, f"{product.sale_price / 100:.2f}", product.sales
    return _ROW_V1 % (
        item_id,
        item_id,
        product.title,
        product.image,
        sale,
        sale,
        f"{product.origin_price / 100:.2f}",
        product.quantity_begin,
        sales,
        sales,
        product.buyers,
        _shop_v1(product.shop),
    )


# Text instead of dicts halves the time for a page. No value contains a character that JSON escapes.
_ROW_V1 = (
    '{"item_id":%d,"product_url":"https://detail.1688.com/offer/%d.html","title":"%s",'
    '"img":"https://cbu01.alicdn.com/img/ibank/%s","price":"",'
    '"price_info":{"sale_price":"%s","show_price":"%s","origin_price":"%s"},'
    '"quantity_begin":%d,"sales_count":"%d",'
    '"sale_info":{"sale_quantity_int":%d,"buyer_count":%d},"shop_info":%s}'
)


@lru_cache(maxsize=SHOPS)
def _shop_v1(shop: Shop) -> str:
    super_factory = "true" if shop.super_factory else "false"
    return (
        f'{{"login_id":"{shop.login_id}","shop_url":"{shop.url}","company_name":"{shop.company}",'
        f'"is_super_factory":{super_factory},"shop_repurchase_rate":"{shop.repurchase_rate}"}}'
    )


def _price(amounts: int) -> int:
    if amounts & 7 == 0:
        return _SHELF_PRICES[amounts >> 3 & 7]
    return int(50 * 2 ** ((amounts >> 6 & 0xFFFF) / 0x10000 * 10))


def _sales(amounts: int) -> int:
    return int(2 ** ((amounts >> 24 & 0xFFFF) / 0x10000 * 18)) - 1


def _title(words: int) -> str:
    form, cut, end = words >> 8 & 15, words >> 4 & 15, words >> 17 & 15
    return (
        f"{_STYLES[words & 15]}{_CUTS[cut]}{_FORMS[form]}{_GOODS[words >> 12 & 31]}"
        f"{_ENDINGS[end]}{_FORMS[form - 1]}{_CUTS[cut - 1]}{_ENDINGS[end - 3]}"
    )
