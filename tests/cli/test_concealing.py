"""An option or argument that holds a token by mistake is not repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import InProcess
from tmapi_async.cli.concealing import command_to_continue, conceal, possible_secrets

TOKENS = ["tok-canary-5ecret", "CANARY+/=%&x9Zq", "c4na5y00c4na5y00c4na5y00c4na5y00"]

MISPLACED = [
    ["items", "TOKEN"],
    ["items", "@TOKEN"],
    ["items", "--TOKEN"],
    ["items", "-TOKEN"],
    ["items", "--tokn=TOKEN", "7"],
    ["items", "--token-file", "TOKEN", "7"],
    ["items", "--auth", "TOKEN", "7"],
    ["items", "--auth=TOKEN", "7"],
    ["items", "--base-url", "TOKEN", "7"],
    ["items", "--concurrency", "TOKEN", "7"],
    ["items", "--lookahead", "TOKEN", "7"],
    ["items", "--rate", "TOKEN", "7"],
    ["items", "--timeout", "TOKEN", "7"],
    ["items", "--max-requests", "TOKEN", "7"],
    ["items", "--max-pages", "TOKEN", "7"],
    ["items", "--endpoint", "TOKEN", "7"],
    ["items", "--sort", "TOKEN", "7"],
    ["items", "--job", "TOKEN"],
    ["items", "--token", "TOKEN", "TOKEN"],
    ["harvest", "--workers", "2", "--worker-token", "TOKEN", "--journal", "x.journal", "7"],
    ["harvest", "--workers", "TOKEN", "--journal", "x.journal", "7"],
    ["harvest", "--cluster", "TOKEN", "--journal", "x.journal", "7"],
    ["harvest", "--to", "TOKEN", "--journal", "x.journal", "7"],
    ["harvest", "--most-rejects", "TOKEN", "--journal", "x.journal", "7"],
    ["categories", "TOKEN"],
    ["categories", "--depth", "TOKEN"],
    ["status", "TOKEN"],
    ["status", "TOKEN", "TOKEN"],
    ["export", "TOKEN", "--to", "a.csv"],
    ["export", "a.journal", "--to", "TOKEN"],
    ["export", "a.journal", "--to", "a.csv", "--run", "TOKEN"],
    ["export", "a.journal", "--to", "a.csv", "--since", "TOKEN"],
    ["export", "a.journal", "--to", "a.csv", "--cat", "TOKEN"],
    ["changes", "TOKEN"],
    ["changes", "a.journal", "--before", "TOKEN"],
    ["report", "TOKEN"],
    ["report", "a.journal", "--run", "TOKEN"],
    ["replay", "TOKEN"],
    ["verify", "TOKEN"],
    ["repair", "TOKEN", "b.journal"],
    ["backup", "TOKEN", "b.journal"],
    ["TOKEN"],
    ["--TOKEN"],
]


@pytest.mark.parametrize("arguments", MISPLACED, ids=" ".join)
@pytest.mark.parametrize("token", TOKENS)
def test_a_token_in_a_wrong_place_is_not_repeated(
    tmapi: InProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str],
    token: str,
) -> None:  # fmt: skip
    """The refusal names the option or the kind of value; logs of CI jobs keep standard error."""
    monkeypatch.chdir(tmp_path)
    done = tmapi(*(part.replace("TOKEN", token) for part in arguments), url="http://127.0.0.1:9")
    assert (done.code, done.out) == (2, b"")
    assert len(done.messages) == 1
    assert not any(token[start : start + 8] in done.err for start in range(len(token) - 7))


def test_the_command_to_continue_hides_a_token_in_a_wrong_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command line that holds the token somewhere else is not shown at all."""
    token = TOKENS[0]
    monkeypatch.setenv("TMAPI_TOKEN", token)
    for to in ("--to=postgresql://me:pw123@db/x", "POSTGRES://me:pw123@db"):
        assert "pw123" not in command_to_continue(["harvest", "7", to])
    assert command_to_continue(["harvest", "7", "--journal", token]) == "the same command"


def test_file_names_and_plain_words_are_no_secrets(tmp_path: Path) -> None:
    """What helps to find a mistake stays in the message: words, numbers, paths, existing files."""
    existing = tmp_path / "journal0123456789abcdef"
    existing.touch()
    plain = ["items", "--max-pages", "1031910", "shop-2026-01.journal", "/data/0123abc"]
    plain.append(str(existing))
    assert possible_secrets(plain, {}) == []
    secrets = possible_secrets(["--auth=tok-canary-5ecret"], {"TMAPI_TOKEN": "other-5ecret"})
    assert set(secrets) == {"tok-canary-5ecret", "other-5ecret"}
    assert conceal("no tok-canary-5ecret", secrets) == "no (17 characters, not shown)"


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["harvest", "7", "--journal", "a b"], "tmapi harvest 7 --journal 'a b'"),
        (["harvest", "7", "--token", "s3cret"], "tmapi harvest 7 (add the token)"),
        (["harvest", "--token=s3cret", "7"], "tmapi harvest 7 (add the token)"),
        (
            ["harvest", "7", "--to", "postgresql://me:s3cret@host/db"],
            "tmapi harvest 7 --to postgresql://...",
        ),
        (
            ["harvest", "7", "--to=postgres://me:s3cret@host/db"],
            "tmapi harvest 7 --to=postgresql://...",
        ),
        (
            ["harvest", "--to", "mysql://me:s3cret@host/db"],
            "tmapi harvest --to mysql://...@host/db",
        ),
        (["harvest", "--to=mysql://me:s3@ret@host"], "tmapi harvest --to=mysql://...@host"),
        (["harvest", *map(str, range(200))], "the same command"),
    ],
)
def test_the_command_to_continue_holds_no_secret(arguments: list[str], command: str) -> None:
    """Token and database passwords are left out; a very long command is not repeated."""
    assert command_to_continue(arguments) == command
