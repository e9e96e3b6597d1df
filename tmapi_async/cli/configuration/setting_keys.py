"""Keys that settings files and job files may set: their values, and the commands they concern.

A key has the name of its option. To let files set another option, add it to `KEYS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from tmapi_async.cli.textfiles import user_path
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value
from tmapi_async.transport.credentials import DEFAULT_BASE_URL

from .setting_values import (
    one_of,
    read_above_zero,
    read_address,
    read_age_text,
    read_destinations,
    read_duration_text,
    read_flag,
    read_number,
    read_share,
    read_text_value,
    read_whole,
    read_whole_from_zero,
    word_or_number,
)

Names: TypeAlias = Literal["path", "path or address", "destinations"]
"""Kind of a value that names files: paths are relative to the folder of the settings file."""

_SENDING = ("items", "harvest", "details", "categories", "check", "report")
_LISTINGS = ("items", "harvest")
_LOGGING = ("items", "harvest", "details", "categories", "check")
_CACHING = ("items", "categories")
_TOKEN = "decides where the token goes"  # noqa: S105 - a reason


class SettingKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of settings files.

    Attributes:
        read: Function that returns a value as the option takes it; raises `ValueError` or
            `InvalidRequestError` for a wrong value.
        expected: Accepted values in words.
        commands: Commands that the key concerns.
        about: Meaning, for the example file.
        default: Value in force without any setting, in words.
        example: Value as TOML, for the example file.
        names: Kind of files that the value names, or None.
        personal: Reason why a project's file must not set it, or None if it may.
        limit: True if a project's file can only lower what the user's file says.
    """

    read: Callable[[Any], Any]
    expected: str
    commands: tuple[str, ...]
    about: str
    default: str
    example: str
    names: Names | None = None
    personal: str | None = None
    limit: bool = False

    def value(self, name: str, value: object) -> Any:
        """Return a value as the option takes it.

        Args:
            name: Name of the key, for the message.
            value: The value in the file.

        Raises:
            InvalidRequestError: The value has another type, or makes no sense.
        """
        try:
            return self.read(value)
        except InvalidRequestError as error:
            raise InvalidRequestError(f"{name}: {error.message}") from None
        except (TypeError, ValueError):
            raise InvalidRequestError(
                f"{name} must be {self.expected}, not {show_value(value)}"
            ) from None

    def located(self, value: Any, folder: Path) -> Any:
        """Return a value with its paths relative to a folder.

        Raises:
            InvalidRequestError: A path begins with the home folder of an unknown user.
        """
        if self.names is None:
            return value
        if self.names == "path":
            return folder / user_path(value)
        if self.names == "destinations":
            return [_place(target, folder) for target in value]
        return _place(value, folder)


def _place(target: str, folder: Path) -> str:
    if target == "-" or "://" in target:
        return target
    return str(folder / user_path(target))


KEYS: Mapping[str, SettingKey] = {
    "concurrency": SettingKey(
        read=word_or_number("auto", least=1),
        expected='"auto" or a whole number from 1',
        commands=_SENDING,
        about="Maximum number of requests at the same time.",
        default="auto",
        example='"auto"',
    ),
    "rate": SettingKey(
        read=read_above_zero,
        expected="a number above 0",
        commands=_SENDING,
        about="Maximum number of requests per second.",
        default="no limit",
        example="20",
    ),
    "timeout": SettingKey(
        read=read_above_zero,
        expected="a number of seconds above 0",
        commands=_SENDING,
        about="Time limit of one request, in seconds.",
        default="60",
        example="60",
    ),
    "wait": SettingKey(
        read=read_number,
        expected="a number of seconds from 0",
        commands=_SENDING,
        about="Time to wait for an API that does not answer any more, in seconds.",
        default="1800 for harvest, else about a minute",
        example="1800",
    ),
    "lookahead": SettingKey(
        read=word_or_number("auto", "off", least=0),
        expected='"auto", "off" or a whole number from 0',
        commands=_SENDING,
        about="Pages to request before it is known that they exist.",
        default="auto",
        example='"auto"',
    ),
    "share": SettingKey(
        read=read_flag,
        expected="true or false",
        commands=_SENDING,
        about="Share the account's limit with the other processes on this machine.",
        default="true",
        example="true",
    ),
    "max_requests": SettingKey(
        read=read_whole,
        expected="a whole number from 1",
        commands=_SENDING,
        about="Maximum number of requests of a command, retries included.",
        default="no limit",
        example="5_000",
        limit=True,
    ),
    "confirm_above": SettingKey(
        read=read_whole_from_zero,
        expected="a whole number from 0",
        commands=("harvest",),
        about="Ask before a harvest that is expected to send more requests than this.",
        default="never",
        example="1_000",
        limit=True,
    ),
    "max_pages": SettingKey(
        read=read_whole,
        expected="a whole number from 1",
        commands=_LISTINGS,
        about="Maximum number of pages per listing.",
        default="no limit",
        example="50",
    ),
    "fail_empty": SettingKey(
        read=read_flag,
        expected="true or false",
        commands=_LISTINGS,
        about="End with exit code 3 if a listing has no item at all.",
        default="false",
        example="true",
    ),
    "most_rejects": SettingKey(
        read=read_share,
        expected="a number from 0 to 1",
        commands=_LISTINGS,
        about="Maximum share of rows that cannot be read.",
        default="0.5",
        example="0.5",
    ),
    "split": SettingKey(
        read=read_flag,
        expected="true or false",
        commands=_LISTINGS,
        about="Divide a listing that the API cuts short into parts that fit.",
        default="false",
        example="false",
    ),
    "ceiling": SettingKey(
        read=read_whole,
        expected="a whole number from 1",
        commands=_LISTINGS,
        about="Number of rows after which the API cuts a listing short (with split).",
        default="2000",
        example="2_000",
    ),
    "unique": SettingKey(
        read=read_flag,
        expected="true or false",
        commands=("items",),
        about="Leave out items that the same listing has already shown.",
        default="false",
        example="true",
    ),
    "journal": SettingKey(
        read=read_text_value,
        expected="the name of a file",
        commands=("harvest", "check"),
        about="File that stores every page of a harvest.",
        default="none",
        example='"shop.journal"',
        names="path",
    ),
    "to": SettingKey(
        read=read_destinations,
        expected="a list of destinations",
        commands=("harvest", "details", "check", "export"),
        about="Destinations of an export, also of that at the end of a harvest.",
        default="none",
        example='["items.csv", "items.parquet"]',
        names="destinations",
    ),
    "history": SettingKey(
        read=read_flag,
        expected="true or false",
        commands=("harvest", "details", "export"),
        about="Also write each change of a price (with to).",
        default="false",
        example="true",
    ),
    "csv_bom": SettingKey(
        read=read_flag,
        expected="true or false",
        commands=("harvest", "details", "export"),
        about="Begin CSV files with a byte-order mark, which Excel on Windows needs.",
        default="false",
        example="true",
    ),
    "refresh": SettingKey(
        read=read_flag,
        expected="true or false",
        commands=("harvest",),
        about="If the last run is complete, begin a new one.",
        default="false",
        example="true",
    ),
    "older_than": SettingKey(
        read=read_age_text,
        expected='an age such as "7d"',
        commands=("harvest", "details"),
        about="Fetch again, in a new run, what was fetched longer ago than this.",
        default="never",
        example='"7d"',
    ),
    "cache": SettingKey(
        read=read_text_value,
        expected="the name of a file or the address of a server",
        commands=_CACHING,
        about="Take pages from this cache, and keep new pages there.",
        default="none",
        example='"pages.db"',
        names="path or address",
    ),
    "max_age": SettingKey(
        read=read_duration_text,
        expected='a duration such as "6h"',
        commands=_CACHING,
        about="Take pages from the cache up to this age.",
        default="1h",
        example='"6h"',
    ),
    "stale_if_error": SettingKey(
        read=read_duration_text,
        expected='a duration such as "7d"',
        commands=_CACHING,
        about="Take older pages from the cache, up to this age, if the API fails.",
        default="never",
        example='"7d"',
    ),
    "log": SettingKey(
        read=one_of("text", "json"),
        expected='"text" or "json"',
        commands=_LOGGING,
        about="Form of log records.",
        default="text",
        example='"json"',
    ),
    "log_file": SettingKey(
        read=read_text_value,
        expected="the name of a file",
        commands=_LOGGING,
        about="File that log records, messages, progress and summary are appended to.",
        default="none",
        example='"harvest.log"',
        names="path",
        personal="appends to any file",
    ),
    "notify": SettingKey(
        read=read_text_value,
        expected="a command",
        commands=("harvest", "details"),
        about="Command to run at the end, with the summary as JSON on its standard input.",
        default="none",
        example='"tee summary.json"',
        personal="runs a command",
    ),
    "base_url": SettingKey(
        read=read_address,
        expected="an address",
        commands=_SENDING,
        about="Address of the API.",
        default=DEFAULT_BASE_URL,
        example=f'"{DEFAULT_BASE_URL}"',
        personal=_TOKEN,
    ),
    "auth": SettingKey(
        read=one_of("query", "header"),
        expected='"query" or "header"',
        commands=_SENDING,
        about="Send the token as a query parameter or as a header.",
        default="query",
        example='"header"',
        personal=_TOKEN,
    ),
    "token_file": SettingKey(
        read=read_text_value,
        expected="the name of a file",
        commands=_SENDING,
        about="File that contains the token.",
        default="none",
        example='"~/.config/tmapi/token"',
        names="path",
        personal=_TOKEN,
    ),
}
"""Every key by its name, in the order of `tmapi config`."""

FLAGS = frozenset(name for name, key in KEYS.items() if key.read is read_flag)
"""Keys that are true or false."""


def keys_of(command: str) -> dict[str, SettingKey]:
    """Return the keys that concern a command."""
    return {name: key for name, key in KEYS.items() if command in key.commands}


def example_file() -> str:
    """Return a settings file with every key, each as a comment."""
    shared = [name for name, key in KEYS.items() if not key.personal]
    personal = [name for name, key in KEYS.items() if key.personal]
    return "\n".join(
        [
            "# Settings of tmapi. Remove the # before a key to set it. An option of a command, an",
            "# environment variable and a job file replace what is set here.",
            *_examples(shared),
            "",
            "# Only the settings file of the user can set the next keys, not a tmapi.toml. A token",
            "# itself belongs in TMAPI_TOKEN or in a token_file.",
            *_examples(personal),
        ]
    )


def _examples(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        yield ""
        yield f"# {KEYS[name].about} Default: {KEYS[name].default}."
        yield f"# {name} = {KEYS[name].example}"
