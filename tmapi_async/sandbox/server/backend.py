"""Decisions of the server: admission, processing time and reply of each request. No I/O."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tmapi_async.sandbox.catalogue.catalogue import Catalogue
from tmapi_async.sandbox.catalogue.hashing import chance, normal
from tmapi_async.sandbox.catalogue.ranking import Ranking
from tmapi_async.sandbox.responses import envelopes as replies
from tmapi_async.sandbox.responses.faults import KINDS, Attempt
from tmapi_async.sandbox.responses.item_replies import PATHS_OF_ITEMS
from tmapi_async.sandbox.responses.pages import PageBuilder
from tmapi_async.sandbox.responses.recordings import Recordings
from tmapi_async.sandbox.responses.routes import (
    CATEGORY_INFO,
    ROUTES,
    RefusedParameterError,
)
from tmapi_async.sandbox.responses.stats import Listing, Stats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tmapi_async.sandbox.responses.config import Config
    from tmapi_async.sandbox.responses.envelopes import SandboxReply
    from tmapi_async.sandbox.responses.faults import Faults


# Options that change the contents of pages.
_PAGE_OPTIONS = (
    *("seed", "drift", "repeats", "short_pages", "endless", "past_end"),
    *("ceiling", "v1_ceiling", "root", "shift", "shift_ties", "adverts"),
)


class ServedRequest(NamedTuple):
    """An admitted request, which holds a slot.

    Attributes:
        listing: The requested listing.
        attempt: The listing with the page and the number of earlier attempts.
        query: Parameters of the request, without the token.
        seconds: Processing time.
    """

    listing: Listing
    attempt: Attempt
    query: Mapping[str, str]
    seconds: float


class Backend:
    """Decides about requests, and counts the decisions.

    Args:
        config: Configuration of the sandbox.

    Attributes:
        config: The configuration in force.
        stats: Statistics of the requests so far.
        catalogue: The products.
        recordings: The recorded bodies, or None.

    Raises:
        ValueError: The recordings cannot be read, or a fault is unknown.
    """

    def __init__(self, config: Config) -> None:
        self.stats = Stats()
        self.catalogue = config.catalogue or Catalogue(
            config.seed,
            config.categories,
            mean=config.mean,
            skew=config.skew,
            page_size=config.page_size,
            false_excludes=config.false_excludes,
            prices=config.prices,
            price_bounds=config.price_bounds,
            words=config.words,
            shops=config.shops,
            tree=config.tree,
        )
        self.recordings: Recordings | None = None
        if config.bodies is not None:
            self.recordings = Recordings(config.bodies, verbatim=config.verbatim)
        self._recorded = self.recordings.paths if self.recordings else frozenset()
        self._check_faults(config.faults)
        self.config = config
        self._ranking = Ranking(config.seed, config.shift)
        self._pages = PageBuilder(config, self.catalogue, self._ranking)

    def change(self, **options: Any) -> None:
        """Change options. Raises `ValueError` for a bad value and then changes nothing."""
        changed = replace(self.config, **options)
        self._check_faults(changed.faults)
        if any(getattr(changed, name) != getattr(self.config, name) for name in _PAGE_OPTIONS):
            if (changed.seed, changed.shift) != (self.config.seed, self.config.shift):
                self._ranking = Ranking(changed.seed, changed.shift)
            self._pages = PageBuilder(changed, self.catalogue, self._ranking)
        self.config = changed

    def admit(
        self, method: str, path: str, query: dict[str, str], key: str
    ) -> ServedRequest | SandboxReply:
        """Admit a request, or return the reply that refuses it.

        Checks path, token, limit and parameters, in the order of a gateway and its API.

        Args:
            method: HTTP method.
            path: Path of the request.
            query: Query of the request; the token is removed from it.
            key: Value of the header `apikey`, or `""`.
        """
        config, stats = self.config, self.stats
        stats.requests += 1
        token = query.pop("apiToken", key)
        if path not in ROUTES or method != "GET":
            return replies.error_reply(config, 404)
        if token not in config.tokens:
            text = "Invalid authentication credentials" if token else None
            return replies.error_reply(config, 401, stats.requests, text=text)
        if config.limit is not None and stats.in_flight >= config.limit:
            return replies.error_reply(config, 503, stats.requests)
        try:
            listing, page = ROUTES[path].parse(query)
        except RefusedParameterError as error:
            return replies.error_reply(config, 422, path, text=str(error))
        nth = stats.enter(listing, page)
        attempt = Attempt(path, listing.params, listing.cat_id, page, nth)
        return ServedRequest(listing, attempt, query, work_seconds(config, attempt))

    def answer(self, served: ServedRequest) -> SandboxReply:
        """Return the reply to a processed request, and bill it if it has code 200."""
        # Uses the present balance and faults, which may have changed during the processing time.
        reply = self._reply(served)
        if reply.billed:
            self.stats.bill(served.listing, served.attempt.page, whole=reply.complete)
        return reply

    def _reply(self, served: ServedRequest) -> SandboxReply:
        config, attempt = self.config, served.attempt
        if config.quota is not None and self.stats.billed >= config.quota:
            return replies.error_reply(config, 439, attempt)
        name = config.faults.pick(config.seed, attempt)
        if self.recordings is not None and name in self.recordings.errors:
            status, body = self.recordings.errors[name]
            return replies.SandboxReply(status, body, name)
        unknown = self._unknown(attempt)
        if unknown and (name is None or unknown == "item" or not ROUTES[attempt.path].paged):
            return replies.error_reply(
                config, 422, attempt, text=f"parameter error: no such {unknown}"
            )
        page_body = self._page(served)
        return (
            replies.page_reply(page_body)
            if name is None
            else replies.fault_reply(config, name, page_body, attempt)
        )

    def _page(self, served: ServedRequest) -> bytes:
        if self.recordings is not None and served.attempt.path in self._recorded:
            return self.recordings.body(served.attempt.path, served.query, served.attempt.page)
        return self._pages.body(served.listing, served.attempt.page)

    def _unknown(self, attempt: Attempt) -> str:
        """Return "item" or "category" if it does not exist and that is an error; else `""`."""
        path, cat_id = attempt.path, attempt.cat_id
        if path in self._recorded:
            return ""
        if path in PATHS_OF_ITEMS:
            return "" if self.catalogue.locate(int(dict(attempt.params)["item_id"])) else "item"
        if cat_id is None:
            return ""
        if path == CATEGORY_INFO.path:
            return "" if cat_id in self.catalogue.tree else "category"
        refused = self.config.unknown == "422" and cat_id not in self.catalogue
        return "category" if refused else ""

    def _check_faults(self, faults: Faults) -> None:
        names = set(KINDS) | set(self.recordings.errors if self.recordings else ())
        unknown = sorted(faults.names() - names)
        if unknown:
            raise ValueError(f"unknown faults {unknown}; the faults are {', '.join(sorted(names))}")


def work_seconds(config: Config, attempt: Attempt) -> float:
    """Return the processing time: log-normal, and the same for the same attempt."""
    sigma = config.latency_sigma
    if not sigma or not config.latency:
        return config.latency
    quantile = chance(config.seed, "latency", attempt)
    return config.latency * math.exp(sigma * normal(quantile) - sigma * sigma / 2)
