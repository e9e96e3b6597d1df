"""`--split` on the command line: its messages, its cost, resuming, one listing in the counts."""

from __future__ import annotations

import pytest

from tmapi_async.sandbox import Prices
from tmapi_async.sandbox.server.process import SandboxThread

pytestmark = pytest.mark.usefixtures("tidy")

V2 = ["--endpoint", "category-v2"]
FEW = ["--split", "--ceiling", "100"]


@pytest.fixture(scope="module")
def url():
    """A sandbox that shows at most 100 rows of a listing, and has 900 of category 7."""
    world = {"categories": {7: 900, 8: 45}, "prices": {7: Prices.parse("20,1.0,9.90:180")}}
    with SandboxThread(**world, ceiling=100) as sandbox:
        yield sandbox.url


def test_items_are_streamed_past_the_ceiling(tmapi, url):
    """Each item is one line; messages give the expected cost before and the result after."""
    done = tmapi("items", "7", "8", *V2, *FEW, "--json", url=url)
    rows = [row["item_id"] for row in done.rows]
    assert done.code == 0
    assert len(rows) == len(set(rows)) == 945
    messages = [line for line in done.messages if "is past the ceiling: " in line]
    assert len(messages) == 2
    assert "complete, 900 distinct items" in done.err
    assert (done.summary["listings"], done.summary["complete"]) == (2, 2)


def test_another_endpoint_is_said_to_be_asked(tmapi, url):
    """A message says that v2 is used in place of v1, which has nothing to divide by."""
    done = tmapi("items", "8", *FEW, url=url)
    assert done.code == 0
    assert "using category/items/v2 instead" in done.err


def test_a_capped_harvest_says_how_to_go_on_and_goes_on(tmapi, url, tmp_path):
    """A capped listing of a journal is divided later; after that the same command sends nothing."""
    harvest = ["harvest", "7", "8", *V2, "--journal", str(tmp_path / "j"), "--json"]
    capped = tmapi(*harvest, "--max-pages", "3", url=url)
    assert (capped.rows[-1]["complete"], capped.rows[-1]["capped"]) == (1, 1)
    assert "--split" not in capped.err
    done = tmapi(*harvest, *FEW, url=url)
    assert (done.code, done.rows[-1]["complete"], done.rows[-1]["capped"]) == (0, 2, 0)
    assert done.rows[-1]["unique_items"] == 945
    again = tmapi(*harvest, *FEW, url=url)
    assert (again.code, again.rows[-1]["requests"]) == (0, 0)


def test_what_divides_a_capped_listing_is_told(tmapi, tmp_path):
    """`items` and `harvest` name the option `--split` when a listing meets the ceiling."""
    with SandboxThread(categories={7: 2100}) as sandbox:
        streamed = tmapi("items", "7", *V2, url=sandbox.url)
        stored = tmapi("harvest", "7", *V2, "--journal", str(tmp_path / "j"), url=sandbox.url)
    assert "the API shows no more of this listing; add --split to read the rest" in streamed.err
    assert "than the API shows; add --split to read the rest. All pages are in" in stored.err


def test_exports_and_status_know_the_parts(tmapi, url, tmp_path):
    """Status has one line for the listing; exported unique rows are complete."""
    journal = str(tmp_path / "j")
    assert tmapi("harvest", "7", *FEW, "--journal", journal, url=url).code == 0
    status = tmapi("status", journal).out.decode()
    assert "category/items/v2?cat_id=7 " in status
    assert "price_start" not in status
    assert "\\u000a" not in status, "each line of the account is a line of the output"
    assert "\n  price filters may hide items without a price" in status
    rows = tmapi("export", journal, "--to", "-", "--unique").rows
    assert len({row["item_id"] for row in rows}) == len(rows) == 900


REFUSED = [
    (["7", "--ceiling", "50"], "--ceiling works only together with --split"),
    (["7", "--split", "--ceiling", "0"], "--ceiling must be at least 1"),
    (["7", "--split", "--max-pages", "3"], "remove --max-pages"),
    (["--shop", "b2b-1", "--endpoint", "shop", "--split"], "has no ceiling"),
    (["--keyword", "x", "--endpoint", "global-search", "--split"], "sends no total"),
]


@pytest.mark.parametrize(("arguments", "reason"), REFUSED)
def test_what_makes_no_sense_is_refused(tmapi, url, tmp_path, arguments, reason):
    """Both commands refuse options that contradict each other before anything is sent."""
    for command in (["items"], ["harvest", "--journal", str(tmp_path / "j")]):
        done = tmapi(*command, *arguments, "--json", url=url)
        assert done.code == 2
        assert reason in done.err
        assert not (tmp_path / "j").exists()


def test_many_machines_do_not_divide(tmapi, url, tmp_path):
    """`--split` plans in one process, so it is refused together with workers."""
    journal = str(tmp_path / "j")
    done = tmapi("harvest", "7", *FEW, "--workers", "2", "--journal", journal, url=url)
    assert done.code == 2
    assert "remove --cluster, --workers" in done.err


def test_rows_of_several_endpoints_are_not_exported_together(tmapi, url, tmp_path):
    """A job of two endpoints with a destination is refused before any request."""
    job, journal = tmp_path / "job.toml", tmp_path / "j"
    job.write_text(
        f'journal = "{journal}"\nto = ["items.csv"]\n'
        '[[listings]]\nendpoint = "category-v2"\ncat_ids = [8]\n'
        '[[listings]]\nendpoint = "search"\nkeywords = ["bag"]\n',
        "utf-8",
    )
    done = tmapi("harvest", "--job", str(job), url=url)
    assert done.code == 2
    assert "--to takes rows of one endpoint" in done.err
    assert not journal.exists()


def test_a_harvest_exports_its_own_endpoint(tmapi, url, tmp_path):
    """`--to` exports the endpoint of this harvest, also if the journal holds others."""
    journal, rows = str(tmp_path / "j"), tmp_path / "rows.jsonl"
    harvest = ["harvest", "8", "--journal", journal]
    assert tmapi(*harvest, url=url).code == 0
    done = tmapi(*harvest, *FEW, "--to", str(rows), url=url)
    assert done.code == 0, done.err
    assert len(rows.read_text("utf-8").splitlines()) == 45
