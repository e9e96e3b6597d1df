"""Job files: what a large job asks for, as TOML, checked with the line of each mistake.

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
from typing import Any, NoReturn

import msgspec

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.listings import parse_id, read_params
from tmapi_async.cli.textfiles import read_text
from tmapi_async.errors import InvalidRequestError

from .id_lists import read_ids
from .listing_options import ListingGroup, find_endpoint

_KEYS = {
    "cat_ids": "cat_id",
    "keywords": "keyword",
    "member_ids": "member_id",
    "shop_urls": "shop_url",
}
"""List in a table of listings -> the parameter that its values are of."""

_SECRETS = ("token", "apitoken", "api_token", "apikey")


class JobFile(msgspec.Struct, frozen=True):
    """A job file that was read and checked.

    Attributes:
        options: Option of the command to its value.
        groups: The listings, a group for each table.
    """

    options: dict[str, Any]
    groups: list[ListingGroup]


def read_job(path: Path, allowed: Mapping[str, type | tuple[type, ...]]) -> JobFile:
    """Read a job file.

    Args:
        path: The file.
        allowed: The options that it may set, with the types of their values.

    Raises:
        InvalidRequestError: It cannot be read, or says something that makes no sense; the message
            names the file and, where it can be told, the line.
    """
    text = _text(path)
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequestError(f"{path}: {_first_lower(str(error))}") from None
    except RecursionError:
        raise InvalidRequestError(f"{path}: it is nested too deeply") from None
    return _Reader(path, text, allowed).read(found)


def _text(path: Path) -> str:
    return read_text(path, f"the job file {path}")


def _first_lower(text: str) -> str:
    return text[:1].lower() + text[1:]


class _Reader:
    def __init__(
        self, path: Path, text: str, allowed: Mapping[str, type | tuple[type, ...]]
    ) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._allowed = allowed

    def read(self, found: dict[str, Any]) -> JobFile:
        tables = found.pop("listings", None)
        for name, value in found.items():
            self._check_option(name, value)
        if not isinstance(tables, list) or not tables:
            self._refuse(None, "listings", "it has no [[listings]]: it says nothing to walk")
        groups = [self._group(number, table) for number, table in enumerate(tables)]
        return JobFile(found, groups)

    def _check_option(self, name: str, value: object) -> None:
        if name.lower() in _SECRETS:
            self._refuse(None, name, f"{name} does not belong into a file that is passed on: "
                         "set TMAPI_TOKEN, or name a token_file")  # fmt: skip
        if name not in self._allowed:
            near = difflib.get_close_matches(name, [*self._allowed, "listings"], 1)
            hint = f"; did you mean {near[0]}?" if near else f". It may set {self._known()}"
            self._refuse(None, name, f"there is no option {name}{hint}")
        kinds = self._allowed[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            self._refuse(None, name, f"{name} cannot be {value!r}")

    def _known(self) -> str:
        return ", ".join(self._allowed)

    def _group(self, number: int, table: object) -> ListingGroup:
        if not isinstance(table, dict):
            self._refuse(None, "listings", "listings must be tables: [[listings]]")
        params = dict(table)
        name = params.pop("endpoint", "category-v1")
        with self._at(number, "endpoint"):
            endpoint = find_endpoint(str(name))
        keys: dict[str, Any] = {}
        repeated = 0
        for key, param in _KEYS.items():
            given = params.pop(key, None)
            source = params.pop(f"{key}_file", None)
            values = self._values(number, key, param, given, source)
            if values:
                keys[param] = list(dict.fromkeys(values))
                repeated += len(values) - len(keys[param])
        for key, value in params.items():
            # One by one, so that the line of the wrong one is known.
            with self._at(number, key):
                _check(endpoint, key, value)
        first = next((key for key, param in _KEYS.items() if param in keys), "endpoint")
        with self._at(number, first):
            return ListingGroup(endpoint, params, keys, repeated)

    def _values(
        self, number: int, key: str, param: str, given: object, source: object
    ) -> list[Any]:
        values: list[Any] = []
        if given is not None:
            if not isinstance(given, list):
                self._refuse(number, key, f"{key} must be a list, not {given!r}")
            for one in given:
                with self._at(number, key, one):
                    values.append(_value(key, param, one))
        if source is not None:
            with self._at(number, f"{key}_file"):
                values += self._from_file(f"{key}_file", param, source)
        return values

    def _from_file(self, name: str, param: str, source: object) -> list[Any]:
        if not isinstance(source, str) or "\0" in source:
            raise InvalidRequestError(f"{name} must be the name of a file, not {source!r}")
        # Beside the job file: a job is often run from elsewhere.
        path = self._path.parent / source
        if param == "cat_id":
            return list(read_ids([f"@{path}"], io.BytesIO()).ids)
        lines = [line.strip() for line in _text(path).splitlines()]
        return [line for line in lines if line and not line.startswith("#")]

    @contextmanager
    def _at(self, number: int, key: str, value: object = None) -> Iterator[None]:
        """Put the line before what is refused inside."""
        try:
            yield
        except InvalidRequestError as error:
            self._refuse(number, key, error.message, value)

    def _refuse(self, number: int | None, key: str, reason: str, value: object = None) -> NoReturn:
        line = _line(self._lines, number, key, value)
        where = f"{self._path}, line {line}" if line else str(self._path)
        raise InvalidRequestError(f"{where}: {reason}")


def _value(key: str, param: str, value: object) -> int | str:
    if param == "cat_id":
        return parse_id(value)
    if not isinstance(value, str):
        raise InvalidRequestError(f"{key} must be texts, not {value!r}")
    return value


def _check(endpoint: Endpoint, key: str, value: object) -> None:
    several = next((many for many, one in _KEYS.items() if one == key), None)
    if several is not None:
        raise InvalidRequestError(f"write {several} = [...] in place of {key}")
    read_params(endpoint, {key: value})


_HEADER = re.compile(r"\s*\[\[\s*listings\s*\]\]")


def _line(lines: list[str], number: int | None, key: str, value: object) -> int | None:
    """The line of a key: of the whole file for None, else of its n-th table of listings.

    tomllib tells the lines of what is no TOML only. What is written in another way than one key a
    line is given the line of its table.
    """
    heads = [n for n, text in enumerate(lines) if _HEADER.match(text)]
    if number is None:
        start, end = 0, heads[0] if heads else len(lines)
    elif number < len(heads):
        start = heads[number]
        end = heads[number + 1] if number + 1 < len(heads) else len(lines)
    else:
        return None
    wanted = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
    for at in range(start, end):
        if wanted.match(lines[at]):
            return _line_of_value(lines[at:end], value) + at + 1
    return start + 1 if number is not None else None


def _line_of_value(lines: list[str], value: object) -> int:
    if value is None:
        return 0
    wanted = re.compile(rf"(?<![\w.]){re.escape(str(value))}(?![\w.])")
    return next((n for n, text in enumerate(lines) if wanted.search(text)), 0)
