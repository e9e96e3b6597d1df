"""The warning about two processes with one account."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmapi_async.cli.account_lock import lock_account


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_a_second_holder_is_warned_and_the_next_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """The lock of an account is held while the block runs, and free after it."""
    with lock_account("token"):
        with lock_account("another"):
            assert capsys.readouterr().err == ""
        with lock_account("token"):
            assert "uses the same account on this machine" in capsys.readouterr().err
    with lock_account("token"):
        assert capsys.readouterr().err == ""


def test_a_damaged_owner_file_names_no_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The warning does without the process where the file cannot be read."""
    with lock_account("token"):
        (owner,) = tmp_path.glob("tmapi-async-*/*.json")
        owner.write_text("{")
        with lock_account("token"):
            assert "warning: another process uses" in capsys.readouterr().err


def test_the_token_is_in_no_file(tmp_path: Path) -> None:
    """Names and contents of the files hold a digest of the token at most."""
    with lock_account("s3cret-token"):
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert files
        assert not any("s3cret" in f"{path}{path.read_text()}" for path in files)
