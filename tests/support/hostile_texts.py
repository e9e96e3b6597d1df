"""Texts that try to become elements or scripts of a page."""

from __future__ import annotations

from tests.support.journals import row

HOSTILE = [
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</td></table><script>document.title='owned'</script>",
    "line\u2028separator\u2029paragraph",
    "\u202eright-to-left override",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "</script><!--<script>",
]


def hostile_rows():
    """Items whose every text tries to come alive."""
    return [
        row(
            n,
            title=text,
            img=text,
            product_url="javascript:document.title='owned'",
            sales_count=str(1000 + n),
            price_info={"sale_price": f"{n}.50"},
            shop_info={"company_name": text, "shop_repurchase_rate": "38.46"},
        )
        for n, text in enumerate(HOSTILE, 1)
    ]
