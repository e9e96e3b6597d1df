"""The report: what it tells, and that nothing in it comes alive."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
from pathlib import Path

import msgspec
import pytest

from tests.support import browser
from tests.support.journals import body, row, write
from tmapi_async.cli.commands.report import ReportOptions, run_report
from tmapi_async.cli.exit_codes import USAGE
from tmapi_async.errors import InvalidRequestError
from tmapi_async.journal.views import Tick
from tmapi_async.report import gather, render, write_report
from tmapi_async.report.charts import charts
from tmapi_async.report.html import picture_url, product_link, verdict
from tmapi_async.report.timeline import MAX_MOMENTS, timeline

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


@pytest.fixture
def journal(tmp_path):
    """A journal of two runs: prices rise, one item goes, one row cannot be decoded."""
    path = tmp_path / "journal.tmapi"
    write(path, {7: [body(hostile_rows())], 8: [body([row(90, price="3")])]})
    later = [dict(item, price_info={"sale_price": "9.99"}) for item in hostile_rows()[1:]]
    write(path, {7: [body(later)], 8: [body([row(90, price="3"), {"item_id": {}}])]}, refresh=True)
    return path


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
    shown = "".join(page.texts)
    for title in HOSTILE[1:]:
        assert title in shown
    assert not [name for _, names in page.elements for name in names if name.startswith("on")]
    assert sum(tag == "script" for tag, _ in page.elements) == 3
    for tag, names in page.elements:
        if tag == "a":
            assert names["href"].startswith("https://")
        assert "src" not in names


def test_the_policy_names_exactly_the_scripts_of_the_page(journal):
    """The browser runs our two scripts by their digests and no other."""
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
    """The JSON in the page has no `<`, and reads back as the charts."""
    facts = gather(journal)
    text = re.search(r'id="charts">(.*?)</script>', render(facts), re.DOTALL)[1]
    assert "<" not in text
    assert json.loads(text) == json.loads(json.dumps(charts(facts)))


def test_figures_are_those_of_the_journal(journal):
    """Items, states, rejects and changes are what the journal holds."""
    facts = gather(journal)
    assert (facts.run, facts.runs, facts.states) == (2, 2, {"complete": 2})
    assert facts.items.distinct == len(HOSTILE)
    assert facts.changes is not None
    assert facts.changes.total["gone"] == 1
    assert facts.changes.partial == 1  # the listing with the row that could not be read
    assert facts.changes.total["dearer"] == len(HOSTILE) - 1
    assert gather(journal, run=1).changes is None


def test_a_run_that_is_not_there_is_refused(journal):
    """Asking for run 9 names the runs that there are."""
    with pytest.raises(InvalidRequestError, match="no run 9: its latest runs are 1, 2"):
        gather(journal, run=9)


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ({"complete": 3}, "good"),
        ({"complete": 3, "capped": 1}, "fair"),
        ({"complete": 3, "capped": 1, "failed": 1}, "bad"),
        ({"stopped": 1}, "bad"),
        ({}, "bad"),
    ],
)
def test_the_first_sentence_tells_how_sure_one_can_be(journal, states, word):
    """Only a run whose every listing is complete is called complete."""
    facts = msgspec.structs.replace(gather(journal), states=states)
    assert verdict(facts)[0] == word
    assert ("Complete" in verdict(facts)[1]) == (word == "good")


@pytest.mark.parametrize(
    ("url", "shown"),
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
def test_pictures_come_over_https_or_not_at_all(url, shown):
    """The shapes that image URLs come in are mended; other schemes are left out."""
    assert picture_url(url) == shown


def test_only_web_addresses_become_links():
    """A product URL of another scheme is not followed."""
    assert product_link("https://detail.1688.com/offer/1.html")
    assert product_link("javascript:alert(1)") is None


def test_a_long_harvest_is_drawn_with_bounded_points():
    """However many ticks there are, a chart has some six hundred points, and loses no count."""
    ticks = [
        Tick(n, 10 * n, 0, 0, 9 * n, 180 * n, 8, {"200": 9 * n, "503": n}) for n in range(1, 7201)
    ]
    moments = timeline([(1000.0, ticks)])
    assert len(moments) <= MAX_MOMENTS + 1
    assert sum(moment.refused for moment in moments) == 7200
    assert moments[-1].at == (1000 + 7200) * 1000
    assert {moment.pages for moment in moments} == {9.0}


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
    """A page that runs a stranger's script and asks for a picture is caught by the same means."""
    browser.needed()
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>undefined_name()</script>")
    visit = browser.Visit(page, tmp_path)
    assert visit.console
    assert visit.requests == {"http://127.0.0.1:9/x.png"}


def test_a_report_of_a_run_shows_the_rejects_of_that_run_alone(journal):
    """The row that could not be decoded came in run 2."""
    assert gather(journal, run=1).reject_rows == []
    assert len(gather(journal, run=2).reject_rows) == 1


@pytest.mark.parametrize("name", ["journal.tmapi", "journal.tmapi-wal", "link.html"])
def test_a_report_never_takes_the_place_of_the_journal(journal, tmp_path, name):
    """The journal, a file beside it and another name of it are refused, and stay as they are."""
    output = tmp_path / name
    if name == "link.html":
        output.hardlink_to(journal)
    elif not output.exists():
        output.touch()
    before = output.read_bytes()
    assert run_report(ReportOptions(journal=journal, output=output)) == USAGE
    assert output.read_bytes() == before


def test_a_report_never_takes_the_place_of_a_device(journal):
    """What is no plain file is refused: renaming over it would remove it."""
    assert run_report(ReportOptions(journal=journal, output=Path("/dev/full"))) == USAGE
    assert Path("/dev/full").is_char_device()
