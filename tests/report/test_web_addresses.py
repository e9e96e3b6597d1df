"""Addresses of pictures, products and shops."""

from __future__ import annotations

import pytest

from tmapi_async.report.web_addresses import (
    picture_host,
    picture_hosts,
    picture_url,
    product_link,
    web_link,
)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https:////cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("//cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("http://cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ('["//cbu01.alicdn.com/a.jpg","b"]', "https://cbu01.alicdn.com/a.jpg"),
        ("[]", None),
        ("[1", None),
        ("javascript://x/%0aalert(1)", None),
        ("data:image/png;base64,AAAA", None),
        ("", None),
        (None, None),
    ],
)
def test_pictures_come_over_https_or_not_at_all(url, text):
    """Image addresses become https; addresses with other schemes are left out."""
    assert picture_url(url) == text


@pytest.mark.parametrize(
    "url",
    [
        None,
        "https://a b.example/x",
        "https://a.example;script-src/x",
        "https://a.example:8443/x",
        "https://a.example:port/x",
        "https://[::1]/x",
        "https://*/x",
        "https:///x",
    ],
)
def test_a_host_that_a_policy_cannot_name_is_no_host(url):
    """Only plain names of hosts come into a content policy."""
    assert picture_host(url) is None


def test_the_hosts_with_the_most_pictures_are_named():
    """The number of hosts in the policy is bounded, and the order is fixed."""
    urls = [f"https://h{n}.example/a.jpg" for n in range(30)] + ["https://z.example/a.jpg"] * 2
    hosts = picture_hosts(urls)
    assert len(hosts) == 20
    assert "z.example" in hosts
    assert hosts == sorted(hosts)


def test_only_web_addresses_become_links():
    """Only http and https addresses become links; a product has a page on 1688 in any case."""
    assert web_link("javascript:alert(1)") is None
    assert web_link("//shop.example") == "https://shop.example"
    assert product_link(5, "https://x.example/5") == "https://x.example/5"
    assert product_link(5, "javascript:alert(1)") == "https://detail.1688.com/offer/5.html"
