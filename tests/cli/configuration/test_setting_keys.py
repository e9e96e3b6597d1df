"""The keys of settings files, beside the options that they set."""

from __future__ import annotations

import re
import typing
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import ROOT
from tmapi_async.cli.configuration.setting_file import SettingFile
from tmapi_async.cli.configuration.setting_keys import KEYS, example_file, keys_of
from tmapi_async.errors import InvalidRequestError

COMMANDS = sorted({command for key in KEYS.values() for command in key.commands})

WRONG: dict[str, list[Any]] = {
    "concurrency": [0, -1, True, 1.5, "fast", "0", [4], 2**63, ""],
    "rate": [0, -1, True, "5", float("nan"), float("inf"), 1e13, []],
    "timeout": [0, -5, "60", False],
    "wait": [-1, "a", float("nan")],
    "lookahead": [-1, "on", True, "-1", 2.0],
    "share": [1, "true", 0, None],
    "max_requests": [0, -1, 1.0, "5", True, 10**30],
    "confirm_above": [-1, 0.5, "no"],
    "max_pages": [0, "all", True],
    "most_rejects": [-0.1, 1.1, "half", True],
    "ceiling": [0, 2.5],
    "journal": ["", " ", "a\0b", 5, ["x"]],
    "to": [[], "items.csv", [5], [""], ["a\0"], {}],
    "older_than": ["", "7", "0d", "d", 7, "7 years"],
    "cache": ["", 5, True],
    "max_age": ["", "soon", True, -1, [1]],
    "stale_if_error": ["never", True],
    "base_url": ["", "api.tmapi.top", "ftp://x", "http://u:p@h", 5, "https://h/?a"],
    "auth": ["", "Query", 1, True],
    "token_file": ["", 5],
}


def fields_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the options of a struct with their defaults, those of its groups included."""
    hints = typing.get_type_hints(struct)
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        kind = hints[field.name]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            fields |= fields_of(kind)
        else:
            fields[field.name] = field.default
    return fields


def options_of(command: str) -> dict[str, Any]:
    """Return the options of a command with their defaults."""
    module = import_module(f"tmapi_async.cli.commands.{command}")
    return fields_of(getattr(module, f"{command.title()}Options"))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_key_is_an_option_of_every_command_that_it_concerns(command: str) -> None:
    """Each key has the name of an option, and says the default of that option."""
    options = options_of(command)
    for name, key in keys_of(command).items():
        assert name in options, name
        default = options[name]
        if isinstance(default, bool):
            assert key.default == str(default).lower()
        elif default is not None:
            assert str(default).removesuffix(".0") in key.default, name


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_files_set_elsewhere_is_set_by_them_here_or_means_another_thing(
    command: str,
) -> None:
    """A command leaves a key out only where its option of that name is another one."""
    others = {"journal", "refresh", "unique"}  # of categories and export
    others |= {"max_pages"} if command == "details" else set()  # pages of ratings, not of listings
    assert options_of(command).keys() & KEYS.keys() - keys_of(command).keys() <= others


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_value_that_makes_no_sense_is_refused_by_its_key(name: str, value: Any) -> None:
    """The message names the key, whatever the type of the value."""
    with pytest.raises(InvalidRequestError, match=name):
        KEYS[name].value(name, value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("concurrency", 8, "8"),
        ("concurrency", "8", "8"),
        ("concurrency", "auto", "auto"),
        ("lookahead", 0, "0"),
        ("lookahead", "off", "off"),
        ("wait", 0, 0),
        ("confirm_above", 0, 0),
        ("max_age", 90, "90"),
        ("max_age", "6h", "6h"),
    ],
)
def test_a_value_becomes_the_one_of_the_option(name: str, value: Any, expected: Any) -> None:
    """Options that are words or numbers are texts."""
    assert KEYS[name].value(name, value) == expected


def test_the_example_file_sets_nothing_until_it_is_edited(tmp_path: Path) -> None:
    """Every key of it is a comment."""
    path = tmp_path / "config.toml"
    path.write_text(example_file(), "utf-8")
    assert SettingFile(path, "user").settings(KEYS) == {}


def test_the_example_file_has_a_valid_value_for_every_key(tmp_path: Path) -> None:
    """Without the comment signs before its keys, the file sets all of them."""
    lines = [line.removeprefix("# ") for line in example_file().split("\n") if " = " in line]
    path = tmp_path / "config.toml"
    path.write_text("\n".join(lines), "utf-8")
    assert list(SettingFile(path, "user").settings(KEYS)) == list(KEYS)


def test_the_reference_has_a_row_for_every_key() -> None:
    """The page says the default of each key, and the commands that it concerns."""
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    table = page[page.index("| key | default | commands |") :].partition("\n\n")[0]
    rows = [
        f"| `{name}` | {key.default} | {', '.join(f'`{command}`' for command in key.commands)} |"
        for name, key in KEYS.items()
    ]
    assert table.splitlines()[2:] == rows


def test_the_files_of_the_how_to_page_are_valid(tmp_path: Path) -> None:
    """Each sample can be pasted; only that of the user has keys that are the user's alone."""
    page = (ROOT / "docs" / "how-to" / "settings.md").read_text(encoding="utf-8")
    samples = re.findall(r'```toml title="([^"]+)"\n(.*?)```', page, re.DOTALL)
    assert [title for title, _ in samples] == ["tmapi.toml", "~/.config/tmapi/config.toml"]
    for (_, text), kind in zip(samples, ("project", "user"), strict=True):
        path = tmp_path / "file.toml"
        path.write_text(text, "utf-8")
        assert SettingFile(path, kind).settings(KEYS)


ANY_TOML = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.dates(),
        st.sampled_from(["~root/x", "~nobody-of-this-name/x", "://", "http://[", "-", "7d", "1e5"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.sampled_from(sorted(KEYS)), ANY_TOML)
def test_any_value_is_taken_or_refused(name: str, value: Any) -> None:
    """No value of TOML, of whatever type, causes another error than a refusal."""
    with suppress(InvalidRequestError):
        KEYS[name].located(KEYS[name].value(name, value), Path("folder"))
