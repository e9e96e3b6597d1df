from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.endpoint_journals import write_endpoints
from tests.support.journals import BEGAN, body, of_catalogue, of_rows, row, write
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.export import (
    Export,
    ExportError,
    ExportRefusedError,
    Selection,
    export_journal,
)
from tmapi_async.export.postgres_table import table_columns


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(text.encode()).fetchall()


def change(url: str, *statements: str) -> None:
    """Run statements."""
    with psycopg.connect(url, autocommit=True) as connection:
        for text in statements:
            connection.execute(text.encode())


def test_rows_arrive_as_they_are(tmp_path: Path, postgres: str) -> None:
    """The table has the catalogue's items, their prices exact and their types as documented."""
    journal, catalogue = of_catalogue(tmp_path / "a.journal", {7: 45, 8: 20})
    summary = export_journal(journal, [postgres])
    assert summary.destinations[0].inserted == summary.rows == 65
    ids = {item_id for (item_id,) in query(postgres, "SELECT item_id FROM items")}
    assert ids == {*catalogue.item_ids(7), *catalogue.item_ids(8)}
    prices = sum(
        Decimal(catalogue.item(cat_id, n)["price_info"]["sale_price"])
        for cat_id, size in ((7, 45), (8, 20))
        for n in range(size)
    )
    assert query(postgres, "SELECT sum(price_info_sale_price) FROM items") == [(prices,)]
    existing = query(
        postgres,
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = 'items'::regclass AND attnum > 0 ORDER BY attnum",
    )
    columns = [(column.name, column.type) for column in table_columns(CATEGORY_ITEMS)]
    assert existing == [*columns, ("gone_at", "timestamp with time zone")]


def test_repeating_an_export_changes_nothing(tmp_path: Path, postgres: str) -> None:
    """A repeated export changes no row."""
    journal, _ = of_catalogue(tmp_path / "a.journal", {7: 45})
    export_journal(journal, [postgres])
    before = query(postgres, "SELECT xmin::text, ctid::text, * FROM items ORDER BY item_id")
    repeated = export_journal(journal, [postgres]).destinations[0]
    assert (repeated.inserted, repeated.updated, repeated.unchanged) == (0, 0, 45)
    assert query(postgres, "SELECT xmin::text, ctid::text, * FROM items ORDER BY item_id") == before


def test_the_latest_sighting_stays(tmp_path: Path, postgres: str) -> None:
    """The table keeps the latest sighting, also after the export of an older run."""
    path = tmp_path / "a.journal"
    write(path, {7: [body([row(1, title="first")]), body([row(1, title="second")])]})
    first = export_journal(path, [postgres]).destinations[0]
    assert (first.rows, first.inserted) == (2, 1)
    assert query(postgres, "SELECT title FROM items") == [("second",)]
    write(path, {7: [body([row(1, title="third")])]}, refresh=True, fetched_at=BEGAN + 60)
    assert export_journal(path, [postgres]).destinations[0].updated == 1
    older = export_journal(path, [postgres], Selection(run=1)).destinations[0]
    assert (older.inserted, older.updated, older.unchanged) == (0, 0, 1)
    assert query(postgres, "SELECT title, run FROM items") == [("third", 2)]


def test_an_item_of_two_listings_has_two_rows(tmp_path: Path, postgres: str) -> None:
    """The key of a row is its listing and item."""
    journal = write(tmp_path / "a.journal", {7: [body([row(1)])], 8: [body([row(1)])]})
    export_journal(journal, [postgres])
    result = query(postgres, "SELECT listing, item_id FROM items ORDER BY listing")
    assert result == [("category/items?cat_id=7", 1), ("category/items?cat_id=8", 1)]


HARD = 'quote " comma, line\nand\r\nCR\rtab\t \\N \\. end'


def test_hard_texts_arrive_whole(tmp_path: Path, postgres: str) -> None:
    """Quotes, newlines, COPY's marks, empty text and null arrive as sent, U+0000 replaced."""
    rows = [
        row(1, title=HARD, product_url="", img=None),
        row(2, title="\\."),
        row(3, title="a\0b", badge={"x\0": ["\0", 1.5, None, True]}),
        row(4, title="=1+1", sales_count="100000+"),
    ]
    export_journal(of_rows(tmp_path / "a.journal", *rows), [postgres])
    result = query(postgres, "SELECT title, product_url, img, extra FROM items ORDER BY item_id")
    assert result == [
        (HARD, "", None, None),
        ("\\.", None, None, None),
        ("a\ufffdb", None, None, {"badge": {"x\ufffd": ["\ufffd", 1.5, None, True]}}),
        ("=1+1", None, None, None),
    ]
    counts = query(postgres, "SELECT sales_count, sales_count_text FROM items WHERE item_id = 4")
    assert counts == [(100000, "100000+")]


MISFITS = {
    "the column title is integer": "ALTER TABLE items ALTER title TYPE integer USING 1",
    "the column price is numeric": "ALTER TABLE items ALTER price TYPE numeric(20,2)",
    "the column page is smallint": "ALTER TABLE items ALTER page TYPE smallint",
    "the column sales_count is missing ": "ALTER TABLE items DROP sales_count",
    "the column img is NOT NULL": "ALTER TABLE items ALTER img SET NOT NULL",
    "the column note is NOT NULL without": "ALTER TABLE items ADD note text NOT NULL",
    "the columns listing and item_id are not": "ALTER TABLE items DROP CONSTRAINT items_pkey",
    "the column fetched_at is timestamp without": (
        "ALTER TABLE items ALTER fetched_at TYPE timestamp"
    ),
}


@pytest.mark.parametrize(("message", "statement"), MISFITS.items())
def test_a_table_that_does_not_fit_is_refused(
    tmp_path: Path, postgres: str, message: str, statement: str
) -> None:
    """A table that does not fit is refused before the first row; the message names the column."""
    empty = write(tmp_path / "empty.journal", {7: []})
    export_journal(empty, [postgres])
    change(postgres, statement)
    journal = of_rows(tmp_path / "a.journal", row(1))
    with pytest.raises(ExportRefusedError, match=message):
        export_journal(journal, [postgres])
    assert query(postgres, "SELECT count(*) FROM items") == [(0,)]


def test_a_check_of_a_database_leaves_no_trace(tmp_path: Path, postgres: str) -> None:
    """A check refuses what an export would refuse, makes no table and waits for no export."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    export = Export(journal, [postgres])
    export.check_destinations("category-v1")
    assert query(postgres, "SELECT to_regclass('items')") == [(None,)]
    export.run()
    export.check_destinations("category-v1")
    assert query(postgres, "SELECT count(*) FROM items") == [(1,)]
    with psycopg.connect(postgres) as running:
        running.execute("SELECT pg_advisory_xact_lock(hashtextextended('tmapi items', 0))")
        export.check_destinations("category-v1")
    change(postgres, "ALTER TABLE items DROP title")
    with pytest.raises(ExportRefusedError, match="the column title is missing"):
        export.check_destinations("category-v1")
    change(postgres, "ALTER ROLE tester SET default_transaction_read_only = on")
    try:
        with pytest.raises(ExportError, match="read-only transaction; nothing was written"):
            Export(journal, [f"{postgres}&table=other"]).check_destinations("category-v1")
    finally:
        admin = postgres.replace("tester:s3cret%2F%2B@", "admin@")
        change(admin, "ALTER ROLE tester RESET ALL")


def test_a_table_may_be_wider(tmp_path: Path, postgres: str) -> None:
    """Wider columns and additional columns are accepted."""
    export_journal(write(tmp_path / "empty.journal", {7: []}), [postgres])
    change(
        postgres,
        "ALTER TABLE items ALTER page TYPE bigint, ALTER title TYPE varchar",
        "ALTER TABLE items ALTER price TYPE numeric",
        "ALTER TABLE items ALTER price_info_sale_price TYPE numeric(30,8)",
        "ALTER TABLE items ADD note text, ADD seen timestamptz NOT NULL DEFAULT now()",
        "ALTER TABLE items DROP CONSTRAINT items_pkey, ADD UNIQUE (item_id, listing)",
    )
    rows = row(1, title="x", price_info={"sale_price": "4.59"})
    summary = export_journal(of_rows(tmp_path / "a.journal", rows), [postgres])
    assert summary.destinations[0].inserted == 1


def test_the_table_is_named_by_the_url_or_the_option(tmp_path: Path, postgres: str) -> None:
    """`?table=` names the table, also with a schema; the option `--table` takes precedence."""
    change(postgres, 'CREATE SCHEMA "Shop"')
    journal = of_rows(tmp_path / "a.journal", row(1))
    export_journal(journal, [f"{postgres}&table=Shop.goods"])
    export_journal(journal, [f"{postgres}&table=goods"], table='odd "name')
    assert query(postgres, 'SELECT count(*) FROM "Shop".goods') == [(1,)]
    assert query(postgres, 'SELECT count(*) FROM "odd ""name"') == [(1,)]
    assert query(postgres, "SELECT to_regclass('goods')") == [(None,)]


def test_the_rest_of_the_url_is_left_to_libpq(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options with spaces, and hosts from the environment, work as in psql."""
    change(postgres, "CREATE SCHEMA other")
    journal = of_rows(tmp_path / "a.journal", row(1))
    export_journal(journal, [f"{postgres}&table=a%20b&options=-c%20search_path%3Dother"])
    assert query(postgres, 'SELECT count(*) FROM other."a b"') == [(1,)]
    monkeypatch.setenv("PGHOST", postgres.partition("host=")[2])
    monkeypatch.setenv("PGUSER", "tester")
    export_journal(journal, ["postgresql:///shop?table=plain"])
    assert query(postgres, "SELECT count(*) FROM plain") == [(1,)]


def test_the_password_is_never_told(tmp_path: Path, postgres: str) -> None:
    """Neither the summary nor an error shows the password, however it is written in the URL."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    messages = [repr(export_journal(journal, [postgres]))]
    wrong = (
        postgres.replace("/shop", "/nowhere"),
        f"{postgres}&nonsense=s3cret",
        postgres.replace("@/", "@[::1/"),
        postgres.replace("?host=", "?host=/nowhere"),
        f"{postgres}&table=a.b.c",
    )
    for url in wrong:
        with pytest.raises(ExportError) as raised:
            export_journal(journal, [url])
        assert raised.value.__cause__ is None
        messages += [str(raised.value), repr(raised.value)]
    assert len(messages) == 11
    for text in messages:
        assert "s3cret" not in text


KILLED = """
import os, signal, sys
from tmapi_async.api.endpoints import CATEGORY_ITEMS
from tmapi_async.export import export_journal, chunks, postgres_session

chunks.CHUNK_PAGES = 2
when = sys.argv[3]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if when == "commit":
    postgres_session.psycopg.Connection.commit = die
elif when == "committed":
    commit = postgres_session.psycopg.Connection.commit
    postgres_session.psycopg.Connection.commit = lambda self: (commit(self), die())
export_journal(sys.argv[1], [sys.argv[2]], on_progress=die if when == "rows" else lambda _: None)
"""
FREE = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tmapi export'"


def gone(url: str) -> None:
    """Wait until the server has noticed that the client died."""
    for _ in range(2000):
        if query(url, FREE) == [(0,)]:
            return
        query(url, "SELECT pg_sleep(0.01)")
    pytest.fail("the server still works for a client that was killed")


@pytest.mark.parametrize(
    ("when", "title"), [("rows", "old"), ("commit", "old"), ("committed", "x")]
)
def test_killed_the_table_is_as_before_or_as_after(
    tmp_path: Path, postgres: str, when: str, title: str
) -> None:
    """After `kill -9` during the rows, before or after the commit, all rows are there or none."""
    export_journal(of_rows(tmp_path / "old.journal", row(1, title="old")), [postgres])
    pages = [body([row(n, title="x")]) for n in range(1, 9)]
    journal = write(tmp_path / "a.journal", {7: pages})
    child = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", KILLED, str(journal), postgres, when],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    gone(postgres)
    rows = {"old": 1, "x": 8}[title]
    assert query(postgres, "SELECT DISTINCT title FROM items") == [(title,)]
    assert query(postgres, "SELECT count(*) FROM items") == [(rows,)]
    assert export_journal(journal, [postgres]).destinations[0].rows == 8
    assert query(postgres, "SELECT DISTINCT title FROM items") == [("x",)]


WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'tmapi export' AND wait_event_type = 'Lock'
"""


def test_killed_in_the_merge_the_table_is_as_before(tmp_path: Path, postgres: str) -> None:
    """After `kill -9` while the merge waits for a locked row, the table is unchanged."""
    export_journal(of_rows(tmp_path / "old.journal", row(1, title="old")), [postgres])
    journal = of_rows(tmp_path / "a.journal", row(2, title="x"), row(1, title="x"))
    command = [sys.executable, "-c", KILLED, str(journal), postgres, "never"]
    with psycopg.connect(postgres) as connection:
        connection.execute("SELECT * FROM items FOR UPDATE")
        with subprocess.Popen(command) as child:  # noqa: S603 - our own script
            for _ in range(2000):
                if query(postgres, WAITING) == [(1,)]:
                    break
                query(postgres, "SELECT pg_sleep(0.01)")
            assert child.poll() is None
            child.kill()
    gone(postgres)
    assert query(postgres, "SELECT item_id, title FROM items") == [(1, "old")]


def test_a_server_that_ends_the_session_leaves_the_table(tmp_path: Path, postgres: str) -> None:
    """A session that is terminated during the rows gives a clear error and changes nothing."""
    pages = [body([row(n)]) for n in range(1, 300)]
    journal = write(tmp_path / "a.journal", {7: pages})
    ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "

    def end(_: object) -> None:
        query(postgres, f"{ending}'tmapi export'")

    with pytest.raises(ExportError, match="the table is unchanged") as raised:
        export_journal(journal, [postgres], on_progress=end)
    assert "s3cret" not in str(raised.value)
    assert query(postgres, "SELECT to_regclass('items')") == [(None,)]


def test_exports_side_by_side_do_not_trip(tmp_path: Path, postgres: str) -> None:
    """Two exports to the same new table both succeed."""
    journals = [of_catalogue(tmp_path / f"{n}.journal", {n: 60})[0] for n in (7, 8)]
    threads = [
        threading.Thread(target=export_journal, args=(journal, [postgres])) for journal in journals
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert query(postgres, "SELECT count(*) FROM items") == [(120,)]


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing server is an error with its address; the message says that nothing was written."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    url = f"postgresql://me:s3cret@/shop?host={tmp_path}"
    with pytest.raises(ExportError, match="nothing was written") as raised:
        export_journal(journal, [url])
    assert str(raised.value).startswith(f"postgresql://me@{tmp_path}/shop table items: ")
    assert "s3cret" not in str(raised.value)
    assert os.fspath(tmp_path) in str(raised.value)


def test_json_that_postgres_cannot_hold_is_stored_all_the_same(
    tmp_path: Path, postgres: str
) -> None:
    """Postgres receives U+FFFD for U+0000 in JSON columns and `extra`; nothing else changes."""
    sent = row(1, category_path=["a\0b", {"c\0": None}], new="\0")
    journal = write_endpoints(tmp_path / "a.journal", {"search/items": [body([sent])]})
    export_journal(journal, [postgres])
    with psycopg.connect(postgres) as connection:
        (result,) = connection.execute("SELECT category_path, extra FROM items").fetchall()
    assert result == (["a\ufffdb", {"c\ufffd": None}], {"new": "\ufffd"})
