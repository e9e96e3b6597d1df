"""Options of commands that may take pages from a cache."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from tmapi_async.cli.configuration.durations import read_duration
from tmapi_async.client.environment import read_environment
from tmapi_async.client.page_sources import make_cache
from tmapi_async.errors import InvalidRequestError

_PANEL = "Cache"


class CacheOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Cache of pages, and the age of the pages that are taken from it."""

    cache: Annotated[
        str | None,
        typer.Option(
            "--cache",
            help="Take pages from this cache, and keep new pages there: a file, which several"
            " processes may share; a journal, which is only read; or redis://HOST:PORT/DATABASE."
            " Default: the environment variable TMAPI_CACHE, or no cache.",
            rich_help_panel=_PANEL,
            metavar="FILE|URL",
            show_default=False,
        ),
    ] = None
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age",
            help="Take pages from the cache up to this age: 90s, 15m, 6h, 7d. 0 requests all pages"
            " anew. Default: 1h.",
            rich_help_panel=_PANEL,
            metavar="DURATION",
            show_default=False,
        ),
    ] = None
    stale_if_error: Annotated[
        str | None,
        typer.Option(
            "--stale-if-error",
            help="Take older pages from the cache, up to this age, if the API fails.",
            rich_help_panel=_PANEL,
            metavar="DURATION",
            show_default=False,
        ),
    ] = None

    def check(self) -> None:
        """Check the options before anything is sent.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        settings = self.settings()
        for option, value in (
            ("--max-age", self.max_age),
            ("--stale-if-error", self.stale_if_error),
        ):
            if value is not None and settings.get("cache") is None:
                raise InvalidRequestError(f"{option} needs --cache, or TMAPI_CACHE")
        if settings.get("cache") is not None:
            make_cache(
                settings["cache"],
                base_url="http://127.0.0.1",
                host="127.0.0.1",
                token="-",  # noqa: S106 - nothing is kept
                max_age=settings.get("max_age"),
                stale_if_error=settings.get("stale_if_error", False),
                cache_bytes=None,
            )

    def settings(self) -> dict[str, Any]:
        """Return the options of the client that these options name."""
        cache = self.cache if self.cache is not None else read_environment().get("cache")
        settings: dict[str, Any] = {"cache": cache}
        if self.max_age is not None:
            settings["max_age"] = read_duration("--max-age", self.max_age)
        if self.stale_if_error is not None:
            settings["stale_if_error"] = read_duration("--stale-if-error", self.stale_if_error)
        return settings

    def __repr__(self) -> str:
        return "CacheOptions()"  # the address of a server may hold a password
