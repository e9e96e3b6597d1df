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
from tests.support.journals import body, of_rows, row, write
from tmapi_async.report import gather, render, write_report
from tmapi_async.report.charts import charts


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
    assert sum(tag == "script" for tag, _ in page.elements) == 4
    for tag, names in page.elements:
        if tag == "a":
            assert names["href"].startswith(("https://", "#"))
        assert "src" not in names


def test_the_policy_names_exactly_the_scripts_of_the_page(journal):
    """The security policy allows only the scripts of the page, by their digests."""
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


def test_without_pictures_the_page_may_load_nothing(journal):
    """The policy allows no picture from any host, and the page has no picture."""
    page = render(gather(journal))
    assert "img-src data:;" in page
    assert not [tag for tag, _ in Texts(page).elements if tag == "img"]


def test_pictures_come_only_from_hosts_that_the_policy_names(tmp_path):
    """The policy names the hosts of the items; a text that is no host changes nothing in it."""
    pictures = [
        "https://cbu01.alicdn.com/1.jpg",
        "//img.example/2.jpg",
        "https://evil.example;script-src */3.jpg",
        "https://user@other.example:8443/4.jpg",
    ]
    rows = [row(n, img=text, sales_count=str(n)) for n, text in enumerate(pictures, 1)]
    page = render(gather(of_rows(tmp_path / "a.journal", *rows)), pictures=True)
    assert "img-src data: https://cbu01.alicdn.com https://img.example;" in page
    images = [names for tag, names in Texts(page).elements if tag == "img"]
    assert {names["src"] for names in images} == {
        "https://cbu01.alicdn.com/1.jpg",
        "https://img.example/2.jpg",
    }
    assert {(names["loading"], names["referrerpolicy"]) for names in images} == {
        ("lazy", "no-referrer")
    }


def test_items_tell_their_price_and_sales_before(journal):
    """An item of the table shows what it cost before, and is marked if it is new."""
    page = "".join(Texts(render(gather(journal))).texts)
    assert "was 2.50 (+299.6 %)" in page
    write(journal, {8: [body([row(90, price="3"), row(92, price="1")])]}, refresh=True)
    write(journal, {8: [body([row(90, price="3"), row(93, price="2")])]}, refresh=True)
    facts = gather(journal)
    new = [item.item_id for item in facts.items.ranked if "new" in str(facts.changes.of(item))]
    assert new == [93]
    gone = [one["item_id"] for one in facts.changes.largest if one["change"] == "gone"]
    assert 92 in gone


def test_categories_have_names_where_the_journal_holds_them(journal):
    """Names stand beside numbers, in tables and in the chart, as text."""
    facts = msgspec.structs.replace(gather(journal), names={7: "</script><b>女装 / Women's"})
    page = render(facts)
    assert "</script><b>女装" in "".join(Texts(page).texts)
    assert "<b>" not in page
    assert charts(facts)["prices"]["yAxis"]["data"][0] == "Women's 7"


def test_items_of_all_categories_are_sorted_by_the_pieces_sold(tmp_path):
    """The second row is the second best seller of all; its rank is that in its category."""
    sold = {7: (90, 10), 8: (50, 40)}
    pages = {
        cat: [body([row(10 * cat + n, sales_count=str(one)) for n, one in enumerate(sales)])]
        for cat, sales in sold.items()
    }
    page = render(gather(write(tmp_path / "a.journal", pages)))
    table = page[page.index('id="items"') :]
    assert re.findall(r'"pieces sold" data-order="(\d+)"', table) == ["90", "50", "40", "10"]
    assert "<th>rank in its category</th>" in table
    top = page[: page.index("<main>")]
    assert re.findall(r"<small>in (\d+)", top) == ["7", "8", "8"]


def test_where_nothing_changed_no_link_and_no_zeros_are_shown(tmp_path):
    """A visit without changes is told in words; there is no list to go to."""
    pages = {7: [body([row(1, price="3")])]}
    write(tmp_path / "a.journal", pages)
    page = render(gather(write(tmp_path / "a.journal", pages, refresh=True)))
    assert page.count("Nothing changed since run 1.") == 2
    assert 'href="#changes"' not in page
    assert "<dt>gone</dt>" not in page
    assert '<td class="n zero" data-label="new">' in page  # not shown on a telephone


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
    assert visit.dom.count("dt-container") > visit.dom.count('<table class="data') > 0
    drawn = re.findall(r'id="chart-(\w+)"[^>]*>(?:(?!<section>).)*?<svg', visit.dom, re.DOTALL)
    assert set(drawn) == set(charts(gather(journal)))


def _with_script(page, script):
    """Add a script to a page, and to its policy."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = page.replace("script-src ", f"script-src &#39;sha256-{digest}&#39; ", 1)
    head, end, tail = page.rpartition("</body>")
    return f"{head}<script>{script}</script>{end}{tail}"


_CLICKS = """
window.addEventListener("load", function () {
  var rows = function (id) {
    return Array.from(document.querySelectorAll("#" + id + " tbody tr"))
      .map(function (row) { return row.cells[1].textContent.trim(); }).join("|");
  };
  var result = [rows("items")];
  document.querySelectorAll("#items th")[1].click();
  setTimeout(function () { // a click sorts after it has returned
    result.push(rows("items"));
    var select = document.querySelector("select[name=group]");
    select.value = "1";
    select.dispatchEvent(new Event("change"));
    result.push(rows("items"));
    var search = document.querySelector("#items_wrapper input");
    search.value = "nothing like this";
    search.dispatchEvent(new Event("input"));
    result.push(document.querySelectorAll("#items tbody td.dt-empty").length);
    document.body.dataset.result = result.join("; ");
  }, 100);
});
"""


@pytest.mark.slow
def test_a_table_sorts_filters_and_searches_in_the_page(tmp_path):
    """A click on a column sorts, a choice filters, a word searches, without a server."""
    browser.needed()
    pages = {
        n: [body([row(10 * n + k, title=f"t{n}{k}", sales_count=str(k)) for k in range(1, 18)])]
        for n in (7, 8)
    }
    facts = gather(write(tmp_path / "a.journal", pages))
    page = tmp_path / "report.html"
    page.write_text(_with_script(render(facts), _CLICKS), "utf-8")
    visit = browser.Visit(page, tmp_path)
    assert visit.console == []
    first, ordered, filtered, empty = re.search(r'data-result="([^"]+)"', visit.dom)[1].split("; ")
    assert first == "|".join(["7", "8"] * 12 + ["7"])  # 17 pieces sold, 17, 16, 16, ...
    assert ordered == "|".join(["7"] * 17 + ["8"] * 8)
    assert filtered == "|".join(["8"] * 17)
    assert empty == "1"


_OVERFLOWS = """
window.addEventListener("load", function () {
  var wide = Array.from(document.querySelectorAll(".scroll"))
    .filter(function (box) { return box.scrollWidth > box.clientWidth; });
  document.body.dataset.result = wide.length + " of " + document.querySelectorAll(".scroll").length;
});
"""


@pytest.mark.slow
def test_tables_fit_a_screen_of_1280_pixels(tmp_path):
    """No table is cut off, with long titles, prices and numbers in each column."""
    browser.needed()
    journal = tmp_path / "a.journal"
    for price, sold in (("12345.60", "1234567"), ("23456.70", "7654321")):
        rows = [row(n, price=price, sales_count=sold, title="连衣裙" * 20) for n in range(1, 4)]
        write(journal, {7: [body(rows)]}, refresh=True)
    page = tmp_path / "report.html"
    page.write_text(_with_script(render(gather(journal)), _OVERFLOWS), "utf-8")
    visit = browser.Visit(page, tmp_path, "--window-size=1280,900")
    assert re.search(r'data-result="([^"]+)"', visit.dom)[1] == "0 of 4"


@pytest.mark.slow
def test_with_pictures_a_browser_loads_them_from_their_hosts_alone(tmp_path):
    """Pictures are requested from the hosts that the policy names, and nothing else is."""
    browser.needed()
    rows = [row(n, img=f"https://img{n}.example/a.jpg", sales_count="5") for n in (1, 2)]
    page = tmp_path / "report.html"
    write_report(of_rows(tmp_path / "a.journal", *rows), page, pictures=True)
    visit = browser.Visit(page, tmp_path)
    assert visit.requests == {"https://img1.example/a.jpg", "https://img2.example/a.jpg"}


@pytest.mark.slow
def test_the_browser_test_would_notice(tmp_path):
    """The browser check detects a page with a bad script and a request."""
    browser.needed()
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>undefined_name()</script>")
    visit = browser.Visit(page, tmp_path)
    assert visit.console
    assert visit.requests == {"http://127.0.0.1:9/x.png"}
