"""Settings files of a project and of the user, in every command."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tmapi_async.cli.configuration.setting_keys import KEYS
from tmapi_async.sandbox.server.process import SandboxThread


@pytest.fixture(scope="module")
def sandbox():
    """The server of the user."""
    with SandboxThread(
        categories={7: 200, 8: 30}, token=["sandbox", "secret-of-a-file"]
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """An empty working folder of a user without settings, who has a journal elsewhere."""
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "tmapi").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return folder


@pytest.fixture
def own(project):
    """The place of the user's settings file."""
    return project.parent / "tmapi" / "config.toml"


@pytest.fixture
def journal(tmapi, sandbox):
    """A journal in the project, and no other file."""
    assert tmapi("harvest", "8", "--journal", "x.journal", "-q", url=sandbox.url).code == 0
    return "x.journal"


SENDING = [
    ["items", "8"],
    ["harvest", "8", "--journal", "x.journal", "--refresh"],
    ["details", "x.journal"],
    ["categories"],
    ["check"],
    ["report", "x.journal", "--names"],
]


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("arguments", SENDING, ids=lambda arguments: arguments[0])
def test_a_file_that_comes_with_a_folder_cannot_steal_the_token(tmapi, sandbox, arguments):
    """A cloned folder whose `tmapi.toml` names another host is refused before anything is sent."""
    with SandboxThread(categories={8: 30}) as thief:
        Path("tmapi.toml").write_text(f'rate = 5\nbase_url = "{thief.url}"\n')
        before = sandbox.sandbox.stats.requests
        done = tmapi(*arguments, url="")
        assert done.code == 2
        assert "tmapi.toml, line 2: base_url decides where the token goes" in done.messages[-1]
        assert (thief.sandbox.stats.requests, sandbox.sandbox.stats.requests) == (0, before)


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("arguments", SENDING, ids=lambda arguments: arguments[0])
def test_every_command_that_sends_takes_address_and_token_from_the_user_file(
    tmapi, own, sandbox, arguments
):
    """Neither option nor variable is needed."""
    (own.parent / "token").write_text("secret-of-a-file\n")
    own.write_text(f'base_url = "{sandbox.url}"\ntoken_file = "token"\nmax_requests = 90\n')
    before = sandbox.sandbox.stats.requests
    done = tmapi(*arguments, TMAPI_TOKEN="")
    assert done.code == 0, done.err
    if arguments[0] != "report":  # has every name by now
        assert sandbox.sandbox.stats.requests > before
    assert "secret-of-a-file" not in done.err + done.out.decode()


def test_a_harvest_needs_no_options_in_a_folder_with_settings(tmapi, sandbox):
    """Journal, destinations and limits come from the project's file."""
    text = 'journal = "shop.journal"\nto = ["items.csv"]\ncsv_bom = true\nmax_pages = 2\n'
    Path("tmapi.toml").write_text(text)
    done = tmapi("harvest", "7", url=sandbox.url)
    assert done.code == 0
    assert "settings of tmapi.toml: journal, to, csv_bom, max_pages\n" in done.err
    assert sorted(path.name for path in Path().iterdir()) == [
        "items.csv",
        "shop.journal",
        "tmapi.toml",
    ]
    rows = Path("items.csv").read_bytes()
    assert rows.startswith(b"\xef\xbb\xbf")
    assert len(rows.splitlines()) == 1 + 40
    Path("items.csv").unlink()
    assert tmapi("export", "shop.journal").code == 0
    assert Path("items.csv").read_bytes() == rows
    assert tmapi("export", "shop.journal", "--to", "y.jsonl").code == 0, "no CSV, no mark"
    findings = msgspec.json.decode(tmapi("check", "--free", "--json", url=sandbox.url).out)
    checks = [finding["check"] for finding in findings["findings"]]
    assert checks[:3] == ["journal", "disk", "destination"]


def test_a_limit_of_the_user_holds_for_every_command(tmapi, own, sandbox):
    """A project cannot raise what the user's own file says; the command line can."""
    own.write_text("max_requests = 3\n")
    Path("tmapi.toml").write_text("max_requests = 1_000\n")
    for arguments in (["items", "7"], ["harvest", "7", "--journal", "y.journal"]):
        before = sandbox.sandbox.stats.requests
        assert tmapi(*arguments, url=sandbox.url).code == 3
        assert sandbox.sandbox.stats.requests == before + 3
    assert tmapi("items", "7", "--max-requests", "20", url=sandbox.url).code == 0


EVERY_KEY = """\
concurrency = 4
rate = 1_000
timeout = 30
wait = 0
lookahead = "off"
share = false
max_requests = 10_000
confirm_above = 10_000
max_pages = 90
fail_empty = true
most_rejects = 0.2
ceiling = 1_000
unique = true
journal = "x.journal"
to = ["a.csv", "b.jsonl"]
history = true
csv_bom = true
older_than = "7d"
cache = "pages.db"
max_age = "6h"
stale_if_error = "7d"
log = "json"
"""

COMMANDS = [
    ["config"],
    ["check", "--free"],
    ["items", "8"],
    ["items", "8", "--split"],
    ["items", "8", "--max-age", "0"],
    ["items", "1031910", "--sandbox", "--max-pages", "1"],
    ["harvest", "8"],
    ["harvest", "8", "--refresh"],
    ["harvest", "8", "--dry-run"],
    ["harvest", "8", "--estimate"],
    ["details", "x.journal", "--top", "1"],
    ["categories", "--depth", "1"],
    ["export", "x.journal", "--endpoint", "category-v1"],
    ["export", "x.journal", "--endpoint", "category-v1", "--to", "-"],
    ["export", "x.journal", "--endpoint", "category-v1", "--run", "latest", "--to", "z.parquet"],
    ["status", "x.journal"],
    ["runs", "x.journal"],
    ["changes", "x.journal", "--endpoint", "category-v1"],
    ["report", "x.journal", "--endpoint", "category-v1"],
    ["verify", "x.journal"],
    ["replay", "x.journal"],
]


@pytest.mark.usefixtures("journal")
def test_a_file_with_every_key_disturbs_no_command(tmapi, own, sandbox):
    """A setting that does not concern a command, or fits no option beside it, is left out."""
    Path("tmapi.toml").write_text(EVERY_KEY)
    own.write_text(f'base_url = "{sandbox.url}"\nauth = "header"\nlog_file = "x.log"\n')
    named = {line.partition(" ")[0] for line in (EVERY_KEY + own.read_text()).splitlines()}
    assert named == set(KEYS) - {"split", "refresh", "token_file", "notify"}
    for arguments in COMMANDS:
        done = tmapi(*arguments)
        assert done.code == 0, (arguments, done.err)


@pytest.mark.parametrize("arguments", [["status"], ["runs"], ["verify"], ["replay"]])
def test_a_command_without_settings_does_not_read_the_files(tmapi, journal, arguments):
    """A typing mistake in a file stops only the commands that it concerns."""
    Path("tmapi.toml").write_text("rate = \n")
    assert tmapi(*arguments, journal).code == 0
    assert tmapi("export", journal, "--to", "x.jsonl").code == 2
    assert tmapi("--no-settings", "export", journal, "--to", "x.jsonl").code == 0


def test_config_shows_each_value_with_its_source(tmapi, project, own):
    """An option, a variable, a job file, the project's file, the user's file, a default."""
    own.write_text("rate = 5\ntimeout = 50\nwait = 500\n")
    Path("tmapi.toml").write_text("timeout = 40\nmax_pages = 4\n")
    Path("job.toml").write_text("max_pages = 3\n[[listings]]\ncat_ids = [7]\n")
    arguments = ["config", "--job", "job.toml", "--lookahead", "off"]
    done = tmapi(*arguments, "--json", TMAPI_RATE="2")
    shown = {
        name: (one["value"], one["source"], one["place"])
        for name, one in msgspec.json.decode(done.out)["settings"].items()
    }
    assert list(shown) == list(KEYS)
    assert shown["lookahead"] == ("off", "option", "--lookahead")
    assert shown["rate"] == (2, "environment", "TMAPI_RATE")
    assert shown["max_pages"] == (3, "job file", "job.toml")
    assert shown["timeout"] == (40, "project file", "tmapi.toml")
    assert shown["wait"] == (500, "user file", str(own))
    assert shown["split"] == (None, "default", None)
    text = tmapi(*arguments, TMAPI_RATE="2").out.decode()
    assert "environment, TMAPI_RATE" in text
    (wait,) = [line.split() for line in text.splitlines() if line.startswith("wait ")]
    assert wait == ["wait", "500", "user", "file"]
    assert text.endswith(
        f"job file: job.toml\nproject file: {project}/tmapi.toml\nuser file: {own}\n"
    )


def test_config_never_shows_a_token_or_a_password(tmapi, own, canary):
    """It says that there is one, and where it comes from."""
    secret = "pass-word-of-a-database"  # noqa: S105 - not a real one
    (own.parent / "token").write_text(canary.token)
    own.write_text(
        f'token_file = "token"\ncache = "redis://ann:{secret}@h:1/0"\n'
        f'to = ["postgresql://ann:{secret}@h/shop"]\n'
    )
    for extra, variable, place in (
        ([], canary.token, "TMAPI_TOKEN"),
        ([], "", str(own)),
        (["--token", canary.token], "", "--token"),
        (["--token-file", str(own.parent / "token")], "other", "--token-file"),
    ):
        for json in ([], ["--json"]):
            done = tmapi("config", *extra, *json, TMAPI_TOKEN=variable)
            assert done.code == 0
            text = done.out.decode() + done.err
            assert place in text
            assert canary.token not in text
            assert secret not in text
    token = msgspec.json.decode(tmapi("config", "--json", TMAPI_TOKEN="").out)["token"]
    assert token == {"set": True, "source": "user file", "place": str(own)}
    own.unlink()
    token = msgspec.json.decode(tmapi("config", "--json", TMAPI_TOKEN="").out)["token"]
    assert token == {"set": False, "source": None, "place": None}


def test_config_shows_where_files_are_looked_for(tmapi, project, own):
    """Also where a file has mistakes: the place is what the user needs then."""
    own.write_text("rate = \n")
    done = tmapi("config", "--path")
    assert done.out.decode().splitlines() == [
        f"project file: {project / 'tmapi.toml'} (not there)",
        f"user file: {own}",
    ]
    files = msgspec.json.decode(tmapi("config", "--path", "--json").out)["files"]
    assert [place["found"] for place in files] == [False, True]
    assert tmapi("config").code == 2


def test_the_example_file_is_valid_as_it_is_printed(tmapi, own):
    """It can be redirected to either place."""
    text = tmapi("config", "--example").out
    own.write_bytes(text)
    Path("tmapi.toml").write_bytes(text)
    assert tmapi("config").code == 0
