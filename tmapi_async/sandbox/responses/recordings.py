"""Recorded bodies: the files of a folder, served in place of the catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

PATHS: Mapping[str, str] = {endpoint.name: path for path, endpoint in ROUTES.items()}
"""Name of an endpoint in a file's name -> its path."""

_KEYS = ("cat_id", "item_id")
_NAME = re.compile(
    r"(?:.+?-)??(?P<name>"
    + "|".join(sorted(map(re.escape, PATHS), key=len, reverse=True))
    + r")(?:-v1)?(?:-(?P<key>\d+))?(?:-p(?P<page>\d+))?"
)
_ERROR = re.compile(r"error-(?:(?P<status>[1-5]\d\d)-)?.+")


@dataclass
class _RecordedListing:
    pages: dict[int, bytes] = field(default_factory=dict)


class Recordings:
    """The recorded bodies of a folder.

    The name of a file says which requests it answers:

        [PREFIX-]ENDPOINT[-v1][-ID][-pN].json   doc-category-items-v1.json, category-items-7-p2.json
        error-[STATUS-]WORDS.json               error-401-missing-key.json

    ENDPOINT is one of `category-items`, `category-items-v2`, `search-items`, `shop-items`,
    `shop-items-v2`, `global-search-items`, `category-info`, `item-detail`, `item-desc`,
    `item-shipping`, `item-statistics-sales` and `item-rating`. ID is the category (or item) of the
    recording; a file without ID answers for every ID that has no file. N is the page; without it
    the page number in the body counts, or else 1. Other files are ignored.

    Rows are served as recorded. Paging signals are changed if they would lead a walk to pages that
    were not recorded: the last recorded page has `has_next_page` false, and `total_count`, if
    present, is the number of recorded rows (in the recorded type), so that a walk ends complete.
    `verbatim` leaves every byte unchanged. A page that was not recorded has no rows and no next
    page.

    An error body is a fault with the name of its file (`error-401-missing-key`). It is served with
    the HTTP status in the name, or with 200 if the name has none.

    Args:
        folder: The folder of the files.
        verbatim: Serve every page byte for byte.

    Attributes:
        errors: Name of each error body -> its HTTP status and bytes.
        ignored: Names of files that follow no rule.

    Raises:
        ValueError: The folder cannot be read, a file is not JSON, or no name fits the rules.
    """

    def __init__(self, folder: Path | str, *, verbatim: bool = False) -> None:
        self.folder = Path(folder)
        self.errors: dict[str, tuple[int, bytes]] = {}
        self.ignored: list[str] = []
        self._listings: dict[str, dict[str, _RecordedListing]] = {}
        for file in self._files():
            self._add(file)
        if not self._listings and not self.errors:
            raise ValueError(
                f"{folder}: no file has the name of a recording, for example category-items-p1.json"
            )
        if not verbatim:
            for listings in self._listings.values():
                for listing in listings.values():
                    _end_listing(listing)

    @property
    def paths(self) -> frozenset[str]:
        """Paths of the endpoints with a recording."""
        return frozenset(self._listings)

    def body(self, path: str, query: Mapping[str, str], page: int) -> bytes:
        """Return the body for a request to one of `paths`."""
        listings = self._listings[path]
        key = next((query[name] for name in _KEYS if name in query), "")
        listing = listings.get(key) or listings.get("") or _RecordedListing()
        if not ROUTES[path].paged:
            return next(iter(listing.pages.values()), _empty_page(page, None))
        return listing.pages.get(page) or _empty_page(
            page, next(iter(listing.pages.values()), None)
        )

    def _files(self) -> list[Path]:
        try:
            return sorted(file for file in self.folder.iterdir() if file.suffix == ".json")
        except OSError as error:
            raise ValueError(f"{self.folder}: {error.strerror}") from None

    def _add(self, file: Path) -> None:
        body, name = file.read_bytes(), _NAME.fullmatch(file.stem)
        try:
            reply = msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise ValueError(f"{file}: not JSON: {error}") from None
        if match := _ERROR.fullmatch(file.stem):
            self.errors[file.stem] = (int(match["status"] or 200), body)
        elif name is None:
            self.ignored.append(file.name)
        else:
            path = PATHS[name["name"]]
            listings = self._listings.setdefault(path, {})
            listing = listings.setdefault(name["key"] or "", _RecordedListing())
            listing.pages[int(name["page"] or _data(reply).get("page", 1))] = body


def _data(reply: Any) -> dict[str, Any]:
    data = reply.get("data") if isinstance(reply, dict) else None
    return data if isinstance(data, dict) else {}


def _end_listing(listing: _RecordedListing) -> None:
    """Change the paging signals so that a walk ends at the last recorded page."""
    replies = {page: msgspec.json.decode(body) for page, body in listing.pages.items()}
    rows = sum(len(_data(reply).get("items") or ()) for reply in replies.values())
    for page, reply in replies.items():
        data = _data(reply)
        changes: dict[str, Any] = {}
        if page == max(replies) and "has_next_page" in data:
            changes["has_next_page"] = False
        if isinstance(data.get("total_count"), (int, str)):
            changes["total_count"] = type(data["total_count"])(rows)
        if any(data[name] != value for name, value in changes.items()):
            data.update(changes)
            listing.pages[page] = msgspec.json.encode(reply)


def _empty_page(page: int, example: bytes | None) -> bytes:
    """Return a page that was not recorded: the envelope of a recorded page, without rows."""
    data = dict(_data(msgspec.json.decode(example))) if example else {"page_size": 20}
    data |= {"page": page, "list" if "list" in data else "items": []}
    if "list" in data:
        return msgspec.json.encode({"code": 200, "msg": "success", "data": data})
    if "total_count" not in data or "has_next_page" in data:
        data["has_next_page"] = False
    return msgspec.json.encode({"code": 200, "msg": "success", "data": data})
