"""Recorded bodies: serving the files of a folder in place of a generated catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .routes import GENERATED

if TYPE_CHECKING:
    from collections.abc import Mapping

PATHS: Mapping[str, str] = {endpoint.name: path for path, endpoint in GENERATED.items()}
"""Name of an endpoint in a file's name -> its path."""

_KEYS = ("cat_id", "item_id")
_NAME = re.compile(
    r"(?:.+?-)??(?P<name>"
    + "|".join(sorted(map(re.escape, PATHS), key=len, reverse=True))
    + r")(?:-v1)?(?:-(?P<key>\d+))?(?:-p(?P<page>\d+))?"
)
_ERROR = re.compile(r"error-(?:(?P<status>[1-5]\d\d)-)?.+")


@dataclass
class _Listing:
    pages: dict[int, bytes] = field(default_factory=dict)


class Recordings:
    """The recorded bodies of a folder.

    A file's name says what it answers:

        [PREFIX-]ENDPOINT[-v1][-ID][-pN].json   doc-category-items-v1.json, category-items-7-p2.json
        error-[STATUS-]WORDS.json               error-401-missing-key.json

    ENDPOINT is one of `category-items`, `category-items-v2`, `search-items`, `shop-items`,
    `shop-items-v2`, `global-search-items`, `category-info` and `item-detail`. ID is the category
    (or item) it was recorded for; a file without one answers for every ID that has no file of its
    own. N is its page; without it the page number in the body counts, else 1. Other files are
    ignored.

    Rows are served as recorded. The paging signals of a listing are changed where they would send
    a walk to pages that were not recorded: its last recorded page says `has_next_page` false, and
    `total_count`, where there is one, is the number of recorded rows (in the type recorded), so
    that a walk ends complete. `verbatim` leaves every byte as it is. A page that was not recorded
    has no rows and no next page.

    An error body is a fault by its file's name (`error-401-missing-key`), served with the HTTP
    status in the name, or 200 if there is none.

    Args:
        folder: Where the files are.
        verbatim: Serve every page byte for byte.

    Attributes:
        errors: Name of each error body -> its HTTP status and bytes.
        ignored: Names of the files that fit no rule.

    Raises:
        ValueError: The folder cannot be read, a file is not JSON, or no name fits the rules.
    """

    def __init__(self, folder: Path | str, *, verbatim: bool = False) -> None:
        self.folder = Path(folder)
        self.errors: dict[str, tuple[int, bytes]] = {}
        self.ignored: list[str] = []
        self._listings: dict[str, dict[str, _Listing]] = {}
        for file in self._files():
            self._take(file)
        if not self._listings and not self.errors:
            raise ValueError(f"{folder}: no file is named as a recording (category-items-p1.json)")
        if not verbatim:
            for listings in self._listings.values():
                for listing in listings.values():
                    _close(listing)

    @property
    def paths(self) -> frozenset[str]:
        """Paths of the endpoints that have a recording."""
        return frozenset(self._listings)

    def body(self, path: str, query: Mapping[str, str], page: int) -> bytes:
        """The body for a request to one of `paths`."""
        listings = self._listings[path]
        key = next((query[name] for name in _KEYS if name in query), "")
        listing = listings.get(key) or listings.get("") or _Listing()
        if not GENERATED[path].paged:
            return next(iter(listing.pages.values()), _nothing(page, None))
        return listing.pages.get(page) or _nothing(page, next(iter(listing.pages.values()), None))

    def _files(self) -> list[Path]:
        try:
            return sorted(file for file in self.folder.iterdir() if file.suffix == ".json")
        except OSError as problem:
            raise ValueError(f"{self.folder}: {problem.strerror}") from None

    def _take(self, file: Path) -> None:
        body, name = file.read_bytes(), _NAME.fullmatch(file.stem)
        try:
            whole = msgspec.json.decode(body)
        except msgspec.DecodeError as problem:
            raise ValueError(f"{file}: not JSON: {problem}") from None
        if error := _ERROR.fullmatch(file.stem):
            self.errors[file.stem] = (int(error["status"] or 200), body)
        elif name is None:
            self.ignored.append(file.name)
        else:
            path = PATHS[name["name"]]
            listings = self._listings.setdefault(path, {})
            listing = listings.setdefault(name["key"] or "", _Listing())
            listing.pages[int(name["page"] or _data(whole).get("page", 1))] = body


def _data(whole: Any) -> dict[str, Any]:
    data = whole.get("data") if isinstance(whole, dict) else None
    return data if isinstance(data, dict) else {}


def _close(listing: _Listing) -> None:
    """Make the paging signals fit what was recorded."""
    wholes = {page: msgspec.json.decode(body) for page, body in listing.pages.items()}
    rows = sum(len(_data(whole).get("items") or ()) for whole in wholes.values())
    for page, whole in wholes.items():
        data = _data(whole)
        changes: dict[str, Any] = {}
        if page == max(wholes) and "has_next_page" in data:
            changes["has_next_page"] = False
        if isinstance(data.get("total_count"), (int, str)):
            changes["total_count"] = type(data["total_count"])(rows)
        if any(data[name] != value for name, value in changes.items()):
            data.update(changes)
            listing.pages[page] = msgspec.json.encode(whole)


def _nothing(page: int, example: bytes | None) -> bytes:
    """A page that was not recorded: the envelope of one that was, without rows."""
    data = dict(_data(msgspec.json.decode(example))) if example else {"page_size": 20}
    data |= {"page": page, "items": []}
    if "total_count" not in data or "has_next_page" in data:
        data["has_next_page"] = False
    return msgspec.json.encode({"code": 200, "msg": "success", "data": data})
