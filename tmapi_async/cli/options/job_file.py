"""Job files: the listings and options of a large job, as TOML.

Every mistake is reported with its line. An example:

    journal = "shop.journal"
    to = ["items.parquet"]
    max_requests = 50_000

    [[listings]]
    endpoint = "category-v2"
    cat_ids = [1031910, 1031922]
    sort = "sales"

    [[listings]]
    endpoint = "search"
    keywords_file = "keywords.txt"
"""

from __future__ import annotations

import difflib
import io
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import msgspec

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.listings import parse_id, read_params
from tmapi_async.cli.textfiles import read_text, user_path
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value

from .id_lists import IdKind, read_ids
from .listing_options import find_endpoint
from .listing_sets import ListingGroup

OptionTypes: TypeAlias = Mapping[str, type | tuple[type, ...]]

_KEYS = {
    "cat_ids": "cat_id",
    "item_ids": "item_id",
    "keywords": "keyword",
    "member_ids": "member_id",
    "shop_urls": "shop_url",
}
"""List in a table of listings -> parameter of its values."""

_ID_LISTS: Mapping[str, IdKind] = {"cat_ids": "category", "item_ids": "product"}

_SECRETS = ("token", "apitoken", "api_token", "apikey")


class JobFile(msgspec.Struct, frozen=True):
    """A job file after it was read and checked.

    Attributes:
        options: Values of options by their names.
        groups: Listings, one group for each table.
    """

    options: dict[str, Any]
    groups: list[ListingGroup]


def read_job(path: Path, option_types: OptionTypes) -> JobFile:
    """Read a job file.

    Args:
        path: The file.
        option_types: Options that the file may set, with the types of their values.

    Raises:
        InvalidRequestError: The file cannot be read, or has an invalid entry; the message names the
            file and, where known, the line.
    """
    text = _read_file(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequestError(f"{path}: {_lower_first(str(error))}") from None
    except ValueError:  # Python refuses to read an int of more than 4,300 digits
        raise InvalidRequestError(f"{path}: a number has too many digits") from None
    except RecursionError:
        raise InvalidRequestError(f"{path}: the values are nested too deeply") from None
    return _JobReader(path, text, option_types).read(document)


def _read_file(path: Path) -> str:
    return read_text(path, f"the job file {path}")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


class _JobReader:
    def __init__(self, path: Path, text: str, option_types: OptionTypes) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._option_types = option_types

    def read(self, document: dict[str, Any]) -> JobFile:
        tables = document.pop("listings", None)
        for name, value in document.items():
            self._check_option(name, value)
        if not isinstance(tables, list) or not tables:
            self._refuse(None, "listings", "the file has no [[listings]]: add at least one table")
        groups = [self._group(number, table) for number, table in enumerate(tables)]
        return JobFile(document, groups)

    def _check_option(self, name: str, value: object) -> None:
        if name.lower() in _SECRETS:
            self._refuse(None, name, f"{name} does not belong in a file that others may see: "
                         "set TMAPI_TOKEN, or use token_file")  # fmt: skip
        if name not in self._option_types:
            similar = difflib.get_close_matches(name, [*self._option_types, "listings"], 1)
            hint = (
                f" (did you mean {similar[0]}?)"
                if similar
                else f": use one of {', '.join(self._option_types)}"
            )
            self._refuse(None, name, f"there is no option {name}{hint}")
        types = self._option_types[name]
        if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
            self._refuse(None, name, f"{name} cannot be {show_value(value)}")

    def _group(self, number: int, table: object) -> ListingGroup:
        if not isinstance(table, dict):
            self._refuse(None, "listings", "listings must be tables: write [[listings]]")
        params = dict(table)
        name = params.pop("endpoint", "category-v1")
        with self._located(number, "endpoint"):
            endpoint = find_endpoint(str(name))
        keys: dict[str, Any] = {}
        repeated = 0
        for key, param in _KEYS.items():
            values = self._values(number, key, params.pop(key, None))
            values += self._values_of_file(number, f"{key}_file", params.pop(f"{key}_file", None))
            if values:
                keys[param] = list(dict.fromkeys(values))
                repeated += len(values) - len(keys[param])
        for key, value in params.items():
            # One by one, so that the line of the wrong one is known.
            with self._located(number, key):
                _check_param(endpoint, key, value)
        first = next((key for key, param in _KEYS.items() if param in keys), "endpoint")
        with self._located(number, first):
            return ListingGroup(endpoint, params, keys, repeated)

    def _values(self, number: int, key: str, entries: object) -> list[Any]:
        if entries is None:
            return []
        if not isinstance(entries, list):
            self._refuse(number, key, f"{key} must be a list, not {show_value(entries)}")
        values: list[Any] = []
        for entry in entries:
            with self._located(number, key, entry):
                values.append(_key_value(key, entry))
        return values

    def _values_of_file(self, number: int, key: str, name: object) -> list[Any]:
        if name is None:
            return []
        with self._located(number, key):
            return self._read_values(key, name)

    def _read_values(self, key: str, name: object) -> list[Any]:
        if not isinstance(name, str) or "\0" in name:
            raise InvalidRequestError(f"{key} must be the name of a file, not {show_value(name)}")
        # Relative to the job file, since a job is often run from another folder.
        path = self._path.parent / user_path(name)
        kind = _ID_LISTS.get(key.removesuffix("_file"))
        if kind is not None:
            return list(read_ids([f"@{path}"], io.BytesIO(), kind).ids)
        lines = [line.strip() for line in _read_file(path).splitlines()]
        return [line for line in lines if line and not line.startswith("#")]

    @contextmanager
    def _located(self, number: int, key: str, value: object = None) -> Iterator[None]:
        """Add file and line to an error that is raised inside."""
        try:
            yield
        except InvalidRequestError as error:
            self._refuse(number, key, error.message, value)

    def _refuse(self, number: int | None, key: str, reason: str, value: object = None) -> NoReturn:
        line = _line_number(self._lines, number, key, value)
        place = f"{self._path}, line {line}" if line else str(self._path)
        raise InvalidRequestError(f"{place}: {reason}")


def _key_value(key: str, entry: object) -> int | str:
    if key in _ID_LISTS:
        return parse_id(entry, _ID_LISTS[key])
    if not isinstance(entry, str):
        raise InvalidRequestError(f"{key} must be texts, not {show_value(entry)}")
    return entry


def _check_param(endpoint: Endpoint, key: str, value: object) -> None:
    plural = next((name for name, param in _KEYS.items() if param == key), None)
    if plural is not None:
        raise InvalidRequestError(f"write {plural} = [...] in place of {key}")
    read_params(endpoint, {key: value})


_HEADER = re.compile(r"\s*\[\[\s*listings\s*\]\]")


def _line_number(lines: list[str], number: int | None, key: str, value: object) -> int | None:
    """Return the line of a key, or None if it is unknown.

    tomllib reports lines only for text that is not TOML. An entry that is not written as one key
    per line gets the line of its table.

    Args:
        lines: Lines of the file.
        number: Index of the table of listings; None for the options above the tables.
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
