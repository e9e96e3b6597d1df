"""`--cache` of the command line: what was paid for is not paid for again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cache_files import kept_pages, make_older
from tmapi_async.sandbox.server.process import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {7: 95, 8: 41}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a cache file."""
    return tmp_path / "pages.db"


def test_items_come_from_the_cache_and_the_summary_tells(tmapi: Any, path: Path) -> None:
    """The second run sends nothing and prints the same rows."""
    with SandboxThread(categories=SIZES) as sandbox:
        options = ("items", "7", "8", "--cache", str(path), "--max-age", "6h", "--json")
        first, second = (tmapi(*options, url=sandbox.url) for _ in range(2))
        make_older(path, 7 * 3600)
        third = tmapi(*options, url=sandbox.url)
        fourth = tmapi(*options, "--max-age", "0", url=sandbox.url)
    assert [done.code for done in (first, second, third, fourth)] == [0] * 4
    hits = [done.summary["cache_hits"] for done in (first, second, third, fourth)]
    assert (hits[0], hits[2], hits[3]) == (0, 0, 0)
    assert hits[1] == second.summary["pages"] == 8
    assert second.summary["requests"] == 0
    assert "8 pages (8 from the cache)" in second.err
    assert [row["item_id"] for row in sorted(first.rows, key=place)] == [
        row["item_id"] for row in sorted(second.rows, key=place)
    ]


def place(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return the place of a row in the listings."""
    return row["cat_id"], row["page"], row["position"]


def test_cache_of_the_environment_is_used(tmapi: Any, path: Path) -> None:
    """`TMAPI_CACHE` is read by items and categories; a harvest pays for its own pages."""
    with SandboxThread(categories={7: 20}) as sandbox:
        for _ in range(2):
            done = tmapi("items", "7", "--json", url=sandbox.url, TMAPI_CACHE=str(path))
        assert done.summary["cache_hits"] == 1
        tree = [tmapi("categories", url=sandbox.url, TMAPI_CACHE=str(path)) for _ in range(2)]
        assert tree[0].out == tree[1].out
        assert "0 requests" in tree[1].err
        assert "from the cache" in tree[1].err
        journal = str(path.with_name("j.journal"))
        done = tmapi("harvest", "7", "--journal", journal, url=sandbox.url, TMAPI_CACHE=str(path))
        assert "from the cache" not in done.err
        assert sandbox.sandbox.stats.pages_served >= 2


def test_sandbox_of_the_command_has_one_name_in_the_cache(tmapi: Any, path: Path) -> None:
    """Its port is another one each time; its pages are the same."""
    for hits in (0, 1):
        options = ("--sandbox", "--max-pages", "1", "--cache", str(path), "--json")
        assert tmapi("items", "1031910", *options).summary["cache_hits"] == hits


def test_pages_of_different_ages_are_told(tmapi: Any, path: Path) -> None:
    """The verdict is SHIFTED, with the pages and the way out; the exit code stays 0."""
    with SandboxThread(categories={7: 95}) as sandbox:
        options = ("items", "7", "--cache", str(path), "--max-age", "6h")
        tmapi(*options, "--max-pages", "2", url=sandbox.url)
        make_older(path, 3600)
        done = tmapi(*options, url=sandbox.url)
    assert done.code == 0
    assert "page 3 was read 60 min" in done.err
    assert "SHIFTED" in done.err
    assert "--max-age 0" in done.err


def test_stale_pages_are_printed_if_the_api_fails(tmapi: Any, path: Path) -> None:
    """On request only."""
    with SandboxThread(categories={7: 20}) as sandbox:
        url = sandbox.url
        tmapi("items", "7", "--cache", str(path), url=url)
    make_older(path, 2 * 3600)
    options = ("items", "7", "--cache", str(path), "--wait", "0", "--json")
    assert tmapi(*options, url=url).code == 3
    done = tmapi(*options, "--stale-if-error", "1d", url=url)
    assert done.code == 0
    assert len(done.rows) == 20


def test_job_file_may_name_the_cache(tmapi: Any, path: Path) -> None:
    """A path is relative to the job file."""
    job = path.with_name("job.toml")
    job.write_text('cache = "pages.db"\nmax_age = "6h"\n[[listings]]\ncat_ids = [7]\n')
    with SandboxThread(categories={7: 20}) as sandbox:
        for _ in range(2):
            done = tmapi("items", "--job", str(job), "--json", url=sandbox.url)
    assert done.summary["cache_hits"] == 1
    assert len(kept_pages(path)) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--max-age", "6h"), "--max-age needs --cache, or TMAPI_CACHE"),
        (("--stale-if-error", "6h"), "--stale-if-error needs --cache"),
        (("--cache", "x.db", "--max-age", "soon"), "--max-age must be a duration"),
        (("--cache", "/no/such/folder/x.db"), "folder"),
        (("--cache", "https://host/x"), "cache must be"),
        (("--cache", "redis://:pass-of-mine@host:port/0"), "redis://HOST:PORT"),
        (("--cache", ""), "cache must be"),
    ],
)
@pytest.mark.parametrize("command", ["items 7", "categories"])
def test_bad_option_is_refused_before_anything_is_sent(
    tmapi: Any, command: str, options: tuple[str, ...], words: str
) -> None:
    """Exit code 2, a plain message, and no password in it."""
    with SandboxThread(categories={7: 20}) as sandbox:
        done = tmapi(*command.split(), *options, url=sandbox.url)
        assert sandbox.sandbox.stats.requests == 0
    assert done.code == 2
    assert words in done.messages[0]
    assert "pass-of-mine" not in done.err


def test_file_of_another_program_is_refused(tmapi: Any, path: Path) -> None:
    """Also a damaged journal, which is found when the cache is opened."""
    path.write_bytes(b"SQLite format 3\0" + b"\xa5" * 9000)
    with SandboxThread(categories={7: 20}) as sandbox:
        done = tmapi("items", "7", "--cache", str(path), url=sandbox.url)
        assert sandbox.sandbox.stats.requests == 0
    assert done.code == 2
    assert "was not changed" in done.messages[0]
