"""Control of a sandbox over HTTP, for other processes.

`GET /__stats__` and `GET /__catalogue__` show the state, `POST /__set__` changes options
(`{"limit": 4, "latency": 0.1}`). No token is needed, and no token is ever shown.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from tmapi_async.sandbox.catalogue.catalogue import Catalogue
from tmapi_async.sandbox.responses.config import Config
from tmapi_async.sandbox.responses.stats import Stats

_HELP = "use GET /__stats__, GET /__catalogue__ or POST /__set__"


class _OptionChanges(msgspec.Struct, forbid_unknown_fields=True):
    limit: int | UnsetType | None = UNSET
    latency: float | UnsetType = UNSET
    latency_sigma: float | UnsetType = UNSET
    quota: int | UnsetType | None = UNSET
    retry_after: float | str | UnsetType | None = UNSET
    shift: float | UnsetType = UNSET
    ceiling: int | UnsetType | None = UNSET


class Controllable(Protocol):
    """A sandbox whose options can be shown and changed. `Sandbox` implements this protocol."""

    @property
    def catalogue(self) -> Catalogue:
        """The products."""
        ...

    @property
    def config(self) -> Config:
        """The configuration in force."""
        ...

    @property
    def stats(self) -> Stats:
        """Statistics of the requests so far."""
        ...

    def change(self, **changes: Any) -> None:
        """Change options while the server runs."""
        ...


def is_control(path: str) -> bool:
    """Return True if a path belongs to the sandbox itself, not to the API."""
    return path.startswith("/__")


def answer(sandbox: Controllable, method: str, path: str, body: bytes) -> web.Response:
    """Answer a request to the sandbox itself."""
    match method, path:
        case "GET", "/__stats__":
            return _json(sandbox.stats.as_dict())
        case "GET", "/__catalogue__":
            catalogue = sandbox.catalogue
            sizes = {str(cat_id): catalogue.size(cat_id) for cat_id in catalogue}
            return _json(
                {"seed": catalogue.seed, "page_size": catalogue.page_size, "categories": sizes}
            )
        case "POST", "/__set__":
            return _set(sandbox, body)
        case _:
            return _json({"message": _HELP}, 404)


def _set(sandbox: Controllable, body: bytes) -> web.Response:
    try:
        changes = msgspec.structs.asdict(msgspec.json.decode(body, type=_OptionChanges))
        sandbox.change(**{name: value for name, value in changes.items() if value is not UNSET})
    except (ValueError, msgspec.DecodeError) as error:
        return _json({"message": str(error)}, 422)
    return _json({name: getattr(sandbox.config, name) for name in _OptionChanges.__struct_fields__})


def _json(body: object, status: int = 200) -> web.Response:
    content = msgspec.json.encode(body)
    return web.Response(status=status, body=content, content_type="application/json")
