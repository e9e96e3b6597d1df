"""Looking at a sandbox and changing it over HTTP, for those in another process.

`GET /__stats__` and `GET /__catalogue__` show, `POST /__set__` changes
(`{"limit": 4, "latency": 0.1}`). No token is asked for and none is ever shown.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from tmapi_async.sandbox.catalogue.catalogue import Catalogue
from tmapi_async.sandbox.responses.config import Config
from tmapi_async.sandbox.responses.stats import Stats

_HELP = "there are GET /__stats__, GET /__catalogue__ and POST /__set__"


class _Changes(msgspec.Struct, forbid_unknown_fields=True):
    limit: int | UnsetType | None = UNSET
    latency: float | UnsetType = UNSET
    latency_sigma: float | UnsetType = UNSET
    quota: int | UnsetType | None = UNSET
    retry_after: float | str | UnsetType | None = UNSET
    shift: float | UnsetType = UNSET
    ceiling: int | UnsetType | None = UNSET


class Controllable(Protocol):
    """Shows and changes the settings of a sandbox; `Sandbox` is one."""

    @property
    def catalogue(self) -> Catalogue:
        """The products it shows."""
        ...

    @property
    def config(self) -> Config:
        """Its settings now."""
        ...

    @property
    def stats(self) -> Stats:
        """Counts of the requests so far."""
        ...

    def change(self, **changes: Any) -> None:
        """Change settings while the server runs."""
        ...


def is_control(path: str) -> bool:
    """Whether a path is for the sandbox itself, not for the API."""
    return path.startswith("/__")


def answer(sandbox: Controllable, method: str, path: str, body: bytes) -> web.Response:
    """Answer a request to the sandbox itself."""
    match method, path:
        case "GET", "/__stats__":
            return _json(sandbox.stats.as_dict())
        case "GET", "/__catalogue__":
            held = sandbox.catalogue
            sizes = {str(cat_id): held.size(cat_id) for cat_id in held}
            return _json({"seed": held.seed, "page_size": held.page_size, "categories": sizes})
        case "POST", "/__set__":
            return _set(sandbox, body)
        case _:
            return _json({"message": _HELP}, 404)


def _set(sandbox: Controllable, body: bytes) -> web.Response:
    try:
        changes = msgspec.structs.asdict(msgspec.json.decode(body, type=_Changes))
        sandbox.change(**{name: value for name, value in changes.items() if value is not UNSET})
    except (ValueError, msgspec.DecodeError) as problem:
        return _json({"message": str(problem)}, 422)
    return _json({name: getattr(sandbox.config, name) for name in _Changes.__struct_fields__})


def _json(body: object, status: int = 200) -> web.Response:
    content = msgspec.json.encode(body)
    return web.Response(status=status, body=content, content_type="application/json")
