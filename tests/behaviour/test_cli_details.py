"""`tmapi details`: each detail once, whatever happens; its cost is told before it is spent."""

from __future__ import annotations

import errno
import os
import random
import re
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.support.commands import SUMMARY_KEYS, environment, finish, spawn
from tmapi_async.harvest import JournalReader, ReadOnlyJournalError
from tmapi_async.journal.lock import WriteLock
from tmapi_async.journal.sqlite_errors import journal_error
from tmapi_async.sandbox import Catalogue, Faults
from tmapi_async.sandbox.responses.item_replies import ratings_of
from tmapi_async.sandbox.server.process import SandboxThread

SIZE = 50
CAT = "7"
COST_KEYS = ["found", "selected", "stored", "renewed", "failed", "requests", "unfinished"]


@pytest.fixture
def journal(tmp_path):
    """Return the path of the journal of a test, as typed."""
    return str(tmp_path / "test.journal")


@pytest.fixture
def sandbox():
    """A sandbox with one category."""
    with SandboxThread(categories={7: SIZE}, limit=8) as running:
        yield running


def details_in(journal):
    """Return item ID -> number of pages with its details, all requests of all starts."""
    with JournalReader(journal) as reader:
        return Counter(
            int(dict(page.listing.params)["item_id"])
            for page in reader.pages()
            if page.listing.endpoint == "item_detail"
        )


def last_json(done):
    """Return the last line of standard output as JSON."""
    return msgspec.json.decode(done.out.splitlines()[-1])


def test_each_product_of_the_listings_is_fetched_once(tmapi, sandbox, journal):
    """After a harvest the details of every product are in the same journal; again sends nothing."""
    assert tmapi("harvest", CAT, "--journal", journal, url=sandbox.url).code == 0
    before = sandbox.sandbox.stats.requests
    rows = Path(journal).with_name("details.jsonl")
    done = tmapi("details", journal, "--json", "--to", str(rows), url=sandbox.url)
    assert done.code == 0, done.err
    assert len(rows.read_bytes().splitlines()) == SIZE
    summary = last_json(done)
    assert list(summary) == SUMMARY_KEYS
    assert (summary["listings"], summary["complete"], summary["pages"]) == (SIZE, SIZE, SIZE)
    assert details_in(journal) == dict.fromkeys(sandbox.sandbox.catalogue.item_ids(7), 1)
    assert sandbox.sandbox.stats.requests == before + SIZE
    again = tmapi("details", journal, "--json", url=sandbox.url)
    assert (again.code, last_json(again)["requests"]) == (0, 0)
    assert sandbox.sandbox.stats.requests == before + SIZE
    assert "50 fetched before; nothing to send" in again.err


def test_the_cost_is_told_and_a_dry_run_spends_nothing(tmapi, sandbox, journal):
    """The number of requests is known before the first one, without a token and without a trace."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    before = sandbox.sandbox.stats.requests
    done = tmapi("details", journal, "--dry-run", "--top", "20", "--json", token="")
    assert done.code == 0
    cost = last_json(done)
    assert list(cost) == COST_KEYS
    assert cost == dict(zip(COST_KEYS, [SIZE, 20, 0, 0, 0, 20, 0], strict=True))
    assert "50 products in the listings, 20 of them selected: 0 fetched before; 20 req" in done.err
    assert "nothing was sent (--dry-run)" in done.err
    assert sandbox.sandbox.stats.requests == before
    with JournalReader(journal) as reader:
        assert len(reader.starts()) == 1
    spent = tmapi("details", journal, "--top", "20", "--max-requests", "5", url=sandbox.url)
    told, sent = spent.err.index("--max-requests allows 5 requests"), spent.err.index("is spent")
    assert told < sent


def test_a_spent_budget_stops_between_products(tmapi, sandbox, journal):
    """What was paid for is there, whole; the same command goes on with the rest."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    for start, complete in enumerate((20, 40, 50), 1):
        done = tmapi("details", journal, "--max-requests", "20", "--json", url=sandbox.url)
        summary = last_json(done)
        assert done.code == (0 if complete == SIZE else 3)
        assert (summary["complete"], summary["stopped"]) == (complete, SIZE - complete)
        assert summary["stopped_by"] == (None if complete == SIZE else "budget")
        assert len(details_in(journal)) == complete, start
    assert set(details_in(journal).values()) == {1}


def test_products_are_summed_not_listed(tmapi, sandbox, journal):
    """A thousand products to fetch are one line, at the end of the command and in the status."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    done = tmapi("details", journal, "--max-requests", "20", url=sandbox.url)
    status = tmapi("status", journal)
    for text in (done.err, status.out.decode()):
        assert re.search(r"^\d\d products +not begun ", text, re.MULTILINE), text
        assert re.search(r"^2[01] complete listings +complete ", text, re.MULTILINE)
        assert text.count("item_detail?") <= SIZE // 3  # those that were on their way
    listed = tmapi("status", journal, "--all")
    assert listed.out.decode().count("item_detail?") == SIZE


def test_products_that_fail_are_told_and_tried_again(tmapi, journal):
    """The others are fetched, the failed ones named; the same command asks for those alone."""
    ids = Catalogue(categories={7: SIZE}).item_ids(7)
    bad = {str(ids[3]), str(ids[30])}
    broken = True

    def script(attempt):
        is_bad = dict(attempt.params).get("item_id") in bad
        return "422" if broken and is_bad else None

    with SandboxThread(categories={7: SIZE}, faults=Faults(script=script)) as sandbox:
        tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
        done = tmapi("details", journal, "--json", url=sandbox.url)
        assert done.code == 3
        assert (last_json(done)["complete"], last_json(done)["failed"]) == (SIZE - 2, 2)
        for item_id in bad:
            assert f"failed: item_detail?item_id={item_id}" in done.err
        broken = False
        again = tmapi("details", journal, "--json", url=sandbox.url)
        assert "48 fetched before, 2 failed before; 2 requests" in again.err
    assert (again.code, last_json(again)["requests"]) == (0, 2)
    assert details_in(journal) == dict.fromkeys(ids, 1)


def test_old_details_are_fetched_again_beside_the_former_ones(tmapi, sandbox, journal):
    """Details above the age get a new visit in a new run; younger ones stay as they are."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    tmapi("details", journal, "--top", "10", url=sandbox.url)
    with sqlite3.connect(journal) as connection:
        connection.execute("UPDATE visit SET ended_at = ended_at - 8 * 86400000")
    tmapi("details", journal, "--top", "30", url=sandbox.url)
    done = tmapi("details", journal, "--older-than", "7d", "--json", url=sandbox.url)
    assert "30 fetched before, 10 too old; 30 requests" in done.err
    assert (done.code, last_json(done)["requests"]) == (0, 30)
    assert sorted(details_in(journal).values()) == [1] * 40 + [2] * 10
    again = tmapi("details", journal, "--older-than", "7d", "--json", url=sandbox.url)
    assert last_json(again)["requests"] == 0
    with JournalReader(journal) as reader:
        assert len(reader.runs()) == 2


def test_another_language_is_another_detail(tmapi, sandbox, journal):
    """Details in English do not stand for those in Chinese."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    for options in ((), ("--language", "en")):
        done = tmapi("details", journal, "--top", "5", *options, "--json", url=sandbox.url)
        assert (done.code, last_json(done)["requests"]) == (0, 5)
    assert set(details_in(journal).values()) == {2}


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        (["item-description"], {"detail_imgs", "detail_html"}),
        (["item-shipping", "--province", "广东", "--total-weight", "2.5"], {"total_fee"}),
        (["item-sales"], {"sales_quantity_30days", "sales_trend"}),
        (["item-ratings", "--max-pages", "1", "--sort", "latest"], {"id", "feedback"}),
    ],
)
def test_other_endpoints_of_one_product(tmapi, sandbox, journal, asked, columns):
    """Descriptions, costs of shipping and sales are fetched and exported like details."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    command = ["details", journal, "--top", "5", "--json", "--endpoint", *asked]
    done = tmapi(*command, url=sandbox.url)
    ended = last_json(done)
    assert (done.code, ended["complete"] + ended["capped"]) == (0, 5), done.err
    assert last_json(tmapi(*command, url=sandbox.url))["requests"] == 0
    rows = tmapi("export", journal, "--endpoint", asked[0], "--to", "-").rows
    ids = set(sandbox.sandbox.catalogue.item_ids(7))
    rated = asked[0] == "item-ratings"  # a product may have none
    assert len({row["item_id"] for row in rows} & ids) == (ended["capped"] if rated else 5)
    assert all(row[name] is not None for row in rows for name in columns)


def test_all_ratings_are_fetched_and_merged_by_their_own_id(tmapi, sandbox, journal):
    """Each rating is a row of a table; a product without ratings is complete and no warning."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    command = ["details", journal, "--top", "12", "--json", "--endpoint", "item-ratings"]
    told = tmapi(*command, "--dry-run").err
    assert "at least 12 requests to send: one for each page of 10 ratings, and one more" in told
    done = tmapi(*command, url=sandbox.url)
    asked = {
        dict(one.params)["item_id"] for one in sandbox.sandbox.stats.served if one.cat_id is None
    }
    ratings = [r["id"] for item_id in asked for r in ratings_of(int(item_id), "default")]
    ended = last_json(done)
    assert (done.code, ended["complete"], ended["empty"]) == (0, 12, 0), done.err
    assert ended["items"] == ended["unique_items"] == len(ratings)
    assert last_json(tmapi(*command, url=sandbox.url))["requests"] == 0
    database = journal.replace(".journal", ".sqlite")
    for _ in range(2):
        export = ("export", journal, "--endpoint", "item-ratings", "--to", database)
        assert tmapi(*export).code == 0
        with sqlite3.connect(database) as connection:
            stored = connection.execute("SELECT id FROM item_ratings ORDER BY id").fetchall()
        assert [rating_id for (rating_id,) in stored] == sorted(ratings)
    assert tmapi("export", journal, "--to", "-").rows[0]["listing"] == "category/items?cat_id=7"
    refused = tmapi("report", journal, "--endpoint", "item-ratings")
    assert (refused.code, "needs one row for each product" in refused.err) == (2, True)


def test_no_product_fits_is_no_failure(tmapi, sandbox, journal):
    """Nothing is opened and nothing is sent where the options leave no product."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    done = tmapi("details", journal, "--min-sales", "1000000000", "--json", url=sandbox.url)
    assert (done.code, last_json(done)["listings"]) == (0, 0)
    assert "0 of them selected" in done.err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--endpoint", "item-detial"], "did you mean item-detail"),
        (["--endpoint", "search"], "is not an endpoint of one product"),
        (["--top", "0"], "--top must be at least 1"),
        (["--min-sales", "-1"], "--min-sales must be at least 1"),
        (["--older-than", "7"], "such as 7d, 12h, 30m or 90s, not '7'"),
        (["--older-than", "0d"], "--older-than must be an age"),
        (["--cat", "8"], "no listing of category 8"),
        (["--cat", "x"], "is not a category ID"),
        (["--language", ""], "language must be text"),
        (["--endpoint", "item-shipping"], "item/shipping needs province"),
        (["--province", "x"], "item-detail ignores --province. Use --endpoint item-shipping"),
        (["--concurrency", "0"], "concurrency"),
        (["--max-pages", "1"], "item-detail has no pages: remove --max-pages"),
        (["--endpoint", "item-ratings", "--sort", "sales"], "sort_type must be one of default"),
        (["--sort", "latest"], "item-detail ignores --sort"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(tmapi, sandbox, journal, options, reason):
    """Exit code 2, the option and the reason; no start is recorded."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    before = sandbox.sandbox.stats.requests
    done = tmapi("details", journal, *options, url=sandbox.url)
    assert (done.code, reason in done.err) == (2, True), done.err
    assert sandbox.sandbox.stats.requests == before


def test_a_journal_in_use_is_refused(tmapi, sandbox, journal):
    """A harvest is writing to the journal: nothing is sent beside it."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    before = sandbox.sandbox.stats.requests
    lock = WriteLock(Path(journal).resolve())
    lock.acquire()
    try:
        done = tmapi("details", journal, url=sandbox.url)
        assert (done.code, "another process writes" in done.err) == (2, True), done.err
        assert tmapi("details", journal, "--dry-run").code == 0
    finally:
        lock.release()
    assert sandbox.sandbox.stats.requests == before


def test_a_missing_journal_is_refused(tmapi, journal):
    """There is nothing to take products from."""
    done = tmapi("details", journal, url="http://127.0.0.1:1")
    assert (done.code, "there is no such journal" in done.err) == (2, True)


@pytest.mark.slow
def test_kills_at_random_moments_cost_no_detail(journal):
    """However often the command is killed, each detail is stored once."""
    size, dice = 200, random.Random(7)  # noqa: S311 - no secret
    with SandboxThread(categories={7: size}, limit=10, latency=0.02) as sandbox:
        env = environment(sandbox.url)
        finish(spawn("harvest", CAT, "--journal", journal, "-q", env=env))
        for _ in range(2):
            stored = len(details_in(journal))
            process = spawn("details", journal, "-q", env=env)
            end = time.monotonic() + 20
            moment = stored + dice.randrange(1, 60)
            while len(details_in(journal)) < moment and time.monotonic() < end:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        last = finish(spawn("details", journal, "-q", "--json", env=env))
        assert last.code == 0, last.err
        ids = sandbox.sandbox.catalogue.item_ids(7)
    assert details_in(journal) == dict.fromkeys(ids, 1)
    with JournalReader(journal) as reader:
        reader.verify()


def test_products_of_unfinished_listings_are_told_to_be_missing(tmapi, journal):
    """Where listings were not read to their end, the number of products is not the whole truth."""
    harvest = ("harvest", CAT, "8", "--journal", journal)
    with SandboxThread(categories={7: SIZE, 8: SIZE}) as sandbox:
        tmapi(*harvest, "--max-requests", "1", "--lookahead", "off", url=sandbox.url)
        done = tmapi("details", journal, "--dry-run", "--json", url=sandbox.url)
        assert last_json(done)["unfinished"] == 2
        assert "2 listings were not read to the end and may show more products" in done.err
        assert "run the same tmapi harvest command again first" in done.err
        assert tmapi(*harvest, url=sandbox.url).code == 0
        done = tmapi("details", journal, "--dry-run", "--json", url=sandbox.url)
    assert last_json(done)["unfinished"] == 0
    assert "not read to the end" not in done.err


def test_a_folder_that_cannot_be_written_is_the_only_message(tmapi, sandbox, journal, monkeypatch):
    """No cost is told for requests that cannot be sent."""
    tmapi("harvest", CAT, "--journal", journal, url=sandbox.url)
    access = os.access
    monkeypatch.setattr(os, "access", lambda name, mode: not mode & os.W_OK and access(name, mode))
    done = tmapi("details", journal, url=sandbox.url)
    assert done.code == 2
    (line,) = done.messages
    assert "the journal cannot be written; nothing was sent" in line


def test_a_read_only_file_system_is_not_called_a_failing_disk():
    """Its way out is another folder, not another disk."""
    error = journal_error(Path("j"), OSError(errno.EROFS, os.strerror(errno.EROFS)))
    assert isinstance(error, ReadOnlyJournalError)
    assert "Make the file and its directory writable" in str(error)
