"""Places of settings files, and files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tmapi_async.cli.configuration.setting_places import check_owner, exists, user_file
from tmapi_async.errors import InvalidRequestError


@pytest.mark.skipif(os.name == "nt", reason="paths there have drives")
def test_the_file_of_the_user_is_where_the_system_keeps_such_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """XDG_CONFIG_HOME counts if it is absolute, as its standard says."""
    monkeypatch.setenv("HOME", "/home/ann")
    usual = Path("/home/ann/.config/tmapi/config.toml")
    assert user_file({}, "linux") == usual
    assert user_file({"XDG_CONFIG_HOME": "relative"}, "linux") == usual
    assert user_file({"XDG_CONFIG_HOME": ""}, "darwin") == usual
    assert user_file({"XDG_CONFIG_HOME": "/x"}, "linux") == Path("/x/tmapi/config.toml")
    windows = user_file({"APPDATA": "/users/ann", "XDG_CONFIG_HOME": "/x"}, "win32")
    assert windows == Path("/users/ann/tmapi/config.toml")
    assert user_file({}, "win32") == Path("/home/ann/AppData/Roaming/tmapi/config.toml")


def test_a_user_without_a_home_has_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service may run as a user who has no home folder."""

    def fail() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", fail)
    assert user_file({}, "linux") is None


def test_no_file_and_no_folder_are_no_settings(tmp_path: Path) -> None:
    """Most users have neither."""
    (tmp_path / "file").touch()
    assert not exists(tmp_path / "none" / "config.toml")
    assert not exists(tmp_path / "file" / "config.toml")
    assert exists(tmp_path / "file")


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
def test_something_that_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """A pipe would keep every command of the folder waiting."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (
        ("pipe", "not a file"),
        ("lost", "not there"),
        ("loop", "cannot read"),
        (".", "not a file"),
    ):
        with pytest.raises(InvalidRequestError, match=reason):
            exists(tmp_path / name)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_file_of_the_user_that_others_can_change_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It decides where the token goes; a group that has this user alone is no other."""
    path = tmp_path / "config.toml"
    path.touch(0o600)
    for mode in (0o600, 0o644, 0o400):
        path.chmod(mode)
        check_owner(path)
    path.chmod(0o666)
    with pytest.raises(InvalidRequestError, match="chmod go-w"):
        check_owner(path)
    path.chmod(0o664)
    monkeypatch.setattr(os, "getegid", lambda: path.stat().st_gid)
    check_owner(path)
    monkeypatch.setattr(os, "getegid", lambda: path.stat().st_gid + 1)
    with pytest.raises(InvalidRequestError, match="chmod go-w"):
        check_owner(path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX owners")
def test_a_file_of_the_user_that_belongs_to_another_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner could change it; that of the administrator counts."""
    path = tmp_path / "config.toml"
    path.touch(0o600)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        check_owner(path)
        if os.getuid() == 0:
            os.chown(path, 12345, -1)
    with pytest.raises(InvalidRequestError, match="belongs to another user"):
        check_owner(path)
