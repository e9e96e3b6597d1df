"""Settings files: who may set what, and messages that name file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tmapi_async.cli.configuration.setting_file import FileKind, SettingFile
from tmapi_async.cli.configuration.setting_keys import KEYS
from tmapi_async.errors import InvalidRequestError


def read(folder: Path, text: str, kind: FileKind = "project") -> dict[str, Any]:
    """Return the settings of a file with this text."""
    path = folder / "tmapi.toml"
    path.write_text(text, "utf-8")
    return SettingFile(path, kind).settings(KEYS)


def refusal(folder: Path, text: str, kind: FileKind = "project") -> str:
    """Return the message with which a file is refused, which must name it."""
    with pytest.raises(InvalidRequestError) as caught:
        read(folder, text, kind)
    assert str(folder / "tmapi.toml") in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        'base_url = "https://evil.example"',
        'base_url = ""',
        'token_file = "token"',
        'auth = "query"',
        'notify = "curl evil.example"',
    ],
)
def test_a_file_that_comes_with_a_folder_neither_moves_the_token_nor_runs_a_command(
    tmp_path: Path, line: str
) -> None:
    """Keys that decide where the token goes are refused with a way out, not ignored."""
    name = line.partition(" ")[0]
    message = refusal(tmp_path, f"rate = 5\n{line}\n")
    reason = {"notify": "runs a command"}.get(name, "decides where the token goes")
    assert f"line 2: {name} {reason}, so a file that comes with a folder" in message
    assert f"--{name.replace('_', '-')}" in message
    assert "tmapi config --path" in message


def test_the_user_and_a_named_job_file_may_set_every_key(tmp_path: Path) -> None:
    """Whoever writes these two files, or names one, is the user."""
    text = (
        'base_url = "https://h"\ntoken_file = "/a/token"\nauth = "header"\nto = ["s3://b/x.csv"]\n'
    )
    for kind in ("user", "job"):
        assert read(tmp_path, text, kind)["base_url"] == "https://h"


@pytest.mark.parametrize(
    "line",
    [
        'journal = "/etc/x.journal"',
        'journal = "../x.journal"',
        'journal = "~/x.journal"',
        'journal = "a/../../x.journal"',
        'journal = "link/x.journal"',
        'to = ["items.csv", "../x.csv"]',
        'to = ["link/x.csv"]',
        'cache = "/tmp/pages.db"',
    ],
)
def test_a_file_that_comes_with_a_folder_names_no_file_outside_of_it(
    tmp_path: Path, line: str
) -> None:
    """Absolute paths, steps upwards and links that lead out are refused."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "link").symlink_to(tmp_path)
    assert "below the folder of this file" in refusal(tmp_path / "project", line)


@pytest.mark.parametrize(
    "line",
    ['to = ["postgresql://evil.example/x"]', 'to = ["s3://x/y.csv"]', 'cache = "redis://x:1/0"'],
)
def test_a_file_that_comes_with_a_folder_names_no_server(tmp_path: Path, line: str) -> None:
    """Rows and pages go to no address that the user did not choose."""
    assert "not an address" in refusal(tmp_path, line)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Addresses and standard output stay as they are."""
    line = 'journal = "a/x.journal"\nto = ["items.csv", "-"]\ncache = "p.db"\n'
    assert read(tmp_path, line) == {
        "journal": tmp_path / "a" / "x.journal",
        "to": [str(tmp_path / "items.csv"), "-"],
        "cache": str(tmp_path / "p.db"),
    }
    assert read(tmp_path, 'cache = "redis://h:1/0"', "user") == {"cache": "redis://h:1/0"}


SECRET = "a1b2c3d4e5f6a7b8c9"  # noqa: S105 - not a real one


@pytest.mark.parametrize(
    "key",
    ["token", "apiToken", "api_token", "apikey", "TMAPI_TOKEN", "api-key", "password", "tmapi_key"],
)
@pytest.mark.parametrize("kind", ["project", "user", "job"])
def test_a_token_in_a_file_is_refused_and_not_shown(
    tmp_path: Path, key: str, kind: FileKind
) -> None:
    """The message says where a token belongs."""
    message = refusal(tmp_path, f'{key} = "{SECRET}"\n', kind)
    assert SECRET not in message
    assert "set TMAPI_TOKEN, or use token_file" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "rate = 5\nmax_page = 3\n",
            "line 2: there is no option max_page (did you mean max_pages?)",
        ),
        ("max-pages = 3\n", "line 1: there is no option max-pages (did you mean max_pages?)"),
        ("RATE = 3\n", "did you mean rate?"),
        ("zzz = 3\n", "there is no option zzz: use one of concurrency, rate"),
        ("[harvest]\nrate = 5\n", "there is no option harvest"),
        ("[[listings]]\ncat_ids = [7]\n", "listings belong in a job file"),
        ("rate = \n", "line 1"),
        ("rate = 5\nrate = 6\n", "line 2"),
        ("max_pages = 0\n", "line 1: max_pages must be a whole number from 1, not 0"),
        ('rate = "fast"\n', "line 1: rate must be a number above 0, not 'fast'"),
        ("rate = 1979-05-27\n", "rate must be a number above 0, not a value of type date"),
        ("max_pages = " + "9" * 5000, "too many digits"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, text: str, reason: str) -> None:
    """Unknown keys, wrong types and wrong values are refused alike."""
    assert reason in refusal(tmp_path, text, "user")


def test_a_large_file_is_no_settings_file(tmp_path: Path) -> None:
    """A file of many megabytes is not read whole by every command."""
    assert "larger than" in refusal(tmp_path, "#" * (2**20 + 1))
