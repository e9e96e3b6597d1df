"""TOML files that set options: job files, and the settings files of a project and of a user.

Every mistake is reported with its line.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

from tmapi_async.cli.textfiles import read_text
from tmapi_async.errors import InvalidRequestError

from .setting_keys import SettingKey

FileKind: TypeAlias = Literal["job", "project", "user"]

_SECRETS = re.compile(r"(?i)(tmapi[_-]?)?(api[_-]?)?(token|key)|password|secret")
_DESCRIPTIONS: Mapping[FileKind, str] = {
    "job": "the job file",
    "project": "the settings file",
    "user": "the settings file",
}
_MAX_SETTINGS = 2**20


class SettingFile:
    """A TOML file, read but not yet checked.

    Args:
        path: The file.
        kind: Kind of the file: a project's file must not set everything.

    Attributes:
        path: The file.
        document: The content.

    Raises:
        InvalidRequestError: The file cannot be read, or is not TOML; the message names the file
            and, where known, the line.
    """

    def __init__(self, path: Path, kind: FileKind) -> None:
        self.path = path
        self._kind = kind
        description = f"{_DESCRIPTIONS[kind]} {path}"
        limits = {} if kind == "job" else {"limit": _MAX_SETTINGS}
        text = read_text(path, description, **limits)
        self._lines = text.splitlines()
        try:
            self.document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            reason = str(error)
            raise InvalidRequestError(f"{path}: {reason[:1].lower()}{reason[1:]}") from None
        except ValueError:  # Python refuses to read an int of more than 4,300 digits
            raise InvalidRequestError(f"{path}: a number has too many digits") from None
        except RecursionError:
            raise InvalidRequestError(f"{path}: the values are nested too deeply") from None

    def settings(self, keys: Mapping[str, SettingKey]) -> dict[str, Any]:
        """Return the values of all keys above the tables of listings, as the options take them.

        Args:
            keys: Keys that the file may set.

        Raises:
            InvalidRequestError: There is no such key, or its value makes no sense.
        """
        return {
            name: self._setting(name, value, keys)
            for name, value in self.document.items()
            if self._kind != "job" or name != "listings"
        }

    def _setting(self, name: str, value: object, keys: Mapping[str, SettingKey]) -> Any:
        if name not in keys:
            self.refuse(None, name, self._unknown(name, keys))
        key = keys[name]
        if key.personal and self._kind == "project":
            self.refuse(
                None,
                name,
                f"{name} {key.personal}, so a file that comes with a folder must not set it: use "
                f"{_option(name)}, or your own settings file (tmapi config --path)",
            )
        with self.located(None, name):
            located = key.located(key.value(name, value), self.path.parent)
            if key.names is not None and self._kind == "project":
                _check_inside(name, located, self.path.parent)
        return located

    def _unknown(self, name: str, keys: Mapping[str, SettingKey]) -> str:
        if _SECRETS.fullmatch(name):
            return (
                f"{name} does not belong in a file that others may see: "
                "set TMAPI_TOKEN, or use token_file"
            )
        if name == "listings" and self._kind != "job":
            return "listings belong in a job file: name it with --job"
        plain = name.lower().replace("-", "_")
        similar = difflib.get_close_matches(plain, [*keys, "listings"], 1)
        if similar:
            return f"there is no option {name} (did you mean {similar[0]}?)"
        return f"there is no option {name}: use one of {', '.join(keys)}"

    @contextmanager
    def located(self, number: int | None, key: str, value: object = None) -> Iterator[None]:
        """Add file and line to an error that is raised inside.

        Args:
            number: Index of the table of listings; None for the keys above the tables.
            key: Key that is read.
            value: Value in the list of the key, or None.
        """
        try:
            yield
        except InvalidRequestError as error:
            self.refuse(number, key, error.message, value)

    def refuse(self, number: int | None, key: str, reason: str, value: object = None) -> NoReturn:
        """Raise an error that names the file and the line of a key.

        Raises:
            InvalidRequestError: Always.
        """
        line = _line_number(self._lines, number, key, value)
        place = f"{self.path}, line {line}" if line else str(self.path)
        raise InvalidRequestError(f"{place}: {reason}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_inside(name: str, value: Path | str | list[str], folder: Path) -> None:
    """Refuse files outside of a folder, and addresses: a stranger may have written the file."""
    top = folder.resolve()
    for entry in value if isinstance(value, list) else [value]:
        if entry == "-":
            continue
        if "://" in str(entry):
            raise InvalidRequestError(
                f"{name} must name files in a file that comes with a folder, not an address: use "
                f"{_option(name)}, or your own settings file (tmapi config --path)"
            )
        if not Path(entry).resolve().is_relative_to(top):
            raise InvalidRequestError(
                f"{name} must name files below the folder of this file: use {_option(name)}, or "
                "your own settings file (tmapi config --path)"
            )


_HEADER = re.compile(r"\s*\[\[\s*listings\s*\]\]")


def _line_number(lines: list[str], number: int | None, key: str, value: object) -> int | None:
    """Return the line of a key, or None if it is unknown.

    tomllib reports lines only for text that is not TOML. An entry that is not written as one key
    per line gets the line of its table.

    Args:
        lines: Lines of the file.
        number: Index of the table of listings; None for the keys above the tables.
        key: The key.
        value: A value in the list of the key, or None.
    """
    headers = [index for index, text in enumerate(lines) if _HEADER.match(text)]
    if number is None:
        start, end = 0, headers[0] if headers else len(lines)
    elif number < len(headers):
        start = headers[number]
        end = headers[number + 1] if number + 1 < len(headers) else len(lines)
    else:
        return None
    pattern = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
    for index in range(start, end):
        if pattern.match(lines[index]):
            return _value_offset(lines[index:end], value) + index + 1
    return start + 1 if number is not None else None


def _value_offset(lines: list[str], value: object) -> int:
    if value is None:
        return 0
    pattern = re.compile(rf"(?<![\w.]){re.escape(str(value))}(?![\w.])")
    return next((index for index, text in enumerate(lines) if pattern.search(text)), 0)
