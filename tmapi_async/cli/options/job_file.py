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

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.listings import parse_id, read_params
from tmapi_async.cli.configuration.setting_file import SettingFile
from tmapi_async.cli.configuration.setting_keys import SettingKey
from tmapi_async.cli.textfiles import read_text, user_path
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value

from .id_lists import IdKind, read_ids
from .listing_options import find_endpoint
from .listing_sets import ListingGroup

_KEYS = {
    "cat_ids": "cat_id",
    "item_ids": "item_id",
    "keywords": "keyword",
    "member_ids": "member_id",
    "shop_urls": "shop_url",
}
"""List in a table of listings -> parameter of its values."""

_ID_LISTS: Mapping[str, IdKind] = {"cat_ids": "category", "item_ids": "product"}


class JobFile(msgspec.Struct, frozen=True):
    """A job file after it was read and checked.

    Attributes:
        options: Values of options by their names, as the options take them.
        groups: Listings, one group for each table.
    """

    options: dict[str, Any]
    groups: list[ListingGroup]


def read_job(path: Path, keys: Mapping[str, SettingKey]) -> JobFile:
    """Read a job file.

    Args:
        path: The file.
        keys: Options that the file may set.

    Raises:
        InvalidRequestError: The file cannot be read, or has an invalid entry; the message names the
            file and, where known, the line.
    """
    return _JobReader(SettingFile(path, "job")).read(keys)


class _JobReader:
    def __init__(self, file: SettingFile) -> None:
        self._file = file

    def read(self, keys: Mapping[str, SettingKey]) -> JobFile:
        options = self._file.settings(keys)
        tables = self._file.document.get("listings")
        if not isinstance(tables, list) or not tables:
            reason = "the file has no [[listings]]: add at least one table"
            self._file.refuse(None, "listings", reason)
        groups = [self._group(number, table) for number, table in enumerate(tables)]
        return JobFile(options, groups)

    def _group(self, number: int, table: object) -> ListingGroup:
        if not isinstance(table, dict):
            self._file.refuse(None, "listings", "listings must be tables: write [[listings]]")
        params = dict(table)
        name = params.pop("endpoint", "category-v1")
        with self._file.located(number, "endpoint"):
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
            with self._file.located(number, key):
                _check_param(endpoint, key, value)
        first = next((key for key, param in _KEYS.items() if param in keys), "endpoint")
        with self._file.located(number, first):
            return ListingGroup(endpoint, params, keys, repeated)

    def _values(self, number: int, key: str, entries: object) -> list[Any]:
        if entries is None:
            return []
        if not isinstance(entries, list):
            self._file.refuse(number, key, f"{key} must be a list, not {show_value(entries)}")
        values: list[Any] = []
        for entry in entries:
            with self._file.located(number, key, entry):
                values.append(_key_value(key, entry))
        return values

    def _values_of_file(self, number: int, key: str, name: object) -> list[Any]:
        if name is None:
            return []
        with self._file.located(number, key):
            return self._read_values(key, name)

    def _read_values(self, key: str, name: object) -> list[Any]:
        if not isinstance(name, str) or "\0" in name:
            raise InvalidRequestError(f"{key} must be the name of a file, not {show_value(name)}")
        # Relative to the job file, since a job is often run from another folder.
        path = self._file.path.parent / user_path(name)
        kind = _ID_LISTS.get(key.removesuffix("_file"))
        if kind is not None:
            return list(read_ids([f"@{path}"], io.BytesIO(), kind).ids)
        lines = [line.strip() for line in read_text(path, f"the list {path}").splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


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
