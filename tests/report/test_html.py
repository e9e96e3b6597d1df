"""The report page: its contents, and that no foreign text becomes an element or a script."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re

import msgspec
import pytest

from tests.support import browser
from tests.support.hostile_texts import HOSTILE
from tmapi_async.journal.summaries.tally import RunTally
from tmapi_async.report import gather, render, write_report
from tmapi_async.report.charts import charts
from tmapi_async.report.html import picture_url, product_link, verdict


class Texts(html.parser.HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.elements = []
        self.texts = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        """Note an element."""
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        """Note a text."""
        self.texts.append(data)


def test_hostile_titles_stand_in_the_page_as_text(journal):
    """Each title is shown as it was sent, and makes no element and no handler."""
    page = Texts(render(gather(journal)))
    text = "".join(page.texts)
    for title in HOSTILE[1:]:
        assert title in text
    assert not [name for _, names in page.elements for name in names if name.startswith("on")]
    assert sum(tag == "script" for tag, _ in page.elements) == 3
    for tag, names in page.elements:
        if tag == "a":
            assert names["href"].startswith("https://")
        assert "src" not in names


def test_the_policy_names_exactly_the_scripts_of_the_page(journal):
    """The security policy allows only the two scripts of the page, by their digests."""
    page = render(gather(journal))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1].replace("&#39;", "'")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [
        "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in scripts
    ]
    assert re.findall(r"sha256-[^']+", policy) == digests
    assert "default-src 'none'" in policy


def test_data_for_the_charts_cannot_end_its_element(journal):
    """The JSON of the charts in the page contains no `<`, and decodes to the charts."""
    facts = gather(journal)
    text = re.search(r'id="charts">(.*?)</script>', render(facts), re.DOTALL)[1]
    assert "<" not in text
    assert json.loads(text) == json.loads(json.dumps(charts(facts)))


@pytest.mark.parametrize(
    ("tally", "word"),
    [
        (RunTally(listings=3, complete=3), "good"),
        (RunTally(listings=4, complete=3, capped=1), "fair"),
        (RunTally(listings=3, complete=3, empty=1), "fair"),
        (RunTally(listings=3, complete=3, contradicted=1), "fair"),
        (RunTally(listings=5, complete=3, capped=1, failed=1), "bad"),
        (RunTally(listings=1), "bad"),
        (RunTally(), "bad"),
    ],
)
def test_the_first_sentence_tells_how_sure_one_can_be(journal, tally, word):
    """Only a run with complete listings alone is called complete."""
    facts = msgspec.structs.replace(gather(journal), tally=tally)
    assert verdict(facts)[0] == word
    assert ("Complete" in verdict(facts)[1]) == (word == "good")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https:////cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("//cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("http://cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/a.jpg"),
        ("javascript://x/%0aalert(1)", None),
        ("data:image/png;base64,AAAA", None),
        ("", None),
        (None, None),
    ],
)
def test_pictures_come_over_https_or_not_at_all(url, text):
    """Image addresses become https; addresses with other schemes are left out."""
    assert picture_url(url) == text


def test_only_web_addresses_become_links():
    """Only http and https addresses of products become links."""
    assert product_link("https://detail.1688.com/offer/1.html")
    assert product_link("javascript:alert(1)") is None


@pytest.mark.slow
def test_in_a_browser_nothing_fails_nothing_is_asked_for_and_nothing_comes_alive(journal, tmp_path):
    """In Chromium the charts are drawn, the console is empty and no request leaves the page."""
    browser.needed()
    page = tmp_path / "report.html"
    write_report(journal, page)
    visit = browser.Visit(page, tmp_path)
    assert visit.console == []
    assert visit.requests == set()
    assert "<title>Harvest report: run 2</title>" in visit.dom
    drawn = re.findall(r'id="chart-(\w+)"[^>]*>(?:(?!<section>).)*?<svg', visit.dom, re.DOTALL)
    assert drawn == list(charts(gather(journal)))


@pytest.mark.slow
def test_the_browser_test_would_notice(tmp_path):
    """The browser check detects a page with a bad script and a request."""
    browser.needed()
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>undefined_name()</script>")
    visit = browser.Visit(page, tmp_path)
    assert visit.console
    assert visit.requests == {"http://127.0.0.1:9/x.png"}
