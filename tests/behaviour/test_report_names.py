"""`tmapi report --names`: names of categories, asked for on request and paid for once."""

from __future__ import annotations

from tests.support.journals import body, row, write
from tmapi_async.journal.reader import JournalReader
from tmapi_async.sandbox.server.process import SandboxThread

CATS = {1031910: 5, 2716177: 5}


def test_names_are_asked_for_once_and_their_cost_is_told_before(tmapi, tmp_path):
    """Without --names nothing is sent and the cost is told; with it, one request a category."""
    journal, page = tmp_path / "a.journal", tmp_path / "r.html"
    write(journal, {cat: [body([row(cat)])] for cat in CATS})
    arguments = ("report", str(journal), "-o", str(page))
    with SandboxThread(categories=CATS) as sandbox:
        plain = tmapi(*arguments, url=sandbox.url)
        assert "2 categories have no name in the journal" in plain.err
        assert "by 2 requests, once" in plain.err
        assert sandbox.sandbox.stats.requests == 0
        named = tmapi(*arguments, "--names", url=sandbox.url)
        assert named.code == 0
        assert "asking for the names of 2 categories: 2 requests" in named.err
        assert "Custom Beauty" in page.read_text("utf-8")
        again = tmapi(*arguments, "--names", url=sandbox.url)
        assert again.err == ""
        assert sandbox.sandbox.stats.requests == 2
    with JournalReader(journal) as reader:
        tree = reader.tree()
        assert tree is not None
        assert (tree.answers, tree.broken_off) == (2, False)


def test_a_name_that_cannot_be_had_costs_no_report(tmapi, tmp_path):
    """The page is written with numbers, the failure is told, and the exit code is 3 or 4."""
    journal, page = tmp_path / "a.journal", tmp_path / "r.html"
    write(journal, {7: [body([row(1)])]})
    arguments = ("report", str(journal), "-o", str(page), "--names")
    with SandboxThread(categories=CATS) as sandbox:
        done = tmapi(*arguments, url=sandbox.url)
        assert done.code == 3
        assert "category/info?cat_id=7" in done.err
        page.unlink()
        write(journal, {8: [body([row(1)])]})
        done = tmapi(*arguments, "--token", "wrong", url=sandbox.url)
        assert done.code == 4
        assert page.exists()


def test_a_category_that_the_api_does_not_know_is_asked_for_once(tmapi, tmp_path):
    """The answer is kept: later reports say so, and neither ask nor advise to ask again."""
    journal, page = tmp_path / "a.journal", tmp_path / "r.html"
    write(journal, {99999: [body([row(1)])]})
    arguments = ("report", str(journal), "-o", str(page))
    with SandboxThread(categories=CATS) as sandbox:
        plain = tmapi(*arguments, url=sandbox.url)
        assert f"tmapi report {journal} --output {page} --names asks" in plain.err
        for _ in range(2):
            done = tmapi(*arguments, "--names", url=sandbox.url)
            assert "99999 has no name: the API does not know this category" in done.err
            assert "no name in the journal" not in done.err
        assert done.code == 0
        assert sandbox.sandbox.stats.requests == 1
    assert "99999 has no name" in page.read_text("utf-8")


def test_the_advice_for_a_journal_of_the_built_in_sandbox_names_the_sandbox(tmapi, tmp_path):
    """Otherwise the command asks for a token."""
    journal, page = tmp_path / "a.journal", tmp_path / "r.html"
    assert tmapi("harvest", "1031910", "--sandbox", "--journal", str(journal)).code == 0
    done = tmapi("report", str(journal), "-o", str(page))
    assert f"tmapi report {journal} --output {page} --names --sandbox asks" in done.err


def test_options_of_requests_need_names(tmapi, tmp_path):
    """A report that sends nothing refuses options that only requests have."""
    done = tmapi("report", str(tmp_path / "a.journal"), "--max-requests", "5")
    assert done.code == 2
    assert "only with --names" in done.err
