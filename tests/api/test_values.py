from __future__ import annotations

import decimal
import json
import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tmapi_async import Item, PriceInfo, SaleInfo, ShopInfo, count, money, percent
from tmapi_async.api.values import Number, picture

PLAIN_DECIMALS = st.decimals(
    min_value=Decimal(-(10**12)), max_value=Decimal(10**12), allow_nan=False, places=4
)
NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60)
READERS = (money, count, percent)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("0.60", "0.60"),
        ("56", "56"),
        ("298.00", "298.00"),
        ("4.59", "4.59"),
        (" 4.59 ", "4.59"),
        ("0", "0"),
        ("0.00", "0.00"),
        ("-1.50", "-1.50"),
        (56, "56"),
        (0, "0"),
        (4.59, "4.59"),
        (0.1, "0.1"),
        ("1e5", "100000"),
        ("1.50E+2", "150"),
        ("1e-3", "0.001"),
        (1e22, "10000000000000000000000"),
    ],
)
def test_money_keeps_amount_and_scale(sent: Number, read: str) -> None:
    """Money is the exact decimal that was sent, with its scale, and never in powers of ten."""
    assert str(money(sent)) == read


NO_NUMBER = ("", None, "null", "1.2.3", "1,299.00", True, False, math.nan, math.inf, -math.inf)
NO_PRICE = (*NO_NUMBER, " ", "-", ".", "¥4.59", "4.59元", "4.59-5.00", "NaN", "Infinity", "sNaN")
ODD_PRICE = ("0x10", "1_000", "+5", "1e999", "\u0664", "\uff14", "5\n5", "9" * 41, "面议")
HUGE = (pytest.param(10**5000, id="huge"), pytest.param(-(10**5000), id="huge-negative"))


@pytest.mark.parametrize("sent", [*NO_PRICE, *ODD_PRICE, *HUGE])
def test_anything_but_a_plain_number_is_no_price(sent: Number) -> None:
    """Anything but a plain decimal number is read as no price: None, never 0."""
    assert money(sent) is None


@given(PLAIN_DECIMALS)
def test_money_goes_round_exactly(amount: Decimal) -> None:
    """An amount sent as plain text comes back digit for digit, trailing zeros included."""
    text = f"{amount:f}"
    assert str(money(text)) == text


@given(NUMBERS)
@example(10**5000)
@example("\uff19" * 39)
@example("1" * 39 + "万")
@example("0." + "1" * 38)
def test_no_reader_ever_raises(sent: Number) -> None:
    """Money, count and percent return a finite number or None for anything JSON can hold."""
    values = [reader(sent) for reader in READERS]
    assert values[1] is None or type(values[1]) is int
    assert all(value is None or value.is_finite() for value in (values[0], values[2]) if value)


@given(NUMBERS)
def test_zero_is_read_only_where_a_zero_was_sent(sent: Number) -> None:
    """Money is 0 only if every digit before an exponent is a 0."""
    if money(sent) == 0:
        digits = [c for c in str(sent).lower().split("e")[0] if c.isdigit()]
        assert digits
        assert set(digits) == {"0"}


def test_a_strict_decimal_context_changes_nothing() -> None:
    """Readers are exact and raise nothing under any decimal context of the caller."""
    with decimal.localcontext() as context:
        context.prec = 3
        context.traps[decimal.Inexact] = True
        context.traps[decimal.Rounded] = True
        assert money("123456.7890") == Decimal("123456.7890")
        assert percent("12.3456789") == Decimal("12.3456789")
        assert count("12.34567万") == 123456


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (88, 88),
        (0, 0),
        (10**30, 10**30),
        ("88", 88),
        ("180100", 180100),
        ("100000+", 100_000),
        ("已售300+件", 300),
        ("全网4.1万+件", 41_000),
        ("4.1万", 41_000),
        ("2 万+", 20_000),
        ("1.5亿", 150_000_000),
        ("3千+", 3_000),
        ("1.2w+", 12_000),
        ("1.2W+", 12_000),
        ("5k+", 5_000),
        ("300kg", 300),
        ("88件", 88),
        ("~300", 300),
        (88.0, 88),
        ("88.0", 88),
        ("1e5", 100_000),
    ],
)
def test_a_count_is_read_in_every_shape(sent: Number, read: int) -> None:
    """Counts come as numbers, text, lower bounds and Chinese units; each is an int."""
    assert count(sent) == read


NO_COUNT = ("暂无", "+", "万+", "100-200", "1,000+", "-", "\uff19\uff10", "..", "3月5日")


@pytest.mark.parametrize("sent", [*NO_NUMBER, *NO_COUNT, "9" * 41 + "件"])
def test_what_tells_no_count_is_none(sent: Number) -> None:
    """A text without one clear number gives None, never a guess and never 0."""
    assert count(sent) is None


UNITS = {
    "3百+": 300,
    "10萬+": 100_000,
    "1.2萬+": 12_000,
    "5百万+": 5_000_000,
    "1.2百万": 1_200_000,
    "1千万+": 10_000_000,
    "3十万": 300_000,
    "2億": 200_000_000,
    "1.5万亿": 1_500_000_000_000,
    "10多件": 10,
    "3万多件": 30_000,
    "300千克": 300,
    "2千件": 2_000,
    "近1万人付款": 10_000,
    "近三月售3件": 3,
    "3件一套": 3,
    "1.2万件以上": 12_000,
    "3,5万": 35_000,
    "販売数1.2万点": 12_000,
    "판매 1.2만개": 12_000,
    "3천+": 3_000,
    "5백만 개": 5_000_000,
    "1.2k+ sold": 1_200,
    "Sold 1.2M+": 1_200_000,
    "3 million pcs": 3_000_000,
    "1,2 тыс. продано": 1_200,
    "Продано 5 тыс.+ шт.": 5_000,
    "1,5 млн": 1_500_000,
    "Đã bán 1,2N": 1_200,
    "Đã bán 1,2k+": 1_200,
    "5 nghìn sản phẩm": 5_000,
    "1,5tr": 1_500_000,
    "1,25 triệu": 1_250_000,
}


@pytest.mark.parametrize(("sent", "read"), UNITS.items())
def test_a_count_with_a_known_unit_is_read(sent: str, read: int) -> None:
    """Units of every language of the API scale the number, alone or combined."""
    assert count(sent) == read


UNKNOWN_UNITS = (
    "3兆",
    "10余万",
    "5万百",
    "2 lakh",
    "1.2 crore",
    "3 Mio",
    "5 dozen",
    "1.2t",
    "5kk",
    "1,250 тыс.",
    "1,5",
    "50%",
    "3 mil",
    "2 тонны",
    "半3万",
    "10几万",
    "5千万亿万",
    "3만만",
    "1.2e",
    "5 京",
    "3万五",
    "三千5",
)


@pytest.mark.parametrize("sent", UNKNOWN_UNITS)
def test_a_count_with_an_unknown_unit_is_none(sent: str) -> None:
    """The digits in front of a unit that is not known are not the count."""
    assert count(sent) is None


@given(st.integers(min_value=0, max_value=10**15))
def test_counts_go_round(number: int) -> None:
    """A count reads the same as a number, as text, as a bound and as units of ten thousand."""
    assert count(number) == count(str(number)) == count(f"已售{number}+件") == number
    assert count(f"{number}万+") == number * 10_000


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("38.46", "38.46"),
        ("29.2%", "29.2"),
        (" 29.2 % ", "29.2"),
        ("0.3", "0.3"),
        ("0.79", "0.79"),
        (0.3, "0.3"),
        ("0.3%", "0.3"),
        ("0", "0"),
        ("0%", "0"),
        ("100", "100"),
        ("1", "1"),
        ("0.99", "0.99"),
        (18.18, "18.18"),
    ],
)
def test_a_rate_is_read_in_percent(sent: Number, read: str) -> None:
    """A rate is percent as sent, with or without a sign: a number below 1 is not multiplied."""
    assert percent(sent) == Decimal(read)


@pytest.mark.parametrize("sent", ["", None, "null", "%", "high", "-%", "29.2%%", math.nan, True])
def test_what_is_no_rate_is_none(sent: Number) -> None:
    """A text that is not a rate gives None, never 0."""
    assert percent(sent) is None


def decode(**fields: object) -> Item:
    """Decode a row as the client does."""
    return msgspec.json.decode(json.dumps({"item_id": 5} | fields), type=Item, strict=False)


@pytest.mark.parametrize("sent", [884674536008, "884674536008", 884674536008.0])
def test_an_item_id_is_an_int(sent: object) -> None:
    """An item ID sent as a number or as text is an int."""
    item = decode(item_id=sent)
    assert item.item_id == 884674536008
    assert type(item.item_id) is int


@pytest.mark.parametrize("sent", [1, 2**63 - 1, str(2**63 - 1)])
def test_item_ids_at_the_bounds_are_taken(sent: object) -> None:
    """The smallest ID is 1, the largest that of a signed 64-bit integer."""
    assert decode(item_id=sent).item_id == int(str(sent))


NO_IDS = (0, -1, 2**63, str(2**63), 1.5, "1.5", "", " 5", "n/a", "null", None, True, "\uff15")


@pytest.mark.parametrize("sent", [*NO_IDS, [5], {"v": 5}])
def test_item_ids_out_of_bounds_are_refused(sent: object) -> None:
    """Anything but a positive 64-bit integer is refused as an item ID."""
    with pytest.raises(msgspec.ValidationError, match="item_id"):
        decode(item_id=sent)


def test_an_item_needs_its_id_and_nothing_else() -> None:
    """Every field but the ID may be absent; then every accessor returns None."""
    item = decode()
    assert (item.title, item.price_info, item.shop_info, item.sale_info) == (None,) * 4
    assert (item.sale_price, item.show_price, item.origin_price) == (None,) * 3
    assert (item.min_order, item.sold, item.repurchase_percent) == (None,) * 3
    assert item.extra == {}
    with pytest.raises(msgspec.ValidationError, match="item_id"):
        msgspec.json.decode(b"{}", type=Item)


def test_blocks_may_be_null_or_the_literal_null() -> None:
    """A block that is null, and the text "null" in place of null, are read as None."""
    for sent in (None, "null"):
        item = decode(price_info=sent, sale_info=sent, shop_info=sent)
        assert (item.price_info, item.sale_info, item.shop_info) == (None, None, None)


def test_accessors_read_the_documented_row() -> None:
    """The accessors return the numbers of a documented row."""
    item = Item(
        item_id=884674536008,
        price="",
        price_info=PriceInfo(sale_price="4.59", show_price="4.60", origin_price="5.40"),
        quantity_begin=200,
        sales_count="180100",
        sale_info=SaleInfo(sale_quantity_int=7, buyer_count=89750),
        shop_info=ShopInfo(is_super_factory=False, shop_repurchase_rate="38.46"),
    )
    assert item.sale_price == Decimal("4.59")
    assert item.show_price == Decimal("4.60")
    assert item.origin_price == Decimal("5.40")
    assert (item.min_order, item.sold) == (200, 180_100)
    assert item.repurchase_percent == Decimal("38.46")


@pytest.mark.parametrize(
    ("price", "sale_price", "read"),
    [
        ("0.60", None, Decimal("0.60")),
        ("0.60", "", Decimal("0.60")),
        ("0.60", "0.55", Decimal("0.55")),
        ("0.60", "0.00", Decimal("0.00")),
        ("", "", None),
        (None, "null", None),
    ],
)
def test_the_price_is_where_one_was_sent(
    price: Number, sale_price: Number, read: Decimal | None
) -> None:
    """The selling price is that of price_info, else price; a price of 0 counts as one."""
    item = Item(item_id=1, price=price, price_info=PriceInfo(sale_price=sale_price))
    assert item.sale_price == read


def test_sold_falls_back_to_the_sales_figures() -> None:
    """Without a readable sales_count, the sales figures are used; a count of 0 is a count."""
    figures = SaleInfo(sale_quantity_int=88)
    assert Item(item_id=1, sales_count="", sale_info=figures).sold == 88
    assert Item(item_id=1, sales_count=0, sale_info=figures).sold == 0
    assert Item(item_id=1, sales_count="100000+", sale_info=figures).sold == 100_000


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        ("https://cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("http://cbu01.alicdn.com/a.jpg", "http://cbu01.alicdn.com/a.jpg"),
        ("https:////cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("https:///cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("//cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("////cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("http:/cbu01.alicdn.com/a.jpg", "http://cbu01.alicdn.com/a.jpg"),
        ("https:cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("https//cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("HTTPS:\\\\cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        (" //cbu01.alicdn.com:8080/a.jpg?x=//y ", "https://cbu01.alicdn.com:8080/a.jpg?x=//y"),
        ("//cbu01.alicdn.com", "https://cbu01.alicdn.com"),
        ("null", None),
        (None, None),
        ("", ""),
    ],
)
def test_an_address_of_a_picture_that_is_only_misspelt_is_mended(sent, address):
    """Wrong separators and a missing scheme are mended; nothing else is changed."""
    assert picture(sent) == address


@pytest.mark.parametrize(
    "sent", ["/img/a.jpg", "img/a.jpg", "data:image/png;base64,AA", "javascript://x/", "//", "缺图"]
)
def test_what_is_no_address_of_a_picture_stays_as_it_was_sent(sent):
    """A relative address or another text says nothing of a server."""
    assert picture(sent) == sent
