"""What the server decides: whom to let in, what the work takes, what to answer. No I/O here."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tmapi_async.sandbox.catalogue.catalogue import Catalogue
from tmapi_async.sandbox.catalogue.hashing import chance, normal
from tmapi_async.sandbox.catalogue.ranking import Ranking
from tmapi_async.sandbox.responses import envelopes as replies
from tmapi_async.sandbox.responses.faults import KINDS, Attempt
from tmapi_async.sandbox.responses.pages import PageBuilder
from tmapi_async.sandbox.responses.recordings import Recordings
from tmapi_async.sandbox.responses.routes import (
    CATEGORY_INFO,
    GENERATED,
    ITEM_DETAIL,
    RefusedParameterError,
)
from tmapi_async.sandbox.responses.stats import Listing, Stats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tmapi_async.sandbox.responses.config import Config
    from tmapi_async.sandbox.responses.envelopes import SandboxReply
    from tmapi_async.sandbox.responses.faults import Faults


# What pages depend on.
_SHOWN_BY = (
    *("seed", "drift", "repeats", "short_pages", "endless"),
    *("ceiling", "v1_ceiling", "root", "shift", "shift_ties", "adverts"),
)


class ServedRequest(NamedTuple):
    """A request that was let in and holds a slot.

    Attributes:
        listing: What it asks for.
        attempt: The same with the page and the count of earlier attempts.
        query: Its parameters, without the token.
        seconds: How long the work for it takes.
    """

    listing: Listing
    attempt: Attempt
    query: Mapping[str, str]
    seconds: float


class Backend:
    """The decisions, and the counts of what was decided.

    Args:
        config: How to behave.

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
        """Change options; `ValueError` if one is bad, and then nothing changes."""
        changed = replace(self.config, **options)
        self._check_faults(changed.faults)
        if any(getattr(changed, name) != getattr(self.config, name) for name in _SHOWN_BY):
            if (changed.seed, changed.shift) != (self.config.seed, self.config.shift):
                self._ranking = Ranking(changed.seed, changed.shift)
            self._pages = PageBuilder(changed, self.catalogue, self._ranking)
        self.config = changed

    def admit(
        self, method: str, path: str, query: dict[str, str], key: str
    ) -> ServedRequest | SandboxReply:
        """Let a request in, or turn it away with the reply to send.

        Path, token, limit, parameters: in the order in which a gateway and its API look at them.

        Args:
            method: HTTP method.
            path: Path of the request.
            query: Its query; the token is taken out of it.
            key: Value of the header `apikey`, or `""`.
        """
        config, seen = self.config, self.stats
        seen.requests += 1
        sent = query.pop("apiToken", key)
        if path not in GENERATED or method != "GET":
            return replies.error(config, 404)
        if sent not in config.tokens:
            text = "Invalid authentication credentials" if sent else None
            return replies.error(config, 401, seen.requests, text=text)
        if config.limit is not None and seen.in_flight >= config.limit:
            return replies.error(config, 503, seen.requests)
        try:
            listing, page = GENERATED[path].read(query)
        except RefusedParameterError as problem:
            return replies.error(config, 422, path, text=str(problem))
        nth = seen.enter(listing, page)
        attempt = Attempt(path, listing.params, listing.cat_id, page, nth)
        return ServedRequest(listing, attempt, query, _seconds(config, attempt))

    def answer(self, visit: ServedRequest) -> SandboxReply:
        """The reply to a request whose work is done, billed if it has code 200."""
        # Balance and faults are those of now: they may have changed while the work went on.
        reply = self._reply(visit)
        if reply.billed:
            self.stats.bill(visit.listing, visit.attempt.page, whole=reply.whole)
        return reply

    def _reply(self, visit: ServedRequest) -> SandboxReply:
        config, attempt = self.config, visit.attempt
        if config.quota is not None and self.stats.billed >= config.quota:
            return replies.error(config, 439, attempt)
        name = config.faults.pick(config.seed, attempt)
        if self.recordings is not None and name in self.recordings.errors:
            status, body = self.recordings.errors[name]
            return replies.SandboxReply(status, body, name)
        unknown = self._unknown(attempt)
        if unknown and (name is None or not GENERATED[attempt.path].paged):
            return replies.error(config, 422, attempt, text=f"parameter error: no such {unknown}")
        right = self._page(visit)
        return replies.page(right) if name is None else replies.fault(config, name, right, attempt)

    def _page(self, visit: ServedRequest) -> bytes:
        if self.recordings is not None and visit.attempt.path in self._recorded:
            return self.recordings.body(visit.attempt.path, visit.query, visit.attempt.page)
        return self._pages.body(visit.listing, visit.attempt.page)

    def _unknown(self, attempt: Attempt) -> str:
        """What is asked about and does not exist, if that is an error; else `""`."""
        path, cat_id = attempt.path, attempt.cat_id
        if path in self._recorded:
            return ""
        if path == ITEM_DETAIL.path:
            return "" if self.catalogue.locate(int(dict(attempt.params)["item_id"])) else "item"
        if cat_id is None:
            return ""
        if path == CATEGORY_INFO.path:
            return "" if cat_id in self.catalogue.tree else "category"
        refused = self.config.unknown == "422" and cat_id not in self.catalogue
        return "category" if refused else ""

    def _check_faults(self, faults: Faults) -> None:
        known = set(KINDS) | set(self.recordings.errors if self.recordings else ())
        unknown = sorted(faults.names() - known)
        if unknown:
            raise ValueError(f"unknown faults {unknown}; there are {', '.join(sorted(known))}")


def _seconds(config: Config, attempt: Attempt) -> float:
    """Seconds of work: log-normal about the mean, the same for the same attempt."""
    sigma = config.latency_sigma
    if not sigma or not config.latency:
        return config.latency
    quantile = chance(config.seed, "latency", attempt)
    return config.latency * math.exp(sigma * normal(quantile) - sigma * sigma / 2)
