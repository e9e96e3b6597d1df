"""`tmapi items`: rows, summary and exit codes are those of the contract, over real sockets."""

from __future__ import annotations

import re

import msgspec
import pytest

from tests.support.commands import SUMMARY_KEYS
from tests.support.paths import SAMPLES
from tmapi_async.sandbox import Drift, Faults, Filters
from tmapi_async.sandbox.server.process import SandboxThread

SIZES = {7: 45, 1031910: 20, 9: 0}

TITLED = """{"code":200,"msg":"success","data":{"page":1,"page_size":20,"has_next_page":false,
"filters":{},"items":[
{"item_id":1,"title":"one\\u2028two\\u2029three\\u0085four\\rfive\\nsix 商品"},
{"item_id":2,"title":"\\u000b\\u000c\\u001c\\u001d\\u001e\\"quoted\\"","price":"=1+1"}]}}"""


def by_category(rows):
    """Return category ID -> item IDs in the order of the rows."""
    ids = {}
    for row in rows:
        ids.setdefault(row["cat_id"], []).append(row["item_id"])
    return ids


def items_of(sandbox, ids):
    """Return category ID -> item IDs of the catalogue, without empty categories."""
    catalogue = sandbox.sandbox.catalogue
    return {cat_id: catalogue.item_ids(cat_id) for cat_id in ids if catalogue.size(cat_id)}


def test_rows_are_json_lines_of_the_contract(tmapi):
    """Each row has its origin, then the item's fields: integers, money as strings, nulls."""
    with SandboxThread(categories=SIZES) as sandbox:
        done = tmapi("items", "7", "1031910", "9", url=sandbox.url)
        assert done.code == 0
        assert by_category(done.rows) == items_of(sandbox, SIZES)
    places = {}
    for row in done.rows:
        assert list(row)[:5] == ["listing", "cat_id", "page", "position", "fetched_at"]
        assert row["listing"] == f"category/items?cat_id={row['cat_id']}"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", row["fetched_at"])
        assert isinstance(row["item_id"], int)
        assert row["price"] is None
        assert row["price_info_sale_price"] is None or re.fullmatch(
            r"\d+(\.\d+)?", row["price_info_sale_price"]
        )
        assert set(row) == set(done.rows[0])
        places.setdefault(row["cat_id"], []).append((row["page"], row["position"]))
    assert places[7] == [(n // 20 + 1, n % 20) for n in range(45)]


def test_lines_are_split_on_line_feeds_alone(tmapi, tmp_path):
    """Line separators of Unicode in a title stay inside their row."""
    (tmp_path / "category-items.json").write_text(TITLED)
    with SandboxThread(bodies=tmp_path) as sandbox:
        done = tmapi("items", "7", url=sandbox.url)
    assert (done.code, len(done.rows)) == (0, 2)
    assert done.rows[0]["title"] == "one\u2028two\u2029three\u0085four\rfive\nsix 商品"
    assert "\u2028".encode() in done.out
    assert done.out.count(b"\n") == 2


def test_the_summary_ends_standard_error_and_is_exact(tmapi):
    """`--json` ends standard error with the contract's keys and the server's own numbers."""
    faults = Faults(script={(7, 2): ["500", "html"], 5: "422"})
    with SandboxThread(categories={**SIZES, 5: 10}, faults=faults, repeats=1.0) as sandbox:
        done = tmapi(
            "items", "7", "1031910", "9", "5", "--json", "--lookahead", "off", url=sandbox.url
        )
        statistics = sandbox.sandbox.stats
    assert done.code == 3
    summary = done.summary
    assert list(summary) == SUMMARY_KEYS
    seconds, speed = summary.pop("seconds"), summary.pop("pages_per_second")
    assert seconds > 0
    assert speed > 0
    assert summary == {
        "listings": 4,
        "complete": 3,
        "capped": 0,
        "failed": 1,
        "stopped": 0,
        "pages": 5,
        "items": len(done.rows),
        "unique_items": 65,
        "rejects": 0,
        "requests": 8,
        "retries": 2,
        "wasted": 0,
        "codes": {"200": 5, "422": 1, "500": 1, "malformed": 1},
        "unreached": 0,
        "waited": 0.0,
        "cache_hits": 0,
        "shifted": 0,
        "second_looks": 0,
        "stopped_by": None,
        "empty": 1,
        "contradicted": 0,
        "suspects": ["category/items?cat_id=9"],
        "verdict": "incomplete",
    }
    assert len(done.rows) > 65
    assert statistics.requests == 8
    assert sum("code 422" in line for line in done.messages) >= 1


def test_quiet_is_quiet(tmapi):
    """`-q` leaves standard error empty; with `--json` it holds the one line."""
    with SandboxThread(categories=SIZES) as sandbox:
        done = tmapi("items", "7", "7", "-q", url=sandbox.url)
        assert (done.code, done.err, len(done.rows)) == (0, "", 45)
        done = tmapi("items", "7", "-q", "--json", url=sandbox.url)
        assert (done.code, len(done.err.splitlines()), done.summary["items"]) == (0, 1, 45)


def test_capped_is_exit_0_with_a_warning(tmapi):
    """A listing cut at `--max-pages` or at 2,000 rows is capped: exit 0 with a warning."""
    with SandboxThread(categories={7: 45, 8: 2000}) as sandbox:
        done = tmapi("items", "7", "8", "--json", "--max-pages", "2", url=sandbox.url)
        assert (done.code, done.summary["capped"], len(done.rows)) == (0, 2, 80)
        assert sum("capped: category/items?cat_id=" in line for line in done.messages) == 2
        done = tmapi("items", "8", "--json", url=sandbox.url)
        assert (done.code, done.summary["capped"], len(done.rows)) == (0, 1, 2000)
        assert any("the API shows no more" in line for line in done.messages)


@pytest.mark.parametrize("ids", [["5"], ["5", "6"]])
def test_422_for_every_listing_is_exit_3(tmapi, ids):
    """If the API refuses every listing, the command exits 3 and names each of them."""
    with SandboxThread(categories=SIZES, unknown="422") as sandbox:
        done = tmapi("items", *ids, "--json", url=sandbox.url)
        assert sandbox.sandbox.stats.requests == len(ids)
    assert (done.code, done.out) == (3, b"")
    assert done.summary["failed"] == len(ids)
    assert done.summary["stopped_by"] is None
    for cat_id in ids:
        assert any(f"cat_id={cat_id} page 1: code 422" in line for line in done.messages)


REFUSALS = {
    "439 as status": ({"quota": 2}, "balance", 2),
    "439 in the body": ({"quota": 2, "style": "body"}, "balance", 2),
    "439 bare": ({"quota": 2, "balance": "bare"}, "balance", 2),
    "402": ({"faults": Faults({"402": 1.0})}, "balance", 0),
    "401 as status": ({"token": "another"}, "auth", 0),
    "4011 in the body": ({"token": "another", "style": "body"}, "auth", 0),
    "403": ({"faults": Faults({"403": 1.0})}, "auth", 0),
}


@pytest.mark.parametrize("form", REFUSALS)
def test_a_refusal_is_exit_4_and_says_what_is_left(tmapi, form):
    """A refused token or balance is exit 4, with the reason and the unfinished listings."""
    options, why, pages = REFUSALS[form]
    with SandboxThread(categories={7: 100, 8: 100}, **options) as sandbox:
        done = tmapi(
            "items", "7", "8", "--json", "--concurrency", "1", "--lookahead", "off", url=sandbox.url
        )
        assert sandbox.sandbox.stats.requests == pages + 1
    assert (done.code, len(done.rows)) == (4, pages * 20)
    assert (done.summary["stopped_by"], done.summary["stopped"]) == (why, 2)
    assert (done.summary["pages"], done.summary["failed"]) == (pages, 0)
    messages = [
        line for line in done.messages if "Done: " in line and "left: category/items" in line
    ]
    assert len(messages) == 1


def test_a_missing_endpoint_is_told_and_nothing_is_complete(tmapi):
    """404 "no Route matched" ends the work with exit 3 and says what to check."""
    with SandboxThread(categories=SIZES) as sandbox:
        done = tmapi("items", "7", "9", "--json", url=f"{sandbox.url}/nowhere")
    assert (done.code, done.out) == (3, b"")
    assert (done.summary["complete"], done.summary["stopped"]) == (0, 2)
    assert any("check the base URL" in line.replace("Check", "check") for line in done.messages)


@pytest.mark.parametrize("budget", [1, 3, 10])
def test_the_budget_is_exit_3_and_exact(tmapi, budget):
    """`--max-requests N` sends N, retries included, and says that the budget ended it."""
    with SandboxThread(categories={7: 500, 8: 500}, faults=Faults({"500": 0.3})) as sandbox:
        done = tmapi("items", "7", "8", "--json", "--max-requests", str(budget), url=sandbox.url)
        assert sandbox.sandbox.stats.requests == done.summary["requests"] == budget
    assert (done.code, done.summary["stopped_by"]) == (3, "budget")
    assert done.summary["items"] == len(done.rows)
    assert any("the request budget is spent" in line for line in done.messages)


def test_ids_come_from_everywhere(tmapi, tmp_path):
    """IDs can be mixed from arguments, standard input and files with BOM, CRLF and comments."""
    id_file = tmp_path / "ids.txt"
    id_file.write_bytes(b"\xef\xbb\xbf# shoes\r\n7\r\n\r\n  1031910  # bags\r\n9")
    with SandboxThread(categories={**SIZES, 3: 3, 4: 4}) as sandbox:
        done = tmapi("items", "3", f"@{id_file}", "-", url=sandbox.url, stdin=b"4\n#5\n7")
        assert done.code == 0
        assert by_category(done.rows) == items_of(sandbox, [3, 4, 7, 1031910])
        assert any("1" in line and "once" in line for line in done.messages)


def test_repeated_ids_are_walked_once_and_said(tmapi):
    """A repeated ID, in any spelling, costs nothing, and a message says so."""
    with SandboxThread(categories=SIZES) as sandbox:
        done = tmapi("items", "7", " 7", "007", "7", "9", "--json", url=sandbox.url)
        assert sandbox.sandbox.stats.pages_served_twice == 0
    assert (done.code, done.summary["listings"], len(done.rows)) == (0, 2, 45)
    assert sum("once" in line for line in done.messages) == 1


def test_filters_are_sent_and_show_in_the_listing(tmapi):
    """Filter options change the request and the identity of the listing."""
    with SandboxThread(categories={7: 300}) as sandbox:
        done = tmapi("items", "7", "--free-shipping", "--super-factory", url=sandbox.url)
        catalogue = sandbox.sandbox.catalogue
        item_ids = catalogue.item_ids(7, Filters(free_shipping=True, super_factory=True))
    assert [row["item_id"] for row in done.rows] == item_ids
    assert {row["listing"] for row in done.rows} == {
        "category/items?cat_id=7&free_shipping=true&super_factory=true"
    }


def test_unique_drops_what_came_before(tmapi):
    """`--unique` prints each item of a listing once; the summary still counts every row."""
    with SandboxThread(categories={7: 100}, repeats=1.0) as sandbox:
        twice = tmapi("items", "7", "--json", url=sandbox.url)
        once = tmapi("items", "7", "--json", "--unique", url=sandbox.url)
    assert len(twice.rows) == twice.summary["items"] == once.summary["items"] > 100
    assert len(once.rows) == once.summary["unique_items"] == 100


@pytest.mark.parametrize(
    "options",
    [
        ["--concurrency", "1"],
        ["--concurrency", "auto"],
        ["--lookahead", "off"],
        ["--lookahead", "3"],
        ["--rate", "1000"],
        ["--timeout", "5"],
        ["--auth", "header"],
        ["--max-requests", "50"],
        ["-v"],
        ["-vv"],
    ],
)
def test_options_change_how_not_what(tmapi, options):
    """Speed, limits and auth do not change the rows."""
    with SandboxThread(categories=SIZES, limit=8) as sandbox:
        done = tmapi("items", "7", "1031910", *options, url=sandbox.url)
        assert done.code == 0
        assert by_category(done.rows) == items_of(sandbox, [7, 1031910])


def test_the_token_comes_from_where_it_is_given(tmapi, tmp_path):
    """`--token` wins over `--token-file`, which wins over the environment."""
    token_file = tmp_path / "token"
    token_file.write_text("\n from-file \n")
    with SandboxThread(categories=SIZES, token={"from-file", "from-option", "from-env"}) as sandbox:
        url = sandbox.url
        assert tmapi("items", "7", url=url, token="from-env").code == 0  # noqa: S106 - the test's own
        options = ["--token-file", str(token_file)]
        assert tmapi("items", "7", *options, url=url, token="wrong").code == 0  # noqa: S106 - as above
        options = ["--token", "from-option", "--token-file", "missing"]
        assert tmapi("items", "7", *options, url=url, token="wrong").code == 0  # noqa: S106 - as above
        assert tmapi("items", "7", "--base-url", url, url="http://127.0.0.1:1").code == 4


def test_rejects_are_said_and_counted(tmapi):
    """Messages name unreadable rows by page and position; the other rows are printed."""
    with SandboxThread(categories={7: 100}, drift=Drift(bad_rows=0.1)) as sandbox:
        done = tmapi("items", "7", "--json", url=sandbox.url)
    assert done.code == 0
    assert done.summary["rejects"] == 100 - len(done.rows) > 0
    assert sum(" row " in line for line in done.messages) == min(20, done.summary["rejects"])


def test_the_sandbox_option_needs_nothing_else(tmapi):
    """`--sandbox` uses its own server, whatever the environment says, and needs no token."""
    done = tmapi(
        "items",
        "1031910",
        "--sandbox",
        "--max-pages",
        "2",
        "--json",
        url="http://x.invalid",
        token="",
    )
    assert (done.code, len(done.rows), done.summary["requests"]) == (0, 40, 2)
    assert done.summary["codes"] == {"200": 2}


def test_sample_rows_come_out_with_their_documented_values(tmapi):
    """The rows of the v1 sample come out of `tmapi items` as documented."""
    body = msgspec.json.decode((SAMPLES / "doc-category-items-v1.json").read_bytes())
    with SandboxThread(bodies=SAMPLES) as sandbox:
        done = tmapi("items", "1031910", url=sandbox.url)
    assert done.code == 0
    for row, item in zip(done.rows, body["data"]["items"], strict=True):
        wanted = flattened(item)
        assert wanted["price"] == ""
        wanted |= {"price": None, "sales_count": int(wanted["sales_count"])}
        assert {name: row[name] for name in wanted} == wanted
    assert len(done.rows) > 0


def flattened(item):
    """Return an item whose nested fields are joined to the name of their block by `_`."""
    flat = {}
    for name, value in item.items():
        inner = flattened(value) if isinstance(value, dict) else None
        flat |= {f"{name}_{k}": v for k, v in inner.items()} if inner is not None else {name: value}
    return flat


RENAMED = b"""{"code":200,"msg":"success","data":{"page":1,"page_size":20,"has_next_page":false,
"filters":{},"items":[{"offer_id":1,"title":"a"},{"offer_id":2,"title":"b"}]}}"""


def test_a_listing_without_one_readable_row_is_no_success(tmapi, tmp_path):
    """A renamed field that costs every row fails the listing: nothing is said to be complete."""
    (tmp_path / "category-items.json").write_bytes(RENAMED)
    with SandboxThread(bodies=tmp_path) as sandbox:
        done = tmapi("items", "7", "--json", url=sandbox.url)
    assert (done.code, done.out) == (3, b"")
    assert (done.summary["complete"], done.summary["failed"]) == (0, 1)
    assert "none of the 2 rows" in done.err


HALF_READABLE = RENAMED.replace(b'{"offer_id":2', b'{"item_id":2')


@pytest.mark.parametrize(("share", "code"), [("0.5", 0), ("1", 0), ("0.4", 3), ("0", 3)])
def test_a_listing_with_more_rejects_than_allowed_counts_as_failed(tmapi, tmp_path, share, code):
    """`--most-rejects` of `items` judges the rows of a whole listing, however small it is."""
    (tmp_path / "category-items.json").write_bytes(HALF_READABLE)
    with SandboxThread(bodies=tmp_path) as sandbox:
        done = tmapi("items", "7", "--json", "--most-rejects", share, url=sandbox.url)
    assert done.code == code
    assert len(done.rows) == 1
    assert (done.summary["complete"], done.summary["failed"]) == ((1, 0) if code == 0 else (0, 1))
    assert ("1 of 2 rows cannot be decoded" in done.err) == (code == 3)


def test_a_share_of_rejects_beyond_1_is_refused(tmapi):
    """The share is a number from 0 to 1."""
    done = tmapi("items", "7", "--most-rejects", "50", url="http://127.0.0.1:9")
    assert done.code == 2
    assert "--most-rejects must be a share from 0 to 1, not 50.0" in done.err
