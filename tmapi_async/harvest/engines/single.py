"""One account in this process: one crawl."""

from __future__ import annotations

from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.client.client import TMAPI
from tmapi_async.client.inputs import Lookahead
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal

from .base import Driver, GateTotals, sum_gates


class SingleEngine:
    """One account in this process."""

    def __init__(self, api: TMAPI) -> None:
        self._api = api
        self._crawl: Crawler | None = None

    @property
    def host(self) -> str:
        """Host and port of the API."""
        return self._api.host

    def create_driver(
        self,
        recorder: Recorder,
        journal: Journal,  # noqa: ARG002 - other engines need it
        *,
        lookahead: Lookahead | None,
        guard: GuardPolicy | None,
    ) -> Driver:
        """A crawl that hands its pages to the keeper."""
        self._crawl = self._api.core.crawl(
            recorder.tasks(),
            recorder,
            lookahead=lookahead,
            guard=guard,
        )
        return self._crawl

    def gate_totals(self) -> GateTotals:
        """How wide the gate stands now."""
        return sum_gates([self._api])

    def request_counts(self) -> RequestCounts:
        """Return the requests counted by the crawler so far."""
        return RequestCounts() if self._crawl is None else self._crawl.request_counts()
